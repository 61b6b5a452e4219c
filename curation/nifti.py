"""NIfTI files in and out: the one place where axes are reordered.

Volumes are arrays [z, y, x] with an affine to LPS mm; NIfTI has (x, y, z, t), x fastest, and an affine to RAS mm
(Cox et al., NIfTI-1 data format, nifti1.h, 2007). In memory the order is the same, so values are never moved: the
affine's columns are exchanged and its x and y rows change sign.

NIfTI-1 holds the affine (sform) in float32, so positions come back within `POSITION_TOLERANCE_MM` for grids of up to
half a metre. The qform is a quaternion in float32 without its first part, which is rounded to 0.001 rad where the
rotation is near half a turn, as RAS from LPS is: readers should take the sform, as all current ones do.

Directions of diffusion gradients are written in FSL's convention, see `write_nifti`.
"""

from __future__ import annotations

import gzip
import math
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from curation import geometry
from curation.errors import DerivedError, GeometryError, MissingDataError, SourceError, UnsupportedSourceError
from curation.files import write_atomically
from curation.geometry import Array
from curation.optional import require
from curation.volume import Volume

POSITION_TOLERANCE_MM = 1e-4
QFORM_TOLERANCE_MM = 0.05
"""Grids of which shear moves a corner by more than this have no qform, which holds rotation and spacing alone."""

MAX_VOXELS = 1 << 29
MAX_VOLUMES = 32_767  # what NIfTI-1 can hold; NIfTI-2 could claim any number
_FAR_MM = 1e7  # no scanner is 10 km wide; beyond float64's range products overflow
_MAX_OFFSET = 1 << 26  # bytes of header extensions before the data
_MAX_RATIO = 1040  # deflate packs at most 1032 : 1
_CHUNK = 1 << 22
_SCANNER = 1  # NIFTI_XFORM_SCANNER_ANAT
_HEADER_BYTES = {348: "Nifti1Header", 540: "Nifti2Header"}
_BYTE_ORDERS: tuple[Literal["little", "big"], ...] = ("little", "big")
_UNIT_MM = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # unknown (taken as mm), metre, mm, micrometre
_TYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
_ORDER = np.eye(4)[[2, 1, 0, 3]]  # exchanges (z, y, x, 1) and (x, y, z, 1)
_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])  # exchanges LPS and RAS


def write_nifti(
    source: Volume | Sequence[Volume],
    path: str | Path,
    *,
    b_values: ArrayLike | None = None,
    directions: ArrayLike | None = None,
) -> list[Path]:
    """Write one volume, or several of one grid, as a NIfTI-1 file.

    Parameters
    ----------
    source : Volume or sequence of Volume
        A sequence makes a file with four axes; each of its volumes is read once. The element type is kept; bool
        becomes uint8.
    path : str or Path
        Ends in ``.nii`` or ``.nii.gz``; its folder must exist. A file already there is replaced. Equal input gives
        equal bytes.
    b_values : array_like, shape (n_volumes,), optional
        s/mm2; written beside it with the ending ``.bval``.
    directions : array_like, shape (n_volumes, 3), optional
        Directions of the diffusion gradients, unit vectors in LPS, zeros where there is none; written beside it
        with the ending ``.bvec``, as FSL has them: components along the image's own axes, the first with its sign
        changed where the affine to RAS has a positive determinant (FSL FDT user guide; the rule of dcm2niix).

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    GeometryError
        If the volumes are not of one grid and frame of reference.
    DerivedError
        If the ending, the element type, the size or the gradients cannot be written.
    MissingDataError
        If the folder does not exist.
    MissingDependencyError
        If nibabel is not installed.
    """
    place, stem = _target(Path(path))
    values, affine = _stacked(source)
    count = values.shape[0] if values.ndim == 4 else 1
    beside = _gradients(b_values, directions, count, affine)  # checked before anything is written
    header = _header(values, affine)
    content = _packed(header, values) if place.name.endswith(".gz") else b"".join((header, values.data))
    written = [write_atomically(place.with_name(stem + ending), text.encode()) for ending, text in beside.items()]
    return [write_atomically(place, content), *written]


