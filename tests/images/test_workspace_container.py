"""The workspace image in a real, confined container."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from hub_config.compute.docker_cli import DockerCli
from hub_config.compute.workspace_image import BuiltImage, ensure_image, image_tag

pytestmark = pytest.mark.docker
Run = Callable[..., subprocess.CompletedProcess[str]]


def test_is_named_after_its_content_and_not_built_twice(image: BuiltImage, root: Path) -> None:
    lines: list[str] = []
    assert ensure_image(root, lines.append) == image
    assert image.name == image_tag(root)
    assert lines == []


def test_runs_unprivileged(workspace: Run) -> None:
    code = "id -u; id -g; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /opt/x 2>&1 || echo refused; pwd"
    lines = workspace("sh", "-c", code).stdout.split("\n")
    assert lines[:4] == ["1000", "1000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"]
    assert "refused" in lines
    assert "/home/jovyan" in lines


def test_fresh_home_belongs_to_the_person(workspace: Run) -> None:
    assert workspace("sh", "-c", "touch ~/mine && stat -c %u:%g ~ ~/mine").stdout.split() == ["1000:1000"] * 2


def test_holds_the_library_and_nothing_of_the_hub(workspace: Run) -> None:
    code = (
        "import importlib.util, curation, mlops, highdicom, ipywidgets, matplotlib.pyplot, pydicom, scipy\n"
        "print(importlib.util.find_spec('hub_config.settings') if importlib.util.find_spec('hub_config') else None)\n"
        "print(importlib.util.find_spec('dockerspawner'))"
    )
    assert workspace("python", "-W", "error", "-c", code).stdout.split() == ["None", "None"]


def test_library_is_precompiled(workspace: Run) -> None:
    """Flag 1: made from the source's hash, which is not compared again. See PEP 552."""
    code = (
        "import curation, numpy, json\n"
        "for module in (curation, numpy):\n"
        "    print(open(module.__cached__, 'rb').read(8)[4])\n"
        "print(open(json.__cached__, 'rb').read(4) == __import__('importlib.util').util.MAGIC_NUMBER)"
    )
    assert workspace("python", "-c", code).stdout.split() == ["1", "1", "True"]


def test_kernels_are_compiled_ahead(workspace: Run) -> None:
    """A server compiles nothing that registration needs; for another processor it compiles, and works."""
    code = "from curation.registration.warm import warm; print(warm())"
    shipped = f"/opt/lightbox/start --version >&2; stat -c '%a %u' /tmp/kernels; python -c '{code}'"
    assert workspace("sh", "-c", shipped).stdout.split() == ["700", "1000", "0"]
    other = f"/opt/lightbox/start --version >&2; NUMBA_CPU_NAME=generic python -c '{code}'"
    assert int(workspace("sh", "-c", other).stdout) > 10


def test_registration_of_the_earlier_tool_is_there(workspace: Run) -> None:
    """What is taken out of the packages is not needed."""
    code = (
        "import h5py, nibabel, numba, dipy.data\n"
        "from dipy.align.imaffine import AffineRegistration, MutualInformationMetric\n"
        "from dipy.align.transforms import RigidTransform3D\n"
        "import numpy as np; image = np.random.default_rng(0).random((12, 12, 12))\n"
        "metric = MutualInformationMetric(nbins=8)\n"
        "task = AffineRegistration(metric=metric, level_iters=[2], sigmas=[0], factors=[1], verbosity=0)\n"
        "print(task.optimize(image, image, RigidTransform3D(), None).affine.shape)"
    )
    assert workspace("python", "-W", "error", "-c", code).stdout.strip() == "(4, 4)"


def test_server_starts_and_a_kernel_computes(workspace: Run, root: Path) -> None:
    script = root / "tests" / "images" / "serve_and_compute.py"
    mounted = ("--volume", f"{script}:/probe.py:ro")
    answer = json.loads(workspace("python", "/probe.py", options=mounted).stdout.splitlines()[-1])
    assert answer["result"] == "{'text/plain': \"(2, 'ipc')\"}"
    assert answer["lab"]


def test_start_needs_no_grammar(workspace: Run) -> None:
    """The package builds a grammar when jsonschema imports it: a second of each server's start."""
    code = "import importlib.util; print(importlib.util.find_spec('rfc3987_syntax'))"
    assert workspace("python", "-c", code).stdout.strip() == "None"


def test_shipped_notebooks_come_into_the_home(workspace: Run) -> None:
    code = "/opt/lightbox/start --version >&2; cd /opt/lightbox/notebooks; find . -type f; echo --; cd; find . -type f"
    shipped, in_home = workspace("bash", "-c", code).stdout.split("--\n")
    assert set(shipped.split()) - {"./README.md"} <= set(in_home.split())


def test_start_keeps_what_a_person_changed(workspace: Run, tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "first.ipynb").write_text("shipped")
    (tmp_path / "second.ipynb").write_text("shipped")
    options = ("--volume", f"{tmp_path}:/shipped:ro", "--env", "LIGHTBOX_NOTEBOOKS=/shipped")
    code = "echo mine > ~/first.ipynb; /opt/lightbox/start --version >&2; cat ~/first.ipynb ~/second.ipynb"
    assert workspace("sh", "-c", code, options=options).stdout == "mine\nshipped"


def test_nothing_of_the_build_is_left(workspace: Run) -> None:
    """Wheels of ensurepip make every venv and stay; all other traces of the build count."""
    code = (
        r"find / -xdev \( -name '*.whl' -o -name pip.conf -o -name '.netrc' -o -path '*/.cache/pip' "
        r"-o -path '/root/.cache' -o -name wheelhouse \) -not -path '*/ensurepip/*' -not -path '*/python-wheels/*' "
        "2>/dev/null; ls -A /tmp"
    )
    assert workspace("sh", "-c", f"{code}; true").stdout == ""


def test_no_secrets_in_environment_and_history(image: BuiltImage, engine: DockerCli, workspace: Run) -> None:
    environment = workspace("env").stdout.upper()
    history = engine.run("history", "--no-trunc", image.name, failure="no history:").upper()
    for word in ("TOKEN", "SECRET", "PASSWORD", "PROXY", "INDEX_URL"):
        assert word not in environment
        assert word not in history
