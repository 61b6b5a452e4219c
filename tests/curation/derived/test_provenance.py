"""How a result was made is in the result: private block, references, registration."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.uid import ImplicitVRLittleEndian

from curation import Series, read_study
from curation.derived import read_provenance, read_registration, write_derived
from curation.derived.registration_object import matrix_type
from curation.derived.sources import source_digest
from curation.errors import DerivedError, MissingDataError
from tests.curation.conftest import MakeSeries
from tests.curation.derived.results import PARAMETERS, adc, coregistered, motion_corrected, rigid, transforms


@pytest.fixture
def pair(make_series: MakeSeries) -> tuple[Series, Series]:
    """A diffusion series with two b-values, and a static series in another frame of reference."""

    def static(dataset: pydicom.Dataset, z: int) -> None:
        dataset.FrameOfReferenceUID, dataset.SeriesNumber = "2.25.77", 2

    return diffusion(make_series), read_study(make_series(4, static, "static")).series[0]


def diffusion(make_series: MakeSeries, volumes: int = 2) -> Series:
    """Write a diffusion series of four slices per volume."""

    def change(dataset: pydicom.Dataset, number: int) -> None:
        k, z = divmod(number, 4)
        dataset.ImagePositionPatient = [-10, -20, 3 * z]
        dataset.DiffusionBValue = 800.0 * k
        dataset.DiffusionDirectionality = "DIRECTIONAL" if k else "NONE"
        dataset.DiffusionGradientOrientation = [0.6, 0.8, 0.0]
        dataset.ScanningSequence = "EP"

    return read_study(make_series(4 * volumes, change, "dwi")).series[0]


def uids_of(paths: list[Path]) -> list[str]:
    return [str(pydicom.dcmread(path).SOPInstanceUID) for path in paths]


def test_provenance_returns(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """All that a derivation says is read from any of its files."""
    series, static = pair
    derivation = coregistered(series, static, related=(static,), notes=("A note with ünïcode.",))
    paths = write_derived(derivation, tmp_path / "out")
    for number, path in enumerate(paths[:-1]):
        found = read_provenance(path)
        k = number // 4
        assert (found.function, found.engine, found.engine_version) == ("coregistration", "lightbox", "0.1.0")
        assert found.parameters == PARAMETERS
        assert (found.source_series_uids, found.static_series_uid) == (series.uids, static.uid)
        assert (found.related_series_uids, found.notes) == (static.uids, derivation.notes)
        assert (found.volume, found.source_volumes) == (k, (k,))
        assert derivation.transforms is not None
        assert np.array_equal(found.transform, derivation.transforms[k])  # type: ignore[arg-type]
        assert found.source_sha256 == source_digest(series) != source_digest(static)
    assert read_provenance(paths[-1]).volume is None
    assert read_provenance(paths[0]).metadata == {
        "curation_function": "coregistration",
        "meta": {"source_series_uid": series.uid, "static_series_uid": static.uid},
        "parameters": PARAMETERS,
    }


def test_provenance_survives_an_archive(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """Rewritten in implicit VR, where private elements lose their types, it is the same."""
    path = write_derived(motion_corrected(pair[0]), tmp_path / "out")[-2]
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    dataset.save_as(tmp_path / "implicit.dcm", implicit_vr=True, little_endian=True)
    before, after = read_provenance(path), read_provenance(tmp_path / "implicit.dcm")
    assert after.parameters == before.parameters
    assert (after.volume, after.source_volumes) == (before.volume, before.source_volumes)
    assert np.array_equal(after.transforms, before.transforms)  # type: ignore[arg-type]


def test_each_file_names_what_it_was_computed_from(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """All slices of its source volume as sources, the static series as anatomic reference; an ADC all volumes."""
    series, static = pair
    own = uids_of(list(series.paths))
    header = pydicom.dcmread(write_derived(coregistered(series, static), tmp_path)[5])
    assert [item.ReferencedSOPInstanceUID for item in header.SourceImageSequence] == own[4:]
    assert {item.SpatialLocationsPreserved for item in header.SourceImageSequence} == {"NO"}
    assert [i.ReferencedSOPInstanceUID for i in header.ReferencedImageSequence] == uids_of(list(static.paths))
    assert [item.SeriesInstanceUID for item in header.ReferencedSeriesSequence] == [series.uid, static.uid]
    assert [c.CodeValue for c in header.DerivationCodeSequence] == ["113085", "125024"]
    scanner, engine = header.ContributingEquipmentSequence
    assert (engine.ManufacturerModelName, engine.SoftwareVersions) == ("lightbox", "0.1.0")
    assert scanner.PurposeOfReferenceCodeSequence[0].CodeValue == "109101"
    header = pydicom.dcmread(write_derived(adc(series), tmp_path)[0])
    assert [item.ReferencedSOPInstanceUID for item in header.SourceImageSequence] == own
    assert {item.SpatialLocationsPreserved for item in header.SourceImageSequence} == {"YES"}
    assert [c.CodeValue for c in header.DerivationCodeSequence] == ["129105", "113041"]


def test_gradients_turn_with_the_image(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """The direction is turned by the transform of its volume; a volume without one gets none."""
    series, static = pair
    derivation = coregistered(series, static)
    paths = write_derived(derivation, tmp_path)
    first, second = (pydicom.dcmread(path) for path in (paths[0], paths[4]))
    assert "DiffusionGradientOrientation" not in first
    assert derivation.transforms is not None
    expected = derivation.transforms[1, :3, :3] @ (0.6, 0.8, 0)
    assert np.allclose(second.DiffusionGradientOrientation, expected, atol=1e-12)


def test_registration_returns(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """The matrices map the images that they name to the static series, within the digits of a decimal string."""
    series, static = pair
    derivation = coregistered(series, static)
    *images, path = write_derived(derivation, tmp_path)
    found = read_registration(path)
    assert found.frame_of_reference_uid == "2.25.77" == str(pydicom.dcmread(images[0]).FrameOfReferenceUID)
    still, *moving = found.items
    assert (still.instance_uids, still.frame_of_reference_uid) == (tuple(uids_of(list(static.paths))), "2.25.77")
    assert np.array_equal(still.transform, np.eye(4))
    own = uids_of(list(series.paths))
    assert derivation.transforms is not None
    for k, item in enumerate(moving):
        assert item.instance_uids == tuple(own[4 * k : 4 * k + 4])
        assert np.abs(item.transform - derivation.transforms[k]).max() < 1e-12
        # Volumes of one frame of reference moved differently: no matrix holds for the whole frame.
        assert (item.matrix_type, item.frame_of_reference_uid) == ("RIGID", "")


def test_registration_by_the_header(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """An identity holds for the whole frame of reference and claims no alignment by content."""
    series, static = pair
    *_, path = write_derived(coregistered(series, static, transforms=np.stack([np.eye(4)] * 2)), tmp_path)
    assert {item.frame_of_reference_uid for item in read_registration(path).items} == {"2.25.77", "2.25.2"}
    items = pydicom.dcmread(path).RegistrationSequence
    kinds = [i.MatrixRegistrationSequence[0].RegistrationTypeCodeSequence[0].CodeValue for i in items]
    assert kinds == ["125021", "125023", "125023"]


def test_kinds_of_matrices() -> None:
    """A turn and shift is rigid; growing along its own axes scales; a shear and a mirror are affine."""
    turned = rigid(30, (1, 2, 3))
    shear = np.eye(4)
    shear[0, 1] = 0.1
    assert matrix_type(turned) == "RIGID"
    assert matrix_type(turned @ np.diag([1.1, 1, 1, 1])) == "RIGID_SCALE"
    assert matrix_type(shear) == matrix_type(np.diag([-1.0, 1, 1, 1])) == "AFFINE"


def test_several_matrices_are_applied_in_order(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """What other programs split in two matrices is one map: the first is applied first."""
    *_, path = write_derived(motion_corrected(pair[0]), tmp_path)
    dataset = pydicom.dcmread(path)
    sequence = dataset.RegistrationSequence[1].MatrixRegistrationSequence[0].MatrixSequence
    second = pydicom.Dataset()
    second.FrameOfReferenceTransformationMatrixType = "AFFINE"
    second.FrameOfReferenceTransformationMatrix = [2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 5, 0, 0, 0, 1]
    sequence.append(second)
    dataset.save_as(path)
    item = read_registration(path).items[1]
    last = np.array(second.FrameOfReferenceTransformationMatrix, dtype=float).reshape(4, 4)
    assert np.allclose(item.transform, last @ transforms(2)[1], atol=1e-12)
    assert item.matrix_type == "AFFINE"


def test_files_without_provenance_are_refused(pair: tuple[Series, Series], tmp_path: Path) -> None:
    """A scanner's file, a missing one, no DICOM, and a block that was emptied or damaged."""
    series = pair[0]
    with pytest.raises(DerivedError, match="no complete block"):
        read_provenance(series.paths[0])
    with pytest.raises(DerivedError, match="no Spatial Registration"):
        read_registration(series.paths[0])
    (tmp_path / "text.dcm").write_text("not DICOM")
    for read in (read_provenance, read_registration):
        with pytest.raises(MissingDataError, match="is no file"):
            read(tmp_path / "none.dcm")
        with pytest.raises(DerivedError, match="cannot be read"):
            read(tmp_path / "text.dcm")
    path = write_derived(motion_corrected(series), tmp_path / "out")[0]
    for text, message in (("{", "cannot be read"), (json.dumps({"meta": {}}), "no complete block")):
        dataset = pydicom.dcmread(path)
        dataset.private_block(0x0077, "LIGHTBOX CURATION")[0x01].value = text
        dataset.save_as(tmp_path / "damaged.dcm")
        with pytest.raises(DerivedError, match=message):
            read_provenance(tmp_path / "damaged.dcm")
