"""What was found, in sentences: they say what was done and what to look at, never what to decide."""

from __future__ import annotations

from typing import Final

import numpy as np

from curation.report.content import SeriesReport
from curation.series import Series

ROLES: Final = {
    "t2w": "T2w", "dwi": "DWI", "adc": "ADC", "dce": "DCE", "calculated-b": "Calculated b", "pd": "PD", "t1w": "T1w",
    "perfusion-map": "Perfusion", "localizer": "Localizer", "other": "Other",
}  # fmt: skip

_FLAGS: Final = {
    "large-motion": "large motion",
    "implausible-motion": "motion that is hardly possible",
    "not-finite": "values that are no numbers",
    "no-contrast": "no contrast",
    "saturated": "values cut off at the top",
    "second-measure": "corrected by a second measure",
    "not-corrected": "could not be corrected",
}
_MOST_FLAGGED: Final = 5


def role_name(series: Series) -> str:
    """Return the kind of image as people write it."""
    return ROLES.get(series.role, series.role)


def verdict(report: SeriesReport) -> str:
    """Return in one line what a person must know of a series: its kind, what was done, what to look at."""
    return f"{role_name(report.series)}: {' '.join(sentences(report)) or 'Nothing was done.'}"


def sentences(report: SeriesReport) -> list[str]:
    """Return what a person must know of a series, most important first, one sentence each."""
    found = [_motion(report), _position(report), _distortion(report), _adc(report), _look(report)]
    if report.problems:
        count = len(report.problems)
        found.append(f"{count} step{'s' * (count > 1)} did not go as meant: see Problems.")
    return [sentence for sentence in found if sentence]


def needs_a_look(report: SeriesReport) -> bool:
    """Return whether something in a series was flagged."""
    flagged = report.motion is not None and any(report.motion.flags)
    fixed = report.coregistration
    distorted = fixed is not None and fixed.distortion is not None and fixed.distortion.flagged
    return bool(flagged or distorted or report.problems or any(problem.blocking for problem in report.series.problems))


def _motion(report: SeriesReport) -> str:
    moved = report.motion
    if moved is None:
        return "Motion between its volumes was not looked for." if report.series.n_volumes > 1 else ""
    count = len(moved.sources)
    if count == 1:
        return "It has one volume: there is no motion to correct."
    shift = np.nan_to_num(moved.displacement_mm)
    changed = int(sum(not np.array_equal(transform, np.eye(4)) for transform in moved.transforms))
    if not changed:
        return f"No motion found between its {count} volumes: they are left as acquired."
    return f"{changed} of {count} volumes moved, up to {shift.max():.1f} mm; corrected."


def _position(report: SeriesReport) -> str:
    fixed = report.coregistration
    if fixed is None:
        return ""
    start = "Laid on {} by registration." if fixed.accepted else "Kept the scanner's position on {}."
    kind = "T2" if fixed.static.role == "t2w" else role_name(fixed.static)
    return " ".join((start.format(f"{kind} ({one_line(fixed.static.description, 64)})"), *fixed.reasons))


def _distortion(report: SeriesReport) -> str:
    fixed = report.coregistration
    found = None if fixed is None else fixed.distortion
    return str(found) if found is not None and found.flagged else ""


def _adc(report: SeriesReport) -> str:
    if report.adc is None:
        return ""
    agreement = report.adc.agreement
    if agreement is None:
        return "ADC recomputed."
    percent = 100 * (agreement.median_ratio - 1)
    if abs(percent) < 0.5:
        return "ADC recomputed: in the median the same as the scanner's map."
    return (
        f"ADC recomputed: in the median {abs(percent):.0f} % {'above' if percent > 0 else 'below'} the scanner's map."
    )


def _look(report: SeriesReport) -> str:
    moved = report.motion
    flagged = [] if moved is None else [(k, flags) for k, flags in enumerate(moved.flags) if flags]
    if not flagged:
        return ""
    named = [
        f"volume {k + 1} ({', '.join(_FLAGS.get(flag.code, str(flag)) for flag in flags)})"
        for k, flags in flagged[:_MOST_FLAGGED]
    ]
    more = f" and {len(flagged) - _MOST_FLAGGED} more" if len(flagged) > _MOST_FLAGGED else ""
    return f"Look at: {', '.join(named)}{more}."


def one_line(text: object, limit: int = 400) -> str:
    """Return a text from elsewhere on one line, printable and of bounded length."""
    given = str(text)[: 4 * limit]
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in given).split())
    return line if len(line) <= limit else line[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
