from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from hub_config.errors import StateError
from hub_config.record.audit import AuditTrail
from hub_config.record.events import EVENT, Login, LoginRefused


def login(number: int) -> Login:
    return Login(subject=f"s{number}", username="u", issuer="i", roles=("users",))


def test_events_come_back_in_order(tmp_path: Path) -> None:
    """What was appended is read again, equal and in order."""
    trail = AuditTrail(tmp_path / "events.jsonl")
    written = [login(1), LoginRefused(subject="x", issuer="i", reason="no role"), login(2)]
    for event in written:
        trail.append(event)
    assert list(trail.events()) == written
    assert trail.tail(2) == written[1:]


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    """The trail names people."""
    AuditTrail(tmp_path / "e").append(login(1))
    assert (tmp_path / "e").stat().st_mode & 0o777 == 0o600


def test_half_a_line_costs_only_itself(tmp_path: Path) -> None:
    """A line that a crash cut off is shown as damaged, and the next event is whole."""
    file = tmp_path / "events.jsonl"
    trail = AuditTrail(file)
    trail.append(login(1))
    with file.open("ab") as stream:
        stream.write(EVENT.dump_json(login(2))[:40])
    trail.append(login(3))
    first, damaged, last = trail.events()
    assert isinstance(damaged, str)
    assert [e.subject for e in (first, last) if not isinstance(e, str)] == ["s1", "s3"]


def _write(file: Path, start: int) -> None:
    for number in range(start, start + 25):
        AuditTrail(file).append(login(number))


def test_several_processes_lose_nothing(tmp_path: Path) -> None:
    """The hub and the command line write at once; every event is there, none is torn."""
    file = tmp_path / "events.jsonl"
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=_write, args=(file, start)) for start in (0, 100, 200)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    subjects = {event.subject for event in AuditTrail(file).events() if not isinstance(event, str)}
    assert subjects == {f"s{start + i}" for start in (0, 100, 200) for i in range(25)}


def test_a_trail_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    """The caller must not go on as if it had been recorded."""
    with pytest.raises(StateError, match="Nothing is done without a trace"):
        AuditTrail(tmp_path / "missing" / "e").append(login(1))


def test_unknown_fields_and_types_are_no_events() -> None:
    """The schema is an allow-list."""
    with pytest.raises(ValueError, match=r"union_tag_invalid|does not match"):
        EVENT.validate_python({"type": "anything", "subject": "x"})
    with pytest.raises(ValueError, match=r"extra_forbidden|not permitted"):
        EVENT.validate_python({"type": "login", "subject": "x", "issuer": "i", "roles": [], "patient": "y"})
