"""What is needed of a DICOM header to arrange images, read once and typed."""

from __future__ import annotations

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.reading.bvalues import DIFFUSION_TAGS, Direction, b_value, gradient_direction
from curation.reading.tiling import TILING_TAGS, Tiling, tiling_of
from curation.reading.values import Values, tag, tags

SOFTWARE_NAME = "Lightbox"
"""Manufacturer of what this package writes, by which results are told from source images."""

TYPE_2 = (
    "PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
    "AccessionNumber", "ReferringPhysicianName", "SeriesNumber", "Manufacturer",
)  # fmt: skip
"""Attributes of type 2 (may be empty, must be there) of every image: PS3.3 C.7.1.1, C.7.2.1, C.7.3.1, C.7.5.1."""

TYPE_2_MR = ("InstanceNumber", "SliceThickness", "EchoTime", "EchoTrainLength")
"""Those of an MR Image besides: PS3.3 C.7.6.1, C.7.6.2, C.8.3.1."""

_KEYWORDS = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID",
    "FrameOfReferenceUID", "Modality", "SeriesDescription", "ImageType", "ScanningSequence", "SequenceName",
    "RepetitionTime", "FlipAngle", "ContrastBolusAgent", "AcquisitionDate", "AcquisitionTime",
    "AcquisitionDateTime", "TriggerTime", "TemporalPositionIdentifier", "AcquisitionNumber", "Rows", "Columns",
    "NumberOfFrames", "BitsAllocated", "BitsStored", "PixelRepresentation", "SamplesPerPixel",
    "PhotometricInterpretation", "PlanarConfiguration", "PixelSpacing", "ImagePositionPatient",
    "ImageOrientationPatient", "SpacingBetweenSlices", "RescaleSlope", "RescaleIntercept", "AcquisitionMatrix",
    *TYPE_2, *TYPE_2_MR,
)  # fmt: skip

TAGS: dict[str, int] = tags(_KEYWORDS)
HEADER_TAGS: frozenset[int] = DIFFUSION_TAGS.union(TILING_TAGS, TAGS.values())
"""The attributes to read: naming them makes a scan several times as fast as reading all."""

STACK_ID = tag("StackID")

_NAMES = {number: keyword for keyword, number in TAGS.items()}
_MR_IMAGE = "1.2.840.10008.5.1.4.1.1.4"
_US_PER_DAY = 86_400_000_000


@dataclass(frozen=True, slots=True)
class PixelFormat:
    """How the pixel data of a file are stored.

    Parameters
    ----------
    syntax : str
        Transfer Syntax UID.
    offset : int
        Where the element begins in the file, in the unpacked data set where that is deflated; -1 where there
        is none.
    big_endian, explicit : bool
        How the element is encoded.
    bits_allocated, bits_stored, samples : int
    signed : bool
    photometric : str
        Photometric Interpretation.
    planar : int
        Planar Configuration.
    """

    syntax: str = ""
    offset: int = -1
    big_endian: bool = False
    explicit: bool = True
    bits_allocated: int = 16
    bits_stored: int = 16
    samples: int = 1
    signed: bool = False
    photometric: str = ""
    planar: int = 0


