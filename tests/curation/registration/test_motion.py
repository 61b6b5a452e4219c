"""Motion correction: known motion is found, odd input is survived, nothing is invented."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from curation import Series, Volume, read_study
from curation.errors import ParameterError, RegistrationError
from curation.geometry import inverse
from curation.registration import guard, lightbox_engine
from curation.registration.motion import motion_correct
from curation.registration.parameters import (
    Level,
    RegistrationParameters,
    RegistrationStep,
    default_parameters,
)
from curation.synthetic import SyntheticStudy
from tests.curation.registration.scenes import error_mm, moved_by, other_contrast, scene, series_of

SMALL = moved_by([2.0, -1.5, 1.0], [1.0, -2.0, 1.5])
LARGE = moved_by([8.0, -7.0, 6.0], [4.0, 5.0, -5.0])


def moved_series(*transforms: np.ndarray) -> Series:
    """Return a still volume and moved ones in another contrast."""
    moved = [other_contrast(scene(t, seed=k + 1)) for k, t in enumerate(transforms)]
    return series_of([scene(), *moved], b_values=(50.0, *(400.0 + k for k in range(len(moved)))))


def truth_of(item: SyntheticStudy, kind: str) -> np.ndarray:
    content = json.loads(item.truth.read_text())
    return np.array(next(s["transforms"] for s in content["series"] if s["kind"] == kind))


@pytest.mark.parametrize("truth", [SMALL, LARGE])
def test_known_motion_is_found(truth: np.ndarray) -> None:
    """An oblique, anisotropic series in another contrast: the transform undoes the motion."""
    found = motion_correct(moved_series(truth))
    assert found.reference == 0
    np.testing.assert_array_equal(found.transforms[0], np.eye(4))
    assert error_mm(found.transforms[1], inverse(truth)) < 0.15
    centre = found.sources[0].centre_mm
    expected = np.linalg.norm((inverse(truth)[:3, :3] @ centre + inverse(truth)[:3, 3]) - centre)
    assert found.displacement_mm == pytest.approx([0, expected], abs=0.2)
    before, after = found.metrics[1].edge_overlap_before, found.metrics[1].edge_overlap_after
    assert before is not None
    assert after is not None
    assert after > before + 0.05


def test_synthetic_patients_are_followed(cohort: list[SyntheticStudy]) -> None:
    """Diffusion and dynamic series of all vendors end within 0.3 mm of the truth in the gland."""
    for item in cohort:
        study = read_study(item.folder)
        for role in ("dwi", "dce"):
            series = study.with_role(role)[0]
            found = motion_correct(series)
            corners = guard.region_corners(found.sources[0])
            for transform, truth in zip(found.transforms, truth_of(item, role), strict=True):
                gap = (transform - truth)[:3, :3] @ corners.T + (transform - truth)[:3, 3:]
                assert np.linalg.norm(gap, axis=0).mean() < 0.3
            assert not any(flag.code == "not-corrected" for flags in found.flags for flag in flags)


def test_a_corrected_series_is_left_alone(cohort: list[SyntheticStudy]) -> None:
    """Correcting again moves nothing by more than 0.05 mm."""
    series = read_study(cohort[0].folder).with_role("dce")[0]
    corrected = motion_correct(series).volumes[:]
    again = motion_correct(replace(series, source=lambda k: corrected[k]))
    assert again.displacement_mm.max() <= 0.05


def test_real_series_are_left_alone_where_nothing_moved(real_data: Path) -> None:
    """The real DWI hardly moved, and correcting the corrected series changes nothing."""
    series = read_study(real_data / "prostatex" / "ProstateX-0000").with_role("dwi")[0]
    found = motion_correct(series)
    assert found.displacement_mm.max() < 0.5
    corrected = found.volumes[:]
    again = motion_correct(replace(series, source=lambda k: corrected[k]))
    assert again.displacement_mm.max() <= 0.05


def test_what_has_not_moved_stays_as_acquired() -> None:
    """A repeated volume with other noise is not interpolated: its values are those of the source."""
    series = series_of([scene(), scene(seed=1)], b_values=(0.0, 0.0))
    found = motion_correct(series)
    np.testing.assert_array_equal(found.transforms, [np.eye(4)] * 2)
    np.testing.assert_array_equal(found.volumes[1].array, series.volume(1).array)


def test_the_reference_is_the_lowest_b_value_or_as_asked() -> None:
    """By default the lowest b; a number chooses another; one that is not there is refused."""
    series = replace(moved_series(SMALL), b_values=(800.0, 50.0))
    assert motion_correct(series).reference == 1
    assert motion_correct(series, reference=0).reference == 0
    with pytest.raises(RegistrationError, match="from 0 to 1; got 2"):
        motion_correct(series, reference=2)


def test_the_same_input_gives_the_same_result() -> None:
    """Threads and fixed points: bit for bit."""
    series = moved_series(SMALL, LARGE)
    np.testing.assert_array_equal(motion_correct(series).transforms, motion_correct(series).transforms)


def spoiled(kind: str, volume: Volume) -> Volume:
    array = np.array(volume.array)
    if kind == "nan":
        array[4:6, 10:20, 10:20] = np.nan
        array[0, 0, 0] = np.inf
    elif kind == "spike":
        array[8, 30, 30] = 60_000
    elif kind == "saturated":
        array = np.minimum(array, np.percentile(array, 98)).astype(np.float32)
    elif kind == "constant":
        array[:] = 7
    return Volume(array, volume.affine, volume.frame_of_reference_uid)


@pytest.mark.parametrize(
    ("kind", "code", "corrected"),
    [
        ("nan", "not-finite", True),
        ("spike", "", True),
        ("saturated", "saturated", True),
        ("constant", "no-contrast", False),
    ],
)
def test_spoiled_values_are_named_and_survived(kind: str, code: str, corrected: bool) -> None:
    """NaN, a spike, saturation: corrected all the same; a constant volume stays; each is flagged."""
    still, moved = scene(), spoiled(kind, scene(SMALL, seed=1))
    found = motion_correct(series_of([still, moved]))
    if code:
        assert code in {flag.code for flag in found.flags[1]}
    if corrected:
        assert error_mm(found.transforms[1], inverse(SMALL)) < 0.3
    else:
        np.testing.assert_array_equal(found.transforms[1], np.eye(4))


def test_single_slices_and_single_volumes() -> None:
    """There is nothing to follow, which is no error."""
    flat = [Volume(v.array[8:9], v.affine) for v in (scene(), scene(SMALL))]
    found = motion_correct(series_of(flat))
    np.testing.assert_array_equal(found.transforms, [np.eye(4)] * 2)
    assert [flag.code for flag in found.flags[1]] == ["not-corrected"]
    alone = motion_correct(series_of([scene()]))
    assert alone.displacement_mm.tolist() == [0]
    assert len(alone.volumes) == 1


def test_unrelated_volumes_are_not_moved_far() -> None:
    """Noise against tissue: the guard keeps the volume as acquired, or nearly so, and says so."""
    noise = np.random.default_rng(9).normal(100, 20, scene().shape).astype(np.float32)
    found = motion_correct(series_of([scene(), Volume(noise, scene().affine)]))
    assert found.displacement_mm[1] < guard.MOST_MM
    shifted = np.eye(4)
    shifted[:3, 3] = (40, 0, 0)
    assert "40 mm is more than" in guard.implausible(shifted, np.zeros(3))
    assert "turn of 30" in guard.implausible(moved_by([0, 0, 0], [0, 30, 0]), np.zeros(3))
    assert "stretch" in guard.implausible(np.diag([1.2, 1, 1, 1.0]), np.zeros(3))


def test_values_beyond_all_measure_are_survived() -> None:
    """Products that overflow end in no step, not in a crash."""
    huge = [Volume(v.array * np.float32(1e30), v.affine) for v in (scene(), scene(SMALL, seed=1))]
    with np.errstate(all="ignore"):
        found = motion_correct(series_of(huge))
    assert np.isfinite(found.transforms).all()
    assert "no transform" in guard.implausible(np.full((4, 4), np.nan), np.zeros(3))


def test_a_result_that_is_not_believed_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the first measure goes astray the second is asked, and the volume says so."""
    astray = moved_by([60, 0, 0], [0, 0, 0])
    monkeypatch.setattr(lightbox_engine.correlation_ratio, "align", lambda *_, **__: astray)
    found = motion_correct(moved_series(SMALL))
    assert [flag.code for flag in found.flags[1]] == ["second-measure"]
    assert error_mm(found.transforms[1], inverse(SMALL)) < 1.0
    monkeypatch.setattr(lightbox_engine.mutual_information.Pair, "align", lambda *_, **__: astray)
    found = motion_correct(moved_series(SMALL))
    assert [flag.code for flag in found.flags[1]] == ["not-corrected"]
    np.testing.assert_array_equal(found.transforms[1], np.eye(4))


