"""A plan as a Docker container: every right taken away that a notebook does not need."""

from __future__ import annotations

from typing import Any

from docker.errors import DockerException
from dockerspawner import DockerSpawner
from requests.exceptions import RequestException
from traitlets import default

from hub_config.compute.server_plan import HOME, ServerPlan, server_name
from hub_config.compute.spawners.planned import PlannedSpawner
from hub_config.errors import ServiceError

_UID = _GID = 1000  # jovyan, in images/workspace/Dockerfile


class ContainerSpawner(PlannedSpawner, DockerSpawner):
    """DockerSpawner, told everything by a plan."""

    network = ""  # set on the class by the hub's configuration

    @default("object_name")
    def _object_name_default(self) -> str:
        return server_name(self.admission.instance.name, self.user.name, self.name)

    def apply(self, plan: ServerPlan) -> None:
        """Translate the plan; the image runs by its content id, which is what the audit trail names."""
        self.object_name = plan.name
        self.image = plan.image_digest or plan.image
        self.cmd = ["/opt/lightbox/start"]
        self.notebook_dir = HOME
        self.volumes = {plan.home: HOME}
        self.mounts = [
            {"type": "bind", "source": str(mount.source), "target": mount.target, "read_only": True}
            for mount in plan.mounts
        ]
        self.mem_limit = plan.memory_bytes
        self.cpu_limit = plan.cpu
        self.environment = dict(plan.environment)
        self.network_name = self.network
        self.extra_create_kwargs = {
            "user": f"{_UID}:{_GID}",
            "hostname": f"{plan.project}-{plan.profile}"[:63],
            "labels": dict(plan.labels),
        }
        self.extra_host_config = host_config(plan)

    async def launch(self) -> Any:
        """Start the container.

        Raises
        ------
        ServiceError
            The engine refuses; what it said is logged, since it may name paths of the host.
        """
        try:
            return await DockerSpawner.start(self)
        except (DockerException, RequestException) as error:
            self.log.error("the engine did not start %s: %s", self.object_name, error)
            raise ServiceError(
                "The container engine could not start your workspace. Try again in a minute; if it fails again, ask "
                "the administrator."
            ) from error

    async def check_allowed(self, image: str) -> str:
        """Refuse an image asked for in options: the profile names the image."""
        raise ValueError(f"images cannot be chosen, got {image!r}")


def host_config(plan: ServerPlan) -> dict[str, Any]:
    """Return the engine's limits for a plan, in the names of docker-py."""
    return {
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "read_only": True,
        "tmpfs": {"/tmp": "rw,nosuid,nodev,mode=1777,size=2g"},  # noqa: S108 - inside the container
        "pids_limit": plan.pids,
        "memswap_limit": plan.memory_bytes,  # equal to the memory limit: no swap
        "shm_size": plan.shm_bytes,
        "init": True,
        "group_add": [str(gid) for gid in plan.reader_gids],
        # The engine's own resolver would forward names to the host's; an internal network has no use for it.
        "dns": ["127.0.0.1"],
        "dns_opt": ["timeout:1", "attempts:1"],  # a name that cannot be found is not waited for
    }
