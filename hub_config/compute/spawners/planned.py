"""What all spawners share: a plan before the start, an event after it, words for the person who waits."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, ClassVar

from jupyterhub.spawner import Spawner, SpawnException

from hub_config.compute.admission import Admission
from hub_config.compute.server_plan import START_PAGE, ServerPlan, started_event
from hub_config.errors import LightboxError, RefusedError, ServiceError
from hub_config.record.events import ServerRefused, ServerStopped


class PlannedSpawner(Spawner):
    """Base of the adapters; a subclass says in ``apply`` how a plan becomes its own configuration.

    ``admission`` is given once, by the hub's configuration, to the class.
    """

    admission: ClassVar[Admission]
    user_options: dict[str, Any]
    plan: ServerPlan | None = None
    started_as: dict[str, str] | None = None  # kept in the hub's database: who stops is recorded after a restart too

    def apply(self, plan: ServerPlan) -> None:
        """Take over a plan. Spawner objects are used again: assign everything, append nothing."""
        raise NotImplementedError

    async def launch(self) -> Any:
        """Start what ``apply`` configured; return address and port."""
        raise NotImplementedError

    async def prepare(self) -> None:
        """Plan the server, as the hub's pre-spawn hook.

        Raises
        ------
        SpawnException
            The server is refused, with reason and remedy; the refusal is audited.
        """
        self.plan = self.started_as = None
        # Options come from a form or from anybody's API call: nothing but the profile is taken from them.
        wanted = self.user_options.get("profile")
        profile = wanted if isinstance(wanted, str) else None
        self.user_options = {"profile": profile} if profile else {}
        subject = "unknown"
        try:
            identity = self.admission.identity(await self.user.get_auth_state())
            subject = identity.subject
            plan = self.admission.plan(identity, self.name, profile)
        except RefusedError as refusal:
            self._record_refusal(subject, profile, refusal)
            raise _told(refusal, "refused", 403) from refusal
        self.plan = plan
        self.default_url = START_PAGE
        self.orm_spawner.display_name = plan.project_title
        self.apply(plan)

    def _record_refusal(self, subject: str, profile: str | None, refusal: RefusedError) -> None:
        self.admission.audit.append(
            ServerRefused(
                subject=subject,
                username=self.user.name,
                project=self.name[:64],
                profile=profile[:64] if profile else None,
                reason=refusal.reason,
            )
        )

    async def start(self) -> Any:
        """Start what was planned, and record it before anybody can use it."""
        if self.plan is None:
            raise _told(ServiceError("The server has no plan. Start it from the start page."), "unplanned", 400)
        try:
            address = await self.launch()
        except LightboxError as error:
            raise _told(error, "engine", 503) from error
        self.admission.audit.append(started_event(self.plan))
        self.started_as = {"subject": self.plan.subject, "project": self.plan.project}
        return address

    async def poll(self) -> Any:
        """Leave it to the adapter's engine (JupyterHub wants to see it here)."""
        return await super().poll()

    async def stop(self, now: bool = False) -> None:
        """Leave it to the adapter's engine (JupyterHub wants to see it here)."""
        await super().stop(now)

    def record_stop(self) -> None:
        """Record the end of a server that was running, as the hub's post-stop hook."""
        if self.started_as is None:
            return
        self.admission.audit.append(
            ServerStopped(
                subject=self.started_as["subject"],
                username=self.user.name,
                project=self.started_as["project"],
            )
        )
        self.started_as = None

    def get_state(self) -> dict[str, Any]:
        """Add to what the hub keeps over its own restarts."""
        state: dict[str, Any] = super().get_state()
        if self.started_as:
            state["started_as"] = self.started_as
        return state

    def load_state(self, state: dict[str, Any]) -> None:
        """Take back what the hub kept."""
        super().load_state(state)
        self.started_as = state.get("started_as")

    async def progress(self) -> AsyncIterator[dict[str, Any]]:
        """Say in words what is being done."""
        datasets = len(self.plan.mounts) if self.plan else 0
        noun = "dataset" if datasets == 1 else "datasets"
        yield {
            "progress": 20,
            "message": f"Your rights are checked; {datasets} {noun} will be mounted read-only.",
        }
        yield {"progress": 50, "message": "Your workspace is starting; this takes a few seconds."}


def _told(error: LightboxError, reason: str, status: int) -> SpawnException:
    """Return an error that the hub counts under ``reason`` and shows in our words alone."""
    told = SpawnException(str(error), reason=reason, status_code=status)
    told.jupyterhub_message = str(error)
    return told
