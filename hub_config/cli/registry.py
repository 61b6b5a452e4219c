"""``lightbox dataset|project|grant``: what there is, who belongs where, who may use what."""

from __future__ import annotations

from datetime import UTC, datetime, time
from pathlib import Path
from typing import Annotated, Any

import typer

from hub_config.cli.output import (
    JsonOption,
    StateOption,
    admission,
    byte_progress,
    operator,
    show,
    size,
    tell,
)
from hub_config.data.catalogue import VersionInfo
from hub_config.data.grants import GrantDecision
from hub_config.data.projects import ProjectInfo

datasets = typer.Typer(no_args_is_help=True, help="Register and check datasets.")
projects = typer.Typer(no_args_is_help=True, help="Projects and their members.")
grants = typer.Typer(no_args_is_help=True, help="Which project may use which dataset, until when.")

DatasetArgument = Annotated[str, typer.Argument(help="Id of the dataset.")]
ProjectArgument = Annotated[str, typer.Argument(help="Id of the project.")]


@datasets.command("add")
def dataset_add(
    dataset: DatasetArgument,
    folder: Annotated[Path, typer.Argument(help="Folder with the files.", exists=True, file_okay=False)],
    title: Annotated[str, typer.Option(help="Name shown to people. Default: the id.")] = "",
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Do not copy. The owner of the folder must then keep it unchanged."),
    ] = False,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Register the files of a folder as the next, immutable version of a dataset."""
    with admission(state) as rules, byte_progress("Reading and hashing") as tick:
        known = {(info.dataset, info.version) for info in rules.catalogue.all()}
        info = rules.catalogue.add(dataset, folder, title, operator(), in_place, tick)
    new = (info.dataset, info.version) not in known
    done = "Registered" if new else "Already registered:"
    tell(
        as_json,
        {**_version(info), "new": new},
        f"{done} {info.dataset} version {info.version}: {info.files} files, {size(info.bytes)}, {info.digest}",
    )


@datasets.command("list")
def dataset_list(state: StateOption = None, as_json: JsonOption = False) -> None:
    """List all datasets and versions."""
    with admission(state) as rules:
        infos = rules.catalogue.all()
    rows = [
        (
            info.dataset,
            str(info.version),
            info.title,
            str(info.files),
            size(info.bytes),
            info.digest[:19],
            f"{info.added_at:%Y-%m-%d}",
        )
        for info in infos
    ]
    columns = ("dataset", "version", "title", "files", "size", "digest", "added")
    show(as_json, {"datasets": [_version(info) for info in infos]}, "Datasets", columns, rows)


@datasets.command("verify")
def dataset_verify(
    dataset: DatasetArgument,
    version: Annotated[int | None, typer.Option(help="Number of the version. Default: the newest.")] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare the files of a version with its manifest. Exit status 1 when they differ."""
    with admission(state) as rules, byte_progress("Hashing") as tick:
        info = rules.catalogue.get(dataset, version)
        lines = rules.catalogue.verify(info, operator(), tick)
    content = {"dataset": info.dataset, "version": info.version, "intact": not lines, "differences": lines}
    verdict = "is intact" if not lines else "DIFFERS from its manifest:\n  " + "\n  ".join(lines[:50])
    tell(as_json, content, f"{info.dataset} version {info.version} {verdict}")
    if lines:
        raise typer.Exit(1)


