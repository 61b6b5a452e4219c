"""What a person may start: gathers the facts of the moment and hands them to the pure rules."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from hub_config.compute.profiles import Host, Offer, offers_for
from hub_config.compute.server_plan import Image, ServerPlan, plan_server
from hub_config.data.catalogue import Catalogue, VersionInfo
from hub_config.data.grants import GrantDecision, Grants
from hub_config.data.projects import ProjectInfo, Projects
from hub_config.data.sandbox import mounts_for
from hub_config.database import Store
from hub_config.errors import NotFoundError, RefusedError
from hub_config.instance import Instance
from hub_config.people.identity import Identity, identity_from_claims
from hub_config.record.audit import AuditTrail


@dataclass(frozen=True)
class ProjectChoice:
    """A project on the start page with the datasets a server of it would hold now."""

    project: ProjectInfo
    datasets: tuple[tuple[VersionInfo, GrantDecision], ...]


class Admission:
    """The rules of one instance.

    Parameters
    ----------
    instance : Instance
    image : callable
        From an image name, or None for the image of this release, to the image on this host; raises
        ``RefusedError`` when it is not there. Asked at each start, so that a removed image is noticed.
    """

    def __init__(self, instance: Instance, image: Callable[[str | None], Image]) -> None:
        self.instance = instance
        self.audit = AuditTrail(instance.audit_file)
        self.store = Store(instance.database_url)
        self.projects = Projects(self.store, self.audit)
        self.catalogue = Catalogue(self.store, instance.datasets, self.audit, instance.first_gid)
        self.grants = Grants(self.store, self.audit)
        self._image = image
        self._host = this_host()

    def identity(self, auth_state: Mapping[str, Any] | None) -> Identity:
        """Return who a hub account is, from what the provider said last.

        Raises
        ------
        RefusedError
            The provider's word is not there: the person must log in again.
        """
        if not auth_state or "oauth_user" not in auth_state:
            raise RefusedError("Your login has expired.", "Sign out and in again.")
        return identity_from_claims(auth_state["oauth_user"], auth_state["issuer"], self.instance.settings.identity)

    def project_choices(self, identity: Identity) -> list[ProjectChoice]:
        """Return the projects of a person with their live datasets."""
        versions = {(info.dataset, info.version): info for info in self.catalogue.all()}
        choices = []
        for project in self.projects.of(identity):
            grants = self.grants.live(project.id)
            pairs = [(versions[(grant.dataset, grant.version)], grant) for grant in grants]
            choices.append(ProjectChoice(project, tuple(pairs)))
        return choices

    def offers(self, identity: Identity) -> list[Offer]:
        """Return the profiles as a person meets them."""
        return offers_for(identity, self.instance.settings.profiles, self._host)

    def plan(self, identity: Identity, project_id: str, profile_id: str | None) -> ServerPlan:
        """Plan a server, or refuse it.

        Raises
        ------
        RefusedError
            With the reason and what to do.
        """
        if not project_id:
            raise RefusedError("A server belongs to a project.", "Choose a project on the start page.")
        try:
            project = self.projects.get(project_id)
        except NotFoundError:
            # The same words as for a project of others: whether it exists is not told.
            raise RefusedError(
                f"You are not a member of the project {project_id}.",
                "Choose one of your projects on the start page.",
            ) from None
        offers = {offer.profile.id: offer for offer in self.offers(identity)}
        wanted = profile_id or next((name for name, offer in offers.items() if offer.available), "")
        if wanted not in offers:
            raise RefusedError(f"There is no profile {wanted!r}.", f"Choose one of: {', '.join(offers)}.")
        now = datetime.now(UTC)
        mounts = mounts_for(project.id, self.grants.live(project.id, now), self.catalogue.all(), now)
        image = self._image(offers[wanted].profile.image)
        return plan_server(self.instance.name, identity, project, offers[wanted], mounts, image)


def this_host() -> Host:
    """Measure the machine."""
    pages, size = os.sysconf("SC_PHYS_PAGES"), os.sysconf("SC_PAGE_SIZE")
    return Host(cpus=len(os.sched_getaffinity(0)), memory_bytes=pages * size)
