"""``lightbox``: parsing and printing only; every command calls one function of the floors below."""

from __future__ import annotations

import json
import sys
from typing import NoReturn

import typer

from hub_config.cli import audit, develop, registry, workspace
from hub_config.cli.output import errors
from hub_config.errors import LightboxError

app = typer.Typer(
    name="lightbox",
    help="Lightbox: an open analysis workspace for cancer-imaging research infrastructures.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
workspace.register(app)
app.add_typer(registry.projects, name="project")
app.add_typer(registry.datasets, name="dataset")
app.add_typer(registry.grants, name="grant")
app.add_typer(audit.app, name="audit")
develop.register(app)


def main() -> None:
    """Run the command line; a known error becomes one message and exit status 1."""
    try:
        app(prog_name="lightbox")
    except LightboxError as error:
        _fail(str(error))
    except PermissionError as error:
        _fail(f"{error.filename} may not be used by this account. Use the account that started the workspace.")


def _fail(message: str) -> NoReturn:
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"error": message}) + "\n")
    errors.print(f"[bold red]Error:[/] {_escape(message)}", highlight=False, soft_wrap=True)
    sys.exit(1)


def _escape(text: str) -> str:
    return text.replace("[", "\\[")
