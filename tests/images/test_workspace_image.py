"""Names of images, and what happens where the engine or a registry is not as it should be."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from hub_config.compute import workspace_image
from hub_config.compute.docker_cli import DockerCli, ImageError
from hub_config.compute.workspace_image import ensure_base, image_tag


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    for name in ("curation/a.py", "mlops/b.py", "notebooks/n.ipynb", "images/workspace/start", "pyproject.toml"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    bootstrap = root / "images" / "bootstrap-base" / "bootstrap"
    bootstrap.parent.mkdir()
    bootstrap.write_text("#!/bin/sh\nexit 1\n")
    bootstrap.chmod(0o755)
    return root


def test_tag_is_stable_over_clones(checkout: Path, tmp_path: Path) -> None:
    tag = image_tag(checkout)
    assert re.fullmatch(r"lightbox/workspace:[0-9a-f]{12}", tag)
    clone = tmp_path / "elsewhere" / "clone"
    shutil.copytree(checkout, clone)
    for file in clone.rglob("*"):
        os.utime(file, (1, 1))
    assert image_tag(clone) == tag


@pytest.mark.parametrize(
    "name",
    [
        "curation/__pycache__/a.cpython-311.pyc",
        "curation/.mypy_cache/x",
        "notebooks/.ipynb_checkpoints/n.ipynb",
        "hub_config/settings.py",
        "tests/test_x.py",
        "README.md",
    ],
)
def test_tag_ignores_caches_and_what_stays_outside(checkout: Path, name: str) -> None:
    tag = image_tag(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("x")
    assert image_tag(checkout) == tag


@pytest.mark.parametrize(
    "name",
    [
        "curation/a.py",
        "curation/new/c.py",
        "mlops/b.py",
        "notebooks/n.ipynb",
        "images/workspace/start",
        "images/bootstrap-base/bootstrap",
        "pyproject.toml",
        "constraints.txt",
        "LICENSE",
    ],
)
def test_tag_follows_content(checkout: Path, name: str) -> None:
    tag = image_tag(checkout)
    (checkout / name).parent.mkdir(parents=True, exist_ok=True)
    (checkout / name).write_text("changed")
    assert image_tag(checkout) != tag


def test_tag_follows_names_and_execute_permission(checkout: Path) -> None:
    tags = {image_tag(checkout)}
    (checkout / "curation" / "a.py").rename(checkout / "curation" / "z.py")
    tags.add(image_tag(checkout))
    (checkout / "images" / "workspace" / "start").chmod(0o755)
    tags.add(image_tag(checkout))
    assert len(tags) == 3


def fake_engine(folder: Path, pull: str, images: str = "") -> DockerCli:
    """Make an engine that knows the images named in a shell pattern and pulls with a shell command."""
    command = folder / "docker"
    listing = f"case $5 in {images}) echo sha256:1;; esac" if images else ":"
    command.write_text(f'#!/bin/sh\ncase "$1" in\nimage) {listing};;\npull) {pull};;\nesac\n')
    command.chmod(0o755)
    return DockerCli(str(command))


def test_base_on_the_engine_is_taken(checkout: Path, tmp_path: Path) -> None:
    lines: list[str] = []
    own = fake_engine(tmp_path, "exit 1", "lightbox/base:*|python:*")
    assert re.fullmatch(r"lightbox/base:[0-9a-f]{12}", ensure_base(own, checkout, lines.append))
    pulled_before = fake_engine(tmp_path, "exit 1", "python:*")
    assert ensure_base(pulled_before, checkout, lines.append) == "python:3.11-slim-bookworm"
    assert lines == []


def test_base_is_pulled_where_packages_fail(checkout: Path, tmp_path: Path) -> None:
    engine = fake_engine(tmp_path, "echo Pulling; sleep 0.2")
    assert ensure_base(engine, checkout, lambda _line: None) == "python:3.11-slim-bookworm"


def test_silent_registry_is_given_up(checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace_image, "_ANSWER_SECONDS", 0.2)
    begin = time.monotonic()
    with pytest.raises(ImageError, match="no answer within") as raised:
        ensure_base(fake_engine(tmp_path, "sleep 60"), checkout, lambda _line: None)
    assert time.monotonic() - begin < 5
    assert "apt-get install --yes --no-install-recommends debootstrap" in str(raised.value)


def test_refused_pull_says_why(checkout: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such host"):
        ensure_base(fake_engine(tmp_path, "echo no such host >&2; exit 1"), checkout, lambda _line: None)


def test_engine_that_does_not_answer(tmp_path: Path) -> None:
    command = tmp_path / "docker"
    command.write_text("#!/bin/sh\necho Cannot connect >&2; exit 1\n")
    command.chmod(0o755)
    with pytest.raises(ImageError, match=r"does not answer[\s\S]*Cannot connect"):
        DockerCli(str(command)).machine()


def test_damaged_wheel_is_not_taken_from_the_cache(tmp_path: Path) -> None:
    """A disk that filled up during the last build must not break the next one."""
    pool, target = tmp_path / "pool", tmp_path / "target"
    pool.mkdir()
    (pool / "a.whl").write_bytes(b"whole")
    digest = hashlib.sha256(b"other").hexdigest()
    (pool / "set.json").write_text(f'{{"a.whl": "{digest}"}}')
    assert not workspace_image._take_from_pool(pool / "set.json", target)
    (pool / "set.json").write_text(f'{{"a.whl": "{hashlib.sha256(b"whole").hexdigest()}"}}')
    assert workspace_image._take_from_pool(pool / "set.json", target)
    assert (target / "a.whl").read_bytes() == b"whole"
    assert not workspace_image._take_from_pool(pool / "absent.json", target)
    assert list(target.iterdir()) == []
