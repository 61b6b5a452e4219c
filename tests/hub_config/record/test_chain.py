"""The seals of the audit trail: every change shows, and nothing else does."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hub_config.cli import app
from hub_config.record import chain
from hub_config.record.audit import AuditTrail
from hub_config.record.events import EVENT, Login

ENTRIES = 120
POSITIONS = range(1, 101)


def login(number: int) -> Login:
    return Login(subject=f"s{number:03d}", username="u", issuer="i", roles=("users",))


@pytest.fixture(scope="module")
def lines(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """The lines of an untouched trail."""
    trail = AuditTrail(tmp_path_factory.mktemp("audit") / "events.jsonl")
    for number in range(ENTRIES):
        trail.append(login(number))
    return trail.file.read_bytes().splitlines(keepends=True)


def test_an_untouched_trail_is_intact(lines: list[bytes]) -> None:
    """No faults; the seal of any time is found, another is not."""
    found = chain.verify(lines)
    assert (found.lines, found.faults, found.unsealed, found.found) == (ENTRIES, (), (), None)
    earlier = chain.verify(lines[:70]).seal
    assert chain.verify(lines, earlier).found is True
    assert chain.verify(lines, found.seal).found is True
    assert chain.verify(lines, "a" * 64).found is False
    assert chain.verify([]).seal == chain.EMPTY


@pytest.mark.parametrize("kind", ["edit", "delete", "insert", "reorder"])
def test_every_change_shows_at_100_positions(lines: list[bytes], kind: str) -> None:
    """Whatever is done at whatever place is found right behind it."""
    generator = random.Random(7)
    for at in POSITIONS:
        changed = list(lines)
        if kind == "edit":
            place = generator.randrange(80, len(changed[at]) - 2)
            other = b"x" if changed[at][place : place + 1] != b"x" else b"y"
            changed[at] = changed[at][:place] + other + changed[at][place + 1 :]
        elif kind == "delete":
            del changed[at]
        elif kind == "insert":
            changed.insert(at, chain.sealed(EVENT.dump_json(login(999)), chain.verify(lines[:at]).seal))
        else:
            changed[at], changed[at + 1] = changed[at + 1], changed[at]
        faults = chain.verify(changed).faults
        assert faults, (kind, at)
        assert at + 1 <= faults[0].line <= at + 2


def test_the_end_is_held_by_a_seal_kept_elsewhere(lines: list[bytes]) -> None:
    """A cut or edited end, and a trail that was sealed anew, agree with themselves but not with the seal."""
    seal = chain.verify(lines).seal
    cut = chain.verify(lines[:-3], seal)
    assert (cut.faults, cut.found) == ((), False)
    edited = [*lines[:-1], lines[-1].replace(b"s119", b"s666")]
    assert chain.verify(edited, seal).found is False
    forged, last = [], chain.EMPTY
    for line in lines:
        forged.append(chain.sealed(chain.split(line)[1].rstrip(b"\n").replace(b"s050", b"s666"), last))
        last = chain.next_seal(last, forged[-1])
    anew = chain.verify(forged, seal)
    assert (anew.faults, anew.found) == ((), False)


def test_a_crash_in_the_middle_of_a_line_is_sealed_over(tmp_path: Path) -> None:
    """The half line is named and kept; what is written after it seals it too."""
    trail = AuditTrail(tmp_path / "events.jsonl")
    trail.append(login(1))
    with trail.file.open("ab") as stream:
        stream.write(b'{"seal":"00')
    trail.append(login(2))
    trail.append(login(3))
    found = trail.verify()
    assert (found.lines, found.faults, found.unsealed) == (4, (), (2,))
    text = trail.file.read_bytes()
    trail.file.write_bytes(text.replace(b'{"seal":"00\n', b'{"seal":"01\n'))
    assert [fault.line for fault in trail.verify().faults] == [3]


def test_a_trail_from_before_seals_goes_on(tmp_path: Path) -> None:
    """Old lines are named as unsealed, and what follows seals them; long ones are read back to their beginning."""
    file = tmp_path / "events.jsonl"
    file.write_bytes(b"".join(EVENT.dump_json(login(n)) + b"\n" for n in range(700)))
    assert file.stat().st_size > 1 << 16
    trail = AuditTrail(file)
    trail.append(login(1000))
    trail.append(login(1001))
    found = trail.verify()
    assert (len(found.unsealed), found.faults) == (700, ())
    assert [event.subject for event in trail.tail(2) if not isinstance(event, str)] == ["s1000", "s1001"]
    file.write_bytes(file.read_bytes().replace(b"s003", b"s004", 1))
    assert [fault.line for fault in trail.verify().faults] == [701]


def test_the_command_says_what_it_found(tmp_path: Path) -> None:
    """Exit status 0 and the seal, or 1 and where the trail was changed."""
    folder = tmp_path / "audit"
    folder.mkdir()
    trail = AuditTrail(folder / "events.jsonl")
    for number in range(5):
        trail.append(login(number))
    run = CliRunner().invoke
    state = ["--state", str(tmp_path)]
    intact = run(app, ["audit", "verify", *state, "--json"])
    assert intact.exit_code == 0, intact.output
    seal = json.loads(intact.stdout)["seal"]
    assert run(app, ["audit", "verify", *state, "--seal", seal.upper()]).exit_code == 0
    text = trail.file.read_bytes()
    trail.file.write_bytes(text[: text.rindex(b"\n", 0, -1) + 1])
    cut = run(app, ["audit", "verify", *state, "--seal", seal])
    assert cut.exit_code == 1
    assert "The seal given is not in this trail" in cut.output
    trail.file.write_bytes(text.replace(b"s001", b"s009"))
    changed = run(app, ["audit", "verify", *state])
    assert changed.exit_code == 1
    assert "line 3:" in changed.output
    assert "NOT intact" in changed.output
