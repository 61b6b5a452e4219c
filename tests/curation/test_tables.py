"""Tables of studies: one row each, honest numbers, a split that leaks nothing, hostile headers."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
from pydicom.dataset import Dataset as Header

from curation.dataset import Dataset
from curation.errors import DatasetError, MissingDataError
from curation.study_table import SPLITS, split_of, table
from curation.synthetic import SyntheticStudy
from curation.tables import Table
from tests.curation.conftest import MakeSeries


@pytest.fixture(scope="module")
def folder(cohort: list[SyntheticStudy]) -> Path:
    return cohort[0].folder.parents[1]


def named(make_series: MakeSeries, place: str, patient: str, study: str, **attributes: object) -> Path:
    """Two slices of one patient in a folder of their own."""

    def change(header: Header, z: int) -> None:
        header.PatientID, header.StudyInstanceUID = patient, study
        for keyword, value in attributes.items():
            setattr(header, keyword, value)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # values that pydicom would not write for a careful person
        return make_series(2, change, place)[0].parent


def test_one_row_per_study(folder: Path) -> None:
    """Scanner, sequences, b-values and masks of each vendor's study; progress to the end."""
    steps: list[tuple[int, int]] = []
    found = table(folder, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 3), (2, 3), (3, 3)]
    records = found.records
    assert [r["patient_id"] for r in records] == [f"SYNTHETIC-0-0{k}" for k in (1, 2, 3)]
    assert [r["vendor"] for r in records] == ["Siemens", "GE", "Philips"]
    assert [r["masks"] for r in records] == [["Lesion 1"], ["Lesion 1"], []]
    expected = ["t2w sagittal", "t2w axial", "t2w coronal", "dwi axial", "adc axial", "dce axial"]
    for record in records:
        assert record["sequences"] == expected
        assert record["b_values"] == [50, 400, 800]
        assert (record["field_strength_t"], record["error"]) == (3, None)
        assert record["split"] in SPLITS
        assert (folder / record["folder"]).is_dir()
        assert "t2w_snr" not in record
    assert json.loads(json.dumps(found.to_json()))["records"] == records


def test_quality_is_measured_when_asked_for(folder: Path) -> None:
    """T2w SNR and sharpness in two more columns."""
    found = table(Dataset("demo", folder, "Demo", "1", ""), quality=True)
    assert found.columns[-2:] == ("T2w SNR", "T2w sharpness")
    for record, row in zip(found.records, found.rows, strict=True):
        assert 5 < record["t2w_snr"] < 100
        assert 0 < record["t2w_sharpness"] < 1
        assert row[-2] == f"{record['t2w_snr']:.2f}"


def test_all_studies_of_a_patient_are_in_one_split(make_series: MakeSeries, tmp_path: Path) -> None:
    """Two visits share it; patients who join later change nothing; another salt splits differently."""
    for k in range(8):
        for visit in (1, 2):
            (tmp_path / f"p{k}").mkdir(exist_ok=True)
            named(make_series, f"p{k}/v{visit}", f"P{k}", f"2.25.1{k}{visit}")
    records = table(tmp_path).records
    split = {r["patient_id"]: r["split"] for r in records}
    assert len(records) == 16
    assert all(r["split"] == split[r["patient_id"]] for r in records)
    shutil.rmtree(tmp_path / "p3")
    assert {r["patient_id"]: r["split"] for r in table(tmp_path).records}.items() <= split.items()
    assert {r["patient_id"]: r["split"] for r in table(tmp_path, salt="other").records} != split


def test_splits_have_their_proportions() -> None:
    """Of 4000 patients within 3 %; the known place of one patient never moves; blanks and case do not matter."""
    found = [split_of(f"P{k}", (0.6, 0.3, 0.1)) for k in range(4000)]
    shares = [found.count(name) / 4000 for name in SPLITS]
    assert shares == pytest.approx([0.6, 0.3, 0.1], abs=0.03)
    assert [split_of(name) for name in ("ProstateX-0000", "ProstateX-0218")] == ["train", "test"]
    assert split_of(" prostatex-0218 ") == "test"
    assert split_of("  ") is None
    assert {split_of(f"P{k}", (0, 0, 1)) for k in range(50)} == {"test"}


