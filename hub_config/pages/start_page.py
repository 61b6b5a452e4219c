"""The start page's form: project first, then the profiles this person may use."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, select_autoescape

from hub_config.compute.admission import Admission, ProjectChoice
from hub_config.compute.profiles import GIB, Offer
from hub_config.compute.spawners.planned import PlannedSpawner
from hub_config.errors import RefusedError
from hub_config.paths import PAGES


@cache
def _environment() -> Environment:
    return Environment(loader=FileSystemLoader(PAGES / "templates"), autoescape=select_autoescape())


async def render_form(spawner: PlannedSpawner) -> str:
    """Return the form for the person whose spawner this is; the spawner's name preselects a project."""
    admission = spawner.admission
    try:
        identity = admission.identity(await spawner.user.get_auth_state())
        projects, offers = admission.project_choices(identity), admission.offers(identity)
        keeper = bool(identity.roles & {"admins", "data-providers"})
    except RefusedError:
        projects, offers, keeper = [], [], False
    template = _environment().get_template("spawn_form.html")
    return template.render(**form_context(spawner, admission, projects, offers), keeper=keeper)


def form_context(
    spawner: PlannedSpawner, admission: Admission, projects: list[ProjectChoice], offers: list[Offer]
) -> dict[str, Any]:
    """Return what ``spawn_form.html`` shows."""
    settings = admission.instance.settings
    available = [offer.profile.id for offer in offers if offer.available]
    last = spawner.user_options.get("profile")
    chosen = last if last in available else next(iter(available), None)
    return {
        "projects": [_project(choice, spawner, alone=len(projects) == 1) for choice in projects],
        "profiles": [_profile(offer, chosen) for offer in offers],
        "isolation": settings.spawner,
        "contact": settings.contact,
    }


def _project(choice: ProjectChoice, spawner: PlannedSpawner, alone: bool) -> dict[str, Any]:
    project = choice.project
    running = spawner.user.spawners.get(project.id) if project.id in spawner.user.spawners else None
    return {
        "id": project.id,
        "title": project.title,
        "description": project.description,
        "selected": alone or spawner.name == project.id,
        "running": bool(running and running.active),
        "url": _post_url(spawner, project.id),
        "datasets": [
            {
                "id": version.dataset,
                "title": version.title,
                "version": version.version,
                "files": version.files,
                "bytes": version.bytes,
                "until": f"{grant.until:%Y-%m-%d}" if grant.until else None,
            }
            for version, grant in choice.datasets
        ],
    }


def _post_url(spawner: PlannedSpawner, project: str) -> str:
    base = f"{spawner.hub.base_url}spawn/{spawner.user.escaped_name}/{project}"
    token = spawner.handler.xsrf_token if spawner.handler is not None else None
    return f"{base}?{urlencode({'_xsrf': token})}" if token else base


def _profile(offer: Offer, chosen: str | None) -> dict[str, Any]:
    profile = offer.profile
    return {
        "id": profile.id,
        "title": profile.title,
        "description": profile.description,
        "cpu": offer.cpu,
        "memory_gib": offer.memory_bytes / GIB,
        "gpus": profile.gpus,
        "available": offer.available,
        "reason": offer.reason,
        "selected": profile.id == chosen,
    }
