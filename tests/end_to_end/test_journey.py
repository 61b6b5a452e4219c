"""The main journey on real parts: provider, hub, engine, kernel."""

from __future__ import annotations

import json
import os
import re
import time

import pytest

from benchmarks.support.visitor import Visitor
from benchmarks.support.workspace import Workspace, docker
from hub_config.record.events import ServerRefused, ServerStarted

LIST = "import os; print(sorted(os.listdir(os.environ['LIGHTBOX_DATASETS'])))"
WRITE = """
import os
place = os.environ['LIGHTBOX_DATASETS'] + '/synthetic-prostate'
for attempt in (place + '/new', next(d + '/' + f[0] for d, _, f in os.walk(place) if f)):
    try:
        open(attempt, 'ab').write(b'x')
        print('WRITTEN')
    except OSError as error:
        print(type(error).__name__)
"""


def test_a_second_up_takes_seconds_and_changes_nothing(workspace: Workspace) -> None:
    """What runs is left alone; the answer is the same."""
    before = workspace.run("status", "--json").stdout
    began = time.monotonic()
    answer = json.loads(workspace.run("up", "--json").stdout)
    assert answer["url"] == workspace.url
    assert [persona["key"] for persona in answer["personas"]] == [
        "researcher", "radiologist", "data-controller", "admin", "stranger",
    ]  # fmt: skip
    assert time.monotonic() - began < 30
    assert workspace.run("status", "--json").stdout == before


def test_login_start_kernel_stop_and_what_is_recorded(workspace: Workspace) -> None:
    """The researcher gets exactly the project's dataset, read-only, and every step leaves one event."""
    earlier = len(workspace.events("server-stopped"))
    with workspace.visitor("researcher") as rosa:
        rosa.start("prostate-ai")
        assert rosa.enter("prostate-ai").status_code == 200
        assert rosa.run("prostate-ai", LIST).strip() == "['synthetic-prostate']"
        assert set(rosa.run("prostate-ai", WRITE).split()) <= {"PermissionError", "OSError"}
        rosa.run("prostate-ai", "open('kept.txt', 'w').write('still here')")
        rosa.stop("prostate-ai")
        rosa.start("prostate-ai")
        rosa.enter("prostate-ai")
        assert "still here" in rosa.run("prostate-ai", "print(open('kept.txt').read())")
        rosa.stop("prostate-ai")
    started = [event for event in workspace.events("server-started") if isinstance(event, ServerStarted)]
    event = next(event for event in started if event.username == rosa.username)
    assert (event.project, event.profile, event.isolation) == ("prostate-ai", "standard", workspace.spawner)
    assert [(d.id, d.version) for d in event.datasets] == [("synthetic-prostate", 1)]
    assert all(d.digest.startswith("sha256:") for d in event.datasets)
    assert (event.image_digest is not None) is (workspace.spawner == "docker")
    assert len(workspace.events("server-stopped")) == earlier + 2


def test_another_person_s_project_cannot_be_started(workspace: Workspace) -> None:
    """The researcher is refused the radiologist's project, and one that does not exist, in the same words."""
    with workspace.visitor("researcher") as rosa:
        told = []
        for project in ("prostatex-reading", "no-such-project"):
            with pytest.raises(RuntimeError) as refused:
                rosa.start(project)
            told.append(str(refused.value).replace(project, "X"))
        assert told[0] == told[1]
        assert "You are not a member of the project X. Choose one of your projects" in told[0]
        assert "SpawnException" not in told[0]
    refusals = [event for event in workspace.events("server-refused") if isinstance(event, ServerRefused)]
    assert {"prostatex-reading", "no-such-project"} <= {event.project for event in refusals}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"profile": "gpu"}, "no GPU that can be leased"),
        ({"profile": "none-such"}, "There is no profile 'none-such'"),
        ({"profile": ["standard"], "image": "evil"}, None),
        ({"image": "evil:latest", "mounts": ["/etc"], "environment": {"A": "b"}}, None),
    ],
)
def test_options_of_the_api_are_not_believed(
    workspace: Workspace, options: dict[str, object], words: str | None
) -> None:
    """The same rules hold for an API call as for the page; nothing but the profile is taken from it."""
    with workspace.visitor("researcher") as rosa:
        if words is not None:
            with pytest.raises(RuntimeError, match=words):
                rosa.start("prostate-ai", options)
            assert rosa.servers() == {}
            return
        rosa.start("prostate-ai", options)
        rosa.enter("prostate-ai")
        assert rosa.run("prostate-ai", "import os; print(os.environ.get('A'))").strip() == "None"
        rosa.stop("prostate-ai")


def test_a_stranger_is_refused_with_what_to_do(workspace: Workspace) -> None:
    """A valid login without rights gets 403, the groups that open the door and whom to write, and no account."""
    before = len(workspace.events("login-refused"))
    with Visitor(workspace.url, "stranger") as sam:
        page = sam.login()
        assert page.status_code == 403
        assert "help@lightbox.example" in page.text
        assert "EUCAIM:lightbox:users" in page.text
        assert "Traceback" not in page.text
        assert sam.get("/hub/spawn").url.path == "/hub/login"
    assert len(workspace.events("login-refused")) == before + 1


def test_an_admin_does_not_read_what_is_in_the_rooms(workspace: Workspace) -> None:
    """The admin may list servers and cannot open one, nor mint a token for somebody else."""
    with workspace.visitor("researcher") as rosa, workspace.visitor("admin") as adam:
        rosa.start("prostate-ai")
        assert adam.api("GET", "users").status_code == 200
        assert adam.get(f"/user/{rosa.username}/prostate-ai/lab").status_code == 403
        assert adam.api("POST", f"users/{rosa.username}/tokens", json={}).status_code in {403, 404}
        rosa.stop("prostate-ai")


