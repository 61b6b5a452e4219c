"""Registration parameters: the document's schema, its limits, and what each engine honours."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from curation.errors import ParameterError
from curation.registration.parameters import (
    Engine,
    Level,
    RegistrationFunction,
    RegistrationParameters,
    RegistrationStep,
    check_honoured,
    curation_metadata,
    default_parameters,
    read_curation_metadata,
)

FUNCTIONS: tuple[RegistrationFunction, ...] = ("motion_correction", "coregistration")
LEVELS = [
    {"factor": 4, "level_iters": 500, "sigma": 3},
    {"factor": 2, "level_iters": 100, "sigma": 2},
    {"factor": 1, "level_iters": 10, "sigma": 0},
]
DOCUMENT = {
    "registration_steps": [
        {"levels": LEVELS, "registration_step_name": "translation"},
        {"levels": LEVELS, "registration_step_name": "rigid"},
        {"levels": LEVELS, "registration_step_name": "affine"},
    ],
    "nbins": 32,
    "sampling_prop": 0.1,
}

level_lists = st.lists(
    st.builds(
        Level,
        st.none() | st.integers(1, 64),
        st.integers(1, 10_000),
        st.none() | st.integers(0, 20) | st.floats(0, 20),
    ),
    min_size=1,
    max_size=8,
).map(tuple)
steps = st.builds(RegistrationStep, st.sampled_from(["translation", "rigid", "affine"]), level_lists)
any_parameters = st.builds(
    RegistrationParameters,
    st.lists(steps, min_size=1, max_size=6).map(tuple),
    st.none() | st.integers(4, 256),
    st.none() | st.floats(0, 1, exclude_min=True),
)


@given(any_parameters)
def test_json_text_and_back_changes_nothing(parameters: RegistrationParameters) -> None:
    """Any parameters survive a round trip through JSON text, and the second text is the first."""
    text = json.dumps(parameters.to_json(), allow_nan=False)
    again = RegistrationParameters.from_json(json.loads(text))
    assert again == parameters
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("function", FUNCTIONS)
def test_dipy_defaults_are_the_documents(function: RegistrationFunction) -> None:
    """The JSON of the defaults is Appendix B's, to the letter."""
    parameters = default_parameters("dipy", function)
    assert json.dumps(parameters.to_json(), sort_keys=True) == json.dumps(DOCUMENT, sort_keys=True)
    assert RegistrationParameters.from_json(DOCUMENT) == parameters


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize(("engine", "other"), [("dipy", "lightbox"), ("lightbox", "dipy")])
def test_an_engine_honours_its_own_defaults_alone(
    engine: Engine, other: Engine, function: RegistrationFunction
) -> None:
    """Each engine takes its defaults and refuses the other's."""
    parameters = default_parameters(engine, function)
    check_honoured(parameters, engine, function)
    with pytest.raises(ParameterError, match=r"levels\[0\]\.factor"):
        check_honoured(parameters, other, function)


def _changed(path: tuple[Any, ...], value: object) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    place: Any = document
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return document


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("registration_steps", 1, "levels", 0, "factor"), 0, r"registration_steps\[1\]\.levels\[0\]\.factor .* got 0"),
        (("registration_steps", 1, "levels", 0, "factor"), True, "from 1 to 64; got True"),
        (("registration_steps", 1, "levels", 0, "factor"), 4.0, "whole number"),
        (("registration_steps", 1, "levels", 0, "factor"), None, r"levels\[0\]\.factor .* left out; got None"),
        (("registration_steps", 0, "levels", 2, "level_iters"), 10_001, r"\[0\]\.levels\[2\]\.level_iters .* 10000"),
        (("registration_steps", 0, "levels", 2, "sigma"), float("nan"), "sigma .* from 0 up to 20; got nan"),
        (("registration_steps", 0, "levels", 2, "sigma"), 10**30, "sigma .* from 0 up to 20"),
        (("registration_steps", 0, "levels", 2, "sigma"), "3", "got '3'"),
        (("registration_steps", 0, "levels", 2, "smooth"), 3, r"Unknown field in .*levels\[2\]: 'smooth'"),
        (("registration_steps", 0, "levels"), [], "list of 1 to 8 items"),
        (("registration_steps", 0, "levels"), [{}], "Missing in .*: level_iters"),
        (("registration_steps", 0, "levels"), [LEVELS[0]] * 9, "list of 1 to 8 items"),
        (("registration_steps", 2, "registration_step_name"), "elastic", "translation, rigid, affine; got 'elastic'"),
        (("registration_steps", 2, "registration_step_name"), [], "translation, rigid, affine"),
        (("registration_steps",), [DOCUMENT["registration_steps"][0]] * 7, "list of 1 to 6 items"),
        (("registration_steps",), "abc", "list of 1 to 6 items; got 'abc'"),
        (("registration_steps",), ["rigid"], r"registration_steps\[0\] to be an object"),
        (("nbins",), 3, "nbins .* 4 to 256; got 3"),
        (("nbins",), None, "nbins"),
        (("sampling_prop",), 0, "above 0 up to 1; got 0"),
        (("sampling_prop",), 1.01, "above 0 up to 1"),
        (("Sampling",), "x" * 10_000, "Unknown field in parameters: 'Sampling'"),
    ],
)
def test_what_is_wrong_is_named(path: tuple[Any, ...], value: object, message: str) -> None:
    """Path, expectation and what came are in the message, which stays short."""
    with pytest.raises(ParameterError, match=message) as caught:
        RegistrationParameters.from_json(_changed(path, value))
    assert len(str(caught.value)) < 300


