"""``curate``: output for people, one JSON object for programs, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from curation.cli import app
from curation.synthetic import SyntheticStudy

run = CliRunner().invoke


def test_scan_prints_exactly_one_json_object(cohort: list[SyntheticStudy]) -> None:
    """Series with role, shape and b-values as design says."""
    done = run(app, ["scan", str(cohort[0].folder), "--json"])
    assert done.exit_code == 0
    (study,) = json.loads(done.stdout)["studies"]
    (dwi,) = (series for series in study["series"] if series["role"] == "dwi")
    assert (dwi["shape"], dwi["b_values"]) == ([3, 20, 112, 112], [50, 400, 800])
    assert study["default_static"] in {series["uid"] for series in study["series"]}


def test_scan_prints_a_table(cohort: list[SyntheticStudy], monkeypatch: pytest.MonkeyPatch) -> None:
    """A line per series and the problems of each study."""
    monkeypatch.setenv("COLUMNS", "160")
    done = run(app, ["scan", str(cohort[0].folder.parent)])
    assert done.exit_code == 0
    assert "SYNTHETIC-0-01" in done.stdout
    assert "50, 400, 800" in done.stdout
    assert "truth.json is not a DICOM file" in done.stdout


def test_missing_data_exits_with_1_and_the_reason(tmp_path: Path) -> None:
    """On stderr for people, as JSON on stdout for programs."""
    done = run(app, ["scan", str(tmp_path / "none"), "--json"])
    assert done.exit_code == 1
    assert "does not exist" in done.stderr
    assert json.loads(done.stdout)["error"]["type"] == "MissingDataError"


@pytest.mark.parametrize("arguments", [["scan"], ["synth"], ["synth", "--out", "x", "--patients", "0"], ["paint"]])
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    """Missing or impossible arguments and unknown commands."""
    assert run(app, arguments).exit_code == 2


def test_synth_writes_and_refuses_to_overwrite(tmp_path: Path) -> None:
    """One JSON object with the folders; the second time exit 1."""
    arguments = ["synth", "--out", str(tmp_path / "demo"), "--patients", "1", "--seed", "5", "--json"]
    done = run(app, arguments)
    assert done.exit_code == 0
    (study,) = json.loads(done.stdout)["studies"]
    assert Path(study["folder"]).is_dir()
    assert Path(study["truth"]).is_file()
    again = run(app, arguments)
    assert again.exit_code == 1
    assert "already holds" in again.stderr
