"""Curating a study from its folder: what is written, what is found again, what is told."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from typer.testing import CliRunner

from curation import read_study
from curation.cli import app
from curation.derived import read_provenance
from curation.pipeline import followers, study_folder, to_curate
from curation.registration.parameters import curation_metadata, default_parameters
from curation.registration.results import engine_version
from curation.result_store import open_store
from curation.synthetic import SyntheticStudy
from tests.curation.conformance import errors_of

run = CliRunner().invoke


def curate(*arguments: str | Path) -> dict[str, Any]:
    done = run(app, [*map(str, arguments), "--json"])
    assert done.exit_code == 0, done.output
    content: dict[str, Any] = json.loads(done.stdout)
    return content


def files_in(folder: Path) -> dict[str, int]:
    """Return every file with the time of its last change."""
    return {str(p.relative_to(folder)): p.stat().st_mtime_ns for p in folder.rglob("*.dcm")}


@pytest.fixture(scope="module")
def curated(cohort: list[SyntheticStudy], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """The first synthetic patient, curated once."""
    out = tmp_path_factory.mktemp("curated")
    (study,) = curate("run", cohort[0].folder, "--out", out)["studies"]
    return out, study


def test_a_folder_becomes_corrected_valid_series_and_a_report(curated: tuple[Path, dict[str, Any]]) -> None:
    """Diffusion and dynamic series corrected and on T2w, ADC recomputed, the scanner's map along, all valid."""
    _, study = curated
    dwi, dce = study["series"]
    assert [(w["role"], bool(w["static_series_uid"])) for w in dwi["written"]] == [
        ("dwi", False), ("adc", False), ("dwi", True), ("adc", True), ("adc", True),
    ]  # fmt: skip
    assert [(w["role"], bool(w["static_series_uid"])) for w in dce["written"]] == [("dce", False), ("dce", True)]
    assert dwi["motion"]["displacement_mm"] == pytest.approx([0, 3.75, 3.2], abs=0.3)
    assert dwi["coregistration"]["accepted"] is False
    assert study["problems"] == dwi["problems"] == dce["problems"] == []
    for written in (*dwi["written"], *dce["written"]):
        folder = Path(written["folder"])
        assert len(list(folder.iterdir())) == written["files"]
        assert errors_of(folder / "0001.dcm") == []
    page = Path(study["report"]).read_text(encoding="utf-8")
    assert "SYNTHETIC-0-01" in page
    assert "://" not in page.replace("http://www.w3.org", "")


def test_results_read_back_and_say_where_they_come_from(
    curated: tuple[Path, dict[str, Any]], cohort: list[SyntheticStudy]
) -> None:
    """Roles, grids and provenance of what was written; results are never curated again."""
    _, content = curated
    source = read_study(cohort[0].folder)
    found = read_study(content["folder"])
    assert all(series.curation_result for series in found.series if series.modality == "MR")
    assert to_curate(found) == ()
    static = source.default_static
    assert static is not None
    on_static = [s for s in found.series if s.shape[2:] == static.shape[2:]]
    assert sorted(s.role for s in on_static) == ["adc", "adc", "dce", "dwi"]
    for series in on_static:
        np.testing.assert_allclose(series.volume().affine, static.volume().affine, atol=1e-3)
        assert series.frame_of_reference_uid == static.frame_of_reference_uid
    corrected = next(w for w in content["series"][0]["written"] if w["function"] == "motion_correction")
    provenance = read_provenance(Path(corrected["folder"]) / "0001.dcm")
    assert provenance.engine_version == engine_version("lightbox")
    assert provenance.source_series_uids == source.with_role("dwi")[0].uids


def test_a_second_run_computes_nothing_again(
    curated: tuple[Path, dict[str, Any]], cohort: list[SyntheticStudy]
) -> None:
    """The same command: the same files, untouched, said to be there; --again computes."""
    out, first = curated
    before = files_in(out)
    (second,) = curate("run", cohort[0].folder, "--out", out)["studies"]
    assert files_in(out) == before
    assert all(w["from_store"] for series in second["series"] for w in series["written"])
    assert [s["motion"]["transforms"] for s in second["series"]] == [s["motion"]["transforms"] for s in first["series"]]


