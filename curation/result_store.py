"""Results of curation in a folder: what was computed before is found again, what was approved is never touched.

The rules are those of the ProCancer-I curation tool (D4.4, section 5.6):

* the same source with the same parameters: what is there is given back;
* other parameters: the new result takes the place of the old one, and what was computed from the old one goes too;
* another static series: both results stay;
* approved results stay whatever happens.

``curation.json`` lists the results and is written last, in one step: a result counts when it is in the list. Folders
that a list no longer names are deleted by whoever opens the store next.
"""

from __future__ import annotations

import datetime
import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from curation.derivation import Derivation
from curation.derived import write_derived
from curation.derived.sources import source_digest
from curation.errors import ResultStoreError
from curation.files import write_atomically
from curation.reading.dicom_io import Progress
from curation.series import Series

INDEX = "curation.json"
_LOCK = ".curation.lock"
_SCHEMA = 1
_LARGEST_INDEX = 64 << 20
_UNFINISHED = re.compile(r"\.[0-9A-Za-z-]+-\d{12}\..+")


@dataclass(frozen=True)
class Request:
    """What is asked for; two requests with one `fingerprint` have one result.

    Parameters
    ----------
    function : str
        ``motion_correction``, ``coregistration`` or ``adc``.
    source : Series
    static : Series or None
    settings : mapping
        JSON: engine, its version, parameters and options.
    depends_on : str
        Identifier of the result that this one is computed from; empty for none.
    """

    function: str
    source: Series
    static: Series | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    depends_on: str = ""

    @property
    def slot(self) -> tuple[str, str, str]:
        """What there is one result of: function, source and static series."""
        return self.function, self.source.uid, self.static.uid if self.static else ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the request: source images, settings, and what it depends on."""
        content = {
            "slot": self.slot,
            "source": source_digest(self.source),
            "static": source_digest(self.static) if self.static else "",
            "settings": self.settings,
            "depends_on": self.depends_on,
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class StoredResult:
    """One result in the store.

    Parameters
    ----------
    id : str
        Series Instance UID of the new series.
    slot : tuple of str
    fingerprint : str
    folder : str
        Name of its folder in the store.
    files : int
        How many files are in it.
    outcome : mapping
        JSON: what was found, enough to go on without computing it again.
    depends_on : str
    created : str
        ISO 8601, UTC.
    approved : str
        When and by whom; empty where nobody has.
    """

    id: str
    slot: tuple[str, str, str]
    fingerprint: str
    folder: str
    files: int
    outcome: Mapping[str, Any]
    depends_on: str
    created: str
    approved: str = ""


class ResultStore:
    """The results of one study.

    Parameters
    ----------
    folder : Path
        Made if there is none. Open it with `open_store`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._results, doomed, self._pages = _read_index(folder / INDEX)
        for name in doomed:
            _delete(folder / name)
        if doomed:
            self._write(())
        for place in folder.iterdir():  # what a run that was killed had begun to write
            if _UNFINISHED.fullmatch(place.name) and place.is_dir() and not place.is_symlink():
                shutil.rmtree(place, ignore_errors=True)

    @property
    def results(self) -> tuple[StoredResult, ...]:
        """All results, oldest first."""
        return tuple(self._results)

    def find(self, request: Request) -> StoredResult | None:
        """Return the result of an equal request, if it is whole."""
        wanted = request.fingerprint
        return next((r for r in reversed(self._results) if r.fingerprint == wanted and self._whole(r)), None)

    def keep(
        self,
        request: Request,
        derivation: Derivation,
        outcome: Mapping[str, Any],
        progress: Progress | None = None,
    ) -> StoredResult:
        """Write a result; what it takes the place of, and all that was computed from that, goes unless approved.

        Parameters
        ----------
        request : Request
        derivation : Derivation
        outcome : mapping
            JSON.
        progress : callable, optional
            As for `write_derived`.

        Raises
        ------
        DerivedError, MissingDataError
            As `write_derived`. The store is then as it was.
        """
        files = write_derived(derivation, self.folder, progress=progress)
        result = StoredResult(
            id=_series_uid(files[0]),
            slot=request.slot,
            fingerprint=request.fingerprint,
            folder=files[0].parent.name,
            files=len(files),
            outcome=outcome,
            depends_on=request.depends_on,
            created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        gone, before = self._replaced_by(result), self._results
        try:
            self._results = [r for r in before if r.id not in gone] + [result]
            self._write(tuple(gone.values()))
        except BaseException:
            self._results = before
            _delete(self.folder / result.folder)
            raise
        for name in gone.values():
            _delete(self.folder / name)
        self._write(())
        return result

    def approve(self, result_id: str, by: str) -> StoredResult:
        """Mark a result as approved: from now on nothing overwrites it.

        Raises
        ------
        ResultStoreError
            If there is no such result, or it is approved already.
        """
        found = next((r for r in self._results if r.id == result_id), None)
        if found is None:
            raise ResultStoreError(f"There is no result {result_id} in {self.folder}.")
        if found.approved:
            raise ResultStoreError(f"The result {result_id} is approved already ({found.approved}).")
        when = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        marked = replace(found, approved=f"{when} {by}")
        self._results = [marked if r is found else r for r in self._results]
        self._write(())
        return marked

    def matches(self, name: str, key: object) -> bool:
        """Return whether a page was made from `key`, as `remember` was told."""
        return self._pages.get(name) == _digest(key)

    def remember(self, name: str, key: object) -> None:
        """Note what a page that lies beside the results was made from."""
        self._pages[name] = _digest(key)
        self._write(())

    def path(self, result: StoredResult) -> Path:
        """Return the folder of a result."""
        return self.folder / result.folder

    def _whole(self, result: StoredResult) -> bool:
        place = self.path(result)
        return place.is_dir() and sum(1 for _ in _own_files(place)) == result.files

    def _replaced_by(self, new: StoredResult) -> dict[str, str]:
        """Return identifier and folder of the results that give way, dependent ones included."""
        stale = {r.id for r in self._results if r.slot == new.slot and not r.approved}
        while more := {r.id for r in self._results if r.depends_on in stale and not r.approved} - stale:
            stale |= more
        gone = {r.id: r.folder for r in self._results if r.id in stale}
        gone.pop(new.depends_on, None)  # never the one it was computed from
        return gone

    def _write(self, doomed: tuple[str, ...]) -> None:
        content = {
            "schema": _SCHEMA,
            "results": [asdict(r) for r in self._results],
            "to_delete": list(doomed),
            "pages": self._pages,
        }
        write_atomically(self.folder / INDEX, (json.dumps(content, indent=1) + "\n").encode())


def _own_files(place: Path) -> Iterator[Path]:
    """Yield the files of a result; a person may have put others beside them."""
    return (path for path in place.glob("*.dcm") if not path.name.startswith("."))


def _delete(place: Path) -> None:
    """Delete the files of a result, and its folder if nothing else is in it."""
    for path in list(_own_files(place)):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        place.rmdir()


@contextmanager
def open_store(folder: Path) -> Iterator[ResultStore]:
    """Open the results of a study; one process at a time.

    Raises
    ------
    ResultStoreError
        If another process has it open, or its list cannot be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ResultStoreError(f"{folder} is in use by another run: wait for it to end.") from None
        yield ResultStore(folder)
    finally:
        os.close(descriptor)


def _digest(key: object) -> str:
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def _read_index(path: Path) -> tuple[list[StoredResult], list[str], dict[str, str]]:
    """Return the results, the folders to delete and what pages show; nothing where there is no list yet."""
    try:
        if path.stat().st_size > _LARGEST_INDEX:
            raise ValueError(f"it has {path.stat().st_size} bytes")
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["schema"] != _SCHEMA:
            raise ValueError(f"schema {content['schema']!r}")
        results = [StoredResult(**{**entry, "slot": tuple(entry["slot"])}) for entry in content["results"]]
        doomed = [str(name) for name in content["to_delete"]]
        pages = {str(name): str(digest) for name, digest in content.get("pages", {}).items()}
        for name in (*doomed, *(r.folder for r in results)):
            if name != Path(name).name or name in ("", ".", ".."):
                raise ValueError(f"a folder named {name!r}")
    except FileNotFoundError:
        return [], [], {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ResultStoreError(
            f"{path} is not the list of results that this version writes ({error}). "
            "Restore it from a backup, or give another folder for the results."
        ) from error
    return results, doomed, pages


def _series_uid(path: Path) -> str:
    import pydicom

    return str(pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["SeriesInstanceUID"]).SeriesInstanceUID)
