"""Co-registration: the scanner's positions stay unless the result earns its place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.landmarks.landmarks import landmark_error, load
from curation import Series, Volume, read_study
from curation.errors import RegistrationError
from curation.geometry import inverse
from curation.registration import earned
from curation.registration.coregister import coregister
from curation.registration.distortion import Distortion
from curation.registration.motion import motion_correct
from curation.registration.parameters import default_parameters
from tests.curation.registration.scenes import error_mm, moved_by, other_contrast, scene, series_of

SHIFT = moved_by([2.5, -3.0, 1.5], [1.0, -1.0, 2.0])
FINE = np.array([[0, 0, 1.0, -60], [0, 1.0, 0, -60], [3.0, 0, 0, -22], [0, 0, 0, 1.0]])


def static_series() -> Series:
    volume = scene(affine=FINE, shape=(16, 120, 120))
    return replace(series_of([volume], role="t2w"), uid="2.25.8", uids=("2.25.8",))


def test_a_displaced_series_is_laid_on_the_static() -> None:
    """Another contrast, another grid, known displacement: found, accepted, and the result lies on the static's grid."""
    static = static_series()
    moving = series_of([other_contrast(scene(SHIFT)), other_contrast(scene(SHIFT, seed=2))])
    found = coregister(moving, static)
    assert found.accepted, found.reasons
    assert error_mm(found.transform, inverse(SHIFT)) < 0.5
    assert [volume.shape for volume in found.volumes[:]] == [(16, 120, 120)] * 2
    np.testing.assert_array_equal(found.volumes[0].affine, static.volume().affine)
    after, before = found.metrics.edge_overlap_after, found.metrics.edge_overlap_before
    assert after is not None
    assert before is not None
    assert after > before + earned.LEAST_GAIN


def test_a_series_in_place_keeps_the_positions() -> None:
    """Nothing to gain: the header stays, and the reason is given."""
    found = coregister(series_of([other_contrast(scene())]), static_series())
    assert not found.accepted
    np.testing.assert_array_equal(found.transform, np.eye(4))
    assert "no clear gain" in found.reasons[0]


def test_motion_and_coregistration_are_one_interpolation() -> None:
    """The transforms are composed; volumes come from the source, not from the corrected volumes."""
    moving = series_of(
        [other_contrast(scene(SHIFT)), other_contrast(scene(moved_by([1, 1, 0], [0, 0, 2]) @ SHIFT, seed=3))]
    )
    corrected = motion_correct(moving)
    found = coregister(corrected, static_series())
    np.testing.assert_allclose(found.transforms, found.transform @ corrected.transforms)
    direct = moving.volume(1).resampled(found.static_volume.affine, (16, 120, 120), transform=found.transforms[1])
    np.testing.assert_array_equal(found.volumes[1].array, direct.array)
    assert error_mm(found.transforms[1], inverse(moved_by([1, 1, 0], [0, 0, 2]) @ SHIFT)) < 0.6


def test_always_and_never_are_obeyed() -> None:
    """A person may decide otherwise, and the record says so."""
    moving, static = series_of([other_contrast(scene())]), static_series()
    forced = coregister(moving, static, accept="always")
    assert forced.accepted
    assert forced.reasons[0].startswith("Used as asked")
    kept = coregister(moving, static, accept="never")
    np.testing.assert_array_equal(kept.candidate, np.eye(4))


def test_implausible_and_unstable_results_are_refused() -> None:
    """Each condition alone refuses."""
    static, moving = static_series().volume(), other_contrast(scene())
    far = earned.judge(static, moving, moved_by([20, 0, 0], [0, 0, 0]))
    assert not far.accepted
    assert "moves the gland by 20" in far.reasons[0]
    unstable = earned.judge(static, moving, np.eye(4), spread_mm=3.0)
    assert "3.0 mm away" in unstable.reasons[0]
    blank = Volume(np.ones((16, 64, 72), np.float32), scene().affine)
    empty = earned.register(static, blank, default_parameters("lightbox", "coregistration"))
    assert not empty.accepted
    assert "too little in common" in empty.reasons[0]


def test_a_stretch_is_refused() -> None:
    """The gland does not change its size between series, whatever edges say."""
    verdict = earned.judge(static_series().volume(), other_contrast(scene()), np.diag([1.25, 1, 1, 1.0]))
    assert "stretches by" in verdict.reasons[0]


