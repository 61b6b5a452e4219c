"""From a study to corrected, co-registered and written series, with what is already there left as it is.

For each diffusion and dynamic series: motion correction; the ADC recomputed from the corrected volumes; both laid on
the static series, where the scanner's own ADC and calculated high b-values follow their diffusion series.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from curation.derivation import Derivation
from curation.errors import CurationError, ParameterError, SourceError
from curation.problems import Problem
from curation.registration.adc import recompute_adc
from curation.registration.coregister import Accept, CoRegistration, coregister
from curation.registration.motion import MotionCorrection, motion_correct
from curation.registration.outcome import (
    coregistration_outcome,
    motion_outcome,
    restore_coregistration,
    restore_motion,
)
from curation.registration.parameters import (
    Engine,
    RegistrationParameters,
    check_honoured,
    default_parameters,
)
from curation.registration.results import engine_version
from curation.result_store import Request, ResultStore, StoredResult
from curation.series import Series
from curation.study import Study

Tell = Callable[[str, int, int], None]
"""Called with what is being done, the number of steps of it that are done, and of all."""


@dataclass(frozen=True)
class Plan:
    """How a study is curated.

    Parameters
    ----------
    engine : str
    motion_parameters, coregistration_parameters : RegistrationParameters or None
        The engine's defaults where None.
    accept : str
        As for `coregister`.
    refine_gland : bool
        As for `motion_correct`.
    again : bool
        Compute everything, whatever is there.
    motion_only : bool
        Stop after motion correction.
    """

    engine: Engine = "lightbox"
    motion_parameters: RegistrationParameters | None = None
    coregistration_parameters: RegistrationParameters | None = None
    accept: Accept = "earned"
    refine_gland: bool = False
    again: bool = False
    motion_only: bool = False

    def check(self) -> None:
        """Refuse parameters that the engine does not honour, before anything is computed.

        Raises
        ------
        ParameterError
            Naming the fields.
        """
        if self.refine_gland and self.engine != "lightbox":
            raise ParameterError("Only the lightbox engine follows the gland by itself; leave --refine-gland out.")
        if self.motion_parameters is not None:
            check_honoured(self.motion_parameters, self.engine, "motion_correction")
        if self.coregistration_parameters is not None:
            check_honoured(self.coregistration_parameters, self.engine, "coregistration")


@dataclass(frozen=True, eq=False)
class Written:
    """One result, where it lies, and whether it was there before."""

    stored: StoredResult
    role: str
    on_static: bool
    from_store: bool


FAILED = ("step-failed", "source-unreadable")
"""Codes of problems that mean that what was asked for could not be done."""


@dataclass(eq=False)
class CuratedSeries:
    """What became of one series; parts that were not reached are None, and `problems` says why."""

    series: Series
    motion: MotionCorrection | None = None
    fixed: CoRegistration | None = None
    vendor_adc: Series | None = None
    written: list[Written] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Whether a step could not be done."""
        return any(problem.code in FAILED for problem in self.problems)

    def release(self) -> None:
        """Let go of the voxels; what was written and said stays."""
        self.motion = self.fixed = None


_EVERY = ("motion", "laying it on T2w")
"""Steps for every series; the others are for diffusion only."""


def to_curate(study: Study) -> tuple[Series, ...]:
    """Return the series that are curated: regular diffusion and dynamic ones that are no results themselves."""
    return tuple(s for s in study.series if s.role in ("dwi", "dce") and s.regular and not s.curation_result)


def followers(study: Study, series: Series) -> tuple[Series, ...]:
    """Return the scanner's maps that were computed from a diffusion series.

    A map belongs to the diffusion series in its frame of reference, on its grid, that comes last before it (by Series
    Number): scanners number what they compute after what they acquire.
    """
    if series.role != "dwi":
        return ()
    sources = [s for s in to_curate(study) if s.role == "dwi"]
    found = []
    for candidate in study.series:
        if candidate.role not in ("adc", "calculated-b") or not candidate.regular or candidate.curation_result:
            continue
        fitting = [s for s in sources if _same_grid(s, candidate)]
        before = [s for s in fitting if (s.number or 0) <= (candidate.number or 0)]
        chosen = max(before or fitting, key=lambda s: s.number or 0, default=None)
        if chosen is series:
            found.append(candidate)
    return tuple(found)


def _same_grid(a: Series, b: Series) -> bool:
    same = a.frame_of_reference_uid == b.frame_of_reference_uid and a.shape[1:] == b.shape[1:]
    return same and bool(np.allclose(a.spacing_mm, b.spacing_mm, atol=0.01))


def curate_series(
    study: Study, series: Series, static: Series | None, store: ResultStore, plan: Plan, tell: Tell
) -> CuratedSeries:
    """Correct, lay on the static and write one series; a part that fails is told and the others go on.

    Parameters
    ----------
    study : Study
    series : Series
    static : Series or None
        What it is laid on; the study's default where None.
    store : ResultStore
        Open.
    plan : Plan
    tell : callable

    Returns
    -------
    CuratedSeries
    """
    work = _Work(study, CuratedSeries(series), static, store, plan, tell)
    name = series.description or series.uid
    steps = {"motion": work.motion, "ADC": work.adc, "laying it on T2w": work.fix, "maps on T2w": work.maps}
    wanted = ["motion"] if plan.motion_only else [step for step in steps if series.role == "dwi" or step in _EVERY]
    for step in wanted:
        label = f"{name}: {step}"
        started = time.perf_counter()
        work.label = label
        tell(label, 0, 1)
        try:
            steps[step]()
        except (CurationError, OSError) as error:
            work.result.problems.append(Problem(_code(error), f"{label}: {error}"))
        work.result.seconds[step] = round(time.perf_counter() - started, 3)
    return work.result