def read_nifti(path: str | Path, *, frame_of_reference_uid: str = "", max_voxels: int = MAX_VOXELS) -> list[Volume]:
    """Read a NIfTI-1 or NIfTI-2 file, packed or not.

    Elements stay in the file's order, so the affine may be left-handed. The sform counts where both it and the
    qform are set. The element type is kept, unless the header scales values: then they are float32 (from 8 and 16 bit)
    or float64.

    Parameters
    ----------
    path : str or Path
        A single file (``n+1``), not a pair of header and image.
    frame_of_reference_uid : str
        For the volumes; NIfTI has none.
    max_voxels : int
        Refuse files that claim more elements.

    Returns
    -------
    list of Volume
        One per time point.

    Raises
    ------
    MissingDataError
        If there is no such file.
    UnsupportedSourceError
        If it is no NIfTI, is too large, or holds no real numbers.
    GeometryError
        If it does not say where it lies, or its affine is none.
    SourceError
        If it is cut short or damaged.
    MissingDependencyError
        If nibabel is not installed.
    """
    place = Path(path)
    if not place.is_file():
        raise MissingDataError(f"Expected a NIfTI file at {place}; there is none.")
    size = place.stat().st_size
    # The bytes may be any numbers, NaN and immense ones too: those of the header are checked, elements are kept.
    with place.open("rb") as raw, np.errstate(all="ignore"):
        packed = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file: Any = gzip.GzipFile(fileobj=raw) if packed else raw
        try:
            header = _read_header(file, place)
            shape, dtype = _claim(header, place, max_voxels)
            affine = _affine(header, place)
            scale = _scale(header, place)
            _check_room(header, shape, dtype, size * (_MAX_RATIO if packed else 1), place)
            values = _read_values(file, int(header["vox_offset"]), shape, dtype, place)
        except (OSError, EOFError, zlib.error) as error:
            raise SourceError(f"The NIfTI file {place} is damaged: {error}. Write or fetch it again.") from error
        values = _scaled(values, *scale)
    values.flags.writeable = False
    return [Volume(volume, affine, frame_of_reference_uid) for volume in values]


def _nibabel() -> ModuleType:
    return require("nibabel", "Reading and writing NIfTI", "curation")


def _target(path: Path) -> tuple[Path, str]:
    """Return where the file goes, and its name without the ending."""
    ending = next((ending for ending in (".nii.gz", ".nii") if path.name.endswith(ending)), "")
    stem = path.name.removesuffix(ending)
    if not ending or not stem:
        raise DerivedError(f"Expected a file name that ends in .nii or .nii.gz; got {path.name!r}.")
    if not path.parent.is_dir():
        raise MissingDataError(f"Expected the folder {path.parent} to write {path.name} in; make it first.")
    return path, stem


def _stacked(source: Volume | Sequence[Volume]) -> tuple[NDArray[Any], Array]:
    """Return values of shape (z, y, x) or (n, z, y, x), little-endian and in memory order, and their affine."""
    count = 1 if isinstance(source, Volume) else len(source)
    if not 1 <= count <= MAX_VOLUMES:
        raise DerivedError(f"Expected 1 to {MAX_VOLUMES} volumes for a NIfTI file; got {count}.")
    first = source if isinstance(source, Volume) else source[0]
    if max(first.shape) > MAX_VOLUMES:
        raise DerivedError(f"NIfTI-1 holds at most {MAX_VOLUMES} elements along an axis; got shape {first.shape}.")
    dtype = np.dtype(np.uint8) if first.array.dtype == bool else first.array.dtype
    if dtype.name not in _TYPES:
        raise DerivedError(f"Expected elements of type bool or {', '.join(_TYPES)}; got {first.array.dtype}.")
    values = np.empty((count, *first.shape), dtype=dtype.newbyteorder("<"))
    for k in range(count):
        volume = first if k == 0 or isinstance(source, Volume) else source[k]
        _check_fits(volume, first, k)
        values[k] = volume.array
    return values[0] if isinstance(source, Volume) else values, first.affine


def _check_fits(volume: Volume, first: Volume, k: int) -> None:
    """Raise unless a volume can be in one file with the first."""
    if volume.shape != first.shape or _apart_mm(volume.affine, first.affine, first.shape) > POSITION_TOLERANCE_MM:
        raise GeometryError(
            f"The volumes of a NIfTI file share one grid; volume {k} of shape {volume.shape} has another one "
            f"than volume 0 of shape {first.shape}. Resample it first, or write it to a file of its own."
        )
    uids = volume.frame_of_reference_uid, first.frame_of_reference_uid
    if all(uids) and uids[0] != uids[1]:
        raise GeometryError(f"Volumes 0 and {k} have different Frames of Reference and cannot share a NIfTI file.")
    if volume.array.dtype != first.array.dtype:
        raise DerivedError(
            f"The volumes of a NIfTI file share one element type; volume {k} has {volume.array.dtype}, "
            f"volume 0 {first.array.dtype}. Convert it first."
        )


def _apart_mm(affine: Array, other: Array, shape: tuple[int, ...]) -> float:
    """Return the largest distance between where two affines put a corner of a grid."""
    corners = np.stack(np.meshgrid(*[(0, count - 1) for count in shape], indexing="ij"), axis=-1)
    apart = geometry.apply_affine(affine, corners) - geometry.apply_affine(other, corners)
    return float(np.linalg.norm(apart, axis=-1).max())


