"""Which adapter serves an instance, and what the hub must know about it."""

from __future__ import annotations

from typing import Any

from hub_config.compute.admission import Admission
from hub_config.compute.server_plan import Image
from hub_config.compute.spawners.containers import ContainerSpawner
from hub_config.compute.spawners.engine import Engine
from hub_config.compute.spawners.planned import PlannedSpawner
from hub_config.compute.spawners.processes import ProcessSpawner
from hub_config.errors import RefusedError
from hub_config.instance import Instance

_START_SECONDS = 90


def configure_servers(c: Any, instance: Instance) -> Admission:
    """Tell the hub how servers are planned and started; return the rules for the pages to show."""
    spawner: type[PlannedSpawner]
    if instance.settings.spawner == "docker":
        engine = Engine()
        admission = Admission(instance, lambda name: _image(engine, instance, name))
        ContainerSpawner.network = engine.ensure_network(instance.name).name
        spawner = ContainerSpawner
        _configure_containers(c)
    else:
        admission = Admission(instance, lambda name: Image("process", None))
        spawner = ProcessSpawner
    PlannedSpawner.admission = admission
    c.JupyterHub.spawner_class = spawner
    c.Spawner.pre_spawn_hook = spawner.prepare
    c.Spawner.post_stop_hook = spawner.record_stop
    c.Spawner.apply_user_options = _ignore_options
    c.Spawner.options_from_form = options_from_form
    c.Spawner.start_timeout = c.Spawner.http_timeout = _START_SECONDS
    c.Spawner.env_keep = []  # nothing of the hub's own environment
    return admission


def _configure_containers(c: Any) -> None:
    spawner = c.ContainerSpawner
    spawner.remove = True  # a container that stays would come back with old mounts (dockerspawner#423)
    spawner.use_internal_ip = True
    spawner.pull_policy = "never"


def _image(engine: Engine, instance: Instance, name: str | None) -> Image:
    wanted = name or instance.image
    if wanted is None:
        raise RefusedError(
            "No workspace image has been built.", "Ask the administrator to run: lightbox up (it builds the image)."
        )
    return engine.image(wanted)


def _ignore_options(_spawner: PlannedSpawner, _options: object) -> None:
    """Leave options to ``prepare``, which takes the profile and nothing else from them."""


def options_from_form(form: dict[str, list[str]]) -> dict[str, str]:
    """Take the profile from the start page's form; the project is in the address."""
    profile = form.get("profile", [""])[0]
    return {"profile": profile} if profile else {}
