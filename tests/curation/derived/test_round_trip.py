"""What is written is read back: values, place, b-values, times, role and frame of reference."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest

from curation import Series, Study, Volume, read_study
from curation.derivation import Derivation
from curation.derived import read_provenance, write_derived
from curation.synthetic import SyntheticStudy
from tests.curation.conformance import errors_of
from tests.curation.conftest import MakeSeries
from tests.curation.derived.results import Lazy, adc, coregistered, motion_corrected, step_of


@pytest.fixture(scope="module", params=["siemens", "ge", "philips"])
def study(request: pytest.FixtureRequest, cohort: list[SyntheticStudy]) -> Study:
    """A synthetic study of each vendor."""
    return read_study(cohort[("siemens", "ge", "philips").index(request.param)].folder)


def written(derivation: Derivation, folder: Path) -> tuple[Series, Study]:
    """Write a result and read the folder."""
    write_derived(derivation, folder)
    study = read_study(folder)
    return next(s for s in study.series if s.modality == "MR"), study


def check_equal(derivation: Derivation, again: Series) -> None:
    """Compare a result with what was read."""
    volumes = [derivation.volumes[k] for k in range(len(derivation.volumes))]
    step = step_of([volume.array for volume in volumes])
    assert again.n_volumes == len(volumes)
    corners = np.array([(0, 0, 0), [n - 1 for n in volumes[0].shape]])
    for k, volume in enumerate(volumes):
        found = again.volume(k)
        assert np.abs(found.to_lps(corners) - volume.to_lps(corners)).max() < 1e-6
        assert np.abs(found.array - volume.array).max() <= step * 0.51 + 1e-6 * np.abs(volume.array).max()
        assert found.frame_of_reference_uid == volume.frame_of_reference_uid
    assert (again.role, again.b_values, again.curation_result) == (derivation.role, derivation.b_values, True)
    assert again.problems == ()


def strip(folder: Path) -> None:
    """Remove what de-identification removes: texts and private elements."""
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.remove_private_tags()
        for keyword in ("SeriesDescription", "ProtocolName", "DerivationDescription", "SequenceName"):
            dataset.pop(keyword, None)
        dataset.save_as(path)


def test_motion_corrected_diffusion(study: Study, tmp_path: Path) -> None:
    """A corrected diffusion series is read as one; its volumes were computed once each."""
    series = study.with_role("dwi")[0]
    derivation = motion_corrected(series)
    again, whole = written(derivation, tmp_path)
    assert isinstance(derivation.volumes, Lazy)
    assert derivation.volumes.reads == list(range(series.n_volumes))
    check_equal(derivation, again)
    assert again.acquisition_times_s == pytest.approx(series.acquisition_times_s)
    assert again.frame_of_reference_uid == series.frame_of_reference_uid
    assert not set(again.uids) & set(series.uids)
    assert (whole.uid, whole.patient_id, whole.default_static) == (study.uid, study.patient_id, None)


def test_motion_corrected_dynamic(study: Study, tmp_path: Path) -> None:
    """A dynamic series of one or many DICOM series becomes one series with the times of the source."""
    series = study.with_role("dce")[0]
    derivation = motion_corrected(series)
    again, _ = written(derivation, tmp_path)
    check_equal(derivation, again)
    assert series.acquisition_times_s is not None
    assert again.acquisition_times_s == pytest.approx(series.acquisition_times_s, abs=1e-6)
    found = read_provenance(again.paths[-1])
    assert found.source_series_uids == series.uids
    assert found.volume == series.n_volumes - 1


def test_coregistered(study: Study, tmp_path: Path) -> None:
    """On the grid of the static series; it is not taken for a T2w series itself."""
    series, static = study.with_role("dwi")[0], study.default_static
    assert static is not None
    derivation = coregistered(series, static)
    again, _ = written(derivation, tmp_path)
    check_equal(derivation, again)
    assert again.shape[1:] == static.shape[1:]
    assert again.frame_of_reference_uid == static.frame_of_reference_uid


def test_coregistered_t2w_is_no_static(study: Study, tmp_path: Path) -> None:
    """Of a study that holds a result of its T2w series the original stays the static one."""
    static = study.default_static
    assert static is not None
    shutil.copytree(static.paths[0].parent, tmp_path / "source")
    write_derived(motion_corrected(static), tmp_path / "results")
    whole = read_study(tmp_path)
    assert [s.curation_result for s in whole.with_role("t2w")] == [False, True]
    assert whole.default_static is whole.with_role("t2w")[0]


def test_adc_map(study: Study, tmp_path: Path) -> None:
    """A map is read as one, without b-values, and its unit is in the header."""
    derivation = adc(study.with_role("dwi")[0])
    again, _ = written(derivation, tmp_path)
    check_equal(derivation, again)
    header = pydicom.dcmread(again.paths[0])
    (mapping,) = header.RealWorldValueMappingSequence
    assert mapping.MeasurementUnitsCodeSequence[0].CodeValue == "um2/s"
    assert mapping.QuantityDefinitionSequence[0].ConceptCodeSequence[0].CodeValue == "113041"
    stored = header.pixel_array.astype(float)
    real = stored * mapping.RealWorldValueSlope + mapping.RealWorldValueIntercept
    assert np.allclose(real, again.volume().array[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["dwi", "dce", "adc"])
def test_role_survives_deidentification(study: Study, tmp_path: Path, kind: str) -> None:
    """Without descriptions, sequence names and private elements the role is the same."""
    series = study.with_role("dce" if kind == "dce" else "dwi")[0]
    volumes = [series.volume(k) for k in range(series.n_volumes)]
    derivation = adc(series) if kind == "adc" else motion_corrected(series, volumes=volumes, transforms=None)
    write_derived(derivation, tmp_path)
    strip(tmp_path)
    again = next(s for s in read_study(tmp_path).series if s.modality == "MR")
    assert (again.role, again.b_values, again.n_volumes) == (
        derivation.role, derivation.b_values, len(derivation.volumes),
    )  # fmt: skip


def test_vendor_maps_keep_their_role(study: Study, tmp_path: Path) -> None:
    """A moved vendor ADC map is an ADC map, whole numbers are stored as they are."""
    series = study.with_role("adc")[0]
    source = series.volume(0)
    moved = Volume(np.roll(source.array, 2, axis=2), source.affine, source.frame_of_reference_uid)
    again, _ = written(motion_corrected(series, volumes=[moved]), tmp_path)
    assert again.role == "adc"
    assert np.array_equal(again.volume(0).array, moved.array)
    assert str(pydicom.dcmread(again.paths[0]).RescaleSlope) == "1"


@pytest.mark.parametrize("name", ["philips_dwi", "ge_dwi"])
def test_real_diffusion(real_data: Path, tmp_path: Path, name: str) -> None:
    """Fractional and private b-values, repeated ones, directions and values are read back."""
    series = next(s for s in read_study(real_data / name).series if s.role == "dwi")
    volumes = [series.volume(k) for k in range(series.n_volumes)]
    again, _ = written(motion_corrected(series, volumes=volumes, transforms=None), tmp_path)
    assert again.b_values == series.b_values
    for k, volume in enumerate(volumes):
        found = again.volume(k)
        assert np.abs(found.affine - volume.affine).max() < 1e-6
        assert np.abs(found.array - volume.array).max() <= step_of([v.array for v in volumes]) * 0.51


def test_times_that_only_the_trigger_tells(make_series: MakeSeries, tmp_path: Path) -> None:
    """Without a time of the day the time from the trigger is kept; with one it becomes one."""

    def change(dataset: pydicom.Dataset, number: int) -> None:
        k, z = divmod(number, 3)
        dataset.ImagePositionPatient = [-10, -20, 3 * z]
        dataset.TriggerTime = 7500 * k
        dataset.ScanningSequence, dataset.RepetitionTime, dataset.EchoTime, dataset.FlipAngle = "GR", 4, 1.5, 12
        if folder == "unknown":
            del dataset.AcquisitionTime, dataset.AcquisitionDate

    for folder in ("unknown", "known"):
        series = read_study(make_series(9, change, folder)).series[0]
        assert (series.role, series.acquisition_times_s) == ("dce", (0.0, 7.5, 15.0))
        again, _ = written(motion_corrected(series), tmp_path / f"{folder} result")
        assert (again.role, again.acquisition_times_s) == ("dce", (0.0, 7.5, 15.0))
        assert ("AcquisitionTime" in pydicom.dcmread(again.paths[0])) == (folder == "known")


def test_a_result_of_a_result_names_the_scanner(make_series: MakeSeries, tmp_path: Path) -> None:
    """Who contributed stays named over several steps."""

    def made_by(dataset: pydicom.Dataset, _: int) -> None:
        dataset.Manufacturer = "ACME"

    first, _ = written(motion_corrected(read_study(make_series(3, made_by)).series[0]), tmp_path / "1")
    second, _ = written(motion_corrected(first, engine="dipy", engine_version="1.12"), tmp_path / "2")
    contributors = pydicom.dcmread(second.paths[0]).ContributingEquipmentSequence
    assert [item.Manufacturer for item in contributors] == ["ACME", "Lightbox", "Lightbox"]
    assert [item.ManufacturerModelName for item in contributors[1:]] == ["lightbox", "dipy"]
    assert errors_of(second.paths[0]) == []
