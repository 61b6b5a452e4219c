"""Other readers: agreement where they are right, on points of the patient; exceptions by name where they are wrong."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from curation import Series, Volume, read_study

Values = NDArray[np.float64]
SLICES = 19


def some_points(volume: Volume) -> tuple[Values, Values]:
    """Return 300 points on elements of a volume, LPS mm, and the values there."""
    rng = np.random.default_rng(0)
    indices = np.stack([rng.integers(0, n, 300) for n in volume.shape], axis=-1)
    return volume.to_lps(indices), volume.array[tuple(indices.T)].astype(np.float64)


def link_files(paths: tuple[Path, ...], folder: Path) -> Path:
    """Copy the files of one series to a folder of their own, as other readers want them."""
    folder.mkdir()
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / f"{number:04d}.dcm")
    return folder


def simpleitk(folder: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    reader.SetOutputPixelType(SimpleITK.sitkFloat32)  # without it the first slice decides, and others overflow
    return reader.Execute()


def simpleitk_values(image: SimpleITK.Image, points: Values) -> Values:
    return np.array([image.GetPixel(image.TransformPhysicalPointToIndex(point)) for point in points.tolist()])


def niftis(folder: Path) -> list[Any]:
    """Return the images that dcm2niix makes of a folder."""
    out = folder.with_name(folder.name + "_nifti")
    out.mkdir()
    command = [dcm2niix.bin, "-b", "n", "-p", "n", "-f", "out", "-o", out, folder]
    subprocess.run(command, check=True, capture_output=True)
    return [nibabel.load(path) for path in sorted(out.glob("*.nii"))]


def nifti_values(image: Any, points: Values, k: int = 0) -> Values:
    indices = nibabel.affines.apply_affine(np.linalg.inv(image.affine), points * (-1, -1, 1))
    assert np.abs(indices - indices.round()).max() < 0.02
    data = np.asarray(image.dataobj).reshape(*image.shape[:3], -1)
    found: Values = data[(*indices.round().astype(int).T, k)].astype(np.float64)
    return found


def regular_series(real_data: Path) -> list[Series]:
    studies = [read_study(real_data / "prostatex" / name) for name in ("ProstateX-0000", "ProstateX-0218")]
    return [series for study in studies for series in study.series if series.n_volumes == 1]


def test_single_volumes_equal_those_of_two_readers(real_data: Path, tmp_path: Path) -> None:
    """T2 in three planes, ADC, calculated b and PD: every value at the same point of the patient."""
    found = regular_series(real_data)
    assert len(found) == 7
    for number, series in enumerate(found):
        folder = link_files(series.paths, tmp_path / str(number))
        points, values = some_points(series.volume())
        assert np.array_equal(simpleitk_values(simpleitk(folder), points), values), series
        (image,) = niftis(folder)
        assert np.array_equal(nifti_values(image, points), values), series


@pytest.mark.parametrize("folder", ["prostatex/ProstateX-0000", "philips_dwi", "ge_dwi"])
def test_diffusion_series_equal_those_of_a_converter(real_data: Path, tmp_path: Path, folder: str) -> None:
    """All volumes of Siemens, Philips and GE, in the same order."""
    (series,) = read_study(real_data / folder).with_role("dwi")
    (image,) = niftis(link_files(series.paths, tmp_path / "dwi"))
    assert image.shape[3] == series.n_volumes
    for k in (0, 1, series.n_volumes - 1):
        points, values = some_points(series.volume(k))
        assert nifti_values(image, points, k) == pytest.approx(values, rel=1e-5, abs=1e-3)


@pytest.mark.parametrize("folder", ["philips_dwi", "ge_dwi"])
def test_gradient_directions_equal_those_of_a_converter(real_data: Path, tmp_path: Path, folder: str) -> None:
    """FSL's vectors along the axes of the NIfTI file, turned into LPS; GE's from the axes of the image."""
    (series,) = read_study(real_data / folder).with_role("dwi")
    (image,) = niftis(link_files(series.paths, tmp_path / "dwi"))
    expected = real_data / folder / "expected.bvec"
    vectors = np.loadtxt(expected if expected.exists() else tmp_path / "dwi_nifti" / "out.bvec")
    axes = image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0)
    # FSL turns the first axis where the axes of the image are right-handed.
    turned = vectors * [[-1 if np.linalg.det(axes) > 0 else 1], [1], [1]]
    lps = (np.diag([-1, -1, 1]) @ axes @ turned).T
    assert series.gradient_directions is not None
    assert series.b_values is not None
    compared = 0
    for b, found, other in zip(series.b_values, series.gradient_directions, lps, strict=True):
        assert (found is None) == (b == 0)
        if found is not None:
            assert found == pytest.approx(other / np.linalg.norm(other), abs=2e-5)
            compared += 1
    assert compared == {"philips_dwi": 16, "ge_dwi": 6}[folder]


def test_several_b_values_are_no_volume(real_data: Path, tmp_path: Path) -> None:
    """SimpleITK makes one volume of 57 slices of three b-values, without a word; here they are three."""
    (series,) = read_study(real_data / "prostatex" / "ProstateX-0000").with_role("dwi")
    image = simpleitk(link_files(series.paths, tmp_path / "dwi"))
    assert image.GetSize()[2] == 57
    assert series.shape[:2] == (3, SLICES)


Change = Callable[[Dataset, int], Dataset | None]


@pytest.fixture(scope="module")
def static(real_data: Path) -> Series:
    found = read_study(real_data / "prostatex" / "ProstateX-0000").default_static
    assert found is not None
    return found


def variant(static: Series, folder: Path, change: Change) -> Path:
    """Write the axial T2w series with a fault; `change` gives None for a slice to be left out."""
    folder.mkdir()
    for z, path in enumerate(static.paths):
        dataset = change(pydicom.dcmread(path), z)
        if dataset is not None:
            dataset.save_as(folder / f"{z:02d}.dcm")
    return folder


def only(folder: Path) -> Series:
    (series,) = read_study(folder).series
    return series


def blocked_by(folder: Path) -> list[str]:
    series = only(folder)
    assert series.n_volumes == 0
    return [problem.code for problem in series.problems if problem.blocking]


def test_missing_middle_slice(static: Series, tmp_path: Path) -> None:
    """Blocked; SimpleITK stretches 18 slices over the gap, dcm2niix makes two files."""
    folder = variant(static, tmp_path / "v", lambda d, z: None if z == 9 else d)
    assert blocked_by(folder) == ["missing-slices"]
    image = simpleitk(folder)
    assert (image.GetSize()[2], round(image.GetSpacing()[2], 3)) == (18, 3.176)
    assert len(niftis(folder)) == 2


def test_missing_end_slice(static: Series, tmp_path: Path) -> None:
    """The rest is right and the numbering tells; the others give 18 slices."""
    folder = variant(static, tmp_path / "v", lambda d, z: None if z == 0 else d)
    series = only(folder)
    assert series.shape[1] == simpleitk(folder).GetSize()[2] == niftis(folder)[0].shape[2] == 18
    numbers = [int(pydicom.dcmread(path).InstanceNumber) for path in static.paths]
    noted = [problem.code for problem in series.problems]
    assert noted == (["instance-number-gap"] if numbers[0] == 1 else [])


def test_copied_slice(static: Series, tmp_path: Path) -> None:
    """The copy is left out and told; SimpleITK makes 20 slices of it."""
    folder = variant(static, tmp_path / "v", lambda d, z: d)
    shutil.copy(folder / "09.dcm", folder / "copy.dcm")
    series = only(folder)
    assert np.array_equal(series.volume().array, static.volume().array)
    assert [problem.code for problem in series.problems] == ["duplicate-files"]
    assert simpleitk(folder).GetSize()[2] == 20


def test_slice_with_two_identifiers(static: Series, tmp_path: Path) -> None:
    """Blocked; SimpleITK and dcm2niix give 20 slices."""
    folder = variant(static, tmp_path / "v", lambda d, z: d)
    twin = pydicom.dcmread(folder / "09.dcm")
    twin.SOPInstanceUID = twin.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    twin.save_as(folder / "twin.dcm")
    assert blocked_by(folder) == ["duplicate-slices"]
    assert simpleitk(folder).GetSize()[2] == niftis(folder)[0].shape[2] == 20


def moved(dataset: Dataset, along: Values) -> Dataset:
    dataset.ImagePositionPatient = [f"{v:.9f}" for v in np.array(dataset.ImagePositionPatient, float) + along]
    return dataset


def test_sheared_stack(static: Series, tmp_path: Path) -> None:
    """Blocked; SimpleITK gives a box of the right angles that the data have not."""
    row = static.volume().affine[:3, 2] / static.spacing_mm[2]
    folder = variant(static, tmp_path / "v", lambda d, z: moved(d, row * z))
    assert blocked_by(folder) == ["sheared"]
    direction = np.reshape(simpleitk(folder).GetDirection(), (3, 3))
    assert direction[:, 0] @ direction[:, 2] == pytest.approx(0, abs=1e-3)


def test_jitter(static: Series, tmp_path: Path) -> None:
    """0.02 mm change nothing; dcm2niix takes the first step for all."""
    step = static.volume().affine[:3, 0] / 3.0
    folder = variant(static, tmp_path / "v", lambda d, z: moved(d, step * 0.02 * (z % 2)))
    series = only(folder)
    assert series.problems == ()
    assert series.spacing_mm[0] == pytest.approx(3.0, abs=0.002)
    assert abs(niftis(folder)[0].header.get_zooms()[2] - 3.0) > 0.015


def scaled(dataset: Dataset, z: int) -> Dataset:
    dataset.RescaleSlope, dataset.RescaleIntercept = 1 + z / 8, -z
    return dataset


def shuffled(dataset: Dataset, z: int) -> Dataset:
    dataset.InstanceNumber = (7 * z) % SLICES + 1
    return dataset


def unnamed(dataset: Dataset, z: int) -> Dataset:
    for keyword in ("SeriesDescription", "ProtocolName", "StudyDescription"):
        dataset.pop(keyword, None)
    return dataset


def test_rescale_of_each_slice(static: Series, tmp_path: Path) -> None:
    """Every slice has its own slope and intercept; dcm2niix scales all slices like one of them."""
    folder = variant(static, tmp_path / "v", scaled)
    slopes, intercepts = 1 + np.arange(SLICES) / 8, -np.arange(SLICES)
    volume = only(folder).volume()
    expected = static.volume().array * slopes[:, None, None] + intercepts[:, None, None]
    assert np.array_equal(volume.array, expected.astype(np.float32))
    points, values = some_points(volume)
    assert simpleitk_values(simpleitk(folder), points) == pytest.approx(values)
    assert np.abs(nifti_values(niftis(folder)[0], points) - values).max() > 100


@pytest.mark.parametrize("change", [shuffled, unnamed])
def test_numbers_and_names_do_not_matter(static: Series, tmp_path: Path, change: Change) -> None:
    """Order and role come from geometry and timing."""
    series = only(variant(static, tmp_path / "v", change))
    assert (series.role, series.problems) == ("t2w", ())
    assert np.array_equal(series.volume().array, static.volume().array)


@pytest.mark.parametrize(
    "name",
    ["implicit", "bigendian", "expb", "padded", "RLE", "jpeg_ls_lossless", "jp2klossless"],
)
def test_encodings_give_the_same_values(name: str) -> None:
    """One slice in every encoding for which pydicom brings a file."""
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    plain, other = (only(folder / f).volume() for f in ("MR_small.dcm", f"MR_small_{name}.dcm"))
    assert np.array_equal(plain.array[0], pydicom.dcmread(folder / "MR_small.dcm").pixel_array)
    assert np.array_equal(other.array, plain.array)
    assert np.array_equal(other.affine, plain.affine)
