"""Edge overlap and mutual information: both fall when images that lie on each other are moved apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from curation import read_study
from curation.errors import GeometryError, ParameterError
from curation.geometry import Array
from curation.quality import edge_overlap, edge_overlap_arrays, nmi
from curation.series import Series
from curation.synthetic import SyntheticStudy
from curation.volume import Volume

SPACING = (3.0, 1.5, 1.5)
DIRECTIONS = np.concatenate([np.eye(3), -np.eye(3)])


def shift(static: Volume, along: NDArray[np.float64]) -> Array:
    """A transform that moves by mm along the (z, y, x) axes of a volume."""
    matrix = np.eye(4)
    matrix[:3, 3] = static.affine[:3, :3] / np.linalg.norm(static.affine[:3, :3], axis=0) @ along
    return matrix


def overlap(static: Volume, moving: Volume, along: NDArray[np.float64]) -> float:
    found = edge_overlap(static, moving, transform=shift(static, along))
    assert found is not None
    return found


def mean_at(static: Volume, moving: Volume, mm: float, start: NDArray[np.float64] | None = None) -> float:
    """Mean overlap after a shift in each of six directions."""
    first = np.zeros(3) if start is None else start
    return float(np.mean([overlap(static, moving, first + mm * along) for along in DIRECTIONS]))


def axial(study_folder: Path) -> tuple[Volume, Series]:
    study = read_study(study_folder)
    assert study.default_static is not None
    (moving,) = study.with_role("dwi") or study.with_role("dce")
    return study.default_static.volume(), moving


def pattern(seed: int = 0) -> NDArray[np.float64]:
    """Smooth blobs."""
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(np.random.default_rng(seed).normal(size=(16, 48, 48)), (1, 3, 3)) * 100


@pytest.mark.parametrize("change", [lambda a: a, lambda a: -a, lambda a: 3 * a + 50, np.sqrt])
def test_the_same_edges_score_one_in_any_contrast(change: object) -> None:
    """Inverted, scaled and compressed contrast: at least 0.9."""
    image = np.exp(pattern() / 50)
    found = edge_overlap_arrays(image, change(image), SPACING)  # type: ignore[operator]
    assert found is not None
    assert found > 0.9


def test_unrelated_images_score_zero() -> None:
    """Ten pairs of other blobs: the mean is 0 within 0.03."""
    found = [edge_overlap_arrays(pattern(k), pattern(100 + k), SPACING) for k in range(10)]
    assert np.mean([value for value in found if value is not None]) == pytest.approx(0, abs=0.03)


@pytest.mark.parametrize("role", ["dwi", "dce"])
def test_misalignment_of_synthetic_patients_is_seen(cohort: list[SyntheticStudy], role: str) -> None:
    """T2w and the first volume lie on each other by truth: every shift of 1, 2 and 4 mm lowers the overlap."""
    for patient in cohort:
        study = read_study(patient.folder)
        assert study.default_static is not None
        static, moving = study.default_static.volume(), study.with_role(role)[0].volume(0)  # type: ignore[arg-type]
        base = overlap(static, moving, np.zeros(3))
        worst = [max(overlap(static, moving, mm * along) for along in DIRECTIONS) for mm in (1, 2, 4)]
        assert base > worst[0] > worst[1] > worst[2]
        assert mean_at(static, moving, 4) < 0.8 * base


def test_misalignment_of_a_real_patient_is_seen(real_data: Path) -> None:
    """T2w and b = 50: 2 mm in any direction lower the overlap, 4 mm by a fifth; so do 2 mm for b = 800 on average."""
    static, dwi = axial(real_data / "prostatex" / "ProstateX-0000")
    moving = dwi.volume(0)
    base = overlap(static, moving, np.zeros(3))
    assert base > 0.4
    assert mean_at(static, moving, 1) < base
    assert max(overlap(static, moving, 2 * along) for along in DIRECTIONS) < base
    assert max(overlap(static, moving, 4 * along) for along in DIRECTIONS) < 0.8 * base
    assert mean_at(static, dwi.volume(2), 2) < 0.95 * overlap(static, dwi.volume(2), np.zeros(3))


def test_a_patient_who_moved_between_series_is_seen(real_data: Path) -> None:
    """T2w and DCE lie 10 mm apart: both an early and a late volume score three times as high once moved back."""
    static, dce = axial(real_data / "prostatex" / "ProstateX-0218")
    back = np.array([3.2, -9.5, -1.8])
    for k in (0, 11):
        moving = dce.volume(k)
        assert overlap(static, moving, back) > 3 * overlap(static, moving, np.zeros(3))
        for mm in (1, 2, 4):
            assert max(overlap(static, moving, back + mm * along) for along in DIRECTIONS) < overlap(
                static, moving, back
            )


def test_a_mask_and_a_centre_choose_the_region(cohort: list[SyntheticStudy]) -> None:
    """Half the volume counts differently from all of it; without overlap there is nothing to say."""
    static, dwi = axial(cohort[0].folder)
    moving = dwi.volume(0)
    half = np.zeros(static.shape, dtype=bool)
    half[:, :, : static.shape[2] // 2] = True
    all_of_it, masked = edge_overlap(static, moving), edge_overlap(static, moving, half)
    assert masked is not None
    assert masked != all_of_it
    assert edge_overlap(static, moving, np.zeros(static.shape, dtype=bool)) is None
    assert edge_overlap(static, moving, centre_mm=static.centre_mm + 500) is None


@pytest.mark.parametrize("fill", [0.0, 5.0, np.nan])
def test_no_edges_give_none(fill: float) -> None:
    """Constant, empty, tiny and single-slice images neither crash nor warn."""
    image = pattern()
    assert edge_overlap_arrays(image, np.full(image.shape, fill), SPACING) is None
    assert edge_overlap_arrays(image[:1, :2], image[:1, :2], SPACING) is None
    single = edge_overlap_arrays(image[:1], image[:1], SPACING)
    assert single is not None
    assert single == pytest.approx(1)
    assert nmi(image, np.full(image.shape, fill)) is None
    assert nmi(image[:0], image[:0]) is None


def test_mutual_information_goes_from_one_to_two() -> None:
    """Independent 1, the same 2, inverted 2; NaN is left out, and moving apart lowers it."""
    rng = np.random.default_rng(0)
    a, b = rng.uniform(size=(2, 50, 60, 60))
    assert nmi(a, b, bins=16) == pytest.approx(1, abs=0.001)
    assert nmi(a, a) == pytest.approx(2)
    assert nmi(a, -a) == pytest.approx(2, abs=0.02)
    holes = a.copy()
    holes[:, :10] = np.nan
    assert nmi(holes, a) == pytest.approx(2)
    assert nmi(a, b, mask=np.zeros(a.shape, dtype=bool)) is None
    image = pattern()
    values = [nmi(image, np.roll(image, k, axis=2)) or 0 for k in range(4)]
    assert values == sorted(values, reverse=True)


def test_what_cannot_be_compared_is_refused(cohort: list[SyntheticStudy]) -> None:
    """Different shapes, a bad mask, a bad transform, an impossible histogram."""
    a, b = np.zeros((3, 30, 30)), np.zeros((3, 30, 31))
    with pytest.raises(GeometryError, match="one shape"):
        edge_overlap_arrays(a, b, SPACING)
    with pytest.raises(GeometryError, match="one shape"):
        nmi(a, b)
    with pytest.raises(ParameterError, match="2 to 256"):
        nmi(a, a, bins=1)
    static, dwi = axial(cohort[0].folder)
    with pytest.raises(GeometryError, match="mask"):
        edge_overlap(static, dwi.volume(0), np.ones((1, 1, 1), dtype=bool))
    with pytest.raises(GeometryError, match="4 x 4"):
        edge_overlap(static, dwi.volume(0), transform=np.eye(3))
    with pytest.raises(GeometryError, match="independent"):
        edge_overlap(static, dwi.volume(0), transform=np.diag([0.0, 1, 1, 1]))
