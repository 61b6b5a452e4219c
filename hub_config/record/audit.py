"""The audit trail: one JSON object a line, sealed to what stands before it, on the disk before anything goes on."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hub_config.errors import StateError
from hub_config.files import sync_folder
from hub_config.record import chain
from hub_config.record.events import EVENT, AnyEvent

_CHUNK = 1 << 12


class AuditTrail:
    """Append-only file of events, shared by the hub and the command line.

    Parameters
    ----------
    file : Path
        The trail; its folder must exist. Created with mode 0600 at the first event.
    """

    def __init__(self, file: Path) -> None:
        self.file = file

    def append(self, event: AnyEvent) -> None:
        """Write ``event`` and return when it is on the disk.

        A line that a crash left unfinished is closed first, so that it costs itself and not its successor.

        Raises
        ------
        StateError
            The trail cannot be written; what the event speaks of must then not happen.
        """
        created = not self.file.exists()
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                before, seal = _end(stream.fileno(), stream.seek(0, os.SEEK_END))
                line = before + chain.sealed(EVENT.dump_json(event), seal)
                if stream.write(line) != len(line):
                    raise OSError("the line was not written in full")
                os.fsync(stream.fileno())
            if created:
                sync_folder(self.file.parent)
        except OSError as error:
            raise StateError(
                f"The audit trail {self.file} cannot be written ({error}). Nothing is done without a trace: free "
                "space or mend the permissions, then try again."
            ) from error

    def verify(self, wanted: str | None = None) -> chain.Verification:
        """Check that nothing was edited, deleted, inserted or moved; see `hub_config.record.chain.verify`.

        Raises
        ------
        StateError
            The trail cannot be read.
        """
        try:
            if not self.file.exists():
                return chain.verify((), wanted)
            with self.file.open("rb") as stream:
                fcntl.flock(stream, fcntl.LOCK_SH)  # not in the middle of a line
                return chain.verify(stream, wanted)
        except OSError as error:
            raise StateError(f"The audit trail {self.file} cannot be read ({error}). Mend its permissions.") from error

    def events(self) -> Iterator[AnyEvent | str]:
        """Yield the events in the order they were written; a line that is no event is yielded as text."""
        if not self.file.exists():
            return
        with self.file.open("rb") as stream:
            for raw in stream:
                yield parse_line(raw)

    def tail(self, count: int) -> list[AnyEvent | str]:
        """Return the last ``count`` entries, oldest first."""
        return list(deque(self.events(), maxlen=count))


def _end(descriptor: int, size: int) -> tuple[bytes, str]:
    """Return what must be written to close the last line, and the seal of the trail once that is done.

    Reads back only as far as the last line that carries a seal.
    """
    reach = _CHUNK
    while True:
        start = max(size - reach, 0)
        tail = os.pread(descriptor, size - start, start)
        lines = tail.split(b"\n")  # not splitlines: damaged lines may hold other line ends
        lines = [line + b"\n" for line in lines[:-1]] + ([lines[-1]] if lines[-1] else [])
        before = b"" if not lines or lines[-1].endswith(b"\n") else b"\n"
        whole = lines if start == 0 else lines[1:]  # the first may begin before the part that was read
        if whole:
            whole[-1] += before
        seal = chain.last_seal(whole)
        if seal is not None:
            return before, seal
        if start == 0:
            return before, chain.verify(whole).seal
        reach *= 8


def parse_line(raw: bytes) -> AnyEvent | str:
    """Return the event in a line of the trail, or the line itself where it is none."""
    try:
        return EVENT.validate_json(chain.split(raw)[1])
    except ValidationError:
        return raw.decode(errors="replace").rstrip("\n")
