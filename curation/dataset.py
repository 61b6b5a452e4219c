"""The datasets that a notebook in a workspace may use.

A workspace shows each granted dataset as one read-only folder ``<root>/<id>``. The root is named by the
environment variable ``LIGHTBOX_DATASETS`` (``/datasets`` without it); titles, versions and digests come as
a JSON list of ``{"id", "title", "version", "digest"}`` in ``LIGHTBOX_DATASETS_INFO``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pydicom

from curation.errors import DatasetError

ROOT_VARIABLE = "LIGHTBOX_DATASETS"
INFO_VARIABLE = "LIGHTBOX_DATASETS_INFO"
DEFAULT_ROOT = "/datasets"


@dataclass(frozen=True)
class Dataset:
    """One version of one dataset.

    Parameters
    ----------
    id : str
        Name of its folder.
    path : Path
    title : str
        For people; the identifier where none is given.
    version, digest : str
        What a result must cite; empty where unknown.
    """

    id: str
    path: Path
    title: str
    version: str
    digest: str

    def studies(self) -> Iterator[Path]:
        """Yield the folders that hold one study each, in order of their paths.

        One header is read per folder that holds files, when the iteration comes to it.

        Raises
        ------
        DatasetError
            If the files of one study lie in several places among those of other studies.
        """
        seen: set[str] = set()
        last = yield from _study_folders(self.path, seen)
        if last is not None:
            yield _emit(last, seen)


def datasets() -> list[Dataset]:
    """Return the datasets of this workspace, sorted by identifier.

    A dataset that is announced and has no folder (its grant has ended) is left out.

    Returns
    -------
    list of Dataset
        Empty where no dataset is granted.

    Raises
    ------
    DatasetError
        If ``LIGHTBOX_DATASETS_INFO`` is not what the module says.
    """
    root = Path(os.environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)
    info = _info()
    if not root.is_dir():
        return []
    folders = sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))
    return [_dataset(folder, info.get(folder.name, {})) for folder in folders]


def _dataset(folder: Path, entry: dict[str, str]) -> Dataset:
    return Dataset(
        id=folder.name,
        path=folder,
        title=entry.get("title") or folder.name,
        version=entry.get("version", ""),
        digest=entry.get("digest", ""),
    )


def _info() -> dict[str, dict[str, str]]:
    text = os.environ.get(INFO_VARIABLE) or "[]"
    try:
        entries = json.loads(text)
        return {str(e["id"]): {str(k): str(v) for k, v in e.items() if v is not None} for e in entries}
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{INFO_VARIABLE} must be a JSON list of objects with id, title, version and digest; "
            f"it begins with {text[:60]!r}. Restart the server; if that does not help, tell its operator."
        ) from error


@dataclass(frozen=True)
class _Pending:
    """A study whose last folder may not have been seen yet."""

    uid: str
    path: Path


def _study_folders(folder: Path, seen: set[str]) -> Generator[Path, None, _Pending | None]:
    """Yield the studies that are complete below a folder; return the one that may go on beside it."""
    uid = _first_study_uid(folder)
    pending = None if uid is None else _Pending(uid, folder)
    for child in sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")):
        found = yield from _study_folders(child, seen)
        if found is None:
            continue
        if pending is not None and pending.uid == found.uid:
            pending = _Pending(found.uid, folder)
            continue
        if pending is not None:
            yield _emit(pending, seen)
        pending = found
    return pending


def _emit(pending: _Pending, seen: set[str]) -> Path:
    if pending.uid in seen:
        raise DatasetError(
            f"The study {pending.uid} goes on in {pending.path} after files of other studies. "
            "Read the folder above with read_studies instead."
        )
    seen.add(pending.uid)
    return pending.path


def _first_study_uid(folder: Path) -> str | None:
    """Return the Study Instance UID of the first DICOM file directly in a folder, None without any."""
    for path in sorted(p for p in folder.iterdir() if p.is_file() and not p.name.startswith(".")):
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["StudyInstanceUID"])
        except Exception:  # noqa: S112  not DICOM or damaged: another file may tell; read_study reports this one
            continue
        if header.get("StudyInstanceUID"):
            return str(header.StudyInstanceUID)
    return None
