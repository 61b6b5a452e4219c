"""Taking values from a source header so that what is written keeps the rules of the standard.

Headers are written by many hands: too long, with control characters, of another type than the dictionary
says. A value is made to fit its value representation (PS3.5 6.2), or left out.
"""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from pydicom.charset import convert_encodings
from pydicom.datadict import dictionary_VM, dictionary_VR, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.sequence import Sequence
from pydicom.uid import UID
from pydicom.valuerep import format_number_as_ds

from curation.reading.headers import parse_date

UNICODE = "ISO_IR 192"

_CHARACTER_SETS = frozenset(f"ISO_IR {n}" for n in (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 192))
"""Character sets of one value that are kept (PS3.3 C.12.1.1.2)."""

_LENGTHS = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240, "UT": 1 << 20}
_LONG_TEXTS = ("ST", "LT", "UT")
_MAX_VALUES = 64
_TIME = re.compile(r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?)?)?")
_DATE_TIME = re.compile(r"\d{8}(" + _TIME.pattern + r")?([+-]\d{4})?")

_ENUMERATED: dict[str, frozenset[str]] = {
    "PatientSex": frozenset({"M", "F", "O"}),
    "ScanningSequence": frozenset({"SE", "IR", "GR", "EP", "RM"}),
    "MRAcquisitionType": frozenset({"2D", "3D"}),
    "AngioFlag": frozenset({"Y", "N"}),
    "VariableFlipAngleFlag": frozenset({"Y", "N"}),
    "InPlanePhaseEncodingDirection": frozenset({"ROW", "COL"}),
    "Laterality": frozenset({"R", "L"}),
    "PatientIdentityRemoved": frozenset({"YES", "NO"}),
    "LongitudinalTemporalInformationModified": frozenset({"UNMODIFIED", "MODIFIED", "REMOVED"}),
    "DiffusionDirectionality": frozenset({"DIRECTIONAL", "BMATRIX", "ISOTROPIC", "NONE"}),
}
"""Code strings for which the standard lists all values that may occur (PS3.3)."""


def copy_clean(source: Dataset, target: Dataset, keywords: Iterable[str]) -> None:
    """Copy what is usable of these attributes.

    Parameters
    ----------
    source : Dataset
        Untrusted.
    target : Dataset
        Gets the values.
    keywords : iterable of str
        None of a sequence.
    """
    for keyword in keywords:
        value = clean(source, keyword)
        if value is not None:
            setattr(target, keyword, value)


def clean(source: Dataset, keyword: str) -> Any:
    """Return a value that may be written under this keyword; None where there is none.

    Parameters
    ----------
    source : Dataset
        Untrusted.
    keyword : str
        Of an attribute that is no sequence.

    Returns
    -------
    str, number, list or None
    """
    tag = tag_for_keyword(keyword)
    if tag is None:
        raise ValueError(f"{keyword} is no keyword of the data dictionary.")
    vr, multiple = dictionary_VR(tag), dictionary_VM(tag) != "1"
    convert = _CONVERTERS.get(vr) or (lambda text: clean_text(text, vr))
    values = [value for raw in _raw_values(source, keyword) if (value := convert(raw)) not in (None, "")]
    allowed = _ENUMERATED.get(keyword)
    if allowed is not None:
        values = [value for value in values if value in allowed]
    if not values:
        return None
    if multiple:
        return values if len(values) > 1 else values[0]
    # A backslash in a text of one value splits it; the parts belong together.
    return clean_text(" ".join(values), vr) if vr in _LENGTHS or vr == "PN" else values[0]


def clean_text(text: str, vr: str = "LO") -> str:
    """Return a text without what its value representation forbids, cut to its length.

    Parameters
    ----------
    text : str
    vr : str
        ``SH LO ST LT UT PN``.

    Returns
    -------
    str
        May be empty.
    """
    kept = "\n\r\t" if vr in _LONG_TEXTS else ""
    text = "".join(c if c.isprintable() or c in kept else " " for c in text)
    if vr == "PN":
        return _person_name(text.replace("\\", " "))
    if vr not in _LONG_TEXTS:
        text = text.replace("\\", "/")
    return text[: _LENGTHS.get(vr, 64)].strip()


def character_set(source: Dataset, datasets: Iterable[Dataset]) -> str:
    """Return the Specific Character Set to write: the source's where it holds all texts, else Unicode.

    With the source's the bytes of names are the same in both, which is what some archives compare.

    Parameters
    ----------
    source : Dataset
        Header of the source.
    datasets : iterable of Dataset
        All that is to be written.
    """
    declared = "".join(_raw_values(source, "SpecificCharacterSet"))
    if declared not in _CHARACTER_SETS:
        return UNICODE
    (encoding,) = convert_encodings(declared)
    try:
        for text in _texts(datasets):
            text.encode(encoding)
    except UnicodeEncodeError:
        return UNICODE
    return declared


def _texts(datasets: Iterable[Dataset]) -> Iterator[str]:
    for dataset in datasets:
        for element in dataset:
            if element.VR == "SQ":
                yield from _texts(element.value)
            elif element.VR in _LENGTHS or element.VR == "PN":
                yield str(element.value)


def _raw_values(source: Dataset, keyword: str) -> list[str]:
    """Return the values as text; damaged elements make pydicom raise nearly anything, and count as absent."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what pydicom warns of is mended here
            value = source.get(keyword)
        if value is None or isinstance(value, Sequence | Dataset):
            return []
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        items = list(value) if isinstance(value, MultiValue | list | tuple) else [value]
        return [str(item).strip(" \0") for item in items[:_MAX_VALUES]]
    except Exception:
        return []


def _person_name(text: str) -> str:
    """Return at most three groups of at most 64 characters and five parts each (PS3.5 6.2.1)."""
    groups = ["^".join(group.split("^")[:5])[:64].strip() for group in text.split("=")[:3]]
    return "=".join(groups).rstrip("=^ ")


def _code_string(text: str) -> str | None:
    text = text.upper()
    return text if re.fullmatch(r"[A-Z0-9_ ]{1,16}", text) else None


def _date(text: str) -> str | None:
    digits = text.replace(".", "")
    return digits if len(digits) == 8 and parse_date(digits) else None


def _time(text: str) -> str | None:
    digits = text.replace(":", "")
    return digits if _TIME.fullmatch(digits) else None


def _date_time(text: str) -> str | None:
    return text if _DATE_TIME.fullmatch(text) and parse_date(text[:8]) else None


def _age(text: str) -> str | None:
    return text if re.fullmatch(r"\d{3}[DWMY]", text) else None


def _uid(text: str) -> str | None:
    return text if UID(text).is_valid else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _decimal_string(text: str) -> str | None:
    number = _number(text)
    if number is None:
        return None
    return text if len(text) <= 16 and re.fullmatch(r"[0-9+\-.eE]+", text) else format_number_as_ds(number)


def _integer(low: int, high: int) -> Callable[[str], int | None]:
    def convert(text: str) -> int | None:
        number = _number(text)
        return int(number) if number is not None and low <= number <= high else None

    return convert


_CONVERTERS: dict[str, Callable[[str], Any]] = {
    "CS": _code_string, "DA": _date, "TM": _time, "DT": _date_time, "AS": _age, "UI": _uid,
    "DS": _decimal_string, "FD": _number, "FL": _number,
    "IS": _integer(-(2**31), 2**31 - 1), "US": _integer(0, 2**16 - 1), "UL": _integer(0, 2**32 - 1),
}  # fmt: skip