def _to_nifti(affine: Array) -> Array:
    """Return the affine of NIfTI, (x, y, z, 1) to RAS, for one of ours, or the reverse: it is its own inverse."""
    return _RAS @ affine @ _ORDER


def _header(values: NDArray[Any], affine: Array) -> bytes:
    header = _nibabel().Nifti1Header(endianness="<")
    header.set_data_dtype(values.dtype)
    header.set_data_shape(values.shape[::-1])
    matrix = _to_nifti(affine)
    header.set_qform(matrix, _SCANNER, strip_shears=True)  # sets the spacing too
    straight = matrix.copy()
    straight[:3, :3] = _rotation(matrix) * np.linalg.norm(matrix[:3, :3], axis=0)
    if _apart_mm(straight, matrix, values.shape[::-1][:3]) > QFORM_TOLERANCE_MM:
        header["qform_code"] = 0
    header.set_sform(matrix, _SCANNER)
    header.set_xyzt_units("mm", "sec")
    header["vox_offset"], header["scl_slope"], header["scl_inter"] = 352, 1, 0
    return bytes(header.binaryblock) + bytes(4)  # no extensions


def _packed(header: bytes, values: NDArray[Any]) -> bytes:
    """Pack with gzip; the header of that format gets no time and no name, so that equal input gives equal bytes."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)  # level 6 takes 8 times as long for 11 % less
    return b"".join((packer.compress(header), packer.compress(values.data), packer.flush()))


def _gradients(b_values: ArrayLike | None, directions: ArrayLike | None, count: int, affine: Array) -> dict[str, str]:
    """Return the text of the files beside the image, by ending."""
    if b_values is None:
        if directions is not None:
            raise DerivedError("Directions of diffusion gradients need b-values; give both or none.")
        return {}
    b = _numbers(b_values, "b-values")
    if b.shape != (count,) or not np.isfinite(b).all() or (b < 0).any():
        raise DerivedError(f"Expected one b-value, finite and not negative, for each of {count} volumes; got {b}.")
    files = {".bval": " ".join(f"{value:.10g}" for value in b) + "\n"}
    if directions is not None:
        components = _fsl_directions(_numbers(directions, "directions"), count, affine)
        files[".bvec"] = "".join(" ".join(f"{value:.8g}" for value in row) + "\n" for row in components.T)
    return files


def _numbers(values: ArrayLike, name: str) -> Array:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DerivedError(f"Expected {name} as an array of numbers: {error}.") from error


def _fsl_directions(directions: Array, count: int, affine: Array) -> Array:
    """Return directions (n, 3) in LPS as components in FSL's convention."""
    lengths = np.linalg.norm(directions, axis=-1) if directions.shape == (count, 3) else np.full(count, np.nan)
    if not ((lengths == 0) | (np.abs(lengths - 1) < 0.01)).all():
        raise DerivedError(
            f"Expected a direction of 3 components, a unit vector in LPS or zeros, for each of {count} volumes; "
            f"got an array of shape {directions.shape} with lengths {lengths}."
        )
    matrix = _to_nifti(affine)
    components = directions @ _RAS[:3, :3] @ _rotation(matrix)
    if np.linalg.det(matrix) > 0:
        components[:, 0] *= -1
    return np.asarray(components + 0.0)  # no negative zeros


def _rotation(matrix: Array) -> Array:
    """Return the orthogonal matrix nearest to the directions of an affine's axes, (3, 3)."""
    directions = matrix[:3, :3] / np.linalg.norm(matrix[:3, :3], axis=0)
    u, _, vt = np.linalg.svd(directions)
    return np.asarray(u @ vt)


def _read_header(file: IO[bytes], place: Path) -> Any:
    """Parse the header of either version and byte order; nothing of it is believed yet."""
    start = file.read(max(_HEADER_BYTES))
    sizes = {int.from_bytes(start[:4], order) for order in _BYTE_ORDERS}
    size = next((size for size in _HEADER_BYTES if size in sizes and len(start) >= size), None)
    if size is None:
        raise UnsupportedSourceError(f"Expected a NIfTI file; {place} does not begin with the header of one.")
    header = getattr(_nibabel(), _HEADER_BYTES[size])(start[:size], check=False)
    magic = bytes(header["magic"].item())[:3]
    if magic not in (b"n+1", b"n+2"):
        raise UnsupportedSourceError(
            f"Expected a single NIfTI file, with the mark n+1 or n+2; {place} has {magic!r}. "
            "Convert a pair of header and image to one file."
        )
    return header


