"""What the test command needs of a machine: packages where they may be installed, an engine for its time."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hub_config.compute.spawners.engine import Engine
from hub_config.errors import LightboxError, ServiceError
from hub_config.paths import ROOT
from hub_config.processes import ProcessRef, end_processes
from hub_config.services import node

Say = Callable[[str], None]

# Program -> Debian package. The engine's command line is asked for where that package puts it.
_PACKAGES = {
    "dockerd": "docker.io",
    "/usr/bin/docker": "docker.io",
    "iptables": "iptables",
    "debootstrap": "debootstrap",
    "chromium": "chromium",
    "shellcheck": "shellcheck",
}
_ENGINE_SECONDS = 60.0
_PARALLEL = ("-n", "3", "--dist", "loadgroup")  # tests/conftest.py says which tests stay together


def run_checks(arguments: list[str], say: Say) -> int:
    """Run all checks, or with arguments only pytest with these; return the exit status.

    Parameters
    ----------
    arguments : list of str
        For pytest.
    say : callable
        Told what is being done.
    """
    _install_packages(say)
    for folder in (node.PROXY, node.DEV_IDP):
        node.install(folder)
    with _engine(say):
        failed = (
            [] if arguments else [name for name, command in _static_checks().items() if not _run(name, command, say)]
        )
        if not _run("Tests", [sys.executable, "-m", "pytest", *(arguments or _PARALLEL)], say):
            failed.append("Tests")
    if failed:
        say(f"[bold red]Failed:[/] {', '.join(failed)}")
        return 1
    say("[bold green]All checks passed.[/]")
    return 0


def _static_checks() -> dict[str, list[str]]:
    python = [sys.executable, "-m"]
    scripts = [str(path) for path in (ROOT / "lightbox", ROOT / ".ci/run", *sorted(ROOT.glob("images/*/[bs]*t*")))]
    checks = {
        "Format": [*python, "ruff", "format", "--check", "."],
        "Lint": [*python, "ruff", "check", "."],
        "Types": [*python, "mypy"],
        "Dependency rules": [str(Path(sys.executable).parent / "lint-imports")],
    }
    pages = (*ROOT.glob("hub_config/pages/static/*.js"), *ROOT.glob("hub_config/services/dev_idp/*.mjs"))
    each = 'for file; do "$0" --check "$file" || exit 1; done'
    checks["Front end"] = ["sh", "-c", each, node.node(), *map(str, sorted(pages))]
    if shutil.which("shellcheck"):
        checks["Shell"] = ["shellcheck", *(path for path in scripts if Path(path).suffix == "")]
    return checks


def _run(name: str, command: list[str], say: Say) -> bool:
    say(f"[bold cyan]·[/] {name}")
    began = time.monotonic()
    code = subprocess.run(command, cwd=ROOT, check=False).returncode
    say(f"  {name}: {'passed' if code == 0 else 'FAILED'} in {time.monotonic() - began:.0f} s")
    return code == 0


def _install_packages(say: Say) -> None:
    missing = sorted({package for program, package in _PACKAGES.items() if not _have(program)})
    if not missing:
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        say(f"Not installed, so some tests are skipped: {', '.join(missing)}")
        say(f"  To run them: sudo apt-get install --no-install-recommends {' '.join(missing)}")
        return
    say(f"Installing for the tests: {', '.join(missing)}")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *missing]):
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServiceError(f"{' '.join(command)} failed:\n{done.stderr[-1500:]}")


def _have(program: str) -> bool:
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") is not None


@contextmanager
def _engine(say: Say) -> Iterator[None]:
    """Have a Docker engine while the block runs: the machine's own, else one that is started and stopped again."""
    try:
        Engine().close()
    except LightboxError:
        pass
    else:
        yield
        return
    if os.geteuid() != 0 or not _have("dockerd"):
        yield
        return
    say("Starting a Docker engine for the tests")
    with tempfile.TemporaryFile() as log:
        daemon = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"},
        )
        reference = ProcessRef.of(daemon.pid)
        try:
            if not _answers(daemon):
                log.seek(0)
                words = log.read().decode(errors="replace")[-1500:]
                say(f"The Docker engine did not start; its tests are skipped.\n{words}")
            yield
        finally:
            end_processes([reference] if reference else [], _ENGINE_SECONDS)
            daemon.wait()


def _answers(daemon: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + _ENGINE_SECONDS
    while daemon.poll() is None and time.monotonic() < deadline:
        try:
            Engine().close()
        except LightboxError:
            time.sleep(0.2)
        else:
            return True
    return False
