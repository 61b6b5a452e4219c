"""Real containers of the workspace image, run as the hub runs them, and gone after each test."""

from __future__ import annotations

import subprocess
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hub_config.compute.docker_cli import DockerCli, ImageError
from hub_config.compute.workspace_image import BuiltImage, ensure_image

ROOT = Path(__file__).parents[2]
Run = Callable[..., subprocess.CompletedProcess[str]]

# What the hub gives a server as well; the network is left out altogether.
SANDBOX = (
    *("--init", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none"),
    *("--read-only", "--tmpfs", "/tmp", "--pids-limit", "512", "--memory", "4g"),
)


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def engine() -> DockerCli:
    try:
        return DockerCli.find()
    except ImageError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def image(engine: DockerCli) -> BuiltImage:
    return ensure_image(ROOT, lambda _line: None)


@pytest.fixture
def home(engine: DockerCli) -> Iterator[str]:
    """Give a fresh named volume."""
    name = f"lightbox-test-{uuid.uuid4().hex[:12]}"
    engine.run("volume", "create", name, failure="no volume:")
    yield name
    engine.run("volume", "rm", "--force", name, failure="the volume stays:")


@pytest.fixture
def run_image(engine: DockerCli) -> Iterator[Run]:
    """Run a command in a container of an image; containers are removed also if the command hangs."""
    names = []

    def run(image: str, *command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        name = f"lightbox-test-{uuid.uuid4().hex[:12]}"
        names.append(name)
        call = [engine.command, "run", "--name", name, *options, image, *command]
        return subprocess.run(call, capture_output=True, text=True, timeout=120, check=False)

    yield run
    for name in names:
        # A container that was never made, because its options were refused, is no error to docker 20.10 and later.
        subprocess.run([engine.command, "rm", "--force", "--volumes", name], capture_output=True, check=False)


@pytest.fixture
def workspace(image: BuiltImage, home: str, run_image: Run) -> Run:
    """Run a command in the workspace image, confined, with a fresh home."""

    def run(*command: str, options: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        confined = (*SANDBOX, "--volume", f"{home}:/home/jovyan", *options)
        result = run_image(image.name, *command, options=confined)
        assert result.returncode == 0, result.stdout + result.stderr
        return result

    return run
