"""Builds the workspace image on the host, from this repository and without a container registry.

The host's pip fills a wheelhouse, so the build itself needs neither network nor secrets. The image is named
after the content of all that goes into it: the same checkout never builds twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from hub_config.errors import LightboxError
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
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_ANSWER_SECONDS = 20.0
_STOP_SECONDS = 30.0


class ImageError(LightboxError):
    """The workspace image or its base cannot be made."""


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


@dataclass(frozen=True)
class DockerCli:
    """The docker command line. It builds images; containers are run through the engine's API.

    Parameters
    ----------
    command : str
        Path of the client.
    """

    command: str

    @classmethod
    def find(cls) -> DockerCli:
        """Find a client whose engine answers.

        The distribution's client comes first: others on PATH may lack buildx and then refuse to build.

        Raises
        ------
        ImageError
            There is no client, or no engine behind it.
        """
        packaged = "/usr/bin/docker"
        command = packaged if os.access(packaged, os.X_OK) else shutil.which("docker")
        if command is None:
            raise ImageError("There is no docker command. Install the engine: apt-get install docker.io")
        engine = cls(command)
        engine.machine()
        return engine

    def run(self, *arguments: str, failure: str, answer_within: float | None = None) -> str:
        """Run ``docker ARGUMENTS`` and return what it prints; see `ImageError` for what is raised."""
        # 20.10 still has the old builder as its default, which knows no mounts during a build.
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        return _run([self.command, *arguments], failure, environment, answer_within)

    def machine(self) -> str:
        """Return the architecture of the engine's machine as Python names it, such as ``x86_64``."""
        failure = "The Docker engine does not answer. Start it, or join the group docker."
        architecture = self.run("version", "--format", "{{.Server.Arch}}", failure=failure).strip()
        return _MACHINES.get(architecture, architecture)

    def image_id(self, name: str) -> str | None:
        """Return the id of the image ``name``, or None where there is none."""
        failure = "The Docker engine cannot list its images."
        # Unlike "inspect", a list that is empty can be told from an engine that does not answer.
        return self.run("image", "ls", "--quiet", "--no-trunc", name, failure=failure).strip() or None


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
    script = root / _BOOTSTRAP
    own = f"lightbox/base:{hashlib.sha256(script.read_bytes()).hexdigest()[:12]}"
    for name in (own, _OFFICIAL_BASE):
        if engine.image_id(name):
            return name
    return _make_base(engine, script, own, progress)


def _make_base(engine: DockerCli, script: Path, own: str, progress: Progress) -> str:
    reasons = []
    if os.geteuid() == 0 and shutil.which("debootstrap"):
        progress("Making a Debian base image from packages (about a minute)")
        try:
            _run([str(script), own], "The base image could not be made from packages:")
            return own
        except ImageError as error:
            reasons.append(str(error))
    progress(f"Fetching the base image {_OFFICIAL_BASE}")
    try:
        failure = f"{_OFFICIAL_BASE} could not be pulled:"
        engine.run("pull", _OFFICIAL_BASE, failure=failure, answer_within=_ANSWER_SECONDS)
        return _OFFICIAL_BASE
    except ImageError as error:
        reasons.append(str(error))
    install = "apt-get install --no-install-recommends debootstrap debian-archive-keyring"
    raise ImageError(
        "There is no base image for workspaces. Make one from packages, once and as root: "
        f"{install} && {script} {own}\n" + "\n".join(reasons)
    )


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
    found = engine.image_id(tag)
    if found:
        return BuiltImage(tag, found)
    tag = _build(engine, root, ensure_base(engine, root, progress), progress)
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
    _run([*command, str(source)], "The wheel of this repository was not built:")


def _fill_wheelhouse(root: Path, target: Path, machine: str, progress: Progress) -> None:
    """Put the wheels of all dependencies into ``target``, from the cache if the set was resolved before."""
    pool = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lightbox" / "wheelhouse"
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
        _run(command, "The Python packages of the workspace could not be downloaded:")
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


def _run(
    command: Sequence[str],
    failure: str,
    environment: dict[str, str] | None = None,
    answer_within: float | None = None,
) -> str:
    """Run a command and return what it prints.

    If it fails, or prints nothing within ``answer_within`` seconds, the `ImageError` starts with ``failure``.
    """
    # A session of its own: when we are stopped, the command's children must get the signal as well. A shell
    # that waits for a child acts on it, and removes its temporary files, only when the child has ended.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            stdout = cast("IO[bytes]", process.stdout)
            if answer_within is not None and not select.select([stdout], [], [], answer_within)[0]:
                raise ImageError(f"{failure} no answer within {answer_within:.0f} s.")
            output = process.communicate()[0].decode(errors="replace")
        except BaseException:
            _stop(process)
            raise
    if process.returncode != 0:
        raise ImageError("\n".join([failure, *output.strip().splitlines()[-15:]]))
    return output


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children, first by asking."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return
