"""The ADC: fitted against known truth, chosen b-values, units, agreement with a scanner's map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from curation import read_study
from curation.diffusion import ADC_LIMIT, calculated_b, compare_adc, fit_adc, normalise_adc
from curation.errors import GeometryError, SeriesError
from curation.synthetic import SyntheticStudy
from curation.volume import Volume

AFFINE = np.diag([3.6, 1.8, 1.8, 1.0])
SHAPE = (6, 40, 40)


def tissue() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """ADC in 10^-6 mm2/s and signal at b = 0: lesion, muscle, zones and urine within air."""
    adc, signal = np.zeros(SHAPE), np.zeros(SHAPE)
    for k, value in enumerate((640, 1350, 1380, 1850, 2900)):
        columns = slice(3 + 7 * k, 10 + 7 * k)
        adc[:, 5:35, columns], signal[:, 5:35, columns] = value, 1000 + 300 * k
    return adc, signal


def acquire(b_values: tuple[float, ...], noise: float = 0.0, seed: int = 0) -> list[Volume]:
    """Rician volumes of `tissue`, one per b-value."""
    rng = np.random.default_rng(seed)
    adc, signal = tissue()
    volumes = []
    for b in b_values:
        real = signal * np.exp(-b * adc * 1e-6) + rng.normal(0, noise, SHAPE)
        volumes.append(Volume(np.hypot(real, rng.normal(0, noise, SHAPE)).astype(np.float32), AFFINE, "2.25.1"))
    return volumes


@pytest.mark.parametrize("weighting", ["noise", "uniform"])
def test_an_exact_decay_is_recovered(weighting: str) -> None:
    """ADC within 0.1 %, S0, R2 1, no residual, 0 in air; the grid is that of the volumes."""
    b_values = (50.0, 400.0, 800.0)
    fit = fit_adc(acquire(b_values), b_values, weighting=weighting)  # type: ignore[arg-type]
    adc, signal = tissue()
    body = signal > 0
    assert np.array_equal(fit.valid, body)
    np.testing.assert_allclose(fit.adc.array[body], adc[body], rtol=1e-3)
    np.testing.assert_allclose(fit.s0.array[body], signal[body], rtol=1e-3)
    assert not fit.adc.array[~body].any()
    assert not fit.s0.array[~body].any()
    assert fit.r2 == pytest.approx(1, abs=1e-4)
    assert fit.residual.array.max() < 1e-3
    assert (fit.adc.array.dtype, fit.adc.frame_of_reference_uid) == (np.float32, "2.25.1")
    assert np.array_equal(fit.adc.affine, AFFINE)
    np.testing.assert_allclose(calculated_b(fit, 800).array, acquire((800.0,))[0].array, rtol=2e-3, atol=0.01)


def test_noise_weights_scatter_less_than_uniform_ones() -> None:
    """With noise the median stays within 3 %; urine, low at b = 1000, scatters at least a fifth less."""
    b_values = (50.0, 500.0, 1000.0)
    volumes = acquire(b_values, noise=50)
    adc, _ = tissue()
    spread = {}
    for weighting in ("noise", "uniform"):
        fit = fit_adc(volumes, b_values, weighting=weighting)  # type: ignore[arg-type]
        for value in (640, 1380, 1850):
            assert np.median(fit.adc.array[adc == value]) == pytest.approx(value, rel=0.03)
        spread[weighting] = fit.adc.array[adc == 2900].std()
        assert fit.valid[adc == 0].mean() < 0.02
    assert spread["noise"] < 0.8 * spread["uniform"]


@pytest.mark.parametrize(
    ("b_values", "expected", "note"),
    [
        ((0, 50, 400, 800), (50, 400, 800), "b = 0 s/mm2 was left out"),
        ((50, 400, 800, 1400), (50, 400, 800), "b = 1400 s/mm2 was left out"),
        ((0, 500, 1000), (0, 500, 1000), "b = 0 s/mm2 was used"),
        ((0, 50), (0, 50), "b = 0 s/mm2 was used"),
        ((50, 1500), (50, 1500), "b = 1500 s/mm2 had to be used"),
        ((800, 100), (100, 800), ""),
    ],
)
def test_b_values_follow_pi_rads(b_values: tuple[float, ...], expected: tuple[float, ...], note: str) -> None:
    """From 50 to 1000 where two remain, and what differs is said."""
    fit = fit_adc(acquire(b_values), b_values)
    assert fit.b_values == expected
    assert [b_values[k] for k in fit.used] == [b for b in b_values if b in expected]
    assert note in " ".join(fit.notes)
    assert bool(note) == bool(fit.notes)
    adc, _ = tissue()
    np.testing.assert_allclose(fit.adc.array[adc > 0], adc[adc > 0], rtol=1e-3)


def test_directions_and_repetitions_count_as_their_geometric_mean() -> None:
    """Fractional b-values are repeated b = 0; the trace of three directions gives the mean diffusivity."""
    adc, signal = tissue()
    b_values = (0.0, 1000.0, 0.001, 1000.0, 1000.0)
    factors = (1.0, 0.5, 1.0, 1.0, 1.5)
    pairs = zip(b_values, factors, strict=True)
    volumes = [Volume((signal * np.exp(-b * f * adc * 1e-6)).astype(np.float32), AFFINE) for b, f in pairs]
    fit = fit_adc(volumes, b_values)
    assert (fit.b_values, fit.used, fit.r2) == ((0.0, 1000.0), (0, 1, 2, 3, 4), None)
    np.testing.assert_allclose(fit.adc.array[adc > 0], adc[adc > 0], rtol=1e-3)


def test_what_is_no_signal_is_no_adc() -> None:
    """NaN, infinity, blanked and negative elements are 0 and not valid; the others do not change."""
    b_values = (50.0, 400.0, 800.0)
    arrays = [volume.array.copy() for volume in acquire(b_values)]
    for k, bad in enumerate((np.nan, np.inf, 0.0, -5.0)):
        arrays[k % 3][2, 10, 5 + k] = bad
    fit = fit_adc([Volume(array, AFFINE) for array in arrays], b_values)
    assert not fit.valid[2, 10, 5:9].any()
    assert not fit.adc.array[2, 10, 5:9].any()
    assert fit.valid.sum() == (tissue()[1] > 0).sum() - 4


def test_impossible_values_are_cut_and_said() -> None:
    """A signal that rises with b has ADC 0, one that falls too fast the limit; neither is valid."""
    arrays = [volume.array.copy() for volume in acquire((50.0, 800.0))]
    arrays[1][0, 10, 5:15], arrays[1][0, 11, 5:15] = 2 * arrays[0][0, 10, 5:15], 0.02 * arrays[0][0, 11, 5:15]
    fit = fit_adc([Volume(array, AFFINE) for array in arrays], (50.0, 800.0))
    assert (fit.adc.array[0, 10, 5:15] == 0).all()
    assert (fit.adc.array[0, 11, 5:15] == ADC_LIMIT).all()
    assert not fit.valid[0, 10:12, 5:15].any()
    assert "was cut there" in fit.notes[-1]


@pytest.mark.parametrize("fill", [0.0, 7.0, -3.0, np.nan, 1e300])
def test_an_image_without_contrast_gives_no_measurement(fill: float) -> None:
    """Empty, constant and all NaN volumes end in an empty map, without a warning."""
    fit = fit_adc([Volume(np.full(SHAPE, fill), AFFINE)] * 3, (50, 400, 800))
    assert not fit.valid.any()
    assert not fit.adc.array.any()
    assert fit.r2 is None


@pytest.mark.parametrize(
    ("b_values", "limits", "message"),
    [
        ((50, 50), {}, r"at least two different b-values; there are 50\."),
        ((0, 0.001), {}, "two different"),
        ((50, 800), {"b_max": 500}, "of which 50 lie within the limits"),
        ((50, 800), {"b_min": 900}, "of which none lie"),
        ((50,), {}, "got 1 for 2 volumes"),
        ((50, float("nan")), {}, "volume 1 has nan"),
        ((-50, 800), {}, "volume 0 has -50"),
        ((50, 1e300), {}, "volume 1 has 1e"),
        ((50, 800), {"weighting": "best"}, "'best'"),
    ],
)
def test_what_cannot_be_fitted_is_refused(b_values: tuple[float, ...], limits: dict[str, float], message: str) -> None:
    """The message says how many b-values there are and what was expected."""
    with pytest.raises(SeriesError, match=message):
        fit_adc(acquire((50.0, 800.0)), b_values, **limits)  # type: ignore[arg-type]


def test_volumes_on_different_grids_are_refused() -> None:
    """Another shape or place needs resampling first."""
    low, high = acquire((50.0, 800.0))
    shifted = high.affine.copy()
    shifted[2, 3] += 1
    for other in (Volume(high.array[1:], AFFINE), Volume(high.array, shifted)):
        with pytest.raises(GeometryError, match="resample it"):
            fit_adc([low, other], (50, 800))


@pytest.mark.parametrize("factor", [1.0, 1e-3, 1e-6, 0.1])
def test_units_are_recognised(factor: float) -> None:
    """Maps in 10^-6, 10^-3, 1 and 10^-5 mm2/s come back in 10^-6 mm2/s; what is no number becomes 0."""
    adc, _ = tissue()
    stored = adc * factor
    stored[0, 0, :2] = np.nan, -1
    volume, note = normalise_adc(Volume(stored, AFFINE))
    np.testing.assert_allclose(volume.array, adc, rtol=1e-5)
    assert ("multiplied" in note) == (factor != 1)


@pytest.mark.parametrize("value", [0.0, 2e4, 1e-12, np.nan, 1e300])
def test_undecidable_units_are_refused(value: float) -> None:
    """No unit makes these maps plausible."""
    with pytest.raises(SeriesError, match="Multiply it by the right factor"):
        normalise_adc(Volume(np.full(SHAPE, value), AFFINE))


def test_calculated_b_needs_a_b_value() -> None:
    """Negative or no number."""
    fit = fit_adc(acquire((50.0, 800.0)), (50, 800))
    for b in (-1.0, float("inf")):
        with pytest.raises(SeriesError, match="from 0 to"):
            calculated_b(fit, b)


def test_agreement_measures_scale_and_offset() -> None:
    """A map that is a tenth lower and 20 above; nothing in common gives None; another grid is refused."""
    fit = fit_adc(acquire((50.0, 800.0)), (50, 800))
    found = compare_adc(fit, Volume(fit.adc.array / np.float32(1.1), AFFINE))
    assert found is not None
    assert found.n == fit.valid.sum()
    assert (found.correlation, found.median_ratio) == (pytest.approx(1), pytest.approx(1.1))
    offset = compare_adc(fit, Volume(fit.adc.array - 20 * fit.valid, AFFINE))
    assert offset is not None
    assert offset.bias == pytest.approx(20, abs=0.01)
    assert offset.limits == pytest.approx((20, 20), abs=0.01)
    assert compare_adc(fit, Volume(np.zeros(SHAPE), AFFINE)) is None
    with pytest.raises(GeometryError):
        compare_adc(fit, Volume(np.zeros((2, 2, 2)), AFFINE))


def test_a_synthetic_patient_at_rest_has_its_true_adc(cohort: list[SyntheticStudy]) -> None:
    """Volumes brought back by the true transforms: 3 % from the map of a patient who did not move."""
    study = read_study(cohort[2].folder)
    (dwi,), (adc,) = study.with_role("dwi"), study.with_role("adc")
    truth = json.loads(cohort[2].truth.read_text())
    (series,) = (s for s in truth["series"] if s["kind"] == "dwi")
    grid = dwi.volume(0)
    points = grid.to_lps(np.moveaxis(np.indices(grid.shape), 0, -1))
    volumes = []
    for k, transform in enumerate(series["transforms"]):
        back = np.linalg.inv(transform)
        volumes.append(Volume(dwi.volume(k).sample(points @ back[:3, :3].T + back[:3, 3]), grid.affine))
    assert dwi.b_values is not None
    found = compare_adc(fit_adc(volumes, dwi.b_values), normalise_adc(adc.volume())[0])
    assert found is not None
    assert found.n > 50_000
    assert found.median_ratio == pytest.approx(1, abs=0.03)
    assert abs(found.bias) < 30


def test_agreement_with_a_scanner(real_data: Path) -> None:
    """An unweighted fit of all three b-values is the scanner's, as if every signal had been 1.5 units higher.

    Stored signals are whole numbers, 10 to 50 in tissue: so little removes the difference of 4.8 %.
    """
    study = read_study(real_data / "prostatex" / "ProstateX-0000")
    (dwi,), (adc,) = study.with_role("dwi"), study.with_role("adc")
    vendor, note = normalise_adc(adc.volume())
    assert "stored in 10^-6 mm2/s" in note
    assert dwi.b_values is not None
    volumes = [dwi.volume(k) for k in range(3)]
    plain = compare_adc(fit_adc(volumes, dwi.b_values, weighting="uniform"), vendor)
    raised = [Volume(volume.array + 1.5, volume.affine) for volume in volumes]
    shifted = compare_adc(fit_adc(raised, dwi.b_values, weighting="uniform"), vendor)
    default = compare_adc(fit_adc(volumes, dwi.b_values), vendor)
    assert plain is not None
    assert shifted is not None
    assert default is not None
    assert plain.correlation is not None
    assert plain.correlation > 0.998
    assert plain.median_ratio == pytest.approx(1.048, abs=0.005)
    assert shifted.median_ratio == pytest.approx(1, abs=0.01)
    assert shifted.correlation is not None
    assert shifted.correlation > 0.999
    assert default.correlation is not None
    assert default.correlation > 0.99
    assert default.median_ratio == pytest.approx(1, abs=0.07)


def test_repeated_directions_of_a_real_scanner(real_data: Path) -> None:
    """17 volumes, five of them b = 0 in disguise and twelve directions: a plausible map of the head."""
    (series,) = read_study(real_data / "philips_dwi").series
    assert series.b_values is not None
    fit = fit_adc([series.volume(k) for k in range(17)], series.b_values)
    assert fit.b_values == (0.0, 1000.0)
    assert len(fit.used) == 17
    assert 700 < float(np.median(fit.adc.array[fit.valid])) < 1100
    assert 0.3 < fit.valid.mean() < 0.6
