"""One row per study of a dataset: what is there, from which scanner, and which split it belongs to."""

from __future__ import annotations

import hashlib
import math
import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset as Header

from curation.dataset import Dataset
from curation.errors import CurationError, DatasetError, MissingDataError
from curation.quality import image_quality
from curation.series import Series
from curation.study import Study, read_studies
from curation.tables import BY, Table, b_value_text

Progress = Callable[[int, int], None]
"""Called with the number of study folders done and of all."""

SPLITS = ("train", "validation", "test")
SALT = "lightbox"
"""What patient identifiers are hashed with; another salt gives another split."""

NO_STUDIES = "No DICOM study is here."

_TEXT_LIMIT = 64  # characters of a text from a header (LO, PS3.5 6.2)
_LABEL_LIMIT = 32  # labels of one study
_GAUSS = 100.0  # a field strength beyond this is not in tesla
_SCANNER_TAGS = (
    "SpecificCharacterSet", "Manufacturer", "ManufacturerModelName", "MagneticFieldStrength",
    "InPlanePhaseEncodingDirection",
)  # fmt: skip
_VENDORS = (("siemens", "Siemens"), ("ge medical", "GE"), ("ge healthcare", "GE"), ("philips", "Philips"),
            ("canon", "Canon"), ("toshiba", "Canon"))  # fmt: skip

_COLUMNS = ("Patient", "Date", "Folder", "Series", "b (s/mm²)", "Vendor", "Model", "Field (T)", "Masks", "Problems",
            "Split")  # fmt: skip
_QUALITY_COLUMNS = ("T2w SNR", "T2w sharpness")


def table(
    folder: str | os.PathLike[str] | Dataset,
    *,
    quality: bool = False,
    proportions: Sequence[float] = (0.7, 0.15, 0.15),
    salt: str = SALT,
    progress: Progress | None = None,
) -> Table:
    """List the studies of a dataset.

    Parameters
    ----------
    folder : path or Dataset
        Holds studies in any inner order; one of one study's folder per study is read at a time.
    quality : bool
        Whether to read the axial T2w series of each study and measure it (about 0.1 s each).
    proportions : sequence of float
        Expected share of patients in training, validation and test; their sum is 1.
    salt : str
        Another text gives another split.
    progress : callable, optional
        Called with the number of study folders done and of all.

    Returns
    -------
    Table
        One row per study, sorted by patient and date. ``records`` holds for each: ``patient_id``, ``date``
        (ISO 8601 or None), ``folder`` (relative), ``study_uid``, ``sequences`` (role and plane of each series),
        ``b_values`` (s/mm2, distinct), ``vendor``, ``manufacturer``, ``model``, ``field_strength_t``, ``masks``
        (labels of segments), ``problems`` (how many), ``split``, ``error``, and with `quality` ``t2w_snr`` and
        ``t2w_sharpness`` (see `curation.quality.ImageQuality`).

    Raises
    ------
    MissingDataError
        If there is no such folder, or no DICOM in it.
    DatasetError
        If the proportions are none.

    Notes
    -----
    The split is decided by a hash of salt and patient identifier alone (see `split_of`): all studies of a
    patient are in one, and it does not change when others come or go. It is None where a study bears no or
    several patient identifiers.

    Examples
    --------
    >>> pandas.DataFrame(table("/datasets/demo").records)  # doctest: +SKIP
    """
    dataset = folder if isinstance(folder, Dataset) else _dataset(Path(folder))
    split_of("", proportions, salt)  # refuses what makes no sense before anything is read
    rows = sorted(_rows(dataset, quality, progress), key=lambda row: row.order)
    for row in rows:
        row.record["split"] = split_of(row.splittable, proportions, salt)
    columns = _COLUMNS + (_QUALITY_COLUMNS if quality else ())
    records = tuple(row.record for row in rows)
    return Table(columns, tuple(_cells(record, quality) for record in records), NO_STUDIES, records)


