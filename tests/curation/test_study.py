"""Reading studies: what is found, what is listed, what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from curation import Problem, Study, read_studies, read_study
from curation.errors import MissingDataError, SeveralStudiesError, UnsupportedSourceError
from curation.reading.headers import SOFTWARE_NAME
from tests.curation.conftest import MakeSeries


def findings(study: Study) -> list[Problem]:
    """The problems, without the one that lists what the small test files lack."""
    return [problem for problem in study.problems if problem.code != "absent-attributes"]


def test_a_text_file_is_listed_not_swallowed(make_series: MakeSeries) -> None:
    """Files that are no DICOM become problems of the study and harm nothing."""
    folder = make_series(3)[0].parent
    (folder / "notes.txt").write_text("seen by nobody")
    study = read_study(folder)
    assert [(p.code, p.paths) for p in findings(study)] == [("not-dicom", (folder / "notes.txt",))]
    assert study.quarantine == ((folder / "notes.txt", "not-dicom"),)
    assert study.series[0].problems == ()
    assert study.default_static is study.series[0]


def test_empty_folder(tmp_path: Path) -> None:
    """Nothing there raises and says what to give."""
    with pytest.raises(MissingDataError, match="holds no files"):
        read_study(tmp_path)


def test_folder_without_dicom(tmp_path: Path) -> None:
    """The error counts the files and says what is wrong with the first."""
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(MissingDataError, match=r"1 file.*a\.txt is not a DICOM file"):
        read_study(tmp_path)


@pytest.mark.parametrize("name", ["study.zip", "study.tar.gz"])
def test_archives_are_refused(tmp_path: Path, name: str) -> None:
    """An archive raises and says to unpack it."""
    (tmp_path / name).write_bytes(b"PK")
    with pytest.raises(UnsupportedSourceError, match="Unpack"):
        read_study(tmp_path / name)


def test_addresses_and_missing_paths_are_refused() -> None:
    """A web address and a path that does not exist raise different errors."""
    with pytest.raises(UnsupportedSourceError, match="web address"):
        read_study("https://archive.example/studies/1")
    with pytest.raises(MissingDataError, match="does not exist"):
        read_study("/no/such/folder")


def test_list_of_files_and_progress(make_series: MakeSeries) -> None:
    """A list of files reads as its folder does, and progress counts to the end."""
    paths = make_series(3)
    seen: list[tuple[int, int]] = []
    study = read_study(paths, progress=lambda done, total: seen.append((done, total)))
    assert study.series[0].paths == tuple(paths)
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_several_studies(make_series: MakeSeries, tmp_path: Path) -> None:
    """read_study lists them in its error; read_studies returns all, sorted."""
    make_series(2, folder="one")
    make_series(2, lambda d, z: setattr(d, "StudyInstanceUID", "2.25.7"), folder="two")
    with pytest.raises(SeveralStudiesError, match=r"(?s)2 are here.*2\.25\.1.*2\.25\.7.*read_studies"):
        read_study(tmp_path)
    assert [study.uid for study in read_studies(tmp_path)] == ["2.25.1", "2.25.7"]


def test_default_static_is_the_last_acquired(make_series: MakeSeries, tmp_path: Path) -> None:
    """Of two axial T2w stacks the later one; one that this package wrote never."""
    make_series(2, lambda d, z: setattr(d, "AcquisitionTime", "110000"), folder="late")
    make_series(2, folder="early")

    def result(dataset: object, z: int) -> None:
        setattr(dataset, "AcquisitionTime", "120000")  # noqa: B010
        setattr(dataset, "Manufacturer", SOFTWARE_NAME)  # noqa: B010

    make_series(2, result, folder="result")
    static = read_study(tmp_path).default_static
    assert static is not None
    assert static.paths[0].parent.name == "late"


def test_no_default_static_has_a_reason(make_series: MakeSeries) -> None:
    """Without an axial T2w stack there is none, and the study says why."""
    folder = make_series(2, lambda d, z: setattr(d, "EchoTime", 10))[0].parent
    study = read_study(folder)
    assert study.default_static is None
    assert [problem.code for problem in findings(study)] == ["no-static-series"]
    assert study.with_role("t2w") == ()


def test_broken_static_has_a_reason(make_series: MakeSeries) -> None:
    """An axial T2w series with a gap is not chosen, and the study names it."""
    paths = make_series(5, lambda d, z: setattr(d, "SeriesDescription", "t2_tra"))
    paths[2].unlink()
    study = read_study(paths[0].parent)
    assert study.default_static is None
    assert "t2_tra" in str(findings(study)[0])


def test_hidden_files_and_copies_elsewhere(make_series: MakeSeries, tmp_path: Path) -> None:
    """Hidden folders are not searched."""
    paths = make_series(3)
    shutil.copytree(paths[0].parent, tmp_path / ".trash")
    assert read_study(tmp_path).series[0].problems == ()


def test_many_bad_files_are_one_problem(make_series: MakeSeries) -> None:
    """Twenty-five notes in one folder are told once, with all their names; each is set aside."""
    folder = make_series(2)[0].parent
    for number in range(25):
        (folder / f"{number:02d}.txt").write_text("x")
    study = read_study(folder)
    (problem,) = findings(study)
    assert (problem.code, len(problem.paths)) == ("not-dicom", 25)
    assert str(problem).startswith(f"25 files in {folder}: 00.txt is not a DICOM file.")
    assert len(study.quarantine) == 25
