"""What process servers run: published once per content, with the kernels compiled."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from hub_config.compute.spawners.processes import private_folder, unprivileged_command
from hub_config.compute.spawners.runtime import compiled_folder, publish_runtime, runtime_folder
from hub_config.compute.workspace_image import image_tag
from hub_config.errors import StateError
from hub_config.instance import Instance, open_instance, store_image
from hub_config.paths import ROOT, VENV
from hub_config.settings import Settings


@pytest.fixture
def instance(settings: Settings) -> Instance:
    opened = open_instance(settings)
    store_image(opened, image_tag(ROOT))
    return opened


def test_nothing_published_is_said(settings: Settings) -> None:
    """Before the first `up` there is no code to run."""
    with pytest.raises(StateError, match="run lightbox up"):
        runtime_folder(open_instance(settings))


def serve(runtime: Path, state: Path, scratch: Path, uid: int | None) -> list[str]:
    """Run `start` as the spawner does; the server prints how many kernels it compiles, where, and the folder's mode."""
    stub = state / "server"
    code = (
        "import os; from pathlib import Path; from curation.registration import warm\n"
        "folder = Path(os.environ['NUMBA_CACHE_DIR'])\n"
        "print(warm.warm(), Path(warm.__file__).parents[2], oct(folder.stat().st_mode & 0o777))"
    )
    stub.write_text(f'#!/bin/sh\nexec {VENV}/bin/python -P -c "{code}"\n')
    stub.chmod(0o755)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(scratch),
        "LIGHTBOX_NOTEBOOKS": "/nowhere",
        "LIGHTBOX_KERNELS": str(compiled_folder(runtime)),
        "LIGHTBOX_PYTHON": str(stub),
        "NUMBA_CACHE_DIR": str(scratch / "kernels"),
        "PYTHONPATH": str(runtime),
    }
    command = [*unprivileged_command(uid, ()), str(runtime / "images" / "workspace" / "start")]
    done = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_a_server_finds_its_kernels_compiled(instance: Instance) -> None:
    """An unprivileged user gets a closed copy of what was compiled for the published sources, and it is used."""
    publish_runtime(instance)
    runtime = runtime_folder(instance)
    uid = instance.first_uid if os.geteuid() == 0 else None
    scratch = private_folder(uid)
    try:
        assert serve(runtime, instance.state, scratch, uid) == ["0", str(runtime), "0o700"]
    finally:
        shutil.rmtree(scratch)
    others_may_write = [p for p in compiled_folder(runtime).rglob("*") if p.stat().st_mode & 0o022]
    assert others_may_write == []


def test_what_is_published_is_left_alone(instance: Instance) -> None:
    """A second `up` changes nothing; kernels that are missing, because the first was killed, are made."""
    publish_runtime(instance)
    runtime = runtime_folder(instance)
    compiled = compiled_folder(runtime)
    before = {path: path.stat().st_mtime_ns for path in runtime.rglob("*")}
    publish_runtime(instance)
    assert {path: path.stat().st_mtime_ns for path in runtime.rglob("*")} == before
    names = {path.name for path in compiled.rglob("*.nbi")}
    shutil.rmtree(compiled)
    (runtime.parent / f".{runtime.name}.kernels").mkdir()
    publish_runtime(instance)
    assert {path.name for path in compiled.rglob("*.nbi")} == names != set()
    assert list(runtime.parent.iterdir()) == [runtime]


def test_up_goes_on_without_compiled_kernels(instance: Instance, monkeypatch: pytest.MonkeyPatch) -> None:
    """They only save time: a server that has none compiles when they are called."""
    monkeypatch.setattr("hub_config.compute.spawners.runtime._COMPILE_SECONDS", 0.01)
    publish_runtime(instance)
    assert (runtime_folder(instance) / "curation").is_dir()
    assert not compiled_folder(runtime_folder(instance)).exists()