def split_of(patient_id: str, proportions: Sequence[float] = (0.7, 0.15, 0.15), salt: str = SALT) -> str | None:
    """Return the split of a patient: ``train``, ``validation``, ``test``, or None without an identifier.

    SHA-256 of salt and identifier (without surrounding blanks, in lower case), read as a number from 0 to 1,
    is compared with the cumulative proportions.

    Parameters
    ----------
    patient_id : str
    proportions : sequence of float
        Of the three, at least 0, with a sum of 1.
    salt : str

    Raises
    ------
    DatasetError
        If the proportions are none.
    """
    shares = [float(share) for share in proportions]
    if len(shares) != len(SPLITS) or min(shares) < 0 or not math.isclose(sum(shares), 1, abs_tol=1e-6):
        raise DatasetError(
            f"A split needs three proportions, for {', '.join(SPLITS)}, that are at least 0 and add up to 1; "
            f"got {list(proportions)}."
        )
    known = patient_id.strip().casefold()
    if not known:
        return None
    digest = hashlib.sha256(f"{salt}\0{known}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    if place < shares[0]:
        return SPLITS[0]
    return SPLITS[1] if place < shares[0] + shares[1] else SPLITS[2]


@dataclass(frozen=True)
class _Row:
    record: dict[str, Any]
    splittable: str  # the patient's identifier, empty where it is not certain

    @property
    def order(self) -> tuple[str, str, str]:
        return self.record["patient_id"], self.record["date"] or "", self.record["study_uid"]


def _dataset(path: Path) -> Dataset:
    if not path.is_dir():
        raise MissingDataError(f"{path} is no folder; give the folder that holds the studies.")
    return Dataset(id=path.name, path=path, title=path.name, version="", digest="")


def _rows(dataset: Dataset, quality: bool, progress: Progress | None) -> list[_Row]:
    """Read study by study; at once where the files of studies lie among each other."""
    try:
        places = list(dataset.studies())
    except DatasetError:
        places = [dataset.path]
    found: list[_Row] = []
    for done, place in enumerate(places or [dataset.path], start=1):
        found += _rows_of(dataset, place, quality, alone=len(places) < 2)
        if progress is not None:
            progress(done, max(len(places), 1))
    uids = Counter(row.record["study_uid"] for row in found if row.record["study_uid"])
    if len(places) > 1 and any(count > 1 for count in uids.values()):
        return list(_rows_of(dataset, dataset.path, quality, alone=True))
    return found


def _rows_of(dataset: Dataset, place: Path, quality: bool, *, alone: bool) -> Iterator[_Row]:
    name = place.relative_to(dataset.path).as_posix()
    try:
        studies = read_studies(place)
    except CurationError as error:
        if alone:
            raise
        yield _Row(_failed(name, error), "")
        return
    for study in studies:
        record = _record(study, name)
        if quality:
            record.update(_measured(study.default_static))
        several = any(problem.code == "several-patients" for problem in study.problems)
        yield _Row(record, "" if several else study.patient_id)


def _failed(folder: str, error: CurationError) -> dict[str, Any]:
    empty: dict[str, Any] = dict.fromkeys(("date", "vendor", "manufacturer", "model", "field_strength_t"))
    lists: dict[str, Any] = {"sequences": [], "b_values": [], "masks": []}
    return {"patient_id": "", "folder": folder, "study_uid": "", **empty, **lists, "problems": 1, "error": str(error)}


def _record(study: Study, folder: str) -> dict[str, Any]:
    scanner = _scanner(study)
    labels, unreadable = _labels(study)
    diffusion = [b for series in study.with_role("dwi") for b in series.b_values or ()]
    manufacturer = _text(scanner, "Manufacturer")
    return {
        "patient_id": _short(study.patient_id),
        "date": None if study.date is None else study.date.isoformat(),
        "folder": folder,
        "study_uid": study.uid,
        "sequences": [_sequence(series) for series in study.series if series.n_volumes or series.modality != "SEG"],
        "b_values": sorted(set(diffusion)),
        "vendor": next((name for key, name in _VENDORS if key in (manufacturer or "").lower()), manufacturer),
        "manufacturer": manufacturer,
        "model": _text(scanner, "ManufacturerModelName"),
        "field_strength_t": _tesla(scanner),
        "masks": labels,
        "problems": len(study.problems) + sum(len(series.problems) for series in study.series) + unreadable,
        "error": None,
    }


def _sequence(series: Series) -> str:
    name = series.role if series.modality in ("MR", "") else series.modality
    return f"{name} {series.plane}" if series.n_volumes else name


def _scanner(study: Study) -> Header:
    """Return what the first of the study's series say of the scanner, the static series before others."""
    header = Header()
    for series in sorted(study.series, key=lambda s: (s is not study.default_static, s.modality != "MR")):
        if series.paths and not series.curation_result:
            for element in _read(series.paths[0], _SCANNER_TAGS):
                if element.value not in (None, "") and element.tag not in header:
                    header.add(element)
        if all(keyword in header for keyword in _SCANNER_TAGS[1:4]):
            break
    return header


def _read(path: Path, keywords: Sequence[str]) -> Header:
    """Return some attributes of a file; none where it cannot be read (its study's problems say why)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values that break the rules of their type are bounded by `_short`
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
            header.decode()
            return Header({element.tag: element for element in header})
    except Exception:  # pydicom raises many unrelated types on damaged files
        return Header()


def _text(header: Header, keyword: str) -> str | None:
    return _short(str(header.get(keyword) or "")) or None


def _short(text: str) -> str:
    """Return a text of a header on one line and of bounded length."""
    printable = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * _TEXT_LIMIT])
    return " ".join(printable.split())[:_TEXT_LIMIT]


def _tesla(header: Header) -> float | None:
    """Return Magnetic Field Strength in tesla; some scanners write gauss."""
    try:
        value = float(header.get("MagneticFieldStrength"))
    except (TypeError, ValueError):
        return None
    if not (math.isfinite(value) and value > 0):
        return None
    return round(value / 1e4 if value > _GAUSS else value, 4)


def _labels(study: Study) -> tuple[list[str], int]:
    """Return the labels of all segments, and how many segmentations could not be read."""
    labels: list[str] = []
    unreadable = 0
    for path in (path for series in study.series if series.modality == "SEG" for path in series.paths):
        found = _segment_labels(path)
        unreadable += found is None
        labels += found or []
    return list(dict.fromkeys(labels))[:_LABEL_LIMIT], unreadable


def _segment_labels(path: Path) -> list[str] | None:
    segments = _read(path, ("SpecificCharacterSet", "SegmentSequence")).get("SegmentSequence")
    if segments is None:
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [_short(str(item.get("SegmentLabel", ""))) or "?" for item in list(segments)[:_LABEL_LIMIT]]


def _measured(static: Series | None) -> dict[str, float | None]:
    """Return the quality of the axial T2w series; None where there is none or it cannot be read."""
    try:
        found = None if static is None else image_quality(static.volume())
    except CurationError:
        found = None
    return {
        "t2w_snr": None if found is None else found.snr,
        "t2w_sharpness": None if found is None else found.sharpness,
    }


def _cells(record: dict[str, Any], quality: bool) -> tuple[str, ...]:
    counts = Counter(record["sequences"])
    sequences = ", ".join(name if n == 1 else f"{name} {BY}{n}" for name, n in counts.items())
    field = record["field_strength_t"]
    cells = (
        record["patient_id"],
        record["date"] or "",
        record["folder"],
        _short(record["error"]) if record["error"] else sequences,
        b_value_text(tuple(record["b_values"])),
        record["vendor"] or "",
        record["model"] or "",
        "" if field is None else f"{field:g}",
        ", ".join(record["masks"]),
        str(record["problems"]),
        record["split"] or "",
    )
    if not quality:
        return cells
    return (*cells, *("" if v is None else f"{v:.2f}" for v in (record.get("t2w_snr"), record.get("t2w_sharpness"))))
