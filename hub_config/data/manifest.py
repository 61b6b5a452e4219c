"""The manifest of a dataset version: every file with its size and SHA-256, and one digest over all of them.

The digest is the identity of the version: it goes into grants, servers and the audit trail, and stays the
same wherever the files are copied to.
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from hub_config.errors import InvalidInputError

CHUNK = 1 << 20
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ManifestEntry:
    """One file: path with forward slashes relative to the dataset, size in bytes, SHA-256 in hex."""

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """The files of a version, ordered by path."""

    entries: tuple[ManifestEntry, ...]

    @property
    def size(self) -> int:
        """Bytes in all files."""
        return sum(entry.bytes for entry in self.entries)

    @property
    def digest(self) -> str:
        """``sha256:`` and the SHA-256 of the canonical JSON of the entries."""
        return "sha256:" + hashlib.sha256(self._canonical()).hexdigest()

    def to_json(self) -> str:
        """Return the manifest as JSON, one file a line."""
        return "[\n" + ",\n".join(json.dumps(vars(entry), sort_keys=True) for entry in self.entries) + "\n]\n"

    @classmethod
    def from_json(cls, text: str) -> Manifest:
        """Read what ``to_json`` wrote."""
        return cls(tuple(ManifestEntry(**entry) for entry in json.loads(text)))

    def _canonical(self) -> bytes:
        rows = [[entry.path, entry.bytes, entry.sha256] for entry in self.entries]
        return json.dumps(rows, separators=(",", ":"), ensure_ascii=True).encode("ascii")


def list_files(root: Path) -> list[Path]:
    """Return the regular files below ``root``, ordered by their relative paths.

    Raises
    ------
    InvalidInputError
        ``root`` is no folder or empty, or holds a link, a device or a name that is not printable text. Links
        are refused because they could lead out of the dataset.
    """
    if not root.is_dir():
        raise InvalidInputError(f"A dataset is a folder; {root} is not one.")
    files = sorted(_walk(root), key=lambda path: path.relative_to(root).as_posix())
    if not files:
        raise InvalidInputError(f"The folder {root} holds no files: there is nothing to register.")
    return files


def _walk(folder: Path) -> Iterator[Path]:
    with os.scandir(folder) as entries:
        for entry in entries:
            path = Path(entry.path)
            if not entry.name.isprintable():
                raise InvalidInputError(f"The name {entry.name!r} in {folder} is not printable text: rename it.")
            mode = entry.stat(follow_symlinks=False).st_mode
            if stat.S_ISDIR(mode):
                yield from _walk(path)
            elif stat.S_ISREG(mode):
                yield path
            else:
                raise InvalidInputError(
                    f"{path} is a link or a special file. A dataset holds regular files only: replace or remove it."
                )


def build_manifest(root: Path, copy_to: Path | None = None, progress: Progress | None = None) -> Manifest:
    """Read every file below ``root`` once: hash it and, if wanted, copy it in the same pass.

    Parameters
    ----------
    root : Path
        Folder of the dataset.
    copy_to : Path, optional
        Empty folder to copy into; what was hashed is exactly what was written.
    progress : callable, optional
        Called with bytes done and bytes in all.
    """
    files = list_files(root)
    total, done = sum(path.stat().st_size for path in files), 0
    entries = []
    for path in files:
        relative = path.relative_to(root)
        entry = _read_one(path, relative, copy_to / relative if copy_to else None)
        entries.append(entry)
        done += entry.bytes
        if progress:
            progress(done, total)
    return Manifest(tuple(entries))


def _read_one(source: Path, relative: Path, target: Path | None) -> ManifestEntry:
    descriptor = os.open(source, os.O_RDONLY | os.O_NOFOLLOW)
    with os.fdopen(descriptor, "rb") as stream:
        if target is None:
            size, digest = _hash(stream, None)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:
                size, digest = _hash(stream, out)
                out.flush()
                os.fsync(out.fileno())
    return ManifestEntry(relative.as_posix(), size, digest)


def _hash(stream: BinaryIO, out: BinaryIO | None) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    while chunk := stream.read(CHUNK):
        digest.update(chunk)
        size += len(chunk)
        if out is not None:
            out.write(chunk)
    return size, digest.hexdigest()


def differences(expected: Manifest, root: Path, progress: Progress | None = None) -> list[str]:
    """Compare the files below ``root`` with ``expected``.

    Returns
    -------
    list of str
        One line for each file that is missing, new or changed; empty when all is as registered.
    """
    try:
        found = {entry.path: entry for entry in build_manifest(root, progress=progress).entries}
    except InvalidInputError as error:
        return [str(error)]
    known = {entry.path: entry for entry in expected.entries}
    lines = [f"missing: {path}" for path in known.keys() - found.keys()]
    lines += [f"not registered: {path}" for path in found.keys() - known.keys()]
    lines += [f"changed: {path}" for path in known.keys() & found.keys() if known[path] != found[path]]
    return sorted(lines)