def test_other_parameters_replace_and_approved_results_stay(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A file of parameters is used; the old result and what came of it go, unless approved."""
    item = cohort[1]
    source = read_study(item.folder)
    dwi = str(source.with_role("dwi")[0].number)
    (first,) = curate("motion-correct", item.folder, "--series", dwi, "--out", tmp_path)["studies"]
    (old,) = first["series"][0]["written"]
    with open_store(study_folder(tmp_path, source)) as store:
        store.approve(old["series_instance_uid"], "Rafael")
    file = tmp_path / "parameters.json"
    document = curation_metadata(
        "motion_correction",
        default_parameters("lightbox", "motion_correction"),
        source_series_uid=source.with_role("dwi")[0].uid,
        engine="lightbox",
        engine_version="0.1.0",
    )
    document["parameters"]["registration_steps"][0]["levels"][0]["level_iters"] = 5
    file.write_text(json.dumps(document))
    arguments = ("motion-correct", item.folder, "--series", dwi, "--out", tmp_path, "--parameters", file)
    (second,) = curate(*arguments)["studies"]
    (new,) = second["series"][0]["written"]
    assert new["folder"] != old["folder"]
    assert Path(old["folder"]).is_dir()
    document["parameters"]["registration_steps"][0]["levels"][0]["level_iters"] = 6
    file.write_text(json.dumps(document))
    curate(*arguments)
    assert not Path(new["folder"]).exists()
    assert Path(old["folder"]).is_dir()


def test_another_static_series_gives_another_result(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """Both stay; the second on the grid that was asked for."""
    item = cohort[2]
    source = read_study(item.folder)
    dwi, other = source.with_role("dwi")[0], source.with_role("t2w", "coronal")[0]
    arguments = ("coregister", item.folder, "--series", dwi.uid, "--out", tmp_path)
    curate(*arguments)
    (again,) = curate(*arguments, "--static", str(other.number))["studies"]
    statics = [w["static_series_uid"] for w in again["series"][0]["written"] if w["static_series_uid"]]
    assert set(statics) == {other.uid}
    with open_store(Path(again["folder"])) as store:
        assert {r.slot[2] for r in store.results if r.slot[0] == "coregistration"} == {
            other.uid,
            source.default_static.uid if source.default_static else "",
        }


def test_maps_belong_to_the_series_before_them(real_data: Path) -> None:
    """The scanner's ADC and calculated b-value of a real study follow its diffusion series."""
    study = read_study(real_data / "prostatex" / "ProstateX-0000")
    assert [s.role for s in followers(study, study.with_role("dwi")[0])] == ["adc", "calculated-b"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--series", "99"), "There is no series '99'"),
        (("--static", "2.25.1"), "There is no series '2.25.1'"),
        (("--engine", "dipy", "--refine-gland"), "Only the lightbox engine"),
        (("--static", "6"), "series 6 has 3"),
        (("--series", "1004"), "no regular volumes"),
    ],
)
def test_wrong_choices_are_explained(
    cohort: list[SyntheticStudy], tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    """Exit status 1, the reason, and what there is to choose from."""
    command = "run" if "--refine-gland" in arguments or "--static" in arguments else "motion-correct"
    done = run(app, [command, str(cohort[0].folder), "--out", str(tmp_path), *arguments, "--json"])
    assert message in done.output
    assert done.exit_code == 1


def test_a_step_that_fails_is_told_and_the_others_go_on(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A series that lies in another frame: exit status 1, the reason, and the rest is written; nothing is lost."""
    folder = tmp_path / "study"
    shutil.copytree(cohort[0].folder, folder)
    for path in (p for place in folder.iterdir() if "dwi" in place.name for p in place.iterdir()):
        dataset = pydicom.dcmread(path)
        dataset.FrameOfReferenceUID = "2.25.4711"
        dataset.save_as(path)
    done = run(app, ["run", str(folder), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 1
    (study,) = json.loads(done.stdout)["studies"]
    dwi, dce = study["series"]
    assert [problem["code"] for problem in dwi["problems"]] == ["step-failed"]
    assert "another frame of reference" in dwi["problems"][0]["message"]
    assert [w["function"] for w in dwi["written"]] == ["motion_correction", "adc"]
    assert len(dce["written"]) == 2
    shown = run(app, ["run", str(folder), "--out", str(tmp_path / "out")])
    assert shown.exit_code == 1
    assert "another frame of reference" in shown.stdout


def test_a_study_that_cannot_be_curated_does_not_stop_the_next(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A damaged list of results: that study is told, the other is curated."""
    folder = tmp_path / "two"
    for item in cohort[:2]:
        series = next(place for place in item.folder.iterdir() if "dwi" in place.name)
        shutil.copytree(series, folder / item.patient_id)
    spoiled = study_folder(tmp_path / "out", read_study(folder / cohort[0].patient_id))
    spoiled.mkdir(parents=True)
    (spoiled / "curation.json").write_text("{}")
    done = run(app, ["motion-correct", str(folder), "--out", str(tmp_path / "out"), "--json"])
    assert done.exit_code == 1
    first, second = json.loads(done.stdout)["studies"]
    assert (first["report"], first["problems"][-1]["code"]) == (None, "not-curated")
    assert len(second["series"][0]["written"]) == 1


def test_the_report_shows_what_was_asked_for_last(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """Also where all results were there already."""
    source = read_study(cohort[2].folder)
    dwi, coronal = source.with_role("dwi")[0].uid, source.with_role("t2w", "coronal")[0]
    arguments = ("coregister", cohort[2].folder, "--series", dwi, "--out", tmp_path)
    (first,) = curate(*arguments)["studies"]
    once = Path(first["report"]).read_text(encoding="utf-8")
    curate(*arguments, "--static", str(coronal.number))
    assert Path(first["report"]).read_text(encoding="utf-8") != once
    curate(*arguments)
    assert coronal.description not in Path(first["report"]).read_text(encoding="utf-8").partition("What was found")[0]


def test_a_folder_without_anything_to_curate(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A report all the same, which says so."""
    folder = next(path for path in cohort[0].folder.iterdir() if "t2-axial" in path.name)
    (study,) = curate("run", folder, "--out", tmp_path)["studies"]
    assert study["series"] == []
    assert [problem["code"] for problem in study["problems"]] == ["nothing-to-curate"]
    assert Path(study["report"]).exists()


def test_hostile_names_stay_inside(cohort: list[SyntheticStudy], tmp_path: Path) -> None:
    """A Patient ID with path separators becomes a harmless folder name."""
    from dataclasses import replace

    study = replace(read_study(cohort[0].folder), patient_id="../../etc/\x00passwd Ä")
    assert study_folder(tmp_path, study).parent == tmp_path
    assert study_folder(tmp_path, study).name.startswith("______etc__passwd___")
