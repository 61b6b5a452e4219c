"""NIfTI in and out: geometry, bytes, other readers, hostile files."""

from __future__ import annotations

import gzip
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from curation import Volume, read_study
from curation.errors import CurationError, DerivedError, GeometryError, MissingDataError, SourceError
from curation.errors import UnsupportedSourceError as Unsupported
from curation.nifti import POSITION_TOLERANCE_MM, read_nifti, write_nifti

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64")
AFFINE = np.array([[0.0, 0, 2, -10], [0, 2, 0, -20], [3, 0, 0, 5], [0, 0, 0, 1]])

shapes = st.tuples(*[st.integers(1, 9)] * 3)


@st.composite
def affines(draw: st.DrawFn, shear: float = 0.0) -> NDArray[Any]:
    """Any rotation, left- or right-handed, spacing 0.1 to 10 mm, offset up to 0.5 m, sheared by up to `shear`."""
    angles = [draw(st.floats(-180, 180)) for _ in range(3)]
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    spacing = [draw(st.floats(0.1, 10)) * draw(st.sampled_from([1, -1])) for _ in range(3)]
    affine = np.eye(4)
    affine[:3, :3] = rotation * spacing
    affine[:3, 0] += affine[:3, 1] * draw(st.floats(-shear, shear))
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return affine


def _volume(shape: tuple[int, int, int], affine: NDArray[Any] = AFFINE, dtype: str = "int16", seed: int = 0) -> Volume:
    values = np.random.default_rng(seed).integers(0, 100, shape)
    return Volume(values.astype(dtype), affine, "2.25.7")


@settings(deadline=None)
@given(shapes, affines(shear=0.5), st.sampled_from(DTYPES), st.integers(0, 3), st.sampled_from([".nii", ".nii.gz"]))
def test_what_is_written_is_read_back(
    shape: tuple[int, int, int], affine: NDArray[Any], dtype: str, count: int, ending: str
) -> None:
    """Values and element type exactly, places within the tolerance, for any grid; 0 volumes stands for one alone."""
    volumes = [_volume(shape, affine, dtype, k) for k in range(count)] or [_volume(shape, affine, dtype)]
    with tempfile.TemporaryDirectory() as folder:
        (path,) = write_nifti(volumes if count else volumes[0], Path(folder, f"a{ending}"))
        again = read_nifti(path, frame_of_reference_uid="2.25.7")
        axes = nibabel.load(path).header["dim"][0]
    assert axes == (4 if count else 3)
    assert len(again) == len(volumes)
    corners = np.argwhere(np.ones((2, 2, 2))) * (np.array(shape) - 1)
    for old, new in zip(volumes, again, strict=True):
        assert new.array.dtype == old.array.dtype
        assert np.array_equal(new.array, old.array)
        assert new.frame_of_reference_uid == "2.25.7"
        np.testing.assert_allclose(new.to_lps(corners), old.to_lps(corners), rtol=0, atol=POSITION_TOLERANCE_MM)


@settings(deadline=None, max_examples=50)
@given(shapes.map(lambda shape: (shape[0] + 1, shape[1] + 1, shape[2] + 1)), affines())
def test_simpleitk_finds_the_same_values_at_the_same_places(shape: tuple[int, int, int], affine: NDArray[Any]) -> None:
    """An outside reader that works in LPS agrees for any rotation, handedness and spacing."""
    volume = _volume(shape, affine)
    with tempfile.TemporaryDirectory() as folder:
        image = SimpleITK.ReadImage(str(write_nifti(volume, Path(folder, "a.nii.gz"))[0]))
    for z, y, x in np.argwhere(np.ones((2, 2, 2))) * (np.array(shape) - 1):
        place = image.TransformIndexToPhysicalPoint((int(x), int(y), int(z)))
        np.testing.assert_allclose(place, volume.to_lps((z, y, x)), rtol=0, atol=1e-3)
    assert np.array_equal(SimpleITK.GetArrayFromImage(image), volume.array)


