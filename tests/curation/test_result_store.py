"""Results in a folder: found again, replaced, kept beside one another, never touched once approved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from curation import Series, read_study, result_store
from curation.derivation import Derivation
from curation.errors import DerivedError, ResultStoreError
from curation.result_store import INDEX, Request, ResultStore, StoredResult, open_store
from curation.synthetic import SyntheticStudy


@pytest.fixture(scope="module")
def series(cohort: list[SyntheticStudy]) -> tuple[Series, Series, Series]:
    """An ADC map to work on (small), and two axial static series."""
    study = read_study(cohort[0].folder)
    return study.with_role("adc")[0], study.with_role("t2w", "axial")[0], study.with_role("t2w", "sagittal")[0]


def derivation(source: Series, function: str = "motion_correction", **changes: Any) -> Derivation:
    volume = source.volume()
    content: dict[str, Any] = {
        "function": function,
        "source": source,
        "volumes": (volume,),
        "role": "adc",
        "description": "test",
        "engine": "lightbox",
        "engine_version": "0",
        "parameters": {},
        "transforms": np.eye(4)[np.newaxis],
    }
    return Derivation(**{**content, **changes})


def keep(store: ResultStore, request: Request) -> StoredResult:
    return store.keep(request, derivation(request.source, request.function, static=request.static), {"n": 1})


def motion(source: Series, **settings: Any) -> Request:
    return Request("motion_correction", source, settings=settings)


def test_the_same_request_finds_its_result(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """Also in a store that is opened later; a result that is not whole is not found."""
    with open_store(tmp_path) as store:
        assert store.find(motion(series[0], a=1)) is None
        kept = keep(store, motion(series[0], a=1))
    with open_store(tmp_path) as store:
        found = store.find(motion(series[0], a=1))
        assert found == kept
        assert store.find(motion(series[0], a=2)) is None
        next(store.path(kept).glob("0*.dcm")).unlink()
        assert store.find(motion(series[0], a=1)) is None


def test_other_parameters_replace_and_invalidate(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """A new motion correction takes the old one's place, and what was computed from the old one goes too."""
    with open_store(tmp_path) as store:
        first = keep(store, motion(series[0], a=1))
        fixed = keep(store, Request("coregistration", series[0], series[1], {}, first.id))
        keep(store, Request("adc", series[0], series[1], {}, fixed.id))
        second = keep(store, motion(series[0], a=2))
        assert store.results == (second,)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [second.folder]


def test_another_static_keeps_both(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """Two static series, two results; the same static with other parameters, one."""
    with open_store(tmp_path) as store:
        base = keep(store, motion(series[0]))
        on_first = keep(store, Request("coregistration", series[0], series[1], {"a": 1}, base.id))
        on_second = keep(store, Request("coregistration", series[0], series[2], {"a": 1}, base.id))
        assert store.results == (base, on_first, on_second)
        again = keep(store, Request("coregistration", series[0], series[1], {"a": 2}, base.id))
        assert store.results == (base, on_second, again)


def test_approved_results_are_never_touched(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """Neither they nor their files go when something else takes their place; nobody approves twice."""
    with open_store(tmp_path) as store:
        first = keep(store, motion(series[0], a=1))
        fixed = keep(store, Request("coregistration", series[0], series[1], {}, first.id))
        approved = store.approve(fixed.id, "Rafael")
        assert approved.approved.endswith("Rafael")
        second = keep(store, motion(series[0], a=2))
        assert store.results == (approved, second)
        assert len(list(store.path(approved).iterdir())) == approved.files
        on_it = keep(store, Request("adc", series[0], series[1], {}, approved.id))
        third = keep(store, motion(series[0], a=3))
        assert store.results == (approved, on_it, third), "what came of an approved result stays too"
        with pytest.raises(ResultStoreError, match="approved already"):
            store.approve(fixed.id, "Rosa")
        with pytest.raises(ResultStoreError, match=r"no result 2\.25\.1"):
            store.approve("2.25.1", "Rosa")


def test_a_failed_write_changes_nothing(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """What was there stays, in the list and on the disk."""
    with open_store(tmp_path) as store:
        first = keep(store, motion(series[0], a=1))
        bad = derivation(series[0], transforms=np.full((1, 4, 4), np.nan))
        with pytest.raises(DerivedError):
            store.keep(motion(series[0], a=2), bad, {})
        assert store.results == (first,)
        assert store.find(motion(series[0], a=1)) == first
    assert sorted(p.name for p in tmp_path.iterdir() if not p.name.startswith(".")) == sorted([INDEX, first.folder])


def test_what_a_person_puts_beside_results_stays(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """A foreign file spoils no result and is never deleted."""
    with open_store(tmp_path) as store:
        first = keep(store, motion(series[0], a=1))
        note = store.path(first) / "my_mask.nii"
        note.touch()
        assert store.find(motion(series[0], a=1)) == first
        keep(store, motion(series[0], a=2))
        assert list(store.path(first).iterdir()) == [note]


def test_a_result_that_cannot_be_listed_is_not_kept(
    tmp_path: Path, series: tuple[Series, Series, Series], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the list cannot be written the new folder goes and the old state stands."""
    with open_store(tmp_path) as store:
        first = keep(store, motion(series[0], a=1))

        def full(*_: object) -> None:
            raise OSError("no space left")

        monkeypatch.setattr(result_store, "write_atomically", full)
        with pytest.raises(OSError, match="no space"):
            keep(store, motion(series[0], a=2))
        assert store.results == (first,)
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == [first.folder]


def test_what_a_killed_run_had_begun_is_deleted(tmp_path: Path) -> None:
    """Hidden folders of the writer go, other hidden folders stay."""
    (tmp_path / ".scene-motion-corrected-123456789012.x1y2").mkdir()
    (tmp_path / ".git").mkdir()
    with open_store(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == [".git"]


def test_what_a_crash_left_is_deleted_by_the_next(tmp_path: Path, series: tuple[Series, Series, Series]) -> None:
    """Folders that the list has given up go when the store is opened."""
    with open_store(tmp_path) as store:
        kept = keep(store, motion(series[0]))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "0001.dcm").touch()
    content = json.loads((tmp_path / INDEX).read_text())
    (tmp_path / INDEX).write_text(json.dumps({**content, "to_delete": ["old"]}))
    with open_store(tmp_path) as store:
        assert store.results == (kept,)
    assert not (tmp_path / "old").exists()


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 99},
        {"to_delete": ["../elsewhere"]},
        {"to_delete": [".."]},
        {"results": [{"id": "1"}]},
        {"results": "none"},
    ],
)
def test_a_foreign_list_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    """Another version's list, or one that names a folder elsewhere: nothing is deleted."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    place = tmp_path / "store"
    place.mkdir()
    (place / INDEX).write_text(json.dumps({"schema": 1, "results": [], "to_delete": [], **change}))
    with pytest.raises(ResultStoreError, match="not the list of results"), open_store(place):
        pass
    assert elsewhere.is_dir()


def test_two_runs_do_not_share_a_store(tmp_path: Path) -> None:
    """The second is told to wait."""
    with open_store(tmp_path), pytest.raises(ResultStoreError, match="in use by another run"), open_store(tmp_path):
        pass