@pytest.mark.parametrize("proportions", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (float("nan"), 0, 1)])
def test_impossible_proportions_are_refused(tmp_path: Path, proportions: tuple[float, ...]) -> None:
    """Before anything is read."""
    with pytest.raises(DatasetError, match="three proportions"):
        table(tmp_path, proportions=proportions)


def test_uncertain_patients_get_no_split(make_series: MakeSeries, tmp_path: Path) -> None:
    """No identifier, or several in one study."""

    def mixed(header: Header, z: int) -> None:
        header.PatientID, header.StudyInstanceUID = f"P{z}", "2.25.8"

    named(make_series, "none", "", "2.25.9")
    make_series(2, mixed, "several")
    records = table(tmp_path).records
    assert [r["split"] for r in records] == [None, None]
    assert [row[-1] for row in table(tmp_path).rows] == ["", ""]


def test_hostile_headers_stay_text(make_series: MakeSeries, tmp_path: Path) -> None:
    """Markup is escaped, lines joined, lengths bounded; impossible field strengths are unknown, gauss is tesla."""
    attributes = {"Manufacturer": "<script>alert(1)</script>\r\nX" + "x" * 500, "MagneticFieldStrength": "15000"}
    named(make_series, "a", "<b>P</b>", "2.25.1", **attributes)
    named(make_series, "b", "Q", "2.25.2", MagneticFieldStrength="-3", ManufacturerModelName="M")
    found = table(tmp_path)
    first, second = found.records
    assert len(first["manufacturer"]) <= 64
    assert "\n" not in first["manufacturer"]
    assert (first["field_strength_t"], second["field_strength_t"]) == (1.5, None)
    assert second["vendor"] is None
    assert second["model"] == "M"
    html = found._repr_html_()
    assert "<script>" not in html
    assert "<b>" not in html
    assert "&lt;script&gt;" in html


def test_scattered_studies_are_one_row(make_series: MakeSeries, tmp_path: Path) -> None:
    """Files of one study on both sides of another's, and two studies in one folder."""
    for place, study in (("1", "2.25.1"), ("2", "2.25.2"), ("3", "2.25.1")):
        named(make_series, place, "P", study)
    assert [r["study_uid"] for r in table(tmp_path).records] == ["2.25.1", "2.25.2"]
    flat = tmp_path / "flat"
    flat.mkdir()
    for place in ("1", "2"):
        for path in (tmp_path / place).iterdir():
            shutil.copy(path, flat / f"{place}-{path.name}")
    assert len(table(flat).records) == 2


def test_a_damaged_segmentation_is_counted(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """Cut in its middle: the row stays, with a problem more, and no label is made up."""
    study = tmp_path / "study"
    shutil.copytree(cohort[0].folder, study)
    (seg,) = (path for path in study.rglob("*segmentation*/*") if path.is_file())
    seg.write_bytes(seg.read_bytes()[:1500])
    (record,) = table(tmp_path).records
    assert record["masks"] == []
    assert record["problems"] > table(cohort[0].folder).records[0]["problems"]


def test_no_data_is_said(tmp_path: Path) -> None:
    """No folder, and a folder without DICOM."""
    for place in (tmp_path / "none", tmp_path):
        with pytest.raises(MissingDataError):
            table(place)


def test_tables_without_values_give_their_cells() -> None:
    """Records by column; JSON; an empty table says what it was given to say."""
    plain = Table(("A", "B"), (("1", "2"),))
    assert plain.records == [{"A": "1", "B": "2"}]
    assert plain.to_json() == {"columns": ["A", "B"], "records": [{"A": "1", "B": "2"}]}
    assert Table(("A",), (), "Nothing & none")._repr_html_() == "<p>Nothing &amp; none</p>"


def test_real_studies(real_data: Path) -> None:
    """Two patients, two Siemens scanners at 3 T."""
    records = table(real_data / "prostatex").records
    assert [(r["patient_id"], r["model"], r["field_strength_t"]) for r in records] == [
        ("ProstateX-0000", "Skyra", 3),
        ("ProstateX-0218", "TrioTim", 3),
    ]
    assert records[0]["b_values"] == [50, 400, 800]
    assert records[1]["sequences"] == ["t2w axial", "dce axial"]
