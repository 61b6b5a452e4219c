"""Curating whole studies: every series, the store of results, and a report in pictures for each study."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from curation.diffusion import compare_adc, fit_adc, normalise_adc
from curation.errors import CurationError
from curation.pipeline import CuratedSeries, Plan, Tell, Written, curate_series, followers, study_folder
from curation.problems import Problem
from curation.quality import image_quality
from curation.registration.coregister import CoRegistration
from curation.registration.distortion import phase_direction
from curation.registration.motion import MotionCorrection
from curation.registration.outcome import coregistration_outcome, motion_outcome
from curation.registration.results import in_threads
from curation.report import AdcReport, SeriesReport, StudyReport, WrittenSeries, verdict, write_report
from curation.result_store import open_store
from curation.series import Series
from curation.study import Study

REPORT = "report.html"


@dataclass(frozen=True, eq=False)
class CuratedStudy:
    """What became of one study.

    Parameters
    ----------
    study : Study
    folder : Path
        Where its results lie.
    report : Path or None
        None where the study could not be curated at all.
    series : tuple of CuratedSeries
        Without their voxels.
    verdicts : tuple of str
        One line for each series, in words.
    problems : tuple of Problem
        Of the study and of the run.
    seconds : float
        Duration, the report included.
    content : mapping
        Each series as JSON; transforms in LPS mm.
    """

    study: Study
    folder: Path
    report: Path | None
    series: tuple[CuratedSeries, ...]
    verdicts: tuple[str, ...]
    problems: tuple[Problem, ...]
    seconds: float
    content: tuple[Mapping[str, Any], ...] = ()

    @property
    def failed(self) -> bool:
        """Whether something that was asked for could not be done."""
        return self.report is None or any(one.failed for one in self.series)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "uid": self.study.uid,
            "patient_id": self.study.patient_id,
            "date": None if self.study.date is None else self.study.date.isoformat(),
            "folder": str(self.folder),
            "report": None if self.report is None else str(self.report),
            "seconds": round(self.seconds, 3),
            "verdicts": list(self.verdicts),
            "problems": [problem.to_json() for problem in self.problems],
            "series": list(self.content),
        }


def curate_studies(
    studies: Sequence[Study],
    out: Path,
    plan: Plan,
    selection: Mapping[str, Sequence[Series]],
    statics: Mapping[str, Series],
    tell: Tell,
) -> tuple[CuratedStudy, ...]:
    """Curate studies one after the other; one that cannot be curated is told, and the others go on.

    Parameters
    ----------
    studies : sequence of Study
    out : Path
        Each study gets a folder in it.
    plan : Plan
    selection : mapping of str to sequence of Series
        What is curated of each study, by Study Instance UID.
    statics : mapping of str to Series
        What others are laid on, where it is not the study's default, by Study Instance UID.
    tell : callable
        Called with what is being done, the number of steps done, and of all.
    """
    done = []
    for study in studies:
        started = time.perf_counter()
        try:
            chosen, static = selection.get(study.uid, ()), statics.get(study.uid)
            done.append(_curate_study(study, study_folder(out, study), plan, chosen, static, tell))
        except (CurationError, OSError) as error:
            problem = Problem("not-curated", f"The study could not be curated: {error}")
            seconds = time.perf_counter() - started
            done.append(
                CuratedStudy(study, study_folder(out, study), None, (), (), (*study.problems, problem), seconds)
            )
    return tuple(done)


def _curate_study(
    study: Study, folder: Path, plan: Plan, chosen: Sequence[Series], static: Series | None, tell: Tell
) -> CuratedStudy:
    started = time.perf_counter()
    with open_store(folder) as store:
        curated = tuple(curate_series(study, series, static, store, plan, tell) for series in chosen)
        problems = []
        if not curated:
            text = "Nothing to curate: there is no regular diffusion or dynamic series."
            problems.append(Problem("nothing-to-curate", text))
        reports = tuple(_report_of(study, one) for one in curated)
        seconds = time.perf_counter() - started
        content = StudyReport(study, reports, static or study.default_static, tuple(problems), seconds)
        report, key = folder / REPORT, _key(content, curated)
        if not (report.exists() and store.matches(REPORT, key)):
            tell("Drawing the report", 0, 1)
            write_report(report, content)
            store.remember(REPORT, key)
    as_json = tuple(_series_json(one, folder) for one in curated)
    for one in curated:
        one.release()
    return CuratedStudy(
        study=study,
        folder=folder,
        report=report,
        series=curated,
        verdicts=tuple(verdict(one) for one in reports),
        problems=(*study.problems, *problems),
        seconds=time.perf_counter() - started,
        content=as_json,
    )


def _key(content: StudyReport, curated: Sequence[CuratedSeries]) -> list[Any]:
    """Return what a report shows: drawn again only where this differs."""
    return [
        content.static.uid if content.static else "",
        [[one.series.uid, [w.stored.id for w in one.written], [str(p) for p in one.problems]] for one in curated],
        [str(problem) for problem in (*content.study.problems, *content.problems)],
    ]


def _report_of(study: Study, curated: CuratedSeries) -> SeriesReport:
    """Gather what a person judges by; a number that cannot be computed is left out, with the reason."""
    problems = list(curated.problems)
    adc, quality = None, None
    try:
        adc = _adc_of(curated)
        if curated.motion is not None:
            reference = curated.motion.sources[curated.motion.reference]
            quality = image_quality(reference, phase_direction=phase_direction(curated.series))
    except CurationError as error:
        problems.append(Problem("not-measured", f"A number for the report could not be computed: {error}"))
    there = [written for written in curated.written if written.from_store]
    notes = (f"{len(there)} of {len(curated.written)} results were there from an earlier run.",) if there else ()
    return SeriesReport(
        series=curated.series,
        motion=curated.motion,
        coregistration=curated.fixed,
        adc=adc,
        quality=quality,
        followers=followers(study, curated.series) if curated.fixed is not None else (),
        written=tuple(_written(written) for written in curated.written),
        problems=tuple(problems),
        notes=notes,
        seconds=curated.seconds,
    )


def _written(written: Written) -> WrittenSeries:
    where = "on the static" if written.on_static else "on its own grid"
    return WrittenSeries(f"{written.role}, {where}", Path(written.stored.folder), written.stored.files)


def _adc_of(curated: CuratedSeries) -> AdcReport | None:
    """Fit the ADC before and after correction, and compare both with the scanner's map where there is one."""
    moved = curated.motion
    b_values = curated.series.b_values or ()
    if moved is None or curated.series.role != "dwi" or len(set(b_values)) < 2:
        return None
    after, before = in_threads(lambda volumes: fit_adc(volumes, b_values), (moved.volumes, moved.sources))
    if curated.vendor_adc is None:
        return AdcReport(after, before)
    vendor, note = normalise_adc(curated.vendor_adc.volume())
    return AdcReport(after, before, vendor, compare_adc(after, vendor), compare_adc(before, vendor), (note,))


