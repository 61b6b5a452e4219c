"""What a registration is run with, in the schema of the ProCancer-I curation tool.

The schema is that of ProCancer-I deliverable D4.4, Appendix B: steps (translation, rigid, affine), each with
levels from coarse to fine (factor, iterations, sigma), then the number of histogram bins and the share of voxels
sampled. Both engines read and write it. A field that an engine has no use for is refused, never ignored: a record
must not say what was not done.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

from curation.errors import ParameterError
from curation.registration import schema

Engine = Literal["lightbox", "dipy"]
RegistrationFunction = Literal["motion_correction", "coregistration"]
StepName = Literal["translation", "rigid", "affine"]

MAX_STEPS = 6
MAX_LEVELS = 8
MAX_FACTOR = 64
MAX_DOCUMENT = 65_536
LIGHTBOX_FEWEST_BINS = 16
"""Fewer than the window of the histogram needs, or than tells tissues apart."""
LIGHTBOX_LEVELS: Mapping[str, int] = {"motion_correction": 3, "coregistration": 2}
"""Levels of our own engine's pyramids, whose grids are fixed in millimetres."""

_UID = re.compile(r"(?=.{1,64}\Z)\d+(\.\d+)*", re.ASCII)  # PS3.5 9.1, but leading zeros occur and are kept
_VERSION = re.compile(r"[ -~]{0,64}")
_LIGHTBOX_STEPS = {"motion_correction": (("rigid",), ("rigid", "affine")), "coregistration": (("rigid",),)}
_MILLIMETRES = "the lightbox engine's pyramid is fixed in millimetres"
_SAMPLES = "the lightbox engine's samples are fixed"
_BINS = "the lightbox engine's correlation ratio for motion correction has its own bins"
_NEEDED = "the dipy engine has no value of its own for it"
_FINEST = "the dipy engine runs the last level on the image as it is: give factor 1 and sigma 0"


@dataclass(frozen=True)
class Level:
    """One level of a step's pyramid.

    Parameters
    ----------
    factor : int or None
        The image is shrunk by this along each axis, 1 to `MAX_FACTOR`; None leaves it to the engine.
    level_iters : int
        Largest number of iterations, 1 to 10000.
    sigma : float or None
        Standard deviation in voxels of the Gaussian that smooths the image, 0 to 20; None leaves it to the engine.
    """

    factor: int | None = None
    level_iters: int = 10
    sigma: float | None = None


@dataclass(frozen=True)
class RegistrationStep:
    """One step: a kind of transform, and levels from coarse to fine.

    Parameters
    ----------
    registration_step_name : str
        ``translation``, ``rigid`` or ``affine``.
    levels : tuple of Level
        1 to `MAX_LEVELS`.
    """

    registration_step_name: StepName
    levels: tuple[Level, ...]


