"""The engine's own command line, for building and importing images: programs that can be stopped in the middle."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from typing import IO, cast

from hub_config.errors import LightboxError

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
_STOP_SECONDS = 30.0


class ImageError(LightboxError):
    """The workspace image or its base cannot be made."""


@dataclass(frozen=True)
class DockerCli:
    """The docker command line. It builds images; containers are run through the engine's API.

    Parameters
    ----------
    command : str
        Path of the client.
    """

    command: str

    @classmethod
    def find(cls) -> DockerCli:
        """Find a client whose engine answers.

        The distribution's client comes first: others on PATH may lack buildx and then refuse to build.

        Raises
        ------
        ImageError
            There is no client, or no engine behind it.
        """
        packaged = "/usr/bin/docker"
        command = packaged if os.access(packaged, os.X_OK) else shutil.which("docker")
        if command is None:
            raise ImageError("There is no docker command. Install the engine: apt-get install docker.io")
        engine = cls(command)
        engine.machine()
        return engine

    def run(self, *arguments: str, failure: str, answer_within: float | None = None) -> str:
        """Run ``docker ARGUMENTS`` and return what it prints; see `ImageError` for what is raised."""
        # 20.10 still has the old builder as its default, which knows no mounts during a build.
        environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
        return run([self.command, *arguments], failure, environment, answer_within)

    def machine(self) -> str:
        """Return the architecture of the engine's machine as Python names it, such as ``x86_64``."""
        failure = "The Docker engine does not answer. Start it, or join the group docker."
        architecture = self.run("version", "--format", "{{.Server.Arch}}", failure=failure).strip()
        return _MACHINES.get(architecture, architecture)

    def image_id(self, name: str) -> str | None:
        """Return the id of the image ``name``, or None where there is none."""
        failure = "The Docker engine cannot list its images."
        # Unlike "inspect", a list that is empty can be told from an engine that does not answer.
        return self.run("image", "ls", "--quiet", "--no-trunc", name, failure=failure).strip() or None


def run(
    command: Sequence[str],
    failure: str,
    environment: dict[str, str] | None = None,
    answer_within: float | None = None,
) -> str:
    """Run a command and return what it prints.

    If it fails, or prints nothing within ``answer_within`` seconds, the `ImageError` starts with ``failure``.
    """
    # A session of its own: when we are stopped, the command's children must get the signal as well. A shell
    # that waits for a child acts on it, and removes its temporary files, only when the child has ended.
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        start_new_session=True,
    ) as process:
        try:
            stdout = cast("IO[bytes]", process.stdout)
            if answer_within is not None and not select.select([stdout], [], [], answer_within)[0]:
                raise ImageError(f"{failure} no answer within {answer_within:.0f} s.")
            output = process.communicate()[0].decode(errors="replace")
        except BaseException:
            _stop(process)
            raise
    if process.returncode != 0:
        raise ImageError("\n".join([failure, *output.strip().splitlines()[-15:]]))
    return output


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a command and its children, first by asking."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
            return
