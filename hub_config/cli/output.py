"""How the commands speak: tables on stdout for people, one JSON object with ``--json``, all else on stderr."""

from __future__ import annotations

import json
import os
import pwd
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hub_config.compute.admission import Admission
from hub_config.compute.server_plan import Image
from hub_config.data.manifest import Progress as Tick
from hub_config.instance import default_state, running_instance

# A pipe has no width: 80 columns would break ids in the middle.
people = Console(width=None if sys.stdout.isatty() else 200)
errors = Console(stderr=True)

StateOption = Annotated[
    Path | None,
    typer.Option(
        "--state",
        envvar="LIGHTBOX_STATE",
        help="State directory. Default: ~/.local/share/lightbox, for root /var/lib/lightbox.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout.")]


def state_dir(state: Path | None) -> Path:
    """Return the state directory that was asked for, absolute."""
    return (state or default_state()).expanduser().absolute()


_NO_LOGIN = 2**32 - 1


def operator() -> str:
    """Return who uses the command line, for the audit trail.

    The kernel knows who logged in, through sudo and su (proc(5), loginuid); environment variables, which anybody
    can set, are not asked.
    """
    try:
        uid = int(Path("/proc/self/loginuid").read_text(encoding="ascii"))
    except (OSError, ValueError):
        uid = _NO_LOGIN
    if uid == _NO_LOGIN:
        uid = os.getuid()
    try:
        return f"operator:{pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"operator:{uid}"


@contextmanager
def admission(state: Path | None) -> Iterator[Admission]:
    """Give the rules and the store of the workspace in a state directory."""
    rules = Admission(running_instance(state_dir(state)), lambda name: Image("none", None))
    try:
        yield rules
    finally:
        rules.store.close()


_WHOLE = frozenset({"project", "dataset", "service", "check", "added", "at", "size", "version"})


def show(
    as_json: bool, content: dict[str, Any], title: str, columns: Iterable[str], rows: Iterable[Iterable[str]]
) -> None:
    """Print ``content`` as JSON, or the rows as a table."""
    if as_json:
        sys.stdout.write(json.dumps(content, default=str) + "\n")
        return
    table = Table(title=title or None, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in _WHOLE)
    for row in rows:
        table.add_row(*(escape(cell) for cell in row))
    people.print(table)


def tell(as_json: bool, content: dict[str, Any], sentence: str) -> None:
    """Print ``content`` as JSON, or a sentence."""
    if as_json:
        sys.stdout.write(json.dumps(content, default=str) + "\n")
    else:
        people.print(escape(sentence), soft_wrap=True)


@contextmanager
def byte_progress(label: str) -> Iterator[Tick]:
    """Show a bar in bytes on stderr while the block runs."""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, transient=True) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def size(count: int) -> str:
    """Return a number of bytes for people."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError("unreachable")