@settings(deadline=None)
@given(affines())
def test_both_forms_are_set(affine: NDArray[Any]) -> None:
    """Scanner coordinates in both; nibabel's affine is ours to RAS, and the qform's is it but for its rounding."""
    with tempfile.TemporaryDirectory() as folder:
        image = nibabel.load(write_nifti(_volume((3, 4, 5), affine), Path(folder, "a.nii"))[0])
    assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, 1)
    expected = np.diag([-1, -1, 1, 1]) @ affine @ np.eye(4)[[2, 1, 0, 3]]
    np.testing.assert_allclose(image.affine, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(image.header.get_qform(), expected, rtol=0, atol=0.03)
    np.testing.assert_allclose(image.header.get_zooms(), np.linalg.norm(expected[:3, :3], axis=0), rtol=1e-6)


def test_shear_has_no_qform(tmp_path: Path) -> None:
    """A qform cannot say it, so its code is 0; one that moves no corner by 0.05 mm is no shear."""
    for shear, code in ((0.2, 0), (1e-3, 1)):
        affine = AFFINE.copy()
        affine[1, 0] = shear
        image = nibabel.load(write_nifti(_volume((9, 9, 9), affine), tmp_path / "a.nii")[0])
        assert (int(image.header["sform_code"]), int(image.header["qform_code"])) == (1, code)


def test_the_header_is_plain(tmp_path: Path) -> None:
    """Bytes of nifti1.h: slope 1, intercept 0, mm and seconds, data at 352, mark n+1, little-endian x fastest."""
    volume = Volume(np.arange(24, dtype=">i2").reshape(2, 3, 4), AFFINE)
    content = write_nifti(volume, tmp_path / "a.nii")[0].read_bytes()
    assert struct.unpack_from("<i", content) == (348,)
    assert struct.unpack_from("<8h", content, 40)[:4] == (3, 4, 3, 2)
    assert struct.unpack_from("<fff", content, 108) == (352, 1, 0)
    assert content[123] == 2 | 8
    assert content[344:352] == b"n+1\0\0\0\0\0"
    assert content[352:] == np.arange(24, dtype="<i2").tobytes()


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    """Whatever the name and the time; the packed file holds the plain one, and nothing else is left behind."""
    volume = _volume((4, 5, 6))
    one, two, plain = (write_nifti(volume, tmp_path / name)[0] for name in ("a.nii.gz", "b.nii.gz", "c.nii"))
    assert one.read_bytes() == two.read_bytes()
    assert one.read_bytes()[3:8] == bytes(5)  # no flags, no time: RFC 1952
    assert gzip.decompress(one.read_bytes()) == plain.read_bytes()
    assert sorted(tmp_path.iterdir()) == [one, two, plain]


def test_masks_become_bytes(tmp_path: Path) -> None:
    """Bool is written as uint8."""
    mask = np.arange(24).reshape(2, 3, 4) > 11
    (volume,) = read_nifti(write_nifti(Volume(mask, AFFINE), tmp_path / "a.nii.gz")[0])
    assert volume.array.dtype == np.uint8
    assert np.array_equal(volume.array, mask)


def test_volumes_of_one_file_fit_together(tmp_path: Path) -> None:
    """Grid, frame of reference and element type are compared; what differs is named, nothing is written."""
    first, moved = _volume((3, 4, 5)), AFFINE.copy()
    moved[0, 3] += 0.01
    other_frame = Volume(first.array, AFFINE, "2.25.8")
    for second, error, message in (
        (_volume((3, 4, 6)), GeometryError, r"volume 1 of shape \(3, 4, 6\)"),
        (_volume((3, 4, 5), moved), GeometryError, "share one grid"),
        (other_frame, GeometryError, "different Frames of Reference"),
        (_volume((3, 4, 5), dtype="uint8"), DerivedError, "volume 1 has uint8, volume 0 int16"),
    ):
        with pytest.raises(error, match=message):
            write_nifti([first, second], tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_written_is_refused(tmp_path: Path) -> None:
    """Endings, folders, element types, axes and lists that NIfTI-1 or this writer has no place for."""
    good = _volume((3, 4, 5))
    for name in ("a.img", "a", ".nii", "a.nii.bz2"):
        with pytest.raises(DerivedError, match=r"ends in \.nii"):
            write_nifti(good, tmp_path / name)
    with pytest.raises(MissingDataError, match="make it first"):
        write_nifti(good, tmp_path / "none" / "a.nii")
    for dtype in ("complex64", "float16", "U3"):
        with pytest.raises(DerivedError, match="Expected elements of type"):
            write_nifti(Volume(np.zeros((2, 2, 2), dtype), AFFINE), tmp_path / "a.nii")
    with pytest.raises(DerivedError, match="got 0"):
        write_nifti([], tmp_path / "a.nii")
    with pytest.raises(DerivedError, match="at most 32767"):
        write_nifti(Volume(np.zeros((1, 1, 32_768), np.uint8), AFFINE), tmp_path / "a.nii")
    assert list(tmp_path.iterdir()) == []


def test_gradients_in_the_convention_of_fsl(tmp_path: Path) -> None:
    """Along the image's axes; x is turned round where the affine to RAS has a positive determinant."""
    axes = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)  # LPS
    for flip, rows in ((1, ["0 -1 0 0", "0 0 1 0", "0 0 0 1"]), (-1, ["0 1 0 0", "0 0 -1 0", "0 0 0 1"])):
        affine = AFFINE.copy()
        affine[1, 1] *= flip
        image, *beside = write_nifti(
            [_volume((2, 3, 4), affine)] * 4, tmp_path / "a.nii.gz", b_values=[0.001, 50, 800, 1e4], directions=axes
        )
        assert (np.linalg.det(nibabel.load(image).affine) > 0) == (flip == 1)
        assert [path.name for path in beside] == ["a.bval", "a.bvec"]
        assert beside[0].read_text() == "0.001 50 800 10000\n"
        assert beside[1].read_text().splitlines() == rows


@pytest.mark.parametrize(
    ("gradients", "message"),
    [
        ({"b_values": [0]}, "each of 2 volumes"),
        ({"b_values": [0, -1]}, "not negative"),
        ({"b_values": [0, np.nan]}, "finite"),
        ({"b_values": ["a", "b"]}, "b-values as an array of numbers"),
        ({"directions": [[0, 0, 0], [1, 0, 0]]}, "need b-values"),
        ({"b_values": [0, 50], "directions": [[0, 0, 0], [1, 1, 0]]}, "unit vector"),
        ({"b_values": [0, 50], "directions": [[0, 0, 0], [np.nan, 0, 0]]}, "unit vector"),
        ({"b_values": [0, 50], "directions": [1, 0]}, "3 components"),
        ({"b_values": [0, 50], "directions": [[1, 0, 0], [1]]}, "directions as an array of numbers"),
    ],
)
def test_wrong_gradients_are_refused(tmp_path: Path, gradients: dict[str, Any], message: str) -> None:
    """The reason is named and nothing is written."""
    with pytest.raises(DerivedError, match=message):
        write_nifti([_volume((2, 3, 4))] * 2, tmp_path / "a.nii", **gradients)
    assert list(tmp_path.iterdir()) == []


def _plain(tmp_path: Path, **fields: Any) -> Path:
    """Write a small file whose header fields are then overwritten: name=(offset, format, value)."""
    path = write_nifti(_volume((3, 4, 5)), tmp_path / "a.nii")[0]
    content = bytearray(path.read_bytes())
    for offset, code, value in fields.values():
        struct.pack_into(f"<{code}", content, offset, value)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        ({"magic": (344, "4s", b"ni1")}, Unsupported, "pair of header and image"),
        ({"size": (0, "i", 347)}, Unsupported, "does not begin"),
        ({"axes": (40, "h", 0)}, Unsupported, "1 to 4 axes"),
        ({"x": (42, "h", 0)}, Unsupported, "1 to 4 axes"),
        ({"x": (42, "h", -5)}, Unsupported, "1 to 4 axes"),
        ({"axes": (40, "h", 5), "u": (50, "h", 2)}, Unsupported, "1 to 4 axes"),
        ({"x": (42, "h", 32767), "y": (44, "h", 32767)}, Unsupported, "at most 536870912 elements"),
        ({"x": (42, "h", 32000)}, SourceError, "cut short or lies"),
        ({"type": (70, "h", 32)}, Unsupported, "has complex64"),
        ({"type": (70, "h", 128)}, Unsupported, "Expected elements"),
        ({"type": (70, "h", 1)}, Unsupported, "elements of"),
        ({"type": (70, "h", 12345)}, Unsupported, "unknown type"),
        ({"offset": (108, "f", 1e9)}, SourceError, "Expected the data from"),
        ({"offset": (108, "f", np.nan)}, SourceError, "Expected the data from"),
        ({"offset": (108, "f", 4)}, SourceError, "Expected the data from"),
        ({"slope": (112, "f", np.inf)}, SourceError, "finite slope"),
        ({"slope": (112, "f", 2), "inter": (116, "f", np.nan)}, SourceError, "finite slope"),
        ({"units": (123, "B", 7)}, Unsupported, "unit of length"),
        ({"codes": (252, "i", 0)}, GeometryError, "not where it lies"),
        ({"affine": (280, "f", np.nan)}, GeometryError, "finite affine"),
        ({"affine": (280, "f", np.inf)}, GeometryError, "finite affine"),
        ({"affine": (292, "f", 1e30)}, GeometryError, "within 1e\\+07 mm"),
        ({"row": (280, "12s", bytes(12))}, GeometryError, "spans no volume"),
        ({"codes": (252, "i", 1), "b": (256, "f", 3)}, GeometryError, "no rotation"),
    ],
)
def test_wrong_headers_are_refused(
    tmp_path: Path, fields: dict[str, Any], error: type[Exception], message: str
) -> None:
    """Each false claim is named before any data is read."""
    with pytest.raises(error, match=message):
        read_nifti(_plain(tmp_path, **fields))


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.integers(0, 351), st.integers(0, 255)), max_size=12), st.booleans(), st.integers(0, 480))
def test_damaged_files_give_volumes_or_our_errors(changes: list[tuple[int, int]], packed: bool, cut: int) -> None:
    """Any bytes changed in the header and any end cut off: never another exception, never many elements."""
    with tempfile.TemporaryDirectory() as folder:
        path = write_nifti(_volume((3, 4, 5)), Path(folder, "a.nii"))[0]
        content = bytearray(path.read_bytes())
        for place, value in changes:
            content[place] = value
        whole = gzip.compress(content) if packed else bytes(content)
        path.write_bytes(whole[: len(whole) - (cut if cut < 240 else 0)])
        try:
            volumes = read_nifti(path)
        except CurationError:
            return
    assert 1 <= sum(volume.array.size for volume in volumes) <= 120