@dataclass(frozen=True, eq=False, slots=True)
class SliceHeader:
    """The header of one slice, or of another DICOM object.

    One for each image; the frames of a multi-frame image and the tiles of a mosaic have one each, with `frame`
    and `corner` to say which.

    Lengths are mm in LPS, `repetition_ms`, `echo_ms` and `trigger_ms` milliseconds, `acquired_us`
    microseconds since year 1 (or midnight, where the date is unknown), `b` s/mm2; `slice_distance` is Spacing
    Between Slices or else Slice Thickness; `trigger_ms` counts from a start that the scanner chose. `corner` is
    the (row, column) of a tile in its mosaic, `file_size` the (rows, columns) of the stored image, `tiling` is
    there for mosaics, `unfolded` tells a slice taken out of a file of several. `absent` and `flawed` name required
    attributes that are missing and attributes whose values break the rules of their type. None or an empty tuple
    or string means that the header has no such value.
    """

    path: Path
    study_uid: str
    series_uid: str
    instance_uid: str
    class_uid: str
    frame_of_reference_uid: str
    patient_id: str
    study_date: datetime.date | None
    modality: str
    manufacturer: str
    description: str
    series_number: int | None
    instance_number: int | None
    image_type: tuple[str, ...]
    scanning_sequence: tuple[str, ...]
    sequence_name: str
    repetition_ms: float | None
    echo_ms: float | None
    flip_degrees: float | None
    contrast_agent: str
    b: float | None
    gradient: Direction | None
    acquired_us: int | None
    trigger_ms: float | None
    temporal_position: int | None
    acquisition_number: int | None
    n_frames: int
    rows: int
    columns: int
    pixel_spacing: tuple[float, ...]
    slice_distance: float | None
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    rescale: tuple[float, float]
    format: PixelFormat
    absent: tuple[str, ...]
    flawed: tuple[str, ...]
    frame: int = 0
    unfolded: bool = False
    corner: tuple[int, int] | None = None
    file_size: tuple[int, int] = (0, 0)
    stack_id: str = ""
    tiling: Tiling | None = None

    @property
    def has_pixels(self) -> bool:
        """Whether the object is an image at all."""
        return self.rows > 0 and self.columns > 0

    @property
    def frame_bytes(self) -> int:
        """Size of one stored frame before compression."""
        rows, columns = self.file_size
        return (rows * columns * self.format.samples * self.format.bits_allocated + 7) // 8


def slice_header(values: Values, path: Path, pixel_format: PixelFormat | None = None) -> SliceHeader:
    """Take what is needed from a header.

    Parameters
    ----------
    values : Values
        With `HEADER_TAGS` or more.
    path : Path
        Where it came from.
    pixel_format : PixelFormat, optional
        Syntax, offset and encoding of the pixel data; the rest is taken from the header.

    Returns
    -------
    SliceHeader

    Raises
    ------
    ValueError
        If an identifier without which nothing can be arranged is absent or malformed.
    """
    study, series, instance = (_identifier(values, name) for name in _IDENTIFIERS)
    size = _integer(values, "Rows") or 0, _integer(values, "Columns") or 0
    class_uid = values.uid(TAGS["SOPClassUID"])
    known = {**_texts(values), **_timing(values), **_geometry(values)}
    return SliceHeader(
        **known,
        path=path,
        study_uid=study,
        series_uid=series,
        instance_uid=instance,
        class_uid=class_uid,
        b=b_value(values),
        gradient=gradient_direction(values),
        rows=size[0],
        columns=size[1],
        file_size=size,
        n_frames=max(_integer(values, "NumberOfFrames") or 1, 1),
        rescale=(_number(values, "RescaleSlope") or 1.0, _number(values, "RescaleIntercept") or 0.0),
        format=_format(values, pixel_format or PixelFormat()),
        tiling=tiling_of(values),
        absent=_absent(values, class_uid, size[0] > 0),
        flawed=_names(values.flaws),  # last: reading the values above is what finds them
    )


def _texts(values: Values) -> dict[str, Any]:
    return {
        "frame_of_reference_uid": values.uid(TAGS["FrameOfReferenceUID"]),
        "patient_id": values.text(TAGS["PatientID"]),
        "study_date": parse_date(values.text(TAGS["StudyDate"])),
        "modality": values.text(TAGS["Modality"]),
        "manufacturer": values.text(TAGS["Manufacturer"]),
        "description": values.text(TAGS["SeriesDescription"]),
        "image_type": values.texts(TAGS["ImageType"]),
        "scanning_sequence": values.texts(TAGS["ScanningSequence"]),
        "sequence_name": values.text(TAGS["SequenceName"]),
        "contrast_agent": values.text(TAGS["ContrastBolusAgent"]),
        "stack_id": values.text(STACK_ID),
    }


def _timing(values: Values) -> dict[str, Any]:
    return {
        "series_number": _integer(values, "SeriesNumber"),
        "instance_number": _integer(values, "InstanceNumber"),
        "repetition_ms": _number(values, "RepetitionTime"),
        "echo_ms": _number(values, "EchoTime"),
        "flip_degrees": _number(values, "FlipAngle"),
        "acquired_us": _acquired_us(values),
        "trigger_ms": _number(values, "TriggerTime"),
        "temporal_position": _integer(values, "TemporalPositionIdentifier"),
        "acquisition_number": _integer(values, "AcquisitionNumber"),
    }