def _claim(header: Any, place: Path, most: int) -> tuple[tuple[int, int, int, int], np.dtype[Any]]:
    """Return shape (n, z, y, x) and element type that the header claims, after checking that they can be read."""
    axes = int(header["dim"][0])
    sizes = [int(size) for size in header["dim"][1 : axes + 1]] if 1 <= axes <= 7 else []
    x, y, z, count, *others = [*sizes, 1, 1, 1, 1] if len(sizes) < 4 else sizes
    if not sizes or min(sizes) < 1 or any(other != 1 for other in others):
        raise UnsupportedSourceError(
            f"Expected a NIfTI file of 1 to 4 axes; {place} has the dimensions {header['dim']}."
        )
    if math.prod(sizes) > most or count > MAX_VOLUMES:
        raise UnsupportedSourceError(
            f"Expected at most {most} elements in at most {MAX_VOLUMES} volumes; {place} claims {sizes}."
        )
    try:
        dtype = np.dtype(header.get_data_dtype())
    except (KeyError, _nibabel().spatialimages.HeaderDataError) as error:
        raise UnsupportedSourceError(f"{place} has elements of an unknown type, {header['datatype']}.") from error
    if dtype.name not in _TYPES:
        raise UnsupportedSourceError(f"Expected elements of type {', '.join(_TYPES)}; {place} has {dtype}.")
    return (count, z, y, x), dtype


def _affine(header: Any, place: Path) -> Array:
    unit = _UNIT_MM.get(int(header["xyzt_units"]) & 7)
    if unit is None:
        raise UnsupportedSourceError(f"Expected a unit of length; {place} has the code {header['xyzt_units']}.")
    if int(header["sform_code"]) <= 0 and int(header["qform_code"]) <= 0:
        raise GeometryError(f"{place} says not where it lies: expected a sform or a qform with a code above 0.")
    try:
        matrix = header.get_sform() if int(header["sform_code"]) > 0 else header.get_qform()
    except (ValueError, _nibabel().spatialimages.HeaderDataError) as error:
        raise GeometryError(f"The qform of {place} is no rotation: {error}.") from error
    if not np.abs(matrix).max() < _FAR_MM / max(unit, 1.0):  # also true of NaN
        raise GeometryError(f"Expected a finite affine within {_FAR_MM:g} mm; {place} has\n{matrix}")
    scaled = geometry.check_affine(matrix)
    scaled[:3] *= unit
    return geometry.check_affine(_to_nifti(scaled))


def _scale(header: Any, place: Path) -> tuple[float, float]:
    """Return slope and intercept; a slope of 0 or NaN means none (nifti1.h)."""
    slope, inter = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 0 or math.isnan(slope):
        return 1.0, 0.0
    if not abs(slope) < 1e30 or not abs(inter) < 1e30:
        raise SourceError(f"Expected a finite slope and intercept; {place} has {slope} and {inter}.")
    return slope, inter


def _check_room(header: Any, shape: tuple[int, ...], dtype: np.dtype[Any], room: int, place: Path) -> None:
    """Raise if the file cannot hold what it claims, before memory is asked for."""
    offset = float(header["vox_offset"])
    least = int(header["sizeof_hdr"])
    if not least <= offset <= _MAX_OFFSET or offset != int(offset):
        raise SourceError(f"Expected the data from byte {least} to {_MAX_OFFSET} on; {place} has it at {offset}.")
    needed = int(offset) + math.prod(shape) * dtype.itemsize
    if needed > room:
        raise SourceError(f"{place} is cut short or lies: it claims {needed} bytes and can hold at most {room}.")


def _read_values(
    file: IO[bytes], offset: int, shape: tuple[int, ...], dtype: np.dtype[Any], place: Path
) -> NDArray[Any]:
    """Read exactly what was claimed; what follows stays unread."""
    file.seek(offset)
    values = np.empty(shape, dtype=dtype)
    view = memoryview(values.reshape(-1).view(np.uint8).data)
    done = 0
    while done < len(view):
        part = file.readinto(view[done : done + _CHUNK])  # type: ignore[attr-defined]
        if not part:
            raise SourceError(f"{place} is cut short: expected {len(view)} bytes of data; got {done}.")
        done += part
    file.read(1)  # at the end of a packed file its checksum is compared
    return values.astype(dtype.newbyteorder("="), copy=False)


def _scaled(values: NDArray[Any], slope: float, inter: float) -> NDArray[Any]:
    if (slope, inter) == (1.0, 0.0):
        return values
    dtype = np.float32 if values.dtype.itemsize <= 2 else np.float64
    return np.asarray(values * dtype(slope) + dtype(inter), dtype=dtype)