def test_a_grant_shows_at_the_next_start(workspace: Workspace) -> None:
    """Revoked: the project's dataset is gone from the next server; granted again: it is back."""
    workspace.run("grant", "revoke", "prostate-ai", "synthetic-prostate")
    try:
        with workspace.visitor("researcher") as rosa:
            rosa.start("prostate-ai")
            rosa.enter("prostate-ai")
            assert rosa.run("prostate-ai", LIST).strip() == "[]"
            rosa.stop("prostate-ai")
    finally:
        workspace.run("grant", "add", "prostate-ai", "synthetic-prostate", "--until", "2099-12-31")
    with workspace.visitor("researcher") as rosa:
        page = rosa.get("/hub/spawn").text
        assert re.search(r"until\s+2099-12-31", page)


@pytest.mark.docker
@pytest.mark.slow
def test_container_settings_read_back_from_the_engine(docker_workspace: Workspace) -> None:
    """Twelve settings of a running container, as the engine itself has them."""
    with docker_workspace.visitor("researcher") as rosa:
        rosa.start("prostate-ai")
        name = f"{docker_workspace.instance.name}-{rosa.username}-prostate-ai"
        (record,) = json.loads(docker("container", "inspect", name))
        rosa.enter("prostate-ai")
        inside = rosa.run("prostate-ai", PROBE)
        rosa.stop("prostate-ai")
    host, config = record["HostConfig"], record["Config"]
    assert config["User"] == "1000:1000"
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges"]
    assert host["ReadonlyRootfs"] is True
    assert host["Privileged"] is False
    assert host["PidsLimit"] == 256
    assert host["Memory"] == host["MemorySwap"] == 1 << 30
    assert host["CpuQuota"] == 2 * host["CpuPeriod"]
    assert host["ShmSize"] == 1 << 28
    assert host["Init"] is True
    assert (host["PidMode"], host["IpcMode"], host["DeviceRequests"]) == ("", "private", None)
    binds = {m["Destination"]: m for m in record["Mounts"]}
    assert binds["/datasets/synthetic-prostate"]["RW"] is False
    assert binds["/home/jovyan"]["Type"] == "volume"
    assert set(binds) == {"/datasets/synthetic-prostate", "/home/jovyan"}
    assert "NVIDIA_VISIBLE_DEVICES=void" in config["Env"]
    assert list(record["NetworkSettings"]["Networks"]) == [f"{docker_workspace.instance.name}-net"]
    assert record["Image"] == next(
        e.image_digest for e in docker_workspace.events("server-started") if isinstance(e, ServerStarted)
    )
    assert json.loads(inside) == {"uid": 1000, "capabilities": 0, "no_new_privs": 1, "reached": [], "root": "OSError"}


PROBE = """
import json, os, socket
status = dict(line.split(':', 1) for line in open('/proc/self/status') if ':' in line)
reached = []
for address in (('192.0.2.1', 80), ('169.254.169.254', 80), ('172.17.0.1', 22)):
    try:
        socket.create_connection(address, timeout=1).close()
        reached.append(address)
    except OSError:
        pass
try:
    socket.getaddrinfo('example.org', 80)
    reached.append('dns')
except OSError:
    pass
try:
    open('/opt/lightbox/x', 'w')
    root = 'WRITTEN'
except OSError as error:
    root = 'OSError'
print(json.dumps({'uid': os.getuid(), 'capabilities': int(status['CapEff'], 16),
    'no_new_privs': int(status['NoNewPrivs']), 'reached': reached, 'root': root}))
"""


@pytest.mark.docker
@pytest.mark.slow
def test_a_missing_image_is_said_and_leaves_nothing(docker_workspace: Workspace) -> None:
    """The person reads which image is missing and who can mend it; no container stays behind."""
    with docker_workspace.visitor("researcher") as rosa:
        with pytest.raises(RuntimeError, match=r"no-such-image:0 is not on this machine\. Ask the administrator"):
            rosa.start("prostate-ai", {"profile": "ghost"})
        assert docker_workspace.instance.name not in docker("container", "ls", "-a")
        rosa.start("prostate-ai")
        rosa.stop("prostate-ai")


@pytest.mark.slow
def test_process_servers_are_kept_apart_by_the_system(process_workspace: Workspace) -> None:
    """As root: own user ids, a closed state directory, and only the granted dataset can be read."""
    code = """
import os, glob
state = os.environ['LIGHTBOX_DATASETS'].split('/run/')[0]
def attempt(act):
    try:
        return act()
    except OSError as error:
        return type(error).__name__
mine = os.listdir(os.environ['LIGHTBOX_DATASETS'])
others = [d for d in ('prostatex', 'synthetic-prostate') if d not in mine]
print(os.getuid() > 1000, attempt(lambda: os.listdir(state)), attempt(lambda: os.listdir(state + '/secrets')),
      attempt(lambda: open(state + '/store/lightbox.sqlite', 'rb').read(1)),
      [attempt(lambda: os.listdir(f'{state}/datasets/{d}/v1/files')) for d in others])
"""
    if os.geteuid() != 0:
        pytest.skip("only root can give up root's rights")
    with process_workspace.visitor("researcher") as rosa:
        rosa.start("prostate-ai")
        rosa.enter("prostate-ai")
        seen = rosa.run("prostate-ai", code)
        rosa.stop("prostate-ai")
    assert seen.startswith("True PermissionError PermissionError PermissionError")
    assert seen.strip().endswith("[]") or "['PermissionError']" in seen
