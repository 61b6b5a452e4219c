"""Which profiles a person may start on this host, and why not the others: pure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from hub_config.people.identity import Identity
from hub_config.settings import ProfileSettings

GIB = 1 << 30
_ROLE_WORDS = {
    "admins": "administrators",
    "modellers": "model developers",
    "data-providers": "data providers",
    "users": "users",
}


@dataclass(frozen=True)
class Host:
    """What the machine has.

    Parameters
    ----------
    cpus : int
        Cores.
    memory_bytes : int
    """

    cpus: int
    memory_bytes: int


@dataclass(frozen=True)
class Offer:
    """A profile as one person meets it; ``reason`` says why it is not available, or is None."""

    profile: ProfileSettings
    cpu: float
    memory_bytes: int
    reason: str | None

    @property
    def available(self) -> bool:
        """Whether the person may start it now."""
        return self.reason is None


def offers_for(identity: Identity, profiles: Iterable[ProfileSettings], host: Host) -> list[Offer]:
    """Return every profile with what stands against it.

    Parameters
    ----------
    identity : Identity
        Whose roles decide.
    profiles : iterable of ProfileSettings
    host : Host
        CPU limits are cut to its cores: more would promise what is not there.
    """
    return [
        Offer(
            profile,
            min(profile.cpu, float(host.cpus)),
            int(profile.memory_gib * GIB),
            _reason(profile, identity, host),
        )
        for profile in profiles
    ]


def _reason(profile: ProfileSettings, identity: Identity, host: Host) -> str | None:
    # First what nobody can have here: a role would not help.
    if profile.gpus:
        return "This machine has no GPU that can be leased."
    # The kernel keeps some memory for itself: a machine sold with 4 GiB reports a little less.
    nominal = math.ceil(host.memory_bytes / GIB)
    if profile.memory_gib > nominal:
        return f"Needs {profile.memory_gib:g} GiB of memory; this machine has {nominal} GiB."
    if not identity.roles & frozenset(profile.roles):
        who = " and ".join(_ROLE_WORDS[role] for role in profile.roles)
        return f"For {who}. Ask the administrator for the role."
    return None