def _series_json(curated: CuratedSeries, folder: Path) -> dict[str, Any]:
    series = curated.series
    return {
        "uid": series.uid,
        "number": series.number,
        "description": series.description,
        "role": series.role,
        "motion": None if curated.motion is None else _motion_json(curated.motion),
        "coregistration": None if curated.fixed is None else _coregistration_json(curated.fixed),
        "written": [
            {
                "role": written.role,
                "function": written.stored.slot[0],
                "series_instance_uid": written.stored.id,
                "static_series_uid": written.stored.slot[2],
                "folder": str(folder / written.stored.folder),
                "files": written.stored.files,
                "from_store": written.from_store,
            }
            for written in curated.written
        ],
        "problems": [problem.to_json() for problem in curated.problems],
        "seconds": curated.seconds,
    }


def _motion_json(moved: MotionCorrection) -> dict[str, Any]:
    return {**motion_outcome(moved), "metrics": [vars(metric) for metric in moved.metrics]}


def _coregistration_json(fixed: CoRegistration) -> dict[str, Any]:
    distortion = None if fixed.distortion is None else {**vars(fixed.distortion), "flagged": fixed.distortion.flagged}
    return {
        **coregistration_outcome(fixed),
        "static_series_uid": fixed.static.uid,
        "metrics": vars(fixed.metrics),
        "distortion": distortion,
    }
