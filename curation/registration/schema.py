"""Checks of untrusted JSON: each names the field's path, what was expected and what came."""

from __future__ import annotations

import json
import reprlib
from collections.abc import Callable, Collection, Mapping
from typing import Any, NoReturn, TypeVar

from curation.errors import ParameterError

T = TypeVar("T")

_SHORT = reprlib.Repr()
_SHORT.maxlevel = 2
_SHORT.maxstring = _SHORT.maxother = 80
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = 2


def refuse(path: str, wanted: str, value: object) -> NoReturn:
    """Raise the error for a field; the value is shown shortened.

    Raises
    ------
    ParameterError
        Always.
    """
    raise ParameterError(f"Expected {path or 'the document'} to be {wanted}; got {_show(value)}.")


def check_int(value: object, low: int, high: int, path: str) -> int:
    """Return a whole number in a range; true, false and 4.0 are none.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        refuse(path, f"a whole number from {low} to {high}", value)
    return value


def check_number(value: object, low: float, high: float, path: str, *, low_open: bool = False) -> float:
    """Return a finite number in a range, of which the lower end may be excluded.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        above = low < value if low_open else low <= value
        if above and value <= high:  # neither is true of NaN
            return value
    refuse(path, f"a number {'above' if low_open else 'from'} {low:g} up to {high:g}", value)


def check_choice(value: object, choices: Collection[str], path: str) -> str:
    """Return one of the words allowed.

    Raises
    ------
    ParameterError
        If it is something else.
    """
    if not isinstance(value, str) or value not in choices:
        refuse(path, f"one of {', '.join(choices)}", value)
    return value


def check_fields(value: object, path: str, required: Collection[str], optional: Collection[str] = ()) -> dict[str, Any]:
    """Return an object's fields after checking that all are there that must be and no others.

    Raises
    ------
    ParameterError
        If it is no object, or a field is missing or unknown; unknown ones are named.
    """
    if not isinstance(value, Mapping):
        refuse(path, "an object", value)
    fields = dict(value)
    allowed = ", ".join([*required, *optional])
    unknown = [name for name in fields if name not in required and name not in optional]
    if unknown:
        named = ", ".join(_show(name) for name in unknown[:8]) + (", ..." if len(unknown) > 8 else "")
        raise ParameterError(f"Unknown field in {path or 'the document'}: {named}. Allowed are: {allowed}.")
    missing = [name for name in required if name not in fields]
    if missing:
        raise ParameterError(f"Missing in {path or 'the document'}: {', '.join(missing)}. Its fields are: {allowed}.")
    return fields


def read_list(value: object, path: str, most: int, read: Callable[[object, str], T]) -> tuple[T, ...]:
    """Return the items of a list of 1 to `most`, each read with its own path.

    Raises
    ------
    ParameterError
        If it is no list or its length is out of range, or by `read`.
    """
    if not isinstance(value, list | tuple) or not 1 <= len(value) <= most:
        refuse(path, f"a list of 1 to {most} items", value)
    return tuple(read(item, f"{path}[{n}]") for n, item in enumerate(value))


def parse(text: str | bytes, most: int) -> Any:
    """Parse a JSON text of at most `most` characters or bytes, in which no field is given twice.

    Raises
    ------
    ParameterError
        If it is longer, no JSON (``NaN`` and ``Infinity`` are none, RFC 8259 section 6), nested too deeply, or a
        field is given twice.
    """
    if len(text) > most:
        raise ParameterError(f"Expected a JSON text of at most {most} characters; got {len(text)}.")
    try:
        return json.loads(text, object_pairs_hook=_fields_once, parse_constant=_no_constant)
    except ParameterError:
        raise
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise ParameterError(f"Expected a JSON text; it cannot be parsed: {error}.") from error


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ParameterError(f"Expected each field once; {_show(twice)} is given twice.")
    return fields


def _no_constant(name: str) -> NoReturn:
    raise ParameterError(f"Expected a finite number; got {name}, which JSON has not.")


def _show(value: object) -> str:
    """Return a short, printable picture of what came."""
    try:
        return _SHORT.repr(value)
    except ValueError:  # an integer of more digits than Python converts
        return f"a {type(value).__name__} too large to show"