def _code(error: Exception) -> str:
    return "source-unreadable" if isinstance(error, SourceError) else "step-failed"


class _Work:
    """The steps for one series."""

    def __init__(
        self,
        study: Study,
        result: CuratedSeries,
        static: Series | None,
        store: ResultStore,
        plan: Plan,
        tell: Tell,
    ) -> None:
        self.study, self.result, self.store, self.plan, self.tell = study, result, store, plan, tell
        self.series, self.label = result.series, ""
        self.static = static or study.default_static
        self.ids: dict[str, str] = {}

    def motion(self) -> None:
        plan, series = self.plan, self.series
        parameters = plan.motion_parameters or default_parameters(plan.engine, "motion_correction")
        settings = self._settings(parameters, refine_gland=plan.refine_gland)
        request = Request("motion_correction", series, settings=settings)
        found = None if plan.again else self.store.find(request)
        if found is not None:
            self.result.motion = restore_motion(series, found.outcome)
            self._note("motion", found, series.role, on_static=False, from_store=True)
            return
        moved = motion_correct(series, parameters, plan.engine, refine_gland=plan.refine_gland, progress=self._progress)
        self.result.motion = moved
        self._keep("motion", request, moved.derivation, motion_outcome(moved))

    def adc(self) -> None:
        moved = self.result.motion
        if moved is None or "motion" not in self.ids:
            return
        if len(set(self.series.b_values or ())) < 2:
            text = "The ADC is not computed: fewer than two b-values are known."
            self.result.problems.append(Problem("no-adc", text))
            return
        request = Request("adc", self.series, settings=self._adc_settings(), depends_on=self.ids["motion"])
        self._unless_there("adc", request, lambda: recompute_adc(moved).derivation)

    def fix(self) -> None:
        moved, static = self.result.motion, self.static
        if moved is None or "motion" not in self.ids:
            return
        if static is None:
            text = "There is no axial T2w series to lay it on; name another one as static."
            self.result.problems.append(Problem("no-static-series", text))
            return
        plan = self.plan
        parameters = plan.coregistration_parameters or default_parameters(plan.engine, "coregistration")
        settings = self._settings(parameters, accept=plan.accept)
        request = Request("coregistration", self.series, static, settings, self.ids["motion"])
        found = None if plan.again else self.store.find(request)
        if found is not None:
            self.result.fixed = restore_coregistration(moved, static, found.outcome)
            self._note("fixed", found, self.series.role, on_static=True, from_store=True)
            return
        fixed = coregister(moved, static, parameters, plan.engine, accept=plan.accept)
        self.result.fixed = fixed
        self._keep("fixed", request, fixed.derivation, coregistration_outcome(fixed))

    def maps(self) -> None:
        fixed = self.result.fixed
        if fixed is None or self.static is None or "fixed" not in self.ids:
            return
        if "adc" in self.ids:
            request = Request("adc", self.series, self.static, self._adc_settings(), self.ids["fixed"])
            self._unless_there("adc on static", request, lambda: recompute_adc(fixed).derivation)
        for follower in followers(self.study, self.series):
            if follower.uid in self.static.uids:
                continue
            if follower.role == "adc" and self.result.vendor_adc is None:
                self.result.vendor_adc = follower
            request = Request("coregistration", follower, self.static, {"follows": self.series.uid}, self.ids["fixed"])
            self._unless_there(follower.uid, request, lambda follower=follower: fixed.follow(follower))  # type: ignore[misc]

    def _settings(self, parameters: RegistrationParameters, **options: Any) -> dict[str, Any]:
        engine = self.plan.engine
        return {
            "engine": engine,
            "engine_version": engine_version(engine),
            "parameters": parameters.to_json(),
            "options": options,
        }

    def _adc_settings(self) -> dict[str, Any]:
        return {"engine": "lightbox", "engine_version": engine_version("lightbox")}

    def _unless_there(self, name: str, request: Request, make: Callable[[], Derivation]) -> None:
        on_static = request.static is not None
        found = None if self.plan.again else self.store.find(request)
        if found is not None:
            self._note(name, found, str(found.outcome.get("role", "")), on_static=on_static, from_store=True)
            return
        derivation = make()
        self._keep(name, request, derivation, {"role": derivation.role, "notes": list(derivation.notes)})

    def _keep(self, name: str, request: Request, derivation: Derivation, outcome: dict[str, Any]) -> None:
        stored = self.store.keep(request, derivation, outcome, self._progress)
        self._note(name, stored, derivation.role, on_static=request.static is not None, from_store=False)

    def _note(self, name: str, stored: StoredResult, role: str, *, on_static: bool, from_store: bool) -> None:
        self.ids[name] = stored.id
        self.result.written.append(Written(stored, role, on_static, from_store))

    def _progress(self, done: int, total: int) -> None:
        self.tell(self.label, done, total)


def study_folder(out: Path, study: Study) -> Path:
    """Return where the results of a study go: patient, date and a hash of the Study Instance UID, safe to use."""
    patient = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "_" for c in study.patient_id)[:40]
    tail = hashlib.sha256(study.uid.encode()).hexdigest()[:8]  # one folder for one study, whatever its numbers
    date = study.date.isoformat() if study.date else "no-date"
    return out / f"{patient or 'no-id'}_{date}_{tail}"
