"""From live grants to mounts: pure, and the only place that decides what a server sees.

No grant, no mount. Each mount is one immutable version, read-only, at ``/datasets/<id>``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from hub_config.data.catalogue import VersionInfo
from hub_config.data.grants import GrantDecision
from hub_config.errors import RefusedError


@dataclass(frozen=True)
class DatasetMount:
    """A dataset version in a server, always read-only.

    Parameters
    ----------
    dataset, version, title, digest
        What it is.
    source : Path
        Folder on this host.
    reader_gid : int
        Group that may read the folder.
    """

    dataset: str
    version: int
    title: str
    digest: str
    source: Path
    reader_gid: int

    @property
    def target(self) -> str:
        """Where it appears in a container."""
        return f"/datasets/{self.dataset}"


def mounts_for(
    project: str, grants: Iterable[GrantDecision], versions: Iterable[VersionInfo], now: datetime
) -> tuple[DatasetMount, ...]:
    """Return the mounts of a server of ``project``.

    Parameters
    ----------
    project : str
    grants : iterable of GrantDecision
        Newest decisions, of any project.
    versions : iterable of VersionInfo
        The catalogue.
    now : datetime

    Returns
    -------
    tuple of DatasetMount
        Ordered by dataset.

    Raises
    ------
    RefusedError
        A granted version is not in the catalogue or its folder is gone: a server that silently lacks data
        would give wrong results.
    """
    known = {(version.dataset, version.version): version for version in versions}
    mounts = []
    for grant in grants:
        if grant.project != project or not grant.is_live(now):
            continue
        version = known.get((grant.dataset, grant.version))
        if version is None or not version.path.is_dir():
            raise RefusedError(
                f"Dataset {grant.dataset} (version {grant.version}) is granted to this project but its files are "
                "not there.",
                "Ask the administrator to restore them, or the data controller to revoke the grant.",
            )
        mounts.append(
            DatasetMount(
                version.dataset,
                version.version,
                version.title,
                version.digest,
                version.path,
                version.reader_gid,
            )
        )
    return tuple(sorted(mounts, key=lambda mount: mount.dataset))