@dataclass(frozen=True)
class RegistrationParameters:
    """Steps in the order in which they run, each starting where the one before ended.

    Parameters
    ----------
    registration_steps : tuple of RegistrationStep
        1 to `MAX_STEPS`.
    nbins : int or None
        Histogram bins along each axis, 4 to 256; None leaves it to the engine.
    sampling_prop : float or None
        Share of the static image's voxels that are sampled, above 0 and up to 1; None leaves it to the engine.

    Raises
    ------
    ParameterError
        If a value is of another type or out of range; the message names its path and what was expected.
    """

    registration_steps: tuple[RegistrationStep, ...]
    nbins: int | None = None
    sampling_prop: float | None = None

    def __post_init__(self) -> None:
        steps = schema.read_list(self.registration_steps, "registration_steps", MAX_STEPS, _check_step)
        object.__setattr__(self, "registration_steps", steps)
        if self.nbins is not None:
            schema.check_int(self.nbins, 4, 256, "nbins")
        if self.sampling_prop is not None:
            schema.check_number(self.sampling_prop, 0, 1, "sampling_prop", low_open=True)

    def to_json(self) -> dict[str, Any]:
        """Return the ``parameters`` object of the schema, without the fields that are left to the engine."""
        steps = [
            {
                "levels": [_given(level, ("factor", "level_iters", "sigma")) for level in step.levels],
                "registration_step_name": step.registration_step_name,
            }
            for step in self.registration_steps
        ]
        return {"registration_steps": steps, **_given(self, ("nbins", "sampling_prop"))}

    @classmethod
    def from_json(cls, mapping: Mapping[str, Any]) -> RegistrationParameters:
        """Read the ``parameters`` object of the schema.

        Parameters
        ----------
        mapping : mapping
            Parsed JSON.

        Returns
        -------
        RegistrationParameters

        Raises
        ------
        ParameterError
            If a field is unknown, missing, of another type or out of range; the message names its path, for
            example ``registration_steps[1].levels[0].factor``, what was expected and what came.
        """
        fields = schema.check_fields(mapping, "parameters", ("registration_steps",), ("nbins", "sampling_prop"))
        if "nbins" in fields:
            schema.check_int(fields["nbins"], 4, 256, "nbins")  # null is a value of sampling_prop alone
        steps = schema.read_list(fields["registration_steps"], "registration_steps", MAX_STEPS, _read_step)
        return cls(steps, fields.get("nbins"), fields.get("sampling_prop"))


def default_parameters(engine: Engine, function: RegistrationFunction) -> RegistrationParameters:
    """Return what an engine runs with when nothing is asked for.

    For ``dipy``: translation, rigid, affine, each with factors 4, 2, 1, iterations 500, 100, 10 and sigmas 3, 2, 0,
    32 bins, 0.1 of the voxels (D4.4, Appendix B). For ``lightbox``: one rigid step.

    Raises
    ------
    ParameterError
        If there is no such engine or function.
    """
    schema.check_choice(engine, get_args(Engine), "engine")
    schema.check_choice(function, get_args(RegistrationFunction), "curation_function")
    if engine == "dipy":
        levels = (Level(4, 500, 3), Level(2, 100, 2), Level(1, 10, 0))
        names: tuple[StepName, ...] = get_args(StepName)
        return RegistrationParameters(tuple(RegistrationStep(name, levels) for name in names), 32, 0.1)
    moves = function == "motion_correction"
    rigid = RegistrationStep("rigid", tuple(Level(level_iters=n) for n in ((20, 12, 10) if moves else (30, 30))))
    return RegistrationParameters((rigid,), None if moves else 32)


def check_honoured(parameters: RegistrationParameters, engine: Engine, function: RegistrationFunction) -> None:
    """Refuse parameters that an engine would not run as they are written.

    ``dipy`` needs every field and honours all but the factor and sigma of a step's last level, which must be 1 and 0
    (that level is the image as it is). Its ``level_iters`` bounds the evaluations that start a line search
    (``maxfun`` of scipy's L-BFGS-B), so a level may make some more.

    ``lightbox`` runs a rigid step and, where asked for, an affine one after it, with `LIGHTBOX_LEVELS` levels of which
    it honours ``level_iters``; it honours ``nbins`` for co-registration alone, and no ``factor``, ``sigma`` or
    ``sampling_prop``.

    Raises
    ------
    ParameterError
        If a field is not honoured or is missing; the message names all of them with the reason. Also if there is
        no such engine or function.
    """
    schema.check_choice(engine, get_args(Engine), "engine")
    schema.check_choice(function, get_args(RegistrationFunction), "curation_function")
    refused = _refused_by_dipy(parameters) if engine == "dipy" else _refused_by_lightbox(parameters, function)
    if refused:
        reasons = "; ".join(f"{', '.join(paths)}: {reason}" for reason, paths in refused.items())
        raise ParameterError(
            f"The engine {engine!r} cannot run these parameters for {function} as they are written. {reasons}."
        )


