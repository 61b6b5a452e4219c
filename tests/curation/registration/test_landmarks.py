"""The landmark pairs that judge a co-registration: complete, inside the images, measured as documented."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.landmarks import landmarks
from curation import read_study
from curation.errors import GeometryError, MissingDataError
from curation.volume import Volume

STUDIES = {"prostatex_0000_dwi_t2": "ProstateX-0000", "prostatex_0218_dce_t2": "ProstateX-0218"}
LARGEST_CHANGE_MM = 4.0  # stated before the points were placed


@pytest.fixture(params=sorted(STUDIES))
def name(request: pytest.FixtureRequest) -> str:
    """Name of a set of pairs."""
    return str(request.param)


def test_there_are_two_sets_of_at_least_twelve_pairs(name: str) -> None:
    """Both studies have at least 12 pairs with names of their own, after those set aside."""
    found = landmarks.load(name)
    assert set(landmarks.names()) == set(STUDIES)
    assert len(found.names) == len(set(found.names)) >= 12
    assert found.t2.shape == found.moving.shape == (len(found.names), 3)
    assert found.located.shape == (len(found.names),)


def test_two_placements_agree_within_the_stated_rule(name: str) -> None:
    """No point moved by more than 4 mm between its two placements, also not of a pair that was set aside."""
    path = Path(landmarks.__file__).parent / f"{name}.json"
    for pair in json.loads(path.read_text(encoding="utf-8"))["pairs"]:
        for placed in (pair["t2_lps"], pair["moving_lps"]):
            first, second = np.array(placed)
            assert np.linalg.norm(second - first) <= LARGEST_CHANGE_MM, pair["name"]


def test_pairs_set_aside_come_on_request(name: str) -> None:
    """Pairs at different levels of the gland are left out unless asked for."""
    kept, everything = landmarks.load(name), landmarks.load(name, set_aside=True)
    assert set(kept.names) < set(everything.names)


def test_points_surround_the_gland(name: str) -> None:
    """The points spread over at least 20 mm along each axis, so that a rotation shows."""
    found = landmarks.load(name)
    assert (np.ptp(found.t2, axis=0) >= 20).all()


def test_repeatability_is_what_the_placements_give() -> None:
    """With a change of 3, 4, 0 mm in the T2w alone every number follows by hand."""
    t2 = np.array([[[0.0, 0, 0], [3, 4, 0]], [[1.0, 1, 1], [4, 5, 1]]])
    still = np.zeros_like(t2)
    found = landmarks._repeatability(t2, still)
    assert (found.t2_mm, found.moving_mm, found.pair_mm) == (5.0, 0.0, 5.0)
    assert found.t2_sd_mm == pytest.approx(np.sqrt(25 / 2))
    assert found.moving_sd_mm == 0.0


def test_error_follows_the_direction_of_the_transform(name: str) -> None:
    """A transform that carries the moving points by their mean difference lowers the squared error; its inverse not."""
    found = landmarks.load(name)
    there = np.eye(4)
    there[:3, 3] = (found.t2 - found.moving).mean(axis=0)
    before = landmarks.landmark_error(found, np.eye(4))
    np.testing.assert_allclose(before, np.linalg.norm(found.t2 - found.moving, axis=1))
    after, wrong = (landmarks.landmark_error(found, matrix) for matrix in (there, np.linalg.inv(there)))
    assert (after**2).sum() < (before**2).sum() < (wrong**2).sum()


def test_bias_is_zero_after_its_own_translation(name: str) -> None:
    """The bias of the header is the mean difference; once carried out, none is left, and the interval holds it."""
    found = landmarks.load(name)
    bias = landmarks.translation_bias(found, np.eye(4))
    assert (bias.interval_mm[0] < bias.vector_mm).all()
    assert (bias.vector_mm < bias.interval_mm[1]).all()
    there = np.eye(4)
    there[:3, 3] = bias.vector_mm
    np.testing.assert_allclose(landmarks.translation_bias(found, there).vector_mm, 0, atol=1e-9)


@pytest.mark.parametrize("matrix", [np.eye(3), np.full((4, 4), np.nan), np.zeros((4, 4))])
def test_a_wrong_transform_is_refused(matrix: np.ndarray) -> None:
    """A matrix of another shape, with NaN or without inverse raises."""
    found = landmarks.load("prostatex_0000_dwi_t2")
    with pytest.raises(GeometryError):
        landmarks.landmark_error(found, matrix)


@pytest.mark.parametrize("wrong", ["", "prostatex_9999", "../landmarks/prostatex_0000_dwi_t2"])
def test_an_unknown_name_is_refused(wrong: str) -> None:
    """A name outside the list raises, also one that would lead to a file by another way."""
    with pytest.raises(MissingDataError, match="prostatex_0000_dwi_t2"):
        landmarks.load(wrong)


def test_points_lie_inside_the_real_images(name: str, real_data: Path) -> None:
    """The series of the study are those named in the file, and all points lie on their grids."""
    study = read_study(real_data / "prostatex" / STUDIES[name])
    found = landmarks.load(name, set_aside=True)
    assert study.uid == found.study_uid
    assert study.default_static is not None
    assert study.default_static.uid == found.t2_series_uid
    (moving,) = [series for series in study.series if found.moving_series_uid in series.uids]
    if len(moving.uids) > 1:
        assert moving.uids[found.moving_volume] == found.moving_series_uid
    volumes = study.default_static.volume(0), moving.volume(found.moving_volume)
    for volume, points in zip(volumes, (found.t2, found.moving), strict=True):
        assert _inside(volume, points)


def _inside(volume: Volume, points: np.ndarray) -> bool:
    corners = np.array(list(itertools.product(*((0, count - 1) for count in volume.shape))))
    indices = volume.to_index(points)
    return bool((indices >= corners.min(axis=0) - 0.01).all() and (indices <= corners.max(axis=0) + 0.01).all())
