"""Reading the study or the studies of a folder."""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from curation.errors import MissingDataError, SeveralStudiesError
from curation.geometry import Plane
from curation.problems import Problem, grouped, listed
from curation.reading.assembly import assemble
from curation.reading.completeness import absent_attributes
from curation.reading.dicom_io import Progress, Scan, scan
from curation.reading.headers import SliceHeader
from curation.reading.limits import LIMITS, Limits
from curation.reading.sources import Source, find_files
from curation.series import Role, Series

QUARANTINE_CODES = frozenset({"not-dicom", "not-a-file", "too-large", "truncated", "unreadable"})
"""Codes of problems by which a single file is set aside."""

_LISTED = 10  # how many studies an error names before it says "and n more"


@dataclass(frozen=True, eq=False)
class Study:
    """One study of one patient.

    Parameters
    ----------
    uid : str
        Study Instance UID.
    patient_id : str
        Patient ID; empty where absent.
    date : datetime.date or None
        Study Date.
    series : tuple of Series
        In order of Series Number.
    problems : tuple of Problem
        Files that could not be used, and why there is no default static series.
    default_static : Series or None
        The axial T2-weighted stack of a single volume that other series are aligned to; of several the
        last acquired. Results of this package are never chosen.
    """

    uid: str
    patient_id: str
    date: datetime.date | None
    series: tuple[Series, ...]
    problems: tuple[Problem, ...]
    default_static: Series | None

    def __repr__(self) -> str:
        return f"<Study {self.patient_id or self.uid} {self.date or ''}: {len(self.series)} series>"

    @property
    def quarantine(self) -> tuple[tuple[Path, str], ...]:
        """Files of the folder that are not used or block their series, each with the code of the reason."""
        return tuple((path, p.code) for p in self.problems if p.code in QUARANTINE_CODES for path in p.paths)

    def with_role(self, role: Role, plane: Plane | None = None) -> tuple[Series, ...]:
        """Return the series of one role, and of one plane if that is given."""
        return tuple(s for s in self.series if s.role == role and plane in (None, s.plane))


def read_study(source: Source, *, progress: Progress | None = None, limits: Limits = LIMITS) -> Study:
    """Read one study.

    Parameters
    ----------
    source : path or iterable of paths
        A folder, whatever its inner order, a list of files, or a ZIP or TAR archive, which is unpacked to a
        temporary folder that stays while any of the series does.
    progress : callable, optional
        Called with the number of headers read and of all files.
    limits : Limits, optional
        Bounds on what is taken in; files beyond them are set aside.

    Returns
    -------
    Study
        Pixel data are read when a volume is asked for.

    Raises
    ------
    MissingDataError
        If there is nothing, or nothing of it is DICOM.
    UnsupportedSourceError
        If an archive that cannot be read, a web address or too many files are given.
    SeveralStudiesError
        If there are several studies; the message lists them.

    Examples
    --------
    >>> study = read_study("/datasets/demo/Synthetic-01/2026-01-05")  # doctest: +SKIP
    >>> study.default_static.volume().spacing_mm  # doctest: +SKIP
    (3.6, 0.7, 0.7)
    """
    studies = read_studies(source, progress=progress, limits=limits)
    if len(studies) == 1:
        return studies[0]
    lines = [f"  {study.patient_id or '?'}  {study.date or '?'}  {study.uid}" for study in studies[:_LISTED]]
    if len(studies) > _LISTED:
        lines.append(f"  and {len(studies) - _LISTED} more")
    raise SeveralStudiesError(
        f"Expected one study; {len(studies)} are here:\n"
        + "\n".join(lines)
        + "\nGive the folder of one of them, or use read_studies."
    )


def read_studies(source: Source, *, progress: Progress | None = None, limits: Limits = LIMITS) -> tuple[Study, ...]:
    """Read all studies of a folder or list of files.

    Parameters and errors as in `read_study`, except that several studies are no error.

    Returns
    -------
    tuple of Study
        Sorted by patient, date and identifier; not empty.
    """
    files, left_out, keep = find_files(source, limits)
    scanned = scan(files, progress, limits)
    found = Scan(scanned.headers, (*left_out, *scanned.problems))
    if not found.headers:
        raise MissingDataError(_nothing_found(files, found.problems))
    by_uid: dict[str, list[SliceHeader]] = defaultdict(list)
    for header in found.headers:
        by_uid[header.study_uid].append(header)
    problems = _problems_by_study(by_uid, found)
    studies = [_study(headers, problems[uid], keep) for uid, headers in by_uid.items()]
    return tuple(sorted(studies, key=lambda s: (s.patient_id, s.date or datetime.date.min, s.uid)))


def _nothing_found(files: Sequence[Path], problems: Sequence[Problem]) -> str:
    first = f" The first of them: {problems[0]}" if problems else ""
    return (
        f"No DICOM image among {len(files)} file(s).{first} Give the folder or the list of the DICOM files of a study."
    )


def _problems_by_study(by_uid: dict[str, list[SliceHeader]], found: Scan) -> dict[str, list[Problem]]:
    """Give each bad file to the studies that have files in or below its folder, or else to all of them."""
    studies_in: dict[Path, dict[str, None]] = defaultdict(dict)
    for uid, headers in by_uid.items():
        for folder in {folder for header in headers for folder in header.path.parents}:
            studies_in[folder][uid] = None
    result: dict[str, list[Problem]] = {uid: [] for uid in by_uid}
    for problem in grouped(found.problems):
        for uid in studies_in.get(problem.paths[0].parent, {}) or by_uid:
            result[uid].append(problem)
    return result


def _study(headers: list[SliceHeader], problems: list[Problem], keep: object) -> Study:
    first = headers[0]
    series = assemble(headers, problems, keep)
    static, reason = _default_static(series, headers)
    patients = sorted({header.patient_id for header in headers})
    several = Problem("several-patients", f"One study bears several Patient IDs: {listed(patients)}.")
    own = (*absent_attributes(headers), *((several,) if len(patients) > 1 else ()), *((reason,) if reason else ()))
    return Study(
        uid=first.study_uid,
        patient_id=first.patient_id,
        date=first.study_date,
        series=series,
        problems=(
            *problems,
            *absent_attributes(headers),
            *(own if len(patients) > 1 else ()),
            *((reason,) if reason else ()),
        ),
        default_static=static,
    )


def _default_static(series: tuple[Series, ...], headers: list[SliceHeader]) -> tuple[Series | None, Problem | None]:
    """Choose the series that others are aligned to, or say why there is none."""
    axial = [s for s in series if s.role == "t2w" and s.plane == "axial" and not s.curation_result]
    usable = [s for s in axial if s.regular and s.n_volumes == 1]
    if usable:
        acquired = {h.series_uid: h.acquired_us or 0 for h in headers}
        return max(usable, key=lambda s: (acquired[s.uid], s.number or 0)), None
    if axial:
        names = listed(repr(s.description or s.uid) for s in axial)
        text = f"No static series: of the axial T2w series ({names}) none is one regular volume."
    else:
        text = "No static series: there is no axial T2w series."
    return None, Problem("no-static-series", text)
