from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.support.workspace import free_port
from hub_config.errors import ServiceError, StateError
from hub_config.files import write_atomic
from hub_config.instance import Instance, open_instance, store_settings
from hub_config.processes import ProcessRef, end_processes
from hub_config.services.spec import ServiceSpec, in_order
from hub_config.services.supervisor import end_leftovers, is_running, read_status, supervisor_lock
from hub_config.services.workspace import bring_down, check_port
from hub_config.settings import Settings

# A supervisor over two little web servers, as its own program: it takes over signals.
PROGRAM = """
import sys
from pathlib import Path
from hub_config.instance import running_instance
from hub_config.services import supervisor
from hub_config.services.spec import ServiceSpec
def spec(name, port, *needs):
    command = (sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port))
    return ServiceSpec(name, command, port=port, health=f"http://127.0.0.1:{port}/", needs=needs)
ports = [int(p) for p in sys.argv[2:]]
supervisor.registered_services = lambda instance: [spec("a", ports[0]), spec("b", ports[1], "a")]
sys.exit(supervisor.main(Path(sys.argv[1])))
"""


@pytest.fixture
def instance(settings: Settings) -> Instance:
    process = settings.model_copy(update={"spawner": "process"})
    opened = open_instance(process)
    store_settings(process)
    return opened


def until(condition: Callable[[], Any], seconds: float = 20) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError("the condition did not come true in time")


def start(instance: Instance) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(instance.state), str(free_port()), str(free_port())]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def processes(instance: Instance) -> list[ProcessRef]:
    return [ProcessRef(*s["process"]) for s in read_status(instance.state).get("services", []) if s["process"]]


def ready(instance: Instance) -> bool:
    status = read_status(instance.state)
    return status.get("phase") == "ready" and all(s["state"] == "ready" for s in status["services"])


def test_a_killed_part_comes_back_and_all_end_together(instance: Instance) -> None:
    """The supervisor starts again what was killed, and `down` ends everything."""
    process = start(instance)
    until(lambda: ready(instance))
    first, second = processes(instance)
    os.kill(second.pid, signal.SIGKILL)
    until(lambda: ready(instance) and second not in processes(instance))
    assert processes(instance)[0] == first, "the other part was left alone"
    assert read_status(instance.state)["services"][1]["restarts"] == 1
    running = processes(instance)
    assert bring_down(instance.state, lambda _: None) is True
    assert process.wait(20) == 0
    assert not any(ref.alive() for ref in running)
    assert not is_running(instance.state)


def test_what_a_killed_supervisor_leaves_is_found(instance: Instance) -> None:
    """After kill -9 the lock is free, the children are known, and `down` ends them."""
    process = start(instance)
    until(lambda: ready(instance))
    process.kill()
    process.wait()
    left = processes(instance)
    assert not is_running(instance.state)
    assert all(ref.alive() for ref in left)
    assert bring_down(instance.state, lambda _: None) is True
    assert not any(ref.alive() for ref in left)
    assert end_leftovers(instance.state) == 0


def test_two_supervisors_do_not_share_an_instance(instance: Instance) -> None:
    """The second is refused while the first holds the lock."""
    with supervisor_lock(instance), pytest.raises(StateError, match="already runs"), supervisor_lock(instance):
        pass


def test_a_lock_handed_on_is_held_without_a_gap(instance: Instance) -> None:
    """A child that is given the lock holds it on when its parent ends, before it has run a line of its own."""
    with supervisor_lock(instance) as lock:
        child = subprocess.Popen(["sleep", "60"], pass_fds=[lock])
    try:
        assert is_running(instance.state)
        with pytest.raises(StateError, match="already runs"), supervisor_lock(instance):
            pass
    finally:
        child.kill()
        child.wait()
    assert not is_running(instance.state)


def test_parts_come_after_what_they_need() -> None:
    """Order follows needs; a circle or a missing part is named."""

    def part(name: str, *needs: str) -> ServiceSpec:
        return ServiceSpec(name, ("true",), needs=needs)

    ordered = in_order([part("hub", "proxy", "idp"), part("idp"), part("proxy")])
    assert [spec.name for spec in ordered] == ["idp", "proxy", "hub"]
    with pytest.raises(ServiceError, match="a needs b; b needs a"):
        in_order([part("a", "b"), part("b", "a")])


def test_secrets_of_a_part_are_not_shown() -> None:
    """A spec that gets into a log does not carry its environment."""
    assert "hunter2" not in repr(ServiceSpec("a", ("true",), {"TOKEN": "hunter2"}))


def test_a_process_number_used_again_is_not_the_same_process() -> None:
    """Start times tell two processes of one number apart."""
    mine = ProcessRef.of(os.getpid())
    assert mine is not None
    assert mine.alive()
    assert not ProcessRef(mine.pid, mine.started + 1).alive()
    assert ProcessRef.of(2**22 + 1) is None


def test_a_process_that_ignores_the_request_is_killed() -> None:
    """SIGTERM first, SIGKILL after the limit."""
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        ref = ProcessRef.of(child.pid)
        assert ref is not None
        end_processes([ref], 0.2)
        assert child.wait(5) == -signal.SIGKILL


def test_a_taken_port_names_its_holder() -> None:
    """The message says who holds the port and how to choose another."""
    port = free_port()
    code = f"import socket; s = socket.create_server(('127.0.0.1', {port})); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with pytest.raises(StateError, match=rf"Port {port} .*process {child.pid}.*--port 8080"):
            check_port("127.0.0.1", port)
        child.kill()


def test_an_atomic_write_leaves_old_or_new(tmp_path: Path) -> None:
    """A failing write keeps the old content and no temporary file."""
    file = tmp_path / "x"
    write_atomic(file, "old")
    with pytest.raises(TypeError):
        write_atomic(file, 7)  # type: ignore[arg-type]
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]