def test_affine_motion_only_when_asked() -> None:
    """Rigid by default; an affine step follows a stretch."""
    stretch = np.diag([1.03, 1.0, 0.98, 1.0])
    series = moved_series(stretch)
    rigid = motion_correct(series).transforms[1][:3, :3]
    np.testing.assert_allclose(rigid @ rigid.T, np.eye(3), atol=1e-9)
    levels = tuple(Level(level_iters=n) for n in (20, 12, 10))
    steps = (RegistrationStep("rigid", levels), RegistrationStep("affine", levels))
    affine = motion_correct(series, RegistrationParameters(steps)).transforms[1]
    assert error_mm(affine, inverse(stretch)) < 0.3 < error_mm(motion_correct(series).transforms[1], inverse(stretch))


def test_the_gland_is_followed_by_itself_when_asked() -> None:
    """A body that stays and a centre that moves: the refined result follows the centre."""
    still, moved = scene(noise=1.0), scene(moved_by([0, 3, 0], [0, 0, 0]), noise=1.0, seed=1)
    points = still.to_lps(np.moveaxis(np.indices(still.shape), 0, -1)) - still.centre_mm
    core = (np.abs(points) < 30).all(axis=-1)
    mixed = Volume(np.where(core, moved.array, still.array), still.affine)
    series = series_of([still, mixed])
    whole, gland = motion_correct(series), motion_correct(series, refine_gland=True)
    assert whole.displacement_mm[1] < 1.0
    assert gland.displacement_mm[1] == pytest.approx(3.0, abs=0.7)


