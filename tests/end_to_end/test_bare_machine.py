"""The first `up` of a new user: in a Debian that has Python 3.11 with venv and nothing else."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from benchmarks.support.visitor import Visitor
from benchmarks.support.workspace import docker, free_port
from hub_config.compute.docker_cli import DockerCli
from hub_config.compute.workspace_image import ensure_base
from hub_config.paths import ROOT

pytestmark = [pytest.mark.docker, pytest.mark.slow]

# How the machine's own package clients reach their registries: the container is to reach them the same way.
CLIENT_SETTINGS = (
    "PIP_",
    "NPM_CONFIG_",
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT",
    "REQUESTS_CA_BUNDLE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
)
CLIENT_FILES = ("/etc/pip.conf", "/etc/ssl/certs", "~/.config/pip", "~/.npmrc")
CLIENT_CACHES = ("~/.cache/pip", "~/.npm")
# A closed home, as root's is: what process servers need must be put where they can read it.
CHECKOUT = "/root/lightbox"


def archive() -> bytes:
    """Return the files of this checkout, without anything that git ignores, as a tar."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name in filter(None, listed.decode().split("\0")):
            if (ROOT / name).exists():
                tar.add(ROOT / name, name)
    return stream.getvalue()


@pytest.fixture
def bare_machine() -> Iterator[str]:
    """A container of the bootstrapped base with the checkout in it."""
    base = ensure_base(DockerCli.find(), ROOT, lambda _: None)
    name = f"lightbox-test-bare-{uuid.uuid4().hex[:8]}"
    options = ["--network", "host", "--name", name, "--detach", "--init"]
    options += [f"--env={key}" for key in os.environ if key.upper().startswith(CLIENT_SETTINGS)]
    for entry in (*CLIENT_FILES, *CLIENT_CACHES):
        if (file := Path(entry).expanduser()).exists():
            mode = "rw" if entry in CLIENT_CACHES else "ro"
            options.append(f"--volume={file.resolve()}:{entry.replace('~', '/root')}:{mode}")
    docker("run", *options, base, "sleep", "1800")
    try:
        docker("exec", name, "mkdir", "-p", CHECKOUT)
        subprocess.run(
            ["/usr/bin/docker", "cp", "-", f"{name}:{CHECKOUT}"], input=archive(), check=True, capture_output=True
        )
        yield name
    finally:
        docker("rm", "--force", "--volumes", name)


def test_up_on_a_bare_debian(bare_machine: str) -> None:
    """One command from a fresh checkout leads to the hub's health page, a login and a running kernel."""
    for program in ("sudo", "systemctl", "node", "npm", "docker", "git", "curl"):
        assert docker("exec", bare_machine, "sh", "-c", f"command -v {program} || echo none").strip() == "none"
    port = free_port()
    answer = docker("exec", bare_machine, f"{CHECKOUT}/lightbox", "up", "--spawner", "process", "--port", str(port))
    url = f"http://127.0.0.1:{port}"
    assert url in answer
    assert "Rosa Researcher" in answer
    assert httpx.get(f"{url}/hub/health", trust_env=False).status_code == 200
    with Visitor(url, "researcher") as rosa:
        rosa.login()
        rosa.start("prostate-ai")
        rosa.enter("prostate-ai")
        code = "from curation import datasets; import os; print(os.getuid(), [d.id for d in datasets()])"
        uid, _, found = rosa.run("prostate-ai", code).strip().partition(" ")
    assert int(uid) > 1000
    assert found == "['synthetic-prostate']"
    docker("exec", bare_machine, f"{CHECKOUT}/lightbox", "down")
    assert "singleuser" not in docker("exec", bare_machine, "sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '")


def test_an_ordinary_user_without_python_reads_the_line_to_type(bare_machine: str) -> None:
    """No root and something missing: the exact command, and exit status 1."""
    docker(
        "exec", bare_machine, "sh", "-c", "chmod 755 /root; dpkg --force-all --remove python3.11-venv >/dev/null 2>&1"
    )
    command = ["/usr/bin/docker", "exec", "--user", "65534", bare_machine, f"{CHECKOUT}/lightbox", "up"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "apt-get install -y python3 python3-venv" in done.stderr