def test_packed_bombs_and_damage_are_stopped(tmp_path: Path) -> None:
    """A small file cannot claim more than it could hold, what follows the data is not unpacked, checksums count."""
    bomb = _plain(tmp_path, x=(42, "h", 4000), y=(44, "h", 4000), z=(46, "h", 30)).read_bytes()
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(bomb))
    with pytest.raises(SourceError, match="cut short or lies"):
        read_nifti(path)
    for shape in ((60, 70, 80), (3, 4, 5)):  # larger and smaller than what is unpacked at once
        good = write_nifti(_volume(shape), path)[0].read_bytes()
        path.write_bytes(good[:-8] + bytes(4) + good[-4:])
        with pytest.raises(SourceError, match="damaged: CRC"):
            read_nifti(path)
    path.write_bytes(gzip.compress(gzip.decompress(good) + bytes(1 << 26)))
    assert np.array_equal(read_nifti(path)[0].array, _volume((3, 4, 5)).array)
    with pytest.raises(Unsupported, match="at most 59 elements"):
        read_nifti(path, max_voxels=59)


def test_a_million_volumes_are_refused(tmp_path: Path) -> None:
    """NIfTI-2 can claim any number of one-element volumes, each of which would be an object."""
    path = tmp_path / "a.nii"
    nibabel.save(nibabel.Nifti2Image(np.zeros((1, 1, 1, 1_000_000), np.uint8), np.eye(4)), path)
    with pytest.raises(Unsupported, match="at most 32767 volumes"):
        read_nifti(path)


