"""Writing small files so that a crash leaves the old content or the new, never half of it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, mode: int = 0o644) -> None:
    """Write ``content`` to ``path``: temporary file beside it, fsync, rename, fsync of the folder.

    Parameters
    ----------
    path : Path
        Where the content shall stand; its folder must exist.
    content : bytes or str
        Text is written as UTF-8.
    mode : int
        Permission bits of the new file, set before anything is written.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_or_create_secret(path: Path, size: int = 32) -> str:
    """Return the secret kept in ``path``; make a random one of ``size`` bytes (hex) if there is none.

    Parameters
    ----------
    path : Path
        File of mode 0600; its folder is made with mode 0700.
    size : int
        Number of random bytes.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        write_atomic(path, secrets.token_hex(size), mode=0o600)
    return path.read_text(encoding="ascii").strip()