def _refused_by_dipy(parameters: RegistrationParameters) -> dict[str, list[str]]:
    fields = _optional_fields(parameters)
    refused = {_NEEDED: [path for path, value in fields if value is None]}
    # dipy.align.scalespace.IsotropicScaleSpace takes the finest image neither smoothed nor shrunk, whatever is asked.
    last = {
        f"registration_steps[{s}].levels[{len(step.levels) - 1}]"
        for s, step in enumerate(parameters.registration_steps)
    }
    idle = {"factor": 1, "sigma": 0}
    refused[_FINEST] = [
        path
        for path, value in fields
        if path.rpartition(".")[0] in last and value is not None and value != idle[path.rpartition(".")[2]]
    ]
    return {reason: paths for reason, paths in refused.items() if paths}


def _refused_by_lightbox(parameters: RegistrationParameters, function: str) -> dict[str, list[str]]:
    refused: dict[str, list[str]] = {}
    for path, value in _optional_fields(parameters):
        reason = _SAMPLES if path == "sampling_prop" else _BINS if path == "nbins" else _MILLIMETRES
        if value is not None and not (path == "nbins" and function == "coregistration"):
            refused.setdefault(reason, []).append(path)
    names = tuple(step.registration_step_name for step in parameters.registration_steps)
    if names not in _LIGHTBOX_STEPS[function]:
        expected = " or ".join(" and ".join(steps) for steps in _LIGHTBOX_STEPS[function])
        refused[f"expected the step(s) {expected}; got {', '.join(names)}"] = ["registration_steps"]
    if parameters.nbins is not None and parameters.nbins < LIGHTBOX_FEWEST_BINS:
        refused[f"the lightbox engine needs at least {LIGHTBOX_FEWEST_BINS} bins"] = ["nbins"]
    count = LIGHTBOX_LEVELS[function]
    for s, step in enumerate(parameters.registration_steps):
        if len(step.levels) != count:
            reason = f"expected {count} levels for {function}, coarse to fine; got {len(step.levels)}"
            refused.setdefault(reason, []).append(f"registration_steps[{s}].levels")
    return refused


def _optional_fields(parameters: RegistrationParameters) -> list[tuple[str, object]]:
    fields: list[tuple[str, object]] = []
    for s, step in enumerate(parameters.registration_steps):
        for n, level in enumerate(step.levels):
            place = f"registration_steps[{s}].levels[{n}]"
            fields += [(f"{place}.factor", level.factor), (f"{place}.sigma", level.sigma)]
    return [*fields, ("nbins", parameters.nbins), ("sampling_prop", parameters.sampling_prop)]


def _read_step(value: object, path: str) -> RegistrationStep:
    fields = schema.check_fields(value, path, ("levels", "registration_step_name"))
    levels = schema.read_list(fields["levels"], f"{path}.levels", MAX_LEVELS, _read_level)
    return RegistrationStep(fields["registration_step_name"], levels)


def _read_level(value: object, path: str) -> Level:
    fields = schema.check_fields(value, path, ("level_iters",), ("factor", "sigma"))
    if None in fields.values():
        name = next(name for name, given in fields.items() if given is None)
        schema.refuse(f"{path}.{name}", "a number, or left out", None)
    return Level(**fields)


def _check_step(step: object, path: str) -> RegistrationStep:
    if not isinstance(step, RegistrationStep):
        schema.refuse(path, "a RegistrationStep", step)
    name = schema.check_choice(step.registration_step_name, get_args(StepName), f"{path}.registration_step_name")
    levels = schema.read_list(step.levels, f"{path}.levels", MAX_LEVELS, _check_level)
    return RegistrationStep(cast(StepName, name), levels)


def _check_level(level: object, path: str) -> Level:
    if not isinstance(level, Level):
        schema.refuse(path, "a Level", level)
    schema.check_int(level.level_iters, 1, 10_000, f"{path}.level_iters")
    if level.factor is not None:
        schema.check_int(level.factor, 1, MAX_FACTOR, f"{path}.factor")
    if level.sigma is not None:
        schema.check_number(level.sigma, 0, 20, f"{path}.sigma")
    return level