@projects.command("add")
def project_add(
    project: ProjectArgument,
    title: Annotated[str, typer.Option(help="Name shown to people. Default: the id.")] = "",
    description: Annotated[str, typer.Option(help="One line on what it is for.")] = "",
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Found a project."""
    with admission(state) as rules:
        info = rules.projects.add(project, title, description, operator())
    tell(
        as_json,
        _project(info),
        f"Project {info.id} is founded. Next: lightbox project add-member {info.id} sub:<subject>",
    )


@projects.command("list")
def project_list(state: StateOption = None, as_json: JsonOption = False) -> None:
    """List all projects, their members and what they may use."""
    with admission(state) as rules:
        found = [(info, rules.grants.live(info.id)) for info in rules.projects.all()]
    rows = [
        (info.id, info.title, "\n".join(sorted(info.members)), "\n".join(_words(grant) for grant in live))
        for info, live in found
    ]
    content = {"projects": [{**_project(info), "grants": [vars(grant) for grant in live]} for info, live in found]}
    show(as_json, content, "Projects", ("project", "title", "members", "datasets"), rows)


MemberArgument = Annotated[str, typer.Argument(help="sub:<subject> or group:<path>.")]


@projects.command("add-member")
def project_add_member(
    project: ProjectArgument, member: MemberArgument, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Make a person or a group a member of a project."""
    with admission(state) as rules:
        info = rules.projects.decide_member(project, member, True, operator())
    tell(as_json, _project(info), f"{member} belongs to {info.id}.")


@projects.command("remove-member")
def project_remove_member(
    project: ProjectArgument, member: MemberArgument, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Take a person or a group out of a project."""
    with admission(state) as rules:
        info = rules.projects.decide_member(project, member, False, operator())
    tell(as_json, _project(info), f"{member} does not belong to {info.id}.")


@grants.command("add")
def grant_add(
    project: ProjectArgument,
    dataset: DatasetArgument,
    until: Annotated[str | None, typer.Option(help="Last day, YYYY-MM-DD (UTC). Default: no end.")] = None,
    version: Annotated[int | None, typer.Option(help="Number of the version. Default: the newest.")] = None,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a project use a dataset version; it appears at the next start of a server."""
    with admission(state) as rules:
        rules.projects.get(project)
        decision = rules.grants.grant(project, rules.catalogue.get(dataset, version), _end_of(until), operator())
    tell(as_json, vars(decision), f"{project} may use {_words(decision)}.")


@grants.command("revoke")
def grant_revoke(
    project: ProjectArgument, dataset: DatasetArgument, state: StateOption = None, as_json: JsonOption = False
) -> None:
    """Withdraw a dataset from a project."""
    with admission(state) as rules:
        decision = rules.grants.revoke(project, dataset, operator())
    tell(
        as_json,
        vars(decision),
        f"{project} may no longer use {dataset}. A server that runs keeps it until it is stopped: stop it on the hub's "
        "admin page.",
    )


@grants.command("list")
def grant_list(
    history: Annotated[bool, typer.Option("--history", help="Every decision, not only those in force.")] = False,
    state: StateOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the grants in force."""
    with admission(state) as rules:
        found = (
            rules.grants.history() if history else [g for p in rules.projects.all() for g in rules.grants.live(p.id)]
        )
    rows = [
        (
            g.project,
            g.dataset,
            str(g.version),
            "granted" if g.granted else "revoked",
            _day(g.until),
            g.decided_by,
            f"{g.decided_at:%Y-%m-%d %H:%M UTC}",
        )
        for g in found
    ]
    columns = ("project", "dataset", "version", "decision", "until", "by", "at")
    show(as_json, {"grants": [vars(g) for g in found]}, "Grants", columns, rows)


def _end_of(day: str | None) -> datetime | None:
    if day is None:
        return None
    try:
        return datetime.combine(datetime.strptime(day, "%Y-%m-%d").date(), time.max, tzinfo=UTC)
    except ValueError:
        raise typer.BadParameter(f"a day is written YYYY-MM-DD, for example 2027-01-31; got {day!r}") from None


def _words(grant: GrantDecision) -> str:
    return f"{grant.dataset} version {grant.version}, {_day(grant.until)}"


def _day(until: datetime | None) -> str:
    return f"until {until:%Y-%m-%d}" if until else "no end"


def _version(info: VersionInfo) -> dict[str, Any]:
    return {name: value for name, value in vars(info).items() if name != "reader_gid"}


def _project(info: ProjectInfo) -> dict[str, Any]:
    return {**vars(info), "members": sorted(info.members)}
