"""Pictures to judge by: what they show of a known motion, and that nothing breaks them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from curation import (
    CoRegistration,
    MotionCorrection,
    Picture,
    Series,
    Volume,
    coregister,
    fit_adc,
    motion_correct,
    show_adc,
    show_displacement,
    show_middle_slices,
    show_montage,
    show_overlay,
)
from curation.comparison.choice import chosen_volumes, seen, volume_labels, volume_name
from curation.comparison.overlay import blend
from curation.drawing import crop, header_text
from curation.problems import Problem
from tests.curation.registration.scenes import moved_by, other_contrast, scene, series_of

B_VALUES = (50.0, 400.0, 800.0)


@pytest.fixture(scope="module")
def moved() -> MotionCorrection:
    """Three volumes, the second moved by 4.1 mm, the third by 1.4 mm and turned."""
    second = scene(moved_by((3, -2, 2), (0, 0, 0)), seed=1)
    third = scene(moved_by((-1, 1, 0), (0, 0, 2)), seed=2)
    return motion_correct(series_of([scene(), second, third], b_values=B_VALUES))


def static(volume: Volume) -> Series:
    return dataclasses.replace(series_of([volume], role="t2w"), uid="2.25.8", uids=("2.25.8",))


@pytest.fixture(scope="module")
def fixed(moved: MotionCorrection) -> CoRegistration:
    """Laid on another contrast that lies 5 mm away: registered."""
    return coregister(moved, static(other_contrast(scene(moved_by((4, 3, 0), (0, 0, 0)), seed=3))))


def titles(picture: Picture) -> list[str]:
    found = [axes.get_title(loc=side) for axes in picture.figure.axes for side in ("left", "right")]
    return [title for title in found if title]


def words(picture: Picture) -> str:
    return "\n".join(text.get_text() for text in picture.figure.texts)


def pixels(axes: Any) -> Any:
    return np.ma.filled(np.ma.asarray(axes.images[0].get_array(), dtype=float), np.nan)


def still(series: Series, **changes: Any) -> MotionCorrection:
    return dataclasses.replace(MotionCorrection.none(series), **changes)


def test_what_is_shown_is_the_result(moved: MotionCorrection) -> None:
    """The slice that a picture resamples is the slice of the corrected volume."""
    reference = moved.sources[0]
    affine, shape = crop(reference, 7, 20.0)
    first = np.rint(reference.to_index(affine[:3, 3])).astype(int)
    part = tuple(slice(start, start + count) for start, count in zip(first[1:], shape[1:], strict=True))
    np.testing.assert_allclose(
        seen(moved.sources[1], (affine, shape), moved.transforms[1]), moved.volumes[1].array[7][part], atol=0.02
    )
    assert max(shape[1:]) * 2.1 <= 2 * 20 + 2 * 2.1


def test_montage_shows_each_volume_before_and_after(moved: MotionCorrection) -> None:
    """Two rows, b-values above, what was done below, and what is to be looked at; corrected ones resemble the first."""
    picture = show_montage(moved)
    done = ["reference", *(f"moved {mm:.1f} mm" for mm in moved.displacement_mm[1:])]
    assert titles(picture) == ["b = 50", "b = 400", "! look at it", "b = 800", *done]
    first, before, after = (pixels(picture.figure.axes[n]) for n in (0, 1, 4))
    assert np.abs(after - first).mean() < 0.5 * np.abs(before - first).mean()
    assert "DWI  scene: slice 8 of 16" in words(picture)
    assert len(show_montage(moved, difference=True).figure.axes) == 9


def test_of_many_volumes_those_that_matter_are_shown() -> None:
    """Of 30 the reference, what is flagged, what moved most; the picture says that it is a choice."""
    volume = scene()
    series = series_of([volume] * 30)
    transforms = np.repeat(np.eye(4)[None], 30, axis=0)
    transforms[17, 0, 3] = 2.0
    flags = tuple((Problem("saturated", "x"),) if k == 22 else () for k in range(30))
    moved = still(series, transforms=transforms, flags=flags, reference=3)
    chosen = chosen_volumes(moved, 6)
    assert len(chosen) == 6
    assert {3, 17, 22} <= set(chosen)
    assert "6 of 30 volumes: the reference" in words(show_montage(moved))


def test_cuts_run_straight_after_correction(moved: MotionCorrection) -> None:
    """The columns of a cut differ less between volumes after correction; letters stand."""
    picture = show_middle_slices(moved)
    axes = picture.figure.axes
    assert len(axes) == 8
    for before, after in ((axes[1], axes[5]), (axes[3], axes[7])):  # across, the line meets little but noise
        middle = slice(len(pixels(before)) // 4, -len(pixels(before)) // 4)  # at the ends others come into the image
        jagged, straight = (pixels(cut)[middle].std(axis=1).mean() for cut in (before, after))
        assert straight < 0.75 * jagged
    assert {text.get_text() for text in axes[1].texts} | {text.get_text() for text in axes[2].texts} == set("APRL")
    assert [label.get_text() for label in axes[5].get_xticklabels()] == ["50", "400", "800"]


def test_bars_are_the_displacements(moved: MotionCorrection) -> None:
    """Heights in mm and degrees, b-values below, a mark and a sentence for what is flagged."""
    picture = show_displacement(moved)
    upper, lower = picture.figure.axes
    np.testing.assert_allclose([bar.get_height() for bar in upper.patches], moved.displacement_mm)
    np.testing.assert_allclose([bar.get_height() for bar in lower.patches], moved.rotation_degrees)
    assert [label.get_text() for label in lower.get_xticklabels()] == ["50", "400", "800"]
    assert [text.get_text() for text in upper.texts] == ["ref", "!"]
    assert "! volume 2 of 3 (b = 400 s/mm²): It moved by 4.1 mm" in words(picture)
    assert "Largest: 4.1 mm" in picture.text


def test_nothing_moved_is_said() -> None:
    """An empty chart is no answer."""
    picture = show_displacement(still(series_of([scene(), scene()])))
    assert "No volume was moved." in [text.get_text() for text in picture.figure.axes[0].texts]


def test_overlay_shows_both_positions_and_says_which_is_used(fixed: CoRegistration) -> None:
    """Three slices, in colour and as edges; accepted or refused, what registration found is there."""
    picture = show_overlay(fixed)
    assert fixed.accepted
    assert len(picture.figure.axes) == 12
    assert "Registration used. Edge overlap goes from" in words(picture)
    assert titles(picture)[:4] == [
        "slice 13 of 16, scanner's positions", "slice 13 of 16, registered, used",
        "edges, scanner's positions", "edges, registered, used",
    ]  # fmt: skip
    refused = show_overlay(dataclasses.replace(fixed, accepted=False, reasons=("It went too far.",)))
    assert "Kept where the scanner put it. It went too far." in words(refused)
    assert {"edges, scanner's positions, used", "edges, registered, not used"} <= set(titles(refused))
    kept = coregister(fixed.moving, fixed.static, accept="never")
    assert len(show_overlay(kept, count=1).figure.axes) == 2


def test_the_moving_image_is_green_and_the_static_one_red() -> None:
    """One alone has its colour; both together are nearly grey."""
    dark, bright = np.zeros((1, 1), np.float32), np.ones((1, 1), np.float32)
    red, green, both = (blend(a, b)[0, 0] for a, b in ((bright, dark), (dark, bright), (bright, bright)))
    assert red[0] > 2 * red[1:].max()
    assert green[1] > 1.5 * green[[0, 2]].max()
    assert both.min() > 0.85


def test_adc_maps_share_one_window() -> None:
    """Recomputed, before and vendor in the same grey values with a unit; the difference only where both are known."""
    affine = np.diag([3.0, 2.0, 2.0, 1.0])
    signal = np.full((3, 40, 40), 1000.0, np.float32)
    signal[:, :10] = 0
    volumes = [Volume(signal * np.float32(np.exp(-b * 1.2e-3)), affine) for b in (50.0, 800.0)]
    fit = fit_adc(volumes, (50.0, 800.0))
    vendor = Volume(np.where(signal > 0, 1100, 0).astype(np.float32), affine)
    picture = show_adc(fit, before=fit.adc, vendor=vendor, title="ep2d")
    panels = [axes for axes in picture.figure.axes if axes.get_title(loc="left") and axes.images]
    assert [axes.images[0].get_clim() for axes in panels[:3]] == [(0, 2500)] * 3
    difference = pixels(panels[3])
    assert np.isnan(difference[:10]).all()
    np.testing.assert_allclose(difference[10:], 100, atol=1)
    assert "ADC  ep2d, slice 2 of 3" in words(picture)
    assert titles(picture).count("10⁻⁶ mm²/s") == 4


def test_what_is_missing_is_said() -> None:
    """None gives a sentence."""
    for show in (show_montage, show_middle_slices, show_displacement, show_overlay, show_adc):
        picture = show(None)
        assert " here" in picture.text
        assert picture.png(50).startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["$\\frac{", "日本 \u202e\n\x07", "x" * 500, "<b>&amp;", ""])
@pytest.mark.parametrize("fault", ["nan", "single", "constant"])
def test_nothing_breaks_a_picture(name: str, fault: str) -> None:
    """Text that is no text, and volumes without numbers, without contrast, of one slice: all are drawn."""
    values = np.random.default_rng(0).uniform(0, 100, (1 if fault == "single" else 4, 12, 13)).astype(np.float32)
    values[0] = np.nan if fault == "nan" else values[0]
    values[:] = 7 if fault == "constant" else values
    volume = Volume(values, np.diag([3.0, 2.0, 2.0, 1.0]), "2.25.1")
    series = dataclasses.replace(series_of([volume] * (1 if fault == "single" else 3)), description=name)
    moved = motion_correct(series)
    fixed = coregister(moved, static(volume), accept="never")
    for picture in (show_montage(moved), show_middle_slices(moved), show_displacement(moved), show_overlay(fixed)):
        assert picture.png(40).startswith(b"\x89PNG")
    assert show_adc(volume, vendor=volume, title=name).png(40).startswith(b"\x89PNG")


def test_header_text_is_one_bounded_line_that_the_font_has() -> None:
    """Control characters go, long texts are cut, unknown letters are marked."""
    assert header_text(" a\n\x00b\u202e ") == "a b"
    assert len(header_text("x" * 1000)) == 64
    assert header_text("日") == "\N{REPLACEMENT CHARACTER}"
    assert header_text("Prostata größe µ") == "Prostata größe µ"


def test_volumes_are_called_by_what_is_known() -> None:
    """b-values, else times where all are known, else numbers."""
    series = series_of([scene()] * 2, b_values=(50, 800))
    assert volume_labels(series) == (["50", "800"], "b-value (s/mm²)")
    timed = dataclasses.replace(series, b_values=None, acquisition_times_s=(0.0, 8.4))
    assert volume_name(timed, 1) == "volume 2 of 2 (8 s)"
    unknown = dataclasses.replace(timed, acquisition_times_s=(0.0, None))
    assert volume_name(unknown, 1) == "volume 2 of 2"
