"""Datasets and their immutable versions on this host."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from hub_config.data.manifest import Manifest, Progress, build_manifest, differences, list_files
from hub_config.data.names import check_slug
from hub_config.data.tables import Dataset, DatasetVersion
from hub_config.database import Store
from hub_config.errors import InvalidInputError, NotFoundError, StateError
from hub_config.files import sync_folder, write_atomic
from hub_config.processes import ProcessRef
from hub_config.record.audit import AuditTrail
from hub_config.record.events import DatasetAdded, DatasetVerified


@dataclass(frozen=True)
class VersionInfo:
    """One version of a dataset.

    Parameters
    ----------
    dataset, version
        Id, and number from 1.
    title : str
    digest : str
        Of the manifest.
    files, bytes : int
    path : Path
        Folder of the files on this host.
    reader_gid : int
        Group that may read the files where the host runs as root.
    added_at : datetime
    """

    dataset: str
    version: int
    title: str
    digest: str
    files: int
    bytes: int
    path: Path
    reader_gid: int
    added_at: datetime


class Catalogue:
    """The datasets of an instance.

    Parameters
    ----------
    store : Store
    folder : Path
        Where versions are kept, ``<id>/v<version>/files``.
    audit : AuditTrail
    first_gid : int
        First of a range of group ids that no account has: a process server that may read a version is given the
        version's group, and nobody else is.
    """

    def __init__(self, store: Store, folder: Path, audit: AuditTrail, first_gid: int) -> None:
        self._store = store
        self._folder = folder
        self._first_gid = first_gid
        self._audit = audit

    def add(
        self,
        dataset: str,
        source: Path,
        title: str,
        by: str,
        in_place: bool = False,
        progress: Progress | None = None,
    ) -> VersionInfo:
        """Register the files below ``source`` as the next version of ``dataset``.

        The files are copied and made read-only, unless ``in_place``: then the owner of the folder answers for
        its not being changed, and ``verify`` tells. Adding the same content again returns the version there is.

        Raises
        ------
        InvalidInputError
            The id, the folder or a file in it is not acceptable.
        StateError
            There is no room, or the state directory cannot be written.
        """
        check_slug(dataset, "dataset")
        source = source.resolve()
        if in_place:
            manifest, path = _readable_manifest(source, progress), source
            return self._register(dataset, title, manifest, path, by)
        with self._staging(source) as staging:
            manifest = build_manifest(source, staging, progress)
            return self._register(dataset, title, manifest, staging, by)

    @contextmanager
    def _staging(self, source: Path) -> Iterator[Path]:
        """Give an empty folder on the catalogue's file system, and leave nothing of it behind."""
        need = sum(path.stat().st_size for path in list_files(source))
        _make_passable(self._folder)
        free = shutil.disk_usage(self._folder).free
        if need >= free:
            raise StateError(
                f"Copying {source} needs {need / 2**30:.1f} GiB and {free / 2**30:.1f} GiB are free in {self._folder}. "
                "Free space, or register the folder with --in-place."
            )
        for stale in self._folder.glob(".incoming-*"):
            if ProcessRef.of(int(stale.name.rpartition("-")[2])) is None:  # its writer was killed
                _make_writable(stale)
                shutil.rmtree(stale)
        staging = self._folder / f".incoming-{os.getpid()}"
        staging.mkdir(mode=0o700)
        try:
            yield staging
        finally:
            if staging.exists():
                _make_writable(staging)
                shutil.rmtree(staging)

    def _register(self, dataset: str, title: str, manifest: Manifest, path: Path, by: str) -> VersionInfo:
        with self._one_at_a_time():
            same = next(
                (info for info in self.all() if (info.dataset, info.digest) == (dataset, manifest.digest)), None
            )
            version = same.version if same else self._register_new(dataset, title, manifest, path, by)
        return self.get(dataset, version)

    def _register_new(self, dataset: str, title: str, manifest: Manifest, path: Path, by: str) -> int:
        known = self.all()
        version = max((info.version for info in known if info.dataset == dataset), default=0) + 1
        gid = max((info.reader_gid for info in known), default=self._first_gid) + 1
        row = DatasetVersion(
            dataset_id=dataset,
            version=version,
            digest=manifest.digest,
            files=len(manifest.entries),
            bytes=manifest.size,
            path=self._publish(dataset, version, manifest, path, gid),
            reader_gid=gid,
            added_by=by,
            added_at=datetime.now(UTC),
        )
        with self._store.session() as session:
            parent = session.get(Dataset, dataset)
            if parent is None:
                session.add(Dataset(id=dataset, title=title or dataset, created_at=row.added_at))
                session.flush()
            elif title:
                parent.title = title
            session.add(row)
            self._audit.append(
                DatasetAdded(
                    subject=by,
                    dataset=dataset,
                    version=version,
                    digest=manifest.digest,
                    files=len(manifest.entries),
                    bytes=manifest.size,
                )
            )
        return version

    @contextmanager
    def _one_at_a_time(self) -> Iterator[None]:
        """Let one registration choose its number and put its files in place before the next looks."""
        _make_passable(self._folder)
        with (self._folder / ".register.lock").open("a") as stream:
            fcntl.flock(stream, fcntl.LOCK_EX)
            yield

    def _publish(self, dataset: str, version: int, manifest: Manifest, path: Path, gid: int) -> str:
        """Put files and manifest where they stay; return the path to keep, relative for copies."""
        home = self._folder / dataset / f"v{version}"
        for folder in (self._folder, home.parent, home):
            _make_passable(folder)
        write_atomic(home / "manifest.json", manifest.to_json(), mode=0o600)
        if path.parent != self._folder:
            return str(path)
        target = home / "files"
        if target.exists():  # left by a crash between the rename and the commit: never registered
            _make_writable(target)
            shutil.rmtree(target)
        path.rename(target)
        _make_read_only(target, gid)  # after the move: a folder that may not be written cannot be moved
        sync_folder(home)
        return str(target.relative_to(self._folder))

    def all(self) -> list[VersionInfo]:
        """Return all versions, ordered by dataset and number."""
        statement = sa.select(Dataset, DatasetVersion).join(DatasetVersion).order_by(Dataset.id, DatasetVersion.version)
        with self._store.reading() as session:
            return [self._info(dataset, version) for dataset, version in session.execute(statement)]

    def get(self, dataset: str, version: int | None = None) -> VersionInfo:
        """Return a version, the newest if ``version`` is None.

        Raises
        ------
        NotFoundError
            There is no such dataset or version.
        """
        found = [info for info in self.all() if info.dataset == dataset and version in (None, info.version)]
        if not found:
            wanted = dataset if version is None else f"{dataset} version {version}"
            known = ", ".join(sorted({info.dataset for info in self.all()})) or "none"
            raise NotFoundError(f"There is no dataset {wanted}. Registered datasets: {known}.")
        return found[-1]

    def verify(self, info: VersionInfo, by: str, progress: Progress | None = None) -> list[str]:
        """Compare the files of a version with its manifest, and the manifest with the digest in the store.

        Returns
        -------
        list of str
            Differences; empty when the version is intact. The result is audited.
        """
        file = self._folder / info.dataset / f"v{info.version}" / "manifest.json"
        try:
            manifest = Manifest.from_json(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError) as error:
            lines = [f"the manifest cannot be read: {error}"]
        else:
            lines = ["the manifest itself was changed"] if manifest.digest != info.digest else []
            lines += differences(manifest, info.path, progress)
        self._audit.append(
            DatasetVerified(
                subject=by, dataset=info.dataset, version=info.version, digest=info.digest, intact=not lines
            )
        )
        return lines

    def _info(self, dataset: Dataset, row: DatasetVersion) -> VersionInfo:
        return VersionInfo(
            dataset=dataset.id,
            version=row.version,
            title=dataset.title,
            digest=row.digest,
            files=row.files,
            bytes=row.bytes,
            path=self._folder / row.path,
            reader_gid=row.reader_gid,
            added_at=row.added_at,
        )


def _readable_manifest(source: Path, progress: Progress | None) -> Manifest:
    folders = (source, *(path for path in source.rglob("*") if path.is_dir()))
    closed = [path for path in folders if path.stat().st_mode & 0o005 != 0o005]
    closed += [path for path in list_files(source) if not path.stat().st_mode & 0o004]
    if closed:
        raise InvalidInputError(
            f"{closed[0]} is not readable for others, so a workspace could not read it in place: "
            "open it (chmod o+r for files, o+rx for folders) or register a copy."
        )
    return build_manifest(source, progress=progress)


def _make_passable(folder: Path) -> None:
    """Make a folder that, for root, process servers may pass; otherwise closed to all but its owner."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)


def _make_read_only(root: Path, gid: int) -> None:
    """Take away every right to write; as root, give the right to read to ``gid`` alone."""
    as_root = os.geteuid() == 0
    for path in (*root.rglob("*"), root):
        if as_root:
            os.chown(path, 0, gid)
        path.chmod((0o550 if as_root else 0o555) if path.is_dir() else (0o440 if as_root else 0o444))


def _make_writable(root: Path) -> None:
    for path in (root, *(path for path in root.rglob("*") if path.is_dir())):
        path.chmod(0o700)