def _geometry(values: Values) -> dict[str, Any]:
    return {
        "pixel_spacing": _numbers(values, "PixelSpacing"),
        "slice_distance": _number(values, "SpacingBetweenSlices") or _number(values, "SliceThickness"),
        "position": _numbers(values, "ImagePositionPatient"),
        "orientation": _numbers(values, "ImageOrientationPatient"),
    }


def _names(numbers: set[int]) -> tuple[str, ...]:
    return tuple(sorted(_NAMES.get(n, f"({n >> 16:04X},{n & 0xFFFF:04X})") for n in numbers))


_IDENTIFIERS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def _identifier(values: Values, keyword: str) -> str:
    found = values.uid(TAGS[keyword])
    if not found:
        raise ValueError(f"{keyword} is {'malformed' if values.has(TAGS[keyword]) else 'missing'}")
    return found


def _format(values: Values, stored: PixelFormat) -> PixelFormat:
    allocated = _integer(values, "BitsAllocated") or 0
    return PixelFormat(
        syntax=stored.syntax,
        offset=stored.offset,
        big_endian=stored.big_endian,
        explicit=stored.explicit,
        bits_allocated=allocated,
        bits_stored=_integer(values, "BitsStored") or allocated,
        samples=_integer(values, "SamplesPerPixel") or 1,
        signed=_integer(values, "PixelRepresentation") == 1,
        photometric=values.text(TAGS["PhotometricInterpretation"]),
        planar=_integer(values, "PlanarConfiguration") or 0,
    )


_TYPE_2_TAGS = tuple((TAGS[keyword], keyword) for keyword in TYPE_2)
_TYPE_2_MR_TAGS = tuple((TAGS[keyword], keyword) for keyword in TYPE_2_MR)


def _absent(values: Values, class_uid: str, image: bool) -> tuple[str, ...]:
    if not image:
        return ()
    required = (*_TYPE_2_TAGS, *_TYPE_2_MR_TAGS) if class_uid == _MR_IMAGE else _TYPE_2_TAGS
    return tuple(keyword for number, keyword in required if number not in values.raw)


def parse_date(text: str) -> datetime.date | None:
    """Read a DICOM date (``YYYYMMDD``, PS3.5 6.2); None where it is empty or no date."""
    digits = text.strip()
    if len(digits) != 8 or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return datetime.date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None


def parse_time_s(text: str) -> float | None:
    """Read a DICOM time (``HHMMSS.FFFFFF``, trailing parts optional, PS3.5 6.2) as seconds since midnight.

    None where it is empty, malformed or beyond 24 hours.
    """
    digits = text.strip().replace(":", "")
    whole, _, fraction = digits.partition(".")
    if len(whole) not in (2, 4, 6) or not (whole + fraction).isascii() or not (whole + fraction).isdigit():
        return None
    hours, minutes, seconds = (int(whole[i : i + 2] or 0) for i in (0, 2, 4))
    # 60 is a leap second.
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600 + minutes * 60 + seconds + (float(f"0.{fraction}") if fraction else 0.0)


def _acquired_us(values: Values) -> int | None:
    """Return when the data were acquired, never when the image was reconstructed (Content Time)."""
    both = values.text(TAGS["AcquisitionDateTime"]).partition("+")[0].partition("-")[0]
    day = parse_date(both[:8]) or parse_date(values.text(TAGS["AcquisitionDate"]))
    time = parse_time_s(both[8:] or values.text(TAGS["AcquisitionTime"]))
    if time is None:
        return None
    # Whole numbers: seconds since year 1 as a float would be rounded to some microseconds.
    return round(time * 1e6) + (day.toordinal() * _US_PER_DAY if day else 0)


def _numbers(values: Values, keyword: str) -> tuple[float, ...]:
    return values.numbers(TAGS[keyword])


def _number(values: Values, keyword: str) -> float | None:
    return values.number(TAGS[keyword])


def _integer(values: Values, keyword: str) -> int | None:
    return values.integer(TAGS[keyword])
