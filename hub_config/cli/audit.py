"""``lightbox audit``: who did what with which data."""

from __future__ import annotations

import json
import time
from typing import Annotated

import typer
from rich.markup import escape

from hub_config.cli.output import JsonOption, StateOption, people, state_dir, tell
from hub_config.errors import StateError
from hub_config.record.audit import AuditTrail
from hub_config.record.events import AnyEvent

app = typer.Typer(no_args_is_help=True, help="Read the audit trail.")
_COMMON = {"id", "time", "subject", "username", "type"}
_POLL_SECONDS = 0.5


@app.callback()
def _group() -> None:
    """Read the audit trail."""


@app.command()
def tail(
    count: Annotated[int, typer.Option("-n", "--lines", min=1, help="How many entries.")] = 20,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as entries come; Ctrl-C ends.")] = False,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show the newest entries, oldest first. Times are in this machine's zone."""
    trail = _trail(state)
    entries = trail.tail(count)
    if as_json:
        rows = [{"damaged": e} if isinstance(e, str) else json.loads(e.model_dump_json()) for e in entries]
        tell(True, {"events": rows}, "")
        return
    if not entries:
        people.print("The audit trail is empty: nothing has happened yet.")
    for entry in entries:
        _print(entry)
    if follow:
        _follow(trail)


@app.command()
def verify(
    seal: Annotated[
        str | None, typer.Option(help="A seal that this command printed before and that was kept elsewhere.")
    ] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check that no entry was edited, deleted, inserted or moved. Exit status 1 where one was.

    Keep the seal that it prints elsewhere: with it, a later check also finds changes at the end of the trail.
    """
    found = _trail(state).verify(seal.strip().lower() if seal else None)
    intact = not found.faults and found.found is not False
    content = {
        "intact": intact,
        "entries": found.lines,
        "seal": found.seal,
        "faults": [vars(fault) for fault in found.faults],
        "unsealed": list(found.unsealed),
        "seal_found": found.found,
    }
    if as_json:
        tell(True, content, "")
    else:
        for fault in found.faults:
            people.print(f"[red]line {fault.line}:[/] {escape(fault.reason)}", soft_wrap=True)
        if found.found is False:
            people.print("[red]The seal given is not in this trail:[/] it was cut off, or changed as a whole.")
        for line in found.unsealed:
            people.print(f"[yellow]line {line}:[/] carries no seal: cut off by a crash, or not written by Lightbox")
        people.print(
            f"{'Intact' if intact else 'NOT intact'}: {found.lines} entries. Seal: {found.seal}", soft_wrap=True
        )
    if not intact:
        raise typer.Exit(1)


def _trail(state: StateOption) -> AuditTrail:
    folder = state_dir(state)
    if not folder.exists():
        raise StateError(f"There is no workspace in {folder}: start one with ./lightbox up, or choose it with --state.")
    return AuditTrail(folder / "audit" / "events.jsonl")


def _follow(trail: AuditTrail) -> None:
    seen = sum(1 for _ in trail.events())
    while True:
        entries = list(trail.events())
        for entry in entries[seen:]:
            _print(entry)
        seen = len(entries)
        time.sleep(_POLL_SECONDS)


def _print(entry: AnyEvent | str) -> None:
    if isinstance(entry, str):
        people.print(f"[red]damaged line:[/] {escape(entry[:200])}", soft_wrap=True)
        return
    details = entry.model_dump(mode="json", exclude=_COMMON)
    text = " ".join(f"{name}={_short(value)}" for name, value in details.items() if value is not None)
    when = f"{entry.time.astimezone():%Y-%m-%d %H:%M:%S %Z}"
    people.print(
        f"[dim]{when}[/]  [bold]{entry.type:18}[/] {escape(entry.subject)}  {escape(text)}",
        soft_wrap=True,
        highlight=False,
    )


def _short(value: object) -> str:
    if isinstance(value, list):
        return ",".join(_short(item) for item in value) or "none"
    if isinstance(value, dict) and {"id", "version", "digest"} <= value.keys():
        return f"{value['id']}@{value['version']}({str(value['digest'])[:15]})"
    return str(value)
