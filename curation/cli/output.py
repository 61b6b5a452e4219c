"""How the commands speak: tables for people, one JSON object for programs, progress on stderr."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table as RichTable

from curation.errors import CurationError

Json = Annotated[bool, typer.Option("--json", help="Print exactly one JSON object on stdout, all else on stderr.")]


def rich_table(*columns: str) -> RichTable:
    """Return an empty table in the house's form."""
    table = RichTable(*columns, box=None, header_style="bold", pad_edge=False)
    for column in table.columns:
        column.overflow = "fold"
    return table


def print_json(content: dict[str, Any]) -> None:
    """Print the one JSON object."""
    typer.echo(json.dumps(content))


@contextmanager
def reported(as_json: bool) -> Iterator[None]:
    """End with code 1 and the reason on stderr (and as JSON on stdout) where something is missing."""
    try:
        yield
    except (CurationError, OSError) as error:
        Console(stderr=True).print(f"[red]{escape(str(error))}[/red]", soft_wrap=True)
        if as_json:
            print_json({"error": {"type": type(error).__name__, "message": str(error)}})
        raise typer.Exit(1) from error


@contextmanager
def bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """Show a progress bar on stderr; nothing where stderr is no terminal."""
    columns = (TextColumn(text), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task(text, total=None)

        def update(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield update


@contextmanager
def stages() -> Iterator[Callable[[str, int, int], None]]:
    """Show which of several steps is at work, on stderr: a bar in a terminal, else a line per step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)
        last = ""

        def update(label: str, done: int, total: int) -> None:
            nonlocal last
            if label != last and not console.is_terminal:
                console.print(escape(label), highlight=False, soft_wrap=True)
            last = label
            progress.update(task, description=escape(label), completed=done, total=total)

        yield update
