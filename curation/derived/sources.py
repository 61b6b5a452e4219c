"""What the files say that a derived series was computed from."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from curation.derived.functional_groups import frame_header, is_multi_frame
from curation.errors import DerivedError, MissingDataError
from curation.reading.dicom_io import scan
from curation.reading.headers import SliceHeader
from curation.reading.stacking import arrange
from curation.series import Series


@dataclass(frozen=True)
class Instance:
    """One file: which object it is."""

    sop_class_uid: str
    uid: str
    series_uid: str
    study_uid: str


@dataclass(frozen=True, eq=False)
class SourceVolume:
    """One volume of a source.

    Parameters
    ----------
    instances : tuple of Instance
        Its files.
    header : Dataset
        That of its first slice, in the terms of a classic image.
    acquired_us : int or None
        When it began: microseconds since year 1, or midnight where the date is unknown; None where a slice does
        not say.
    gradient : tuple of float or None
        Direction of the diffusion gradient, LPS, from where the vendor keeps it.
    """

    instances: tuple[Instance, ...]
    header: Dataset
    acquired_us: int | None
    gradient: tuple[float, float, float] | None


@dataclass(frozen=True, eq=False)
class SourceSeries:
    """A series, volume by volume."""

    series: Series
    volumes: tuple[SourceVolume, ...]

    @property
    def header(self) -> Dataset:
        """The header of the first file."""
        return self.volumes[0].header

    @property
    def study_uid(self) -> str:
        """Study Instance UID, as the source has it."""
        return self.volumes[0].instances[0].study_uid

    @property
    def instances(self) -> tuple[Instance, ...]:
        """All files, each once, volume by volume."""
        return tuple(dict.fromkeys(instance for volume in self.volumes for instance in volume.instances))


def read_source(series: Series) -> SourceSeries:
    """Read the headers of a series.

    Parameters
    ----------
    series : Series

    Returns
    -------
    SourceSeries

    Raises
    ------
    DerivedError
        If the series has no volumes or no files, or a header cannot be read.
    MissingDataError
        If a file is gone.
    """
    name = series.description or series.uid
    if not series.n_volumes or not series.paths:
        raise DerivedError(f"Series {name!r} has no volumes or no files; what is derived must name its source images.")
    return SourceSeries(series, tuple(_volume(slices) for slices in _slices_by_volume(series)))


def _volume(slices: Sequence[SliceHeader]) -> SourceVolume:
    times = [header.acquired_us for header in slices]
    known = [time for time in times if time is not None]
    return SourceVolume(
        instances=tuple(dict.fromkeys(_instance(header) for header in slices)),
        header=_full_header(slices[0]),
        acquired_us=min(known) if len(known) == len(times) else None,
        gradient=slices[0].gradient,
    )


def _instance(header: SliceHeader) -> Instance:
    return Instance(header.class_uid, header.instance_uid, header.series_uid, header.study_uid)


def source_digest(series: Series) -> str:
    """Return the SHA-256 of the SOP Instance UIDs of a series, in order of volumes and slices.

    Parameters
    ----------
    series : Series

    Returns
    -------
    str
        64 hexadecimal digits; what `Provenance.source_sha256` holds for results of the same files.
    """
    return digest(read_source(series).instances)


def digest(instances: Sequence[Instance]) -> str:
    """Return the SHA-256 of SOP Instance UIDs, one per line, as 64 hexadecimal digits."""
    return sha256("".join(f"{instance.uid}\n" for instance in instances).encode()).hexdigest()


def _slices_by_volume(series: Series) -> list[list[SliceHeader]]:
    """Return the headers of each volume, in the order of its files."""
    gone = next((path for path in series.paths if not path.is_file()), None)
    if gone is not None:
        raise MissingDataError(f"{gone}, an image that the result was computed from, is no longer there.")
    paths = list(dict.fromkeys(series.paths))
    by_path: dict[Path, list[SliceHeader]] = {}
    found = scan(paths)
    for header in found.headers:
        by_path.setdefault(header.path, []).append(header)
    lost = [path for path in paths if path not in by_path]
    if lost:
        reason = next((str(problem) for problem in found.problems if lost[0] in problem.paths), "")
        raise DerivedError(f"{lost[0]} has changed since the study was read. {reason} Read the study again.")
    count = series.n_volumes
    if len(paths) % count == 0:
        size = len(paths) // count
        return [[h for path in paths[k * size : (k + 1) * size] for h in by_path[path]] for k in range(count)]
    # Files that hold several volumes are arranged as they were when the series was read; a file may also hold maps
    # beside what they were computed from.
    kinds: dict[tuple[str, ...], list[SliceHeader]] = {}
    for header in found.headers:
        kinds.setdefault(header.image_type, []).append(header)
    for members in (list(found.headers), *kinds.values()):
        stacks = arrange(members).stacks
        if len(stacks) == count and len(stacks[0].headers) == series.shape[1]:
            return [list(stack.headers) for stack in stacks]
    return [list(found.headers)] * count


def _full_header(header: SliceHeader) -> Dataset:
    """Return all attributes of a slice."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # values are checked where they are taken over
            dataset = pydicom.dcmread(header.path, stop_before_pixels=True)
            return frame_header(dataset, header.frame) if is_multi_frame(dataset) else dataset
    except Exception as error:  # a damaged header makes pydicom raise nearly anything
        reason = f"{type(error).__name__}: {error}"
        raise DerivedError(f"{header.path} has a header that cannot be read ({reason}).") from error