def test_positions_of_another_frame_of_reference_mean_nothing() -> None:
    """A result that is relied on may cross frames; without one there is nothing to fall back on."""
    static, moving = static_series(), series_of([other_contrast(scene(SHIFT))])
    elsewhere = replace(moving, frame_of_reference_uid="2.25.99")
    assert coregister(elsewhere, static).accepted
    with pytest.raises(RegistrationError, match="another frame of reference"):
        coregister(elsewhere, static, accept="never")
    far = np.eye(4)
    far[:3, 3] = 5000
    away = series_of([Volume(v.array, far @ v.affine, "2.25.99") for v in moving_volumes(moving)])
    with pytest.raises(RegistrationError, match="too little in common"):
        coregister(replace(away, frame_of_reference_uid="2.25.99"), static)


def moving_volumes(series: Series) -> list[Volume]:
    return [series.volume(k) for k in range(series.n_volumes)]


def test_what_was_not_registered_says_so() -> None:
    """The written series carries no claim of registration."""
    kept = coregister(series_of([other_contrast(scene())]), static_series(), accept="never").derivation
    assert kept.description == "scene on static"
    assert kept.notes[0].startswith("Not registered")


def test_maps_follow_the_series_they_come_from() -> None:
    """A vendor map gets the same transform and is never registered; one from elsewhere is refused."""
    moving, static = series_of([other_contrast(scene(SHIFT))]), static_series()
    found = coregister(moving, static)
    adc = replace(series_of([scene(SHIFT)], role="adc"), uid="2.25.11", uids=("2.25.11",))
    followed = found.follow(adc)
    assert followed.transforms is not None
    np.testing.assert_array_equal(followed.transforms[0], found.transform)
    assert followed.related == (moving,)
    assert followed.role == "adc"
    with pytest.raises(RegistrationError, match="another frame of reference"):
        found.follow(replace(adc, frame_of_reference_uid="2.25.5"))


def test_wrong_statics_are_refused() -> None:
    """A static of several volumes, or the series itself."""
    moving = series_of([scene(), scene(seed=1)])
    with pytest.raises(RegistrationError, match="must have one volume"):
        coregister(moving, replace(moving, uids=("2.25.12",)))
    single = series_of([scene()])
    with pytest.raises(RegistrationError, match="cannot be laid on itself"):
        coregister(single, single)


def test_distortion_is_measured_in_slabs() -> None:
    """A slab shifted along phase encoding is seen where it is; what is not echo-planar is not looked at."""
    static = static_series()
    volume = scene(noise=1.0)
    column = volume.affine[:3, 1] / volume.spacing_mm[1]
    places = (volume.to_lps(np.moveaxis(np.indices(volume.shape), 0, -1)) - static.volume().centre_mm) @ column
    shifted = np.eye(4)
    shifted[:3, 3] = 4.0 * column
    far = volume.resampled(volume.affine, volume.shape, transform=shifted)
    bent = Volume(np.where(places > 8, far.array, volume.array), volume.affine, volume.frame_of_reference_uid)
    seen = coregister(series_of([bent]), static, accept="never").distortion
    assert isinstance(seen, Distortion)
    assert seen.assumed
    assert seen.flagged
    assert seen.shifts_mm[2] == pytest.approx(-4, abs=1.5)
    assert "cannot undo" in str(seen)
    straight = coregister(series_of([volume]), static, accept="never").distortion
    assert straight is not None
    assert not straight.flagged
    assert coregister(series_of([volume], role="dce"), static, accept="never").distortion is None


def test_landmarks_agree_with_what_is_accepted(real_data: Path) -> None:
    """Where the gland moved by 9 mm the result is accepted and halves the error; where it did not, positions stay."""
    study = read_study(real_data / "prostatex" / "ProstateX-0218")
    assert study.default_static is not None
    pairs = load("prostatex_0218_dce_t2")
    found = coregister(motion_correct(study.with_role("dce")[0]), study.default_static)
    assert found.accepted, found.reasons
    by_header = landmark_error(pairs, found.moving.transforms[pairs.moving_volume])
    assert landmark_error(pairs, found.transforms[pairs.moving_volume]).mean() < 0.6 * by_header.mean()
    still = read_study(real_data / "prostatex" / "ProstateX-0000")
    assert still.default_static is not None
    kept = coregister(motion_correct(still.with_role("dwi")[0]), still.default_static)
    assert not kept.accepted
