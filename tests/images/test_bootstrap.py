"""The base image made from packages: refusals, the choice of the mirror, and the image itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_config.compute.docker_cli import DockerCli
from hub_config.compute.workspace_image import ensure_base

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def script(root: Path) -> str:
    return (root / "images" / "bootstrap-base" / "bootstrap").read_text()


def bash(script: str, *arguments: str, prefix: tuple[str, ...] = (), path: str | None = None) -> tuple[int, str, str]:
    """Run a script that bash reads from its standard input, so that any user may run it."""
    environment = {"PATH": path if path is not None else os.environ["PATH"]}
    command = [*prefix, "/bin/bash", "-s", "--", *arguments]
    done = subprocess.run(
        command, input=script, env=environment, capture_output=True, text=True, timeout=20, check=False
    )
    return done.returncode, done.stdout, done.stderr


def test_needs_a_name(script: str) -> None:
    assert bash(script) == (2, "", "usage: bootstrap IMAGE\n")
    assert bash(script, "--help")[0] == 2


def test_refuses_to_run_without_root(script: str) -> None:
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups") if os.geteuid() == 0 else ()
    status, _, message = bash(script, "lightbox/base:never", prefix=nobody)
    assert status == 1
    assert message.startswith("bootstrap: needs root")


@pytest.mark.skipif(os.geteuid() != 0, reason="root is asked for first")
def test_says_how_to_install_debootstrap(script: str, tmp_path: Path) -> None:
    status, _, message = bash(script, "lightbox/base:never", path=str(tmp_path))
    assert status == 1
    assert "apt-get install --no-install-recommends debootstrap" in message


ONE_LINE = """\
# deb http://commented.example/debian bookworm main
deb-src http://source.example/debian bookworm main
deb [arch=amd64 signed-by=/usr/share/keyrings/x.gpg] https://vendor.example/apt stable main
deb [trusted=no] http://mirror.example/debian bookworm main contrib
deb http://second.example/debian bookworm main
"""
STANZAS = """\
Types: deb
URIs: http://off.example/debian
Suites: bookworm
Enabled: no

Types: deb deb-src
# a comment
URIs: http://mirror.example/debian http://second.example/debian
Suites: bookworm bookworm-updates
Components: main

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
"""


@pytest.mark.parametrize(
    ("file", "content", "security"),
    [
        ("sources.list", ONE_LINE, ""),
        ("sources.list.d/debian.list", ONE_LINE, ""),
        ("sources.list.d/debian.sources", STANZAS, "http://mirror.example/security"),
        ("sources.list.d/other.list", "deb http://vendor.example/apt stable main\n", None),
    ],
)
def test_finds_the_mirror_of_the_machine(
    script: str, tmp_path: Path, file: str, content: str, security: str | None
) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / file).write_text(content)
    # The functions without the call of main, reading another folder.
    functions = script.replace('main "$@"', "").replace("/etc/apt/", f"{tmp_path}/")
    status, output, message = bash(f'{functions}\nuri_of ""; echo -; uri_of -security')
    assert (status, message) == (0, "")
    expected = ["", ""] if security is None else ["http://mirror.example/debian\n", security and f"{security}\n"]
    assert output.split("-\n", 1) == expected


def test_passwords_stay_out_of_the_image(script: str) -> None:
    functions = script.replace('main "$@"', "")
    answer = bash(f"{functions}\nwithout_password 'https://ada:s3cret@mirror.example/a@b'")
    assert answer == (0, "https://mirror.example/a@b\n", "")


@pytest.mark.docker
def test_base_makes_environments_and_has_a_working_apt(engine: DockerCli, root: Path, run_image: Run) -> None:
    base = ensure_base(engine, root, lambda _line: None)
    code = (
        "python3 -m venv /tmp/v && /tmp/v/bin/pip --version >&2 && apt-get check >&2 && "
        "test -s /etc/ssl/certs/ca-certificates.crt && "
        "python3 -c 'import sys; print(sys.version_info[:2])' && ls /var/lib/apt/lists && ls -A /tmp"
    )
    result = run_image(base, "sh", "-c", code, options=("--network", "none"))
    assert result.returncode == 0, result.stderr
    assert result.stdout.split("\n")[0] == "(3, 11)"