def test_numbers_too_large_to_show_are_refused() -> None:
    """An integer beyond floats, and beyond what Python prints, raises as any other."""
    for field in ("factor", "sigma"):
        with pytest.raises(ParameterError, match="got a int too large to show"):
            RegistrationParameters.from_json(_changed(("registration_steps", 0, "levels", 0, field), 10**6000))


def test_parameters_made_in_python_are_checked_too() -> None:
    """Wrong values and wrong classes raise at construction."""
    with pytest.raises(ParameterError, match=r"levels\[0\]\.sigma"):
        RegistrationParameters((RegistrationStep("rigid", (Level(1, 10, -1),)),))
    with pytest.raises(ParameterError, match="a Level"):
        RegistrationParameters((RegistrationStep("rigid", ({"level_iters": 3},)),))  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="a RegistrationStep"):
        RegistrationParameters(("rigid",))  # type: ignore[arg-type]


def test_lists_become_tuples() -> None:
    """Steps and levels given as lists are kept as tuples, so that parameters can be compared and hashed."""
    levels: Any = [Level(level_iters=5)]
    steps: Any = [RegistrationStep("rigid", levels)]
    tuples = RegistrationParameters((RegistrationStep("rigid", (Level(level_iters=5),)),))
    assert hash(RegistrationParameters(steps)) == hash(tuples)
    assert RegistrationParameters(steps) == tuples


def _lightbox(names: tuple[Any, ...], levels: int, level: Level, **others: Any) -> RegistrationParameters:
    return RegistrationParameters(tuple(RegistrationStep(name, (level,) * levels) for name in names), **others)


PLAIN = Level(level_iters=10)


@pytest.mark.parametrize(
    ("parameters", "function", "message"),
    [
        (_lightbox(("rigid",), 2, PLAIN), "motion_correction", r"steps\[0\]\.levels: expected 3 .* got 2"),
        (_lightbox(("rigid",), 3, PLAIN), "coregistration", r"steps\[0\]\.levels: expected 2 .* got 3"),
        (_lightbox(("affine",), 3, PLAIN), "motion_correction", "rigid and affine; got affine"),
        (_lightbox(("affine", "rigid"), 3, PLAIN), "motion_correction", "got affine, rigid"),
        (_lightbox(("translation", "rigid"), 3, PLAIN), "motion_correction", "got translation, rigid"),
        (_lightbox(("rigid",), 3, PLAIN, nbins=32), "motion_correction", "nbins: .*own bins"),
        (_lightbox(("rigid",), 2, PLAIN, sampling_prop=0.1), "coregistration", "sampling_prop: .*fixed"),
        (_lightbox(("rigid",), 2, Level(2, 10)), "coregistration", r"levels\[0\]\.factor, .*levels\[1\]\.factor: "),
        (_lightbox(("rigid",), 2, Level(None, 10, 1)), "coregistration", r"levels\[1\]\.sigma: .*millimetres"),
    ],
)
def test_lightbox_refuses_what_it_does_not_honour(
    parameters: RegistrationParameters, function: RegistrationFunction, message: str
) -> None:
    """Each field is named with the reason."""
    with pytest.raises(ParameterError, match=message):
        check_honoured(parameters, "lightbox", function)


def test_lightbox_takes_an_affine_step_for_motion_only() -> None:
    """Rigid then affine, with the engine's own number of levels; co-registration is rigid."""
    check_honoured(_lightbox(("rigid", "affine"), 3, PLAIN), "lightbox", "motion_correction")
    with pytest.raises(ParameterError, match=r"expected the step\(s\) rigid; got rigid, affine"):
        check_honoured(_lightbox(("rigid", "affine"), 2, PLAIN), "lightbox", "coregistration")


def test_lightbox_needs_bins_for_its_window() -> None:
    """Fewer than 16 bins are refused before they reach a kernel."""
    with pytest.raises(ParameterError, match="at least 16 bins"):
        check_honoured(_lightbox(("rigid",), 2, PLAIN, nbins=4), "lightbox", "coregistration")


@pytest.mark.parametrize("missing", ["factor", "sigma", "nbins", "sampling_prop"])
def test_dipy_needs_every_field(missing: str) -> None:
    """A field left out has no default in DIPY: the message names it and no other."""
    document: dict[str, Any] = json.loads(json.dumps(DOCUMENT))
    place: Any = document if missing in document else document["registration_steps"][1]["levels"][0]
    del place[missing]
    path = missing if place is document else rf"registration_steps\[1\]\.levels\[0\]\.{missing}"
    with pytest.raises(ParameterError, match=rf"written\. {path}: the dipy engine"):
        check_honoured(RegistrationParameters.from_json(document), "dipy", "coregistration")


