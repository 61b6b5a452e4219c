"""The numbers of one series as tables, each with what it means."""

from __future__ import annotations

from typing import Final

import numpy as np

from curation.comparison.choice import volume_labels
from curation.diffusion import AdcAgreement
from curation.registration.coregister import CoRegistration
from curation.registration.motion import MotionCorrection
from curation.registration.results import Agreement
from curation.report.content import AdcReport, SeriesReport
from curation.report.markup import bullets, paragraph, table

MEASURES: Final = (
    "NMI (normalised mutual information, 1 to 2) is close to what registration maximises, so that it rises proves "
    "little. Edge overlap (about 0 to 1) is not: it judges better. Both are measured in the region around the centre; "
    "compare before with after, not one pair of images with another."
)
_QUALITY: Final = (
    ("snr", "SNR", "signal of the central tissue over its noise, measured in tissue"),
    ("snr_air", "SNR by air", "the same signal over the noise of air; only where there is air"),
    ("cnr", "CNR", "difference of the brighter and the darker half of the central tissue over its noise"),
    ("sharpness", "Sharpness", "0 blurred, 1 sharp; noise counts as sharpness"),
    ("ghosting", "Ghosting", "excess signal in air along phase encoding, as a share of tissue; 0 is none"),
    ("efc", "Entropy focus", "0 to 1; ghosts and blur raise it"),
    ("fber", "Foreground to background", "energy of tissue over that of air; higher is better"),
    ("saturation", "Saturation", "share of elements at the highest value; above about 0.001 the image is clipped"),
    ("slice_variation", "Slice variation", "steps between neighbouring slices; motion within a volume raises it"),
)

_LARGE: Final = ("snr", "snr_air", "cnr", "fber")


def number(value: float | None, digits: int = 3) -> str:
    """Return a number for a table; a dash where there is none."""
    return "\N{EN DASH}" if value is None or not np.isfinite(value) else f"{value:.{digits}f}"


def motion_table(moved: MotionCorrection) -> str:
    """Return displacement, rotation and agreement of each volume."""
    labels, kind = volume_labels(moved.series)
    named = not kind.startswith("volume")
    columns = ("Volume", *((kind,) if named else ()), "Displacement (mm)", "Rotation (degrees)", *_before_after())
    rows = []
    for k, (shift, turn) in enumerate(zip(moved.displacement_mm, moved.rotation_degrees, strict=True)):
        start = f"{k + 1}{' (reference)' if k == moved.reference else ''}"
        values = (number(shift, 2), number(turn, 2), *_agreement(moved.metrics[k]))
        rows.append((start, *((labels[k],) if named else ()), *values))
    caption = f"Motion. Each volume against volume {moved.reference + 1}, displacement at the centre."
    return table(caption, columns, rows, numbers=True) + bullets(
        f"Volume {k + 1}: {flag}" for k, flags in enumerate(moved.flags) for flag in flags
    )


def position_table(fixed: CoRegistration) -> str:
    """Return how well the series lies on the static, as used."""
    rows = [("As used", *_agreement(fixed.metrics))]
    used = "registered" if fixed.accepted else "the scanner's positions, so before and after are the same"
    caption = f"Position on the static series. The reference volume; used: {used}."
    found = fixed.distortion
    slabs = ""
    if found is not None:
        shifts = ", ".join(number(shift, 1) for shift in found.shifts_mm)
        slabs = paragraph(f"{found} Three slabs across the gland: {shifts} mm.")
    return table(caption, ("", *_before_after()), rows, numbers=True) + slabs


def adc_table(report: AdcReport) -> str:
    """Return how the ADC agrees with the scanner's map, and what was fitted."""
    compared = (("Recomputed", report.agreement), ("Before correction", report.agreement_before))
    rows = [(name, *_adc_agreement(found)) for name, found in compared if found is not None]
    rows = rows[:1] if report.agreement == report.agreement_before else rows
    columns = ("", "Elements", "Correlation", "Median ratio", "Bias", "95 % limits of agreement")
    caption = "ADC against the scanner's map. Bias and limits in 10⁻⁶ mm²/s (Bland and Altman), inside tissue."
    fit = report.fit
    b_values = ", ".join(f"{b:g}" for b in fit.b_values)
    share = "" if fit.r2 is None else f" The model explains {fit.r2:.1%} of the variance in the median."
    text = f"Fitted to b = {b_values} s/mm².{share}"
    return table(caption, columns, rows, numbers=True) + paragraph(text) + bullets((*fit.notes, *report.notes))


def quality_table(report: SeriesReport) -> str:
    """Return the quality numbers of a series with what each means."""
    if report.quality is None:
        return ""
    found = report.quality.to_json()
    rows = [(name, number(found[key], 1 if key in _LARGE else 3), text) for key, name, text in _QUALITY]
    caption = "Image quality. As acquired; the numbers rank images of one protocol and one scanner. "
    caption += "A dash: this image does not allow it."
    return table(caption, ("Measure", "Value", "What it says"), rows)


def _before_after() -> tuple[str, str, str, str]:
    return "NMI before", "NMI after", "Edge overlap before", "Edge overlap after"


def _agreement(found: Agreement) -> tuple[str, str, str, str]:
    return (
        number(found.nmi_before),
        number(found.nmi_after),
        number(found.edge_overlap_before),
        number(found.edge_overlap_after),
    )


def _adc_agreement(found: AdcAgreement) -> tuple[str, ...]:
    limits = f"{found.limits[0]:.0f} to {found.limits[1]:.0f}"
    return f"{found.n}", number(found.correlation), number(found.median_ratio), f"{found.bias:.0f}", limits