def _given(item: object, names: tuple[str, ...]) -> dict[str, Any]:
    """Return those fields that are not left to the engine."""
    return {name: value for name in names if (value := getattr(item, name)) is not None}


@dataclass(frozen=True)
class CurationMetadata:
    """What the record of a curation function says (D4.4, Appendix B).

    Parameters
    ----------
    function : str
        ``motion_correction`` or ``coregistration``.
    parameters : RegistrationParameters
    source_series_uid : str
        Series Instance UID of what was corrected or moved.
    static_series_uid : str or None
        Series Instance UID of what it was co-registered to; None for motion correction.
    engine : str
        ``lightbox`` or ``dipy``.
    engine_version : str
        Empty where the record has none.
    """

    function: RegistrationFunction
    parameters: RegistrationParameters
    source_series_uid: str
    static_series_uid: str | None = None
    engine: Engine = "dipy"
    engine_version: str = ""


def curation_metadata(
    function: RegistrationFunction,
    parameters: RegistrationParameters,
    *,
    source_series_uid: str,
    static_series_uid: str | None = None,
    engine: Engine,
    engine_version: str,
) -> dict[str, Any]:
    """Return the record of a curation function, ready for JSON.

    The schema of D4.4, Appendix B, with ``engine`` and ``engine_version`` added in ``meta``. The arguments are the
    fields of `CurationMetadata`.

    Raises
    ------
    ParameterError
        If the engine does not honour the parameters, an identifier is none, or a co-registration has no static
        series or a motion correction has one.
    """
    check_honoured(parameters, engine, function)
    meta = {"source_series_uid": source_series_uid}
    if static_series_uid is not None:
        meta["static_series_uid"] = static_series_uid
    meta |= {"engine": engine, "engine_version": engine_version}
    document = {"curation_function": function, "meta": meta, "parameters": parameters.to_json()}
    read_curation_metadata(document)
    return document


def read_curation_metadata(document: Mapping[str, Any] | str | bytes) -> CurationMetadata:
    """Read the record of a curation function.

    Parameters
    ----------
    document : mapping or str or bytes
        Parsed JSON, or its text of at most `MAX_DOCUMENT` characters. Where it names no engine it comes from the
        ProCancer-I curation tool, whose engine is DIPY.

    Returns
    -------
    CurationMetadata
        Whether the engine can run the parameters is for `check_honoured`.

    Raises
    ------
    ParameterError
        If it is no such record; the message names the path, what was expected and what came.
    """
    parsed = schema.parse(document, MAX_DOCUMENT) if isinstance(document, str | bytes) else document
    fields = schema.check_fields(parsed, "", ("curation_function", "meta", "parameters"))
    function = schema.check_choice(fields["curation_function"], get_args(RegistrationFunction), "curation_function")
    uids = ("source_series_uid", "static_series_uid") if function == "coregistration" else ("source_series_uid",)
    meta = schema.check_fields(fields["meta"], "meta", uids, ("engine", "engine_version"))
    for name in uids:
        _check_text(meta[name], _UID, f"meta.{name}", "a Series Instance UID")
    engine = schema.check_choice(meta.get("engine", "dipy"), get_args(Engine), "meta.engine")
    version = meta.get("engine_version", "")
    _check_text(version, _VERSION, "meta.engine_version", "at most 64 printable characters")
    return CurationMetadata(
        cast(RegistrationFunction, function),
        RegistrationParameters.from_json(fields["parameters"]),
        meta["source_series_uid"],
        meta.get("static_series_uid"),
        cast(Engine, engine),
        version,
    )


def _check_text(value: object, pattern: re.Pattern[str], path: str, wanted: str) -> None:
    if not isinstance(value, str) or pattern.fullmatch(value) is None:
        schema.refuse(path, wanted, value)