def test_both_engines_are_told_apart_and_parameters_checked() -> None:
    """DIPY runs with its own parameters, is recorded, and what an engine does not honour is refused."""
    series = moved_series(SMALL)
    quick = (Level(4, 60, 3.0), Level(2, 20, 2.0), Level(1, 4, 0.0))
    parameters = RegistrationParameters(
        (RegistrationStep("translation", quick), RegistrationStep("rigid", quick)), 32, 0.1
    )
    found = motion_correct(series, parameters, engine="dipy")
    assert (found.engine, found.derivation.engine) == ("dipy", "dipy")
    assert found.engine_version
    assert found.derivation.parameters == parameters.to_json()
    assert error_mm(found.transforms[1], inverse(SMALL)) < 1.5
    with pytest.raises(ParameterError):
        motion_correct(series, parameters)
    with pytest.raises(ParameterError):
        motion_correct(series, default_parameters("lightbox", "motion_correction"), engine="dipy")
    with pytest.raises(RegistrationError, match="Only the lightbox engine"):
        motion_correct(series, engine="dipy", refine_gland=True)


def test_progress_is_told() -> None:
    """Once per volume, up to the last."""
    told: list[tuple[int, int]] = []
    motion_correct(moved_series(SMALL, LARGE), progress=lambda done, total: told.append((done, total)))
    assert told == [(1, 3), (2, 3), (3, 3)]
