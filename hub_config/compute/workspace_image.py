"""Builds the workspace image on the host, from this repository and without a container registry.

The host's pip fills a wheelhouse, so the build itself needs neither network nor secrets. The image is named
after the content of all that goes into it: the same checkout never builds twice.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hub_config.compute.docker_cli import DockerCli, ImageError, run
from hub_config.files import write_atomic

Progress = Callable[[str], None]

IMAGE_PYTHON = "3.11"
"""Python of both bases."""

_OFFICIAL_BASE = f"python:{IMAGE_PYTHON}-slim-bookworm"
_BOOTSTRAP = Path("images/bootstrap-base/bootstrap")
_FILLER = Path("images/workspace/fill_wheelhouse.py")
_EXTRAS = ("curation", "workspace")
# All that goes into the image. hub_config does not: a workspace holds nothing of the hub's half.
_CONTENT = (
    "curation",
    "mlops",
    "notebooks",
    "images/workspace",
    "pyproject.toml",
    "constraints.txt",
    "LICENSE",
    str(_BOOTSTRAP),
)
_ANSWER_SECONDS = 20.0
_INSTALL = "apt-get install --yes --no-install-recommends debootstrap debian-archive-keyring"


@dataclass(frozen=True)
class BuiltImage:
    """An image that stands on the engine.

    Parameters
    ----------
    name : str
        Repository and tag.
    id : str
        Content address, ``sha256:...``.
    """

    name: str
    id: str


def image_tag(root: Path) -> str:
    """Return the name of the workspace image that belongs to the checkout in ``root``.

    Parameters
    ----------
    root : Path
        The repository.

    Returns
    -------
    str
        ``lightbox/workspace:`` and 12 hexadecimal digits made of paths, contents and execute permissions:
        equal in all clones.
    """
    digest = hashlib.sha256()
    for name in _CONTENT:
        for file in _files(root / name):
            executable = bool(file.stat().st_mode & 0o100)
            content = hashlib.sha256(file.read_bytes()).hexdigest()
            digest.update(f"{file.relative_to(root).as_posix()}\0{executable}\0{content}\n".encode())
    return f"lightbox/workspace:{digest.hexdigest()[:12]}"


def ensure_base(engine: DockerCli, root: Path, progress: Progress) -> str:
    """Return the name of an image to build upon; make or fetch one if there is none.

    What is on the engine is taken first. Then packages are preferred to a registry: they come from the
    machine's own mirror, also at closed sites, whereas a pull that reaches no registry may hang.

    Parameters
    ----------
    engine : DockerCli
    root : Path
        The repository.
    progress : callable
        Is told in one line what happens.

    Raises
    ------
    ImageError
        No way worked; the message names them all and what to do.
    """
    with _one_builder(progress):
        return _base(engine, root, progress)


def _base(engine: DockerCli, root: Path, progress: Progress) -> str:
    script = root / _BOOTSTRAP
    own = f"lightbox/base:{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"
    for name in (own, _OFFICIAL_BASE):
        if engine.image_id(name):
            return name
    ways: list[Callable[[], str]] = [lambda: _bootstrap(script, own, progress), lambda: _pull(engine, progress)]
    if not shutil.which("debootstrap"):
        ways.reverse()
    reasons = []
    for way in ways:
        try:
            return way()
        except ImageError as error:
            reasons.append(str(error))
    raise ImageError(
        "There is no base image for workspaces. Make one from packages, once and as root: "
        f"{_INSTALL} && {script} {own}\n" + "\n".join(reasons)
    )


def _bootstrap(script: Path, own: str, progress: Progress) -> str:
    if os.geteuid() != 0:
        raise ImageError("Only root can make a base image from packages.")
    if not shutil.which("debootstrap") and shutil.which("apt-get"):
        progress("Installing debootstrap")
        for command in ("apt-get update", _INSTALL):
            run(command.split(), "debootstrap could not be installed:")
    progress("Making a Debian base image from packages (about a minute)")
    run([str(script), own], "The base image could not be made from packages:")
    return own


def _pull(engine: DockerCli, progress: Progress) -> str:
    progress(f"Fetching the base image {_OFFICIAL_BASE}")
    failure = f"{_OFFICIAL_BASE} could not be pulled:"
    engine.run("pull", _OFFICIAL_BASE, failure=failure, answer_within=_ANSWER_SECONDS)
    return _OFFICIAL_BASE


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightbox"


@contextlib.contextmanager
def _one_builder(progress: Progress) -> Iterator[None]:
    """Let one build at a time go on for this account: a second one would do the same work again."""
    cache = _cache()
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "build.lock").open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("Waiting for another build of the image to end")
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def ensure_image(root: Path, progress: Progress) -> BuiltImage:
    """Return the workspace image of the checkout in ``root``; build it if it is not on the engine.

    Parameters
    ----------
    root : Path
        The repository.
    progress : callable
        Is told in one line what happens; says nothing if the image is there.

    Raises
    ------
    ImageError
        No engine, no base, no wheels, or the build failed.
    """
    engine = DockerCli.find()
    tag = image_tag(root)
    built = engine.image_id(tag)
    if built is None:
        with _one_builder(progress):
            built = engine.image_id(tag)  # another build may have made it meanwhile
            if built is None:
                tag = _build(engine, root, _base(engine, root, progress), progress)
                built = engine.image_id(tag)
    if built is None:
        raise ImageError(f"The engine built {tag} and has lost it since. Start again.")
    return BuiltImage(tag, built)


def _build(engine: DockerCli, root: Path, base: str, progress: Progress) -> str:
    """Build the image upon ``base`` and return its name."""
    with tempfile.TemporaryDirectory(prefix="lightbox-image-") as folder:
        # Copied before it is named: files that are edited during the build must not come under a name that
        # belongs to other content.
        context = Path(folder)
        for name in _CONTENT:
            _copy(root / name, context / name)
        tag = image_tag(context)
        _fill_wheelhouse(context, context / "wheelhouse", engine.machine(), progress)
        progress("Building the wheel of the curation library")
        _build_wheel(context, context / "project")
        progress(f"Building the image {tag}")
        dockerfile = str(context / "images" / "workspace" / "Dockerfile")
        # The engine gives the name when the build is complete, so an interrupted one leaves none.
        options = ["--network", "none", "--progress", "plain", "--build-arg", f"BASE={base}", "--tag", tag]
        failure = "The workspace image was not built:"
        engine.run("build", *options, "--file", dockerfile, folder, failure=failure)
    return tag


def _files(path: Path) -> Iterator[Path]:
    """Yield the files at or below ``path`` that belong to the source, in an order equal everywhere."""
    if path.is_file():
        yield path
    elif path.is_dir():
        for child in sorted(path.iterdir(), key=lambda entry: entry.name):
            # Caches and editors' files differ between clones.
            if not child.name.startswith(".") and child.name not in {"__pycache__", "node_modules"}:
                yield from _files(child)


def _copy(source: Path, target: Path) -> None:
    """Copy the files that `image_tag` counts; a folder is made even if it holds none."""
    if source.is_dir():
        target.mkdir(parents=True)
    for file in _files(source):
        copy = target / file.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
        # Set, not inherited: a strict umask of the person who builds must not hide files from who runs.
        copy.chmod(0o755 if file.stat().st_mode & 0o100 else 0o644)


def _build_wheel(source: Path, target: Path) -> None:
    """Build the wheel of what a workspace shall hold into ``target``."""
    # pyproject.toml names the hub's half and the read-me as well; neither is wanted in a workspace.
    (source / "hub_config").mkdir()
    (source / "README.md").write_text("Lightbox, as installed in a workspace.\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(target)]
    run([*command, str(source)], "The wheel of this repository was not built:")


def _fill_wheelhouse(root: Path, target: Path, machine: str, progress: Progress) -> None:
    """Put the wheels of all dependencies into ``target``, from the cache if the set was resolved before."""
    pool = _cache() / "wheelhouse"
    pool.mkdir(parents=True, exist_ok=True)
    constraints = root / "constraints.txt"
    requirements = _requirements(root / "pyproject.toml")
    bounds = constraints.read_text(encoding="utf-8") if constraints.is_file() else ""
    filler = (root / _FILLER).read_text(encoding="utf-8")
    key = json.dumps([IMAGE_PYTHON, machine, requirements, bounds, filler])
    resolved = pool / f"{hashlib.sha256(key.encode()).hexdigest()[:16]}.json"
    if _take_from_pool(resolved, target):
        return
    progress("Downloading the Python packages of the workspace")
    bounded = ["--constraint", str(constraints)] if bounds else []
    # In the pool's own file system, so that complete files are renamed into it and broken downloads vanish.
    with tempfile.TemporaryDirectory(prefix="download-", dir=pool) as folder:
        arguments = ["--quiet", "--dest", folder, *bounded, *requirements]
        command = [sys.executable, str(root / _FILLER), IMAGE_PYTHON, machine, *arguments]
        run(command, "The Python packages of the workspace could not be downloaded:")
        wheels = sorted(Path(folder).iterdir())
        digests = {wheel.name: _digest(wheel) for wheel in wheels}
        for wheel in wheels:
            wheel.replace(pool / wheel.name)
    write_atomic(resolved, json.dumps(digests, indent=1))
    if not _take_from_pool(resolved, target):
        raise ImageError(f"The wheels in {pool} change while they are read. Start again.")


def _requirements(pyproject: Path) -> list[str]:
    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    optional = project["optional-dependencies"]
    return [*project["dependencies"], *(line for extra in _EXTRAS for line in optional[extra])]


def _take_from_pool(resolved: Path, target: Path) -> bool:
    """Link the wheels that ``resolved`` names into ``target``; False if one is missing or damaged."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    try:
        digests: dict[str, str] = json.loads(resolved.read_text(encoding="utf-8"))
        for name, digest in digests.items():
            wheel = resolved.with_name(name)
            if _digest(wheel) != digest:
                return False
            try:
                (target / name).hardlink_to(wheel)
            except OSError:  # another file system
                shutil.copy(wheel, target / name)
    except (FileNotFoundError, ValueError):
        return False
    return True


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