def test_no_file_and_no_nifti(tmp_path: Path) -> None:
    """Nothing there, a folder, an empty file and another kind of file."""
    (tmp_path / "empty.nii").touch()
    (tmp_path / "text.nii").write_text("abc" * 500)
    for name, error in (("none.nii", MissingDataError), (".", MissingDataError), ("empty.nii", Unsupported)):
        with pytest.raises(error, match="Expected a NIfTI file"):
            read_nifti(tmp_path / name)
    with pytest.raises(Unsupported, match="does not begin"):
        read_nifti(tmp_path / "text.nii")


@pytest.mark.parametrize(
    ("kind", "order", "unit"),
    [
        ("Nifti1Image", "<", "mm"),
        ("Nifti1Image", ">", "meter"),
        ("Nifti2Image", "<", "micron"),
        ("Nifti2Image", ">", "mm"),
    ],
)
def test_other_writers_files_are_read(tmp_path: Path, kind: str, order: str, unit: str) -> None:
    """Both versions and byte orders, units, header extensions, slope and intercept."""
    values = np.arange(24, dtype=f"{order}i2").reshape(4, 3, 2)  # (x, y, z)
    matrix = np.diag([2.0, 3, 4, 1])
    header = getattr(nibabel, kind.replace("Image", "Header"))(endianness=order)
    header.set_data_dtype(values.dtype)
    header.extensions.append(nibabel.nifti1.Nifti1Extension("comment", b"x" * 10_000))
    image = getattr(nibabel, kind)(values, matrix, header)
    image.header.set_xyzt_units(unit)
    image.header.set_slope_inter(0.5, -3)
    nibabel.save(image, tmp_path / "a.nii")
    (volume,) = read_nifti(tmp_path / "a.nii")
    scale = {"mm": 1.0, "meter": 1e3, "micron": 1e-3}[unit]
    np.testing.assert_allclose(volume.to_lps((1, 1, 1)), [-2 * scale, -3 * scale, 4 * scale], rtol=1e-6)
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, nibabel.load(tmp_path / "a.nii").get_fdata().T)


