"""``ServiceSpec``: how a part of the workspace is run; parts register under ``lightbox.services``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points

from hub_config.errors import ServiceError
from hub_config.instance import Instance

GROUP = "lightbox.services"


@dataclass(frozen=True)
class ServiceSpec:
    """One process that the supervisor keeps running.

    Parameters
    ----------
    name : str
    command : tuple of str
        Program and arguments; no shell.
    environment : mapping
        All the process gets, beside PATH, HOME and LANG. Secrets travel here, never in ``command``.
    port : int or None
        TCP port it will listen on; it must be free at the start.
    health : str or None
        URL that answers (below 500) when the part is ready.
    needs : tuple of str
        Parts that must be ready before this one starts.
    address : str
        Address of ``port``.
    back : str or None
        URL that is told (POST, with the supervisor's token) when the part is ready again after a restart.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    port: int | None = None
    health: str | None = None
    needs: tuple[str, ...] = ()
    address: str = "127.0.0.1"
    back: str | None = None


def registered_services(instance: Instance) -> list[ServiceSpec]:
    """Return the parts that this instance runs, in an order in which each comes after what it needs.

    Raises
    ------
    ServiceError
        A part needs one that is not there, or parts need each other in a circle.
    """
    specs = [entry.load()(instance) for entry in entry_points(group=GROUP)]
    return in_order([spec for spec in specs if spec is not None])


def in_order(specs: Iterable[ServiceSpec]) -> list[ServiceSpec]:
    """Order parts so that each comes after what it needs; otherwise by name."""
    left = {spec.name: spec for spec in sorted(specs, key=lambda spec: spec.name)}
    ordered: list[ServiceSpec] = []
    while left:
        done = {spec.name for spec in ordered}
        ready = [spec for spec in left.values() if set(spec.needs) <= done]
        if not ready:
            waits = "; ".join(f"{spec.name} needs {', '.join(spec.needs)}" for spec in left.values())
            raise ServiceError(f"These parts cannot be put in order: {waits}.")
        ordered.append(ready[0])
        del left[ready[0].name]
    return ordered
