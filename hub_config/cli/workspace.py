"""``lightbox up|down|status|doctor``."""

from __future__ import annotations

import json
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from hub_config.cli.output import JsonOption, StateOption, errors, people, show, state_dir, tell
from hub_config.errors import StateError
from hub_config.instance import Instance, remember_choices, remembered_choices
from hub_config.services.demo import real_data_is_there
from hub_config.services.dev_idp import personas
from hub_config.services.diagnosis import diagnose
from hub_config.services.supervisor import is_running, read_status
from hub_config.services.supervisor import main as run_supervisor
from hub_config.services.workspace import bring_down, bring_up, prepare, purge
from hub_config.settings import Settings, load_settings


class SpawnerName(StrEnum):
    """What ``--spawner`` takes."""

    AUTO = "auto"
    DOCKER = "docker"
    PROCESS = "process"


SpawnerOption = Annotated[
    SpawnerName | None,
    typer.Option("--spawner", help="auto, docker or process. Default: the settings file's, else auto."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(up)
    app.command()(down)
    app.command()(status)
    app.command()(doctor)


def up(
    state: StateOption = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="Port for browsers. Default: 8000.")] = None,
    spawner: SpawnerOption = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file. Default: lightbox.yaml in the state directory.")
    ] = None,
    foreground: Annotated[bool, typer.Option(help="Stay, and stop with Ctrl-C (for systemd or a container).")] = False,
    as_json: JsonOption = False,
) -> None:
    """Start the workspace; what is missing is prepared first."""
    folder = state_dir(state)
    given = {
        name: value for name, value in (("port", port), ("spawner", spawner and spawner.value)) if value is not None
    }
    # What was chosen on the command line last holds until something else is chosen, there or in the file.
    before = remembered_choices(folder)
    file = _settings_file(folder, config, before.pop("config", None))
    settings = load_settings(file, before, state=folder, **given)
    given |= {"config": str(config.absolute())} if config else {}
    _refuse_other_port(settings, port)
    if foreground:
        if is_running(folder):
            raise StateError(f"A workspace already runs in {folder}. Stop it first: {_command('down', folder)}")
        instance = prepare(settings, _say)
        remember_choices(folder, given)
        sys.exit(run_supervisor(instance.state, lambda: _announce(instance, as_json, "Ctrl-C")))
    instance = bring_up(settings, _say)
    remember_choices(folder, given)
    _announce(instance, as_json, _command("down", folder))


def _settings_file(folder: Path, named: Path | None, before: str | None) -> Path | None:
    """Return the settings file: the one named now, the one named last, the one in the state directory, or none."""
    if named or before:
        return named or Path(str(before))
    own = folder / "lightbox.yaml"
    return own if own.exists() else None


def _refuse_other_port(settings: Settings, port: int | None) -> None:
    url = read_status(settings.state).get("url")
    if port is not None and is_running(settings.state) and url and url != settings.url:
        raise StateError(
            f"The workspace in {settings.state} already runs at {url}. Stop it first "
            f"({_command('down', settings.state)}), or start a second one with another --state."
        )


def _command(name: str, state: Path) -> str:
    """Return the command as this reader must type it."""
    return f"./lightbox {name}" + ("" if state == state_dir(None) else f" --state {state}")


def _say(message: str) -> None:
    errors.print(f"[bold cyan]·[/] {escape(message)}", highlight=False, soft_wrap=True)


def _announce(instance: Instance, as_json: bool, way_to_stop: str) -> None:
    settings = instance.settings
    people_to_be = personas() if settings.uses_dev_idp else []
    if as_json:
        content: dict[str, Any] = {
            "url": settings.url,
            "spawner": settings.spawner,
            "state": str(settings.state),
            "personas": [vars(persona) for persona in people_to_be],
        }
        sys.stdout.write(json.dumps(content) + "\n")
        return
    people.print(f"\nLightbox is ready: [bold link={settings.url}]{settings.url}[/]\n", highlight=False)
    if settings.spawner == "process":
        people.print("[yellow]Servers run as processes: no isolation, not for patients' data.[/]\n")
    if people_to_be:
        table = Table(title="Log in as", title_justify="left", box=None, padding=(0, 2))
        for persona in people_to_be:
            table.add_row(f"[bold]{escape(persona.name)}[/]", escape(persona.description))
        people.print(table)
        people.print()
        if real_data_is_there(instance):
            people.print("Real studies: log in as Rafael Radiologist and choose the project PROSTATEx reading.\n")
    people.print(f"Stop it with: {way_to_stop}", highlight=False, soft_wrap=True)


def down(
    state: StateOption = None,
    purge_all: Annotated[
        bool, typer.Option("--purge", help="Also delete all homes, data and records of this instance.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask before deleting.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Stop the workspace and all its servers. Homes, data and records stay, unless --purge."""
    folder = state_dir(state)
    if purge_all:
        if not yes:
            typer.confirm(
                f"Delete all homes, datasets, grants and the audit trail in {folder}? This cannot be undone",
                abort=True,
            )
        purge(folder, _say)
        tell(as_json, {"purged": True, "state": str(folder)}, f"Stopped, and {folder} is deleted.")
        return
    ran = bring_down(folder, _say)
    tell(as_json, {"stopped": ran, "state": str(folder)}, "Stopped." if ran else "Nothing was running.")


def status(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Tell what runs. Exit status 1 when nothing does."""
    folder = state_dir(state)
    running, written = is_running(folder), read_status(folder)
    services = written.get("services", []) if running else []
    content = {
        "running": running,
        "phase": written.get("phase") if running else "stopped",
        "url": written.get("url") if running else None,
        "services": [{key: service[key] for key in ("name", "state", "restarts")} for service in services],
    }
    if not running and not as_json:
        people.print(
            f"Nothing runs in {folder}. Start it with: {_command('up', folder)}", soft_wrap=True, highlight=False
        )
    else:
        rows = [(service["name"], service["state"], str(service["restarts"])) for service in services]
        if not as_json:
            people.print(f"Lightbox at {content['url']}: {content['phase']}", highlight=False, soft_wrap=True)
        show(as_json, content, "", ("service", "state", "restarts"), rows)
    if not running:
        raise typer.Exit(1)


def doctor(state: StateOption = None, as_json: JsonOption = False) -> None:
    """Check what a workspace needs on this machine, and say how to mend what is missing."""
    findings = diagnose(state_dir(state))
    marks = {"ok": "ok", "note": "note", "fault": "FAULT"}
    show(
        as_json,
        {"findings": [vars(finding) for finding in findings]},
        "This machine",
        ("check", "", "found", "what to do"),
        [(finding.check, marks[finding.level], finding.found, finding.remedy) for finding in findings],
    )
    if any(finding.level == "fault" for finding in findings):
        raise typer.Exit(1)
