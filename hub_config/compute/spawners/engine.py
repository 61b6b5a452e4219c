"""The Docker engine of this host: is it there, which images, the instance's network, what to clean up."""

from __future__ import annotations

import functools
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar
from urllib.parse import urlsplit

import docker
from docker.errors import APIError, DockerException, ImageNotFound, NotFound
from requests.exceptions import RequestException

from hub_config.compute.server_plan import Image
from hub_config.errors import RefusedError, ServiceError

INSTANCE_LABEL = "lightbox.instance"
_ANSWER_SECONDS = 10
P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True)
class Network:
    """The bridge of an instance; ``gateway`` is the host's address on it."""

    name: str
    gateway: str


def _engine_errors(act: Callable[P, R]) -> Callable[P, R]:
    """Turn what the engine's client raises into our own error."""

    @functools.wraps(act)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return act(*args, **kwargs)
        except (DockerException, RequestException) as error:
            raise ServiceError(f"The Docker engine failed: {error}.") from error

    return guarded


def _knock(address: str) -> None:
    """Connect to the engine once, and close again: a client that fails to do so leaves its socket open.

    Raises
    ------
    OSError
        Nobody opens.
    """
    url = urlsplit(address)
    if url.scheme == "unix":
        with socket.socket(socket.AF_UNIX) as probe:
            probe.settimeout(_ANSWER_SECONDS)
            probe.connect(url.path)
    elif url.scheme in {"tcp", "http", "https"}:
        socket.create_connection((url.hostname or "127.0.0.1", url.port or 2375), _ANSWER_SECONDS).close()


class Engine:
    """A connection to the Docker engine.

    Raises
    ------
    ServiceError
        No engine answers, or this account may not talk to it.
    """

    def __init__(self) -> None:
        try:
            _knock(os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock")
            self.client = docker.from_env(timeout=_ANSWER_SECONDS)
            self.client.ping()
        except (DockerException, RequestException, OSError) as error:
            raise ServiceError(
                "No Docker engine answers. Install and start one (Debian: apt-get install docker.io), or become a "
                "member of the group docker."
            ) from error

    def image(self, name: str) -> Image:
        """Return an image on this host.

        Raises
        ------
        RefusedError
            It is not here; nothing is pulled while a person waits.
        """
        try:
            return Image(name, str(self.client.images.get(name).id))
        except ImageNotFound:
            raise RefusedError(
                f"The workspace image {name} is not on this machine.",
                "Ask the administrator to run: lightbox up (it builds the image).",
            ) from None
        except (DockerException, RequestException) as error:
            raise RefusedError(
                "The container engine of this machine does not answer.",
                "Try again in a minute, or ask the administrator.",
            ) from error

    def ensure_network(self, instance: str) -> Network:
        """Return the internal bridge of an instance; make it if there is none.

        It has no way out (``internal``) and no way between servers (``enable_icc`` off).

        Raises
        ------
        ServiceError
            The engine refuses to make it.
        """
        name = f"{instance}-net"
        try:
            found = self.client.networks.list(names=[f"^{name}$"])
            network = found[0] if found else self._create_network(name, instance)
            network.reload()
            return Network(name, str(network.attrs["IPAM"]["Config"][0]["Gateway"]))
        except (APIError, KeyError, IndexError) as error:
            raise ServiceError(f"The network {name} cannot be made or read: {error}.") from error

    def _create_network(self, name: str, instance: str) -> Any:
        return self.client.networks.create(
            name,
            driver="bridge",
            internal=True,
            check_duplicate=True,
            options={"com.docker.network.bridge.enable_icc": "false"},
            labels={INSTANCE_LABEL: instance},
        )

    @_engine_errors
    def remove_servers(self, instance: str) -> int:
        """Remove the containers of an instance; return how many there were. Homes stay."""
        containers = self.client.containers.list(all=True, filters={"label": f"{INSTANCE_LABEL}={instance}"})
        for container in containers:
            try:
                container.remove(force=True)
            except NotFound:  # gone meanwhile, which is what was wanted
                continue
        return len(containers)

    @_engine_errors
    def remove_network(self, instance: str) -> None:
        """Remove the bridge of an instance, if it is there."""
        for network in self.client.networks.list(filters={"label": f"{INSTANCE_LABEL}={instance}"}):
            network.remove()

    @_engine_errors
    def remove_homes(self, instance: str) -> int:
        """Remove the home volumes of an instance and all in them; return how many there were."""
        volumes = [v for v in self.client.volumes.list() if str(v.name).startswith(f"{instance}-")]
        for volume in volumes:
            volume.remove(force=True)
        return len(volumes)

    def close(self) -> None:
        """Give back the connection."""
        self.client.close()
