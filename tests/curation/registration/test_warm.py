"""Compiled code made ahead: fresh processes load it, compile nothing, and manage without it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import curation
from curation.registration import warm

PACKAGE = Path(curation.__file__).parent

# All ways through the engine; prints how many kernels were loaded and how many compiled.
USE = """
import json
from dataclasses import replace
import numpy as np
from curation import Volume, coregister, default_parameters, motion_correct
from curation.registration.parameters import RegistrationParameters, RegistrationStep
from curation.registration.warm import compiled_kernels
from tests.curation.registration.scenes import moved_by, other_contrast, scene, series_of

def whole(volume):
    return Volume(volume.array.astype(np.int16), volume.affine, volume.frame_of_reference_uid)

def broken(volume):
    values = volume.array.copy()
    values[0, 0, 0] = np.nan
    return Volume(values, volume.affine, volume.frame_of_reference_uid)

moved = [scene(), other_contrast(scene(moved_by([2, -1.5, 1], [1, -2, 1.5]), seed=1))]
static = replace(series_of([scene(seed=3)], role="t2w"), uid="2.25.8", uids=("2.25.8",))
for kind in (lambda volume: volume, whole, broken):
    found = motion_correct(series_of([kind(volume) for volume in moved]), refine_gland=True)
    laid = coregister(found, static, accept="always")
    assert all(np.isfinite(volume.array).all() for volume in (*found.volumes, *laid.volumes))
(rigid,) = default_parameters("lightbox", "motion_correction").registration_steps
stretched = RegistrationParameters((rigid, RegistrationStep("affine", rigid.levels)))
motion_correct(series_of(moved), stretched)
one_slice = Volume(moved[0].array[:1], moved[0].affine)
one_slice.resampled(moved[1].affine, moved[1].shape)
loaded = sum(sum(kernel.stats.cache_hits.values()) for kernel in compiled_kernels())
compiled = [kernel.py_func.__name__ for kernel in compiled_kernels() if kernel.stats.cache_misses]
print(json.dumps([loaded, compiled]))
"""


def fresh_process(*arguments: str, cache: Path, **environment: str) -> str:
    """Run Python in a new process whose compiled code is kept in `cache`, and return what it prints."""
    settings = {**os.environ, "NUMBA_CACHE_DIR": str(cache), **environment}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, env=settings, cwd=PACKAGE.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the compiled code of all kernels."""
    folder = tmp_path_factory.mktemp("compiled")
    assert fresh_process("-m", "curation.registration.warm", cache=folder) == ""
    return folder


def test_all_kernels_are_known() -> None:
    """A new file of kernels is compiled ahead too, or this fails."""
    decorated = re.compile(r"^@(?:njit\(.*\)|kernel)\ndef (\w+)\(", re.MULTILINE)
    found = {(file.name, name) for file in PACKAGE.rglob("*.py") for name in decorated.findall(file.read_text())}
    known = {(Path(k.py_func.__code__.co_filename).name, k.py_func.__name__) for k in warm.compiled_kernels()}
    assert found == known
    assert len(found) >= 12


def test_a_fresh_process_compiles_nothing(cache: Path) -> None:
    """Motion correction of floats, of integers and with NaN, co-registration, resampling: all was compiled."""
    loaded, compiled = json.loads(fresh_process("-c", USE, cache=cache))
    assert compiled == []
    assert loaded >= 12


def test_another_copy_takes_the_compiled_code_over(cache: Path, tmp_path: Path) -> None:
    """The same sources elsewhere need no compiler, if they are shown what was kept beside the first."""
    for place in (first := tmp_path / "first", tmp_path / "second"):
        shutil.copytree(PACKAGE, place / "curation", ignore=shutil.ignore_patterns("__pycache__"))
    for folder in cache.iterdir():  # as numba names them: the source's folder and a hash
        inner = "curation" if folder.name.startswith("curation_") else "curation/registration"
        shutil.copytree(folder, first / inner / "__pycache__")
    code = "import sys; from curation.registration.warm import *; print(warm(Path(sys.argv[1])), MODULES[0].__file__)"
    arguments = ("-P", "-c", code, str(first / "curation"))
    answer = fresh_process(*arguments, cache=tmp_path / "compiled", PYTHONPATH=str(tmp_path / "second"))
    assert answer.split() == ["0", str(tmp_path / "second" / "curation" / "resampling.py")]


def test_another_processor_compiles_for_itself(cache: Path, tmp_path: Path) -> None:
    """Code of one processor is not run on another: it is made anew, beside the old."""
    folder = shutil.copytree(cache, tmp_path / "compiled")
    code = (
        "import numpy as np; from curation.resampling import resample, _fill\n"
        "image = np.arange(64, dtype=np.float32).reshape(4, 4, 4)\n"
        "grid = np.eye(4); grid[2, 3] = 0.5\n"
        "print(resample(image, np.eye(4), grid, (4, 4, 3))[1, 1, 1], sum(_fill.stats.cache_misses.values()))"
    )
    assert fresh_process("-c", code, cache=folder, NUMBA_CPU_NAME="generic").split() == ["21.5", "1"]
    assert fresh_process("-c", code, cache=folder, NUMBA_CPU_NAME="generic").split() == ["21.5", "0"]
    assert fresh_process("-c", code, cache=folder).split() == ["21.5", "0"]
