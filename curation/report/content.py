"""What a report is made of: the results of one study, as they come from the functions that computed them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from curation.diffusion import AdcAgreement, AdcFit
from curation.problems import Problem
from curation.quality import ImageQuality
from curation.registration.coregister import CoRegistration
from curation.registration.motion import MotionCorrection
from curation.series import Series
from curation.study import Study
from curation.volume import Volume


@dataclass(frozen=True, eq=False)
class AdcReport:
    """The ADC that was recomputed, and what it is compared with.

    Parameters
    ----------
    fit : AdcFit
        Of the corrected volumes.
    before : AdcFit or None
        Of the volumes as acquired.
    vendor : Volume or None
        The scanner's map in 10^-6 mm2/s, on any grid in the frame of reference of `fit`.
    agreement : AdcAgreement or None
        Of `fit` with the scanner's map.
    agreement_before : AdcAgreement or None
        Of `before` with the scanner's map.
    notes : tuple of str
        What a reader must know, one sentence each, beside the fit's own notes (the unit of the scanner's map).
    """

    fit: AdcFit
    before: AdcFit | None = None
    vendor: Volume | None = None
    agreement: AdcAgreement | None = None
    agreement_before: AdcAgreement | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class WrittenSeries:
    """One folder of files that was written.

    Parameters
    ----------
    description : str
        Series Description.
    folder : Path
        As it should be shown: relative to the output folder where possible.
    files : int
    """

    description: str
    folder: Path
    files: int


@dataclass(frozen=True, eq=False)
class SeriesReport:
    """What was done with one series; what was not done stays None.

    Parameters
    ----------
    series : Series
        As read; its own problems are reported too.
    motion : MotionCorrection or None
    coregistration : CoRegistration or None
    adc : AdcReport or None
    quality : ImageQuality or None
        Of the reference volume (or the only one) as acquired.
    followers : tuple of Series
        Maps that were laid on the static with this series' transform (the scanner's ADC, calculated b-values).
    written : tuple of WrittenSeries
    problems : tuple of Problem
        What went wrong or should be known beyond `series.problems`; an error of this series comes here.
    notes : tuple of str
        What else a reader should know (that a result was taken from the cache).
    seconds : mapping of str to float
        Duration of each step by its name for people, for example ``{"motion correction": 0.2}``.
    """

    series: Series
    motion: MotionCorrection | None = None
    coregistration: CoRegistration | None = None
    adc: AdcReport | None = None
    quality: ImageQuality | None = None
    followers: tuple[Series, ...] = ()
    written: tuple[WrittenSeries, ...] = ()
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class StudyReport:
    """All of one study.

    Parameters
    ----------
    study : Study
        Gives patient identifier, date, all series, problems and quarantined files.
    series : tuple of SeriesReport
        Those that something was done with, in the order in which they are shown.
    static : Series or None
        What others were laid on.
    problems : tuple of Problem
        Of the whole run, beyond `study.problems`.
    seconds : float or None
        Duration of the whole run.
    created : datetime or None
        When the run ended, with its time zone; the time of writing by default.
    """

    study: Study
    series: tuple[SeriesReport, ...] = ()
    static: Series | None = None
    problems: tuple[Problem, ...] = ()
    seconds: float | None = None
    created: datetime.datetime | None = None