def _dcm2niix(folder: Path, out: Path) -> Path:
    """Convert one series with dcm2niix; returns the image."""
    command = [str(Path(sys.executable).with_name("dcm2niix")), "-z", "n", "-f", "a", "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    return out / "a.nii"


def test_dcm2niix_agrees_on_a_real_t2(real_data: Path, tmp_path: Path) -> None:
    """Its file, whose rows run the other way, holds our values at our places; ours survives the round trip."""
    study = read_study(real_data / "prostatex" / "ProstateX-0000")
    ours = next(series for series in study.series if (series.role, series.plane) == ("t2w", "axial"))
    volume = ours.volume()
    (theirs,) = read_nifti(_dcm2niix(ours.paths[0].parent, tmp_path))
    points = volume.to_lps(np.moveaxis(np.indices(volume.shape), 0, -1))
    indices = theirs.to_index(points)
    nearest = indices.round().astype(int)
    assert np.abs(indices - nearest).max() * min(volume.spacing_mm) < 1e-3
    assert np.array_equal(theirs.array[tuple(np.moveaxis(nearest, -1, 0))], volume.array)
    (again,) = read_nifti(write_nifti(volume, tmp_path / "b.nii.gz")[0])
    assert np.array_equal(again.array, volume.array)
    np.testing.assert_allclose(again.affine, volume.affine, rtol=0, atol=1e-5)


def _in_patient(directions: NDArray[Any], image: Path) -> NDArray[Any]:
    """Turn FSL's directions (3, n) into patient space (RAS), by FSL's rule and an image's affine."""
    matrix = nibabel.load(image).affine[:3, :3]
    flipped = directions * np.array([[-1.0 if np.linalg.det(matrix) > 0 else 1.0], [1], [1]])
    return np.asarray((matrix / np.linalg.norm(matrix, axis=0) @ flipped).T)


def test_dcm2niix_agrees_on_gradients(real_data: Path, tmp_path: Path) -> None:
    """Philips DWI: b-values and directions in patient space are those of the converter, though rows run apart."""
    folder = real_data / "philips_dwi"
    (series,) = read_study([path for path in folder.iterdir() if path.name.startswith("IM_")]).series
    slices = series.shape[1]
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in series.paths[::slices]]
    directions = [getattr(header, "DiffusionGradientOrientation", None) or (0, 0, 0) for header in headers]
    volumes = [series.volume(k) for k in range(series.n_volumes)]
    image, bval, bvec = write_nifti(volumes, tmp_path / "o.nii", b_values=series.b_values, directions=directions)
    theirs = _dcm2niix(folder, tmp_path)
    np.testing.assert_allclose(np.loadtxt(bval), np.loadtxt(folder / "expected.bval"))
    expected = _in_patient(np.loadtxt(folder / "expected.bvec"), theirs)
    ours = _in_patient(np.loadtxt(bvec), image)
    weighted = np.loadtxt(bval) > 1
    assert np.count_nonzero(weighted) == 12
    np.testing.assert_allclose(ours[weighted], expected[weighted], atol=1e-3)
