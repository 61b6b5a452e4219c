"""How a result was made, kept in the result: the private block and how to read it back.

Standard attributes say that an image is derived, from what and by whom (Derivation Description, Source Image
Sequence, Contributing Equipment Sequence). None of the MR Image object holds parameters or a matrix; these are
in private elements of group 0x0077, reserved by the creator `PRIVATE_CREATOR`:

=======  ==  =====================================================================================
element  VR  content
=======  ==  =====================================================================================
xx01     UT  JSON: curation metadata as in appendix B of the ProCancer-I curation tool
xx02     LO  engine
xx03     LO  version of the engine
xx04     UI  Series Instance UIDs of the source, all
xx05     UI  Series Instance UID of the static series
xx06     UI  Series Instance UIDs of the other series that the result depends on
xx07     LO  SHA-256 of the source's SOP Instance UIDs, see `curation.derived.sources.digest`
xx08     US  number of this volume, 0 for the first
xx09     US  numbers of the source volumes that it was computed from
xx0A     FD  for each of these a 4 x 4 matrix, row by row: maps an LPS point (mm) seen in the source
             volume to where it lies in the result
xx0B     UT  JSON: list of notes
=======  ==  =====================================================================================
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.datadict import add_private_dict_entries
from pydicom.dataset import Dataset

from curation.derivation import Derivation
from curation.derived.cleaning import clean_text
from curation.derived.sources import SourceSeries, digest
from curation.errors import DerivedError, MissingDataError
from curation.geometry import Array

PRIVATE_GROUP = 0x0077
PRIVATE_CREATOR = "LIGHTBOX CURATION"

_MAX_JSON = 1 << 20

# Known to pydicom, the elements keep their types where an archive rewrites them in implicit VR or as UN.
_ELEMENTS = {
    "metadata": (0x01, "UT", "1"),
    "engine": (0x02, "LO", "1"),
    "engine_version": (0x03, "LO", "1"),
    "source": (0x04, "UI", "1-n"),
    "static": (0x05, "UI", "1"),
    "related": (0x06, "UI", "1-n"),
    "sha256": (0x07, "LO", "1"),
    "volume": (0x08, "US", "1"),
    "source_volumes": (0x09, "US", "1-n"),
    "transforms": (0x0A, "FD", "16-16n"),
    "notes": (0x0B, "UT", "1"),
}
add_private_dict_entries(
    PRIVATE_CREATOR,
    {
        PRIVATE_GROUP << 16 | 0x1000 | number: (vr, vm, f"Curation {name}", "")
        for name, (number, vr, vm) in _ELEMENTS.items()
    },
)


@dataclass(frozen=True, eq=False)
class Provenance:
    """What one file of a result says of how it was made.

    Parameters
    ----------
    function, engine, engine_version : str
        As in `curation.derivation.Derivation`.
    parameters : mapping
        The ``parameters`` object of the curation metadata.
    source_series_uids : tuple of str
        All Series Instance UIDs of the source.
    static_series_uid : str
        Empty where there was no static series.
    related_series_uids : tuple of str
        Other series that the result depends on.
    source_sha256 : str
        SHA-256 of the source's SOP Instance UIDs, as `source_digest` gives it.
    volume : int or None
        Number of the volume that the file belongs to; None in a Spatial Registration.
    source_volumes : tuple of int
        Numbers of the source volumes that it was computed from.
    transforms : ndarray, shape (len(source_volumes), 4, 4), or None
        Maps an LPS point (mm) seen in the source volume to where it lies in the result.
    notes : tuple of str
    """

    function: str
    engine: str
    engine_version: str
    parameters: Mapping[str, Any]
    source_series_uids: tuple[str, ...]
    static_series_uid: str
    related_series_uids: tuple[str, ...]
    source_sha256: str
    volume: int | None
    source_volumes: tuple[int, ...] = ()
    transforms: Array | None = None
    notes: tuple[str, ...] = ()
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def transform(self) -> Array | None:
        """The matrix of the first source volume, shape (4, 4)."""
        return None if self.transforms is None else self.transforms[0]


def curation_metadata(derivation: Derivation) -> dict[str, Any]:
    """Return the document that the ProCancer-I curation tool keeps of a result (its appendix B)."""
    meta = {"source_series_uid": derivation.source.uid}
    if derivation.static is not None:
        meta["static_series_uid"] = derivation.static.uid
    return {"curation_function": derivation.function, "meta": meta, "parameters": dict(derivation.parameters)}


def series_block(derivation: Derivation, source: SourceSeries) -> Dataset:
    """Return the private elements that all files of a result share.

    Raises
    ------
    DerivedError
        If the parameters are no JSON.
    """
    values: dict[str, Any] = {
        "metadata": _json(curation_metadata(derivation)),
        "engine": clean_text(derivation.engine),
        "engine_version": clean_text(derivation.engine_version),
        "source": list(derivation.source.uids or (derivation.source.uid,)),
        "static": derivation.static.uid if derivation.static is not None else None,
        "related": [uid for series in derivation.related for uid in series.uids or (series.uid,)],
        "sha256": digest(source.instances),
        "notes": _json(list(derivation.notes)) if derivation.notes else None,
    }
    dataset = Dataset()
    _add(dataset, values)
    return dataset


def add_volume(dataset: Dataset, volume: int, source_volumes: tuple[int, ...], transforms: Array | None) -> None:
    """Add the private elements of one volume to a dataset that holds the block of its series."""
    matrices = None if transforms is None else [float(value) for value in transforms.ravel()]
    _add(dataset, {"volume": volume, "source_volumes": list(source_volumes), "transforms": matrices})


def _add(dataset: Dataset, values: Mapping[str, Any]) -> None:
    block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    for name, value in values.items():
        if value is not None and value != []:
            number, vr, _ = _ELEMENTS[name]
            block.add_new(number, vr, value)


def _json(value: object) -> str:
    try:
        text = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise DerivedError(f"Parameters and notes must be JSON without NaN; {error}.") from error
    if len(text) > _MAX_JSON:
        raise DerivedError(f"Parameters and notes may have {_MAX_JSON} characters; these have {len(text)}.")
    return text


def read_provenance(path: str | os.PathLike[str]) -> Provenance:
    """Read how a result was made from one of its files.

    Parameters
    ----------
    path : path
        An image or the Spatial Registration that `write_derived` wrote.

    Returns
    -------
    Provenance

    Raises
    ------
    MissingDataError
        If there is no such file.
    DerivedError
        If it is no result of this package or its private elements are damaged.
    """
    file = Path(path)
    if not file.is_file():
        raise MissingDataError(f"{file} is no file. Give a file that write_derived wrote.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(file, stop_before_pixels=True)
            block = dataset.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)
            values = {name: block[number].value for name, (number, _, _) in _ELEMENTS.items() if number in block}
            return _provenance(values)
    except KeyError as error:
        text = f"{file} holds no complete block {PRIVATE_CREATOR!r}: it is no result, or its private elements are gone."
        raise DerivedError(text) from error
    except Exception as error:  # untrusted bytes make the parsers raise nearly anything
        raise DerivedError(f"{file} cannot be read as a result ({type(error).__name__}: {error}).") from error


def _provenance(values: Mapping[str, Any]) -> Provenance:
    metadata = json.loads(values["metadata"])
    volumes = tuple(int(value) for value in _several(values.get("source_volumes")))
    matrices = _several(values.get("transforms"))
    transforms = np.array(matrices, dtype=np.float64).reshape(len(volumes), 4, 4) if matrices else None
    return Provenance(
        function=str(metadata["curation_function"]),
        engine=str(values["engine"]),
        engine_version=str(values.get("engine_version", "")),
        parameters=dict(metadata["parameters"]),
        source_series_uids=tuple(map(str, _several(values["source"]))),
        static_series_uid=str(values.get("static", "")),
        related_series_uids=tuple(map(str, _several(values.get("related")))),
        source_sha256=str(values["sha256"]),
        volume=int(values["volume"]) if "volume" in values else None,
        source_volumes=volumes,
        transforms=transforms,
        notes=tuple(map(str, json.loads(values.get("notes", "[]")))),
        metadata=metadata,
    )


def _several(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if hasattr(value, "__iter__") and not isinstance(value, str) else [value]
