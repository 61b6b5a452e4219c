"""The audit trail: one JSON object a line, appended and made durable before anything goes on."""

from __future__ import annotations

import fcntl
import os
from collections import deque
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from hub_config.errors import StateError
from hub_config.files import sync_folder
from hub_config.record.events import EVENT, AnyEvent


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
        line = EVENT.dump_json(event) + b"\n"
        created = not self.file.exists()
        try:
            descriptor = os.open(self.file, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                size = stream.seek(0, os.SEEK_END)
                if size and os.pread(stream.fileno(), 1, size - 1) != b"\n":
                    line = b"\n" + line
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


def parse_line(raw: bytes) -> AnyEvent | str:
    """Return the event in a line of the trail, or the line itself where it is none."""
    try:
        return EVENT.validate_json(raw)
    except ValidationError:
        return raw.decode(errors="replace").rstrip("\n")