@pytest.mark.parametrize(("field", "value"), [("factor", 2), ("sigma", 0.5)])
def test_dipy_cannot_smooth_or_shrink_the_last_level(field: str, value: float) -> None:
    """DIPY ignores both there, so a record that has them would say what was not done."""
    document = _changed(("registration_steps", 2, "levels", 2), {**LEVELS[2], field: value})
    with pytest.raises(ParameterError, match=rf"written\. registration_steps\[2\]\.levels\[2\]\.{field}: .*as it is"):
        check_honoured(RegistrationParameters.from_json(document), "dipy", "motion_correction")


def test_unknown_engines_and_functions_are_refused() -> None:
    """They are named, with the ones there are."""
    with pytest.raises(ParameterError, match="lightbox, dipy; got 'ants'"):
        default_parameters("ants", "coregistration")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="motion_correction, coregistration; got 'adc'"):
        check_honoured(default_parameters("dipy", "coregistration"), "dipy", "adc")  # type: ignore[arg-type]


META: dict[str, Any] = {"source_series_uid": "1.2.3", "static_series_uid": "1.2.4"}


def _record(function: str = "coregistration", meta: dict[str, Any] = META, **others: Any) -> dict[str, Any]:
    return {"curation_function": function, "meta": meta, "parameters": DOCUMENT, **others}


@pytest.mark.parametrize("engine", ["lightbox", "dipy"])
def test_a_record_is_read_back(engine: Engine) -> None:
    """Function, identifiers, engine, version and parameters of both functions survive JSON text and bytes."""
    parameters = default_parameters(engine, "coregistration")
    document = curation_metadata("coregistration", parameters, **META, engine=engine, engine_version="1.2")
    for given_as in (document, json.dumps(document), json.dumps(document).encode()):
        read = read_curation_metadata(given_as)
        assert (read.function, read.parameters) == ("coregistration", parameters)
        assert (read.source_series_uid, read.static_series_uid) == ("1.2.3", "1.2.4")
        assert (read.engine, read.engine_version) == (engine, "1.2")


def test_a_record_has_the_documents_fields() -> None:
    """Appendix B's three objects; engine and version are added to meta and nothing else."""
    parameters = default_parameters("dipy", "motion_correction")
    record = curation_metadata(
        "motion_correction", parameters, source_series_uid="1.2.3", engine="dipy", engine_version="dipy 1.12.1"
    )
    meta = {"source_series_uid": "1.2.3", "engine": "dipy", "engine_version": "dipy 1.12.1"}
    assert record == _record("motion_correction", meta)


def test_a_record_of_the_earlier_tool_is_dipys() -> None:
    """It names no engine; its co-registration has a static series, its motion correction has none."""
    read = read_curation_metadata(_record())
    assert (read.engine, read.engine_version, read.static_series_uid) == ("dipy", "", "1.2.4")
    check_honoured(read.parameters, read.engine, read.function)
    assert read_curation_metadata(_record("motion_correction", {"source_series_uid": "1.2"})).static_series_uid is None


def test_no_record_of_what_was_not_run() -> None:
    """Parameters that the engine does not honour cannot be recorded as its own."""
    parameters = default_parameters("dipy", "coregistration")
    with pytest.raises(ParameterError, match="'lightbox' cannot run"):
        curation_metadata("coregistration", parameters, **META, engine="lightbox", engine_version="1")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("[" * 60_000, "cannot be parsed"),
        ("{" * 70_000, "at most 65536 characters; got 70000"),
        (b"\xff\xfe", "cannot be parsed"),
        ('{"meta": 1, "meta": 2}', "'meta' is given twice"),
        ('{"meta": NaN}', "got NaN"),
        ('{"meta": ' + "9" * 5000 + "}", "cannot be parsed"),
        ("[]", "the document to be an object"),
        ("{}", "Missing in the document: curation_function, meta, parameters"),
        (_record("adc"), "curation_function .* got 'adc'"),
        (_record(nbins=32), "Unknown field in the document: 'nbins'"),
        (_record("motion_correction"), "Unknown field in meta: 'static_series_uid'"),
        (_record(meta={"source_series_uid": "1"}), "Missing in meta: static_series_uid"),
        (_record(meta={**META, "source_series_uid": "1.2\n"}), "meta.source_series_uid"),
        (_record(meta={**META, "source_series_uid": "../1"}), "meta.source_series_uid"),
        (_record(meta={**META, "static_series_uid": "1" * 65}), "meta.static_series_uid"),
        (_record(meta={**META, "source_series_uid": None}), "meta.source_series_uid .* got None"),
        (_record(meta={**META, "engine": "ants"}), "meta.engine .* got 'ants'"),
        (_record(meta={**META, "engine_version": "x" * 65}), "meta.engine_version"),
        (_record(parameters=None), "parameters to be an object; got None"),
    ],
)
def test_what_is_no_record_is_refused(document: Any, message: str) -> None:
    """Hostile and wrong documents raise the one error, with a short message."""
    with pytest.raises(ParameterError, match=message) as caught:
        read_curation_metadata(document)
    assert len(str(caught.value)) < 300
