"""Writes the reference pages from where things are defined: commands, settings and events.

Run ``python docs/generate.py`` after changing one of them; a test compares the pages with what this gives.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from curation.cli import app as curate
from hub_config.cli import app as lightbox
from hub_config.record.events import AnyEvent, Event
from hub_config.settings import IdentitySettings, ProfileSettings, Settings

FOLDER = Path(__file__).resolve().parent
_NOTE = "<!-- Written by docs/generate.py: change the code that it reads, then run it again. -->"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", Path: "path"}


def pages() -> dict[str, str]:
    """Return the reference pages by file name."""
    return {"commands.md": commands_page(), "settings.md": settings_page(), "events.md": events_page()}


def commands_page() -> str:
    """Return every command with its arguments and options."""
    intro = (
        "Two programs. `lightbox` runs a workspace; in a checkout it is `./lightbox`, which first makes what is "
        "missing in `.venv`. `curate` works on images; it is in every workspace, and in `.venv/bin` of a checkout.",
        "Every command knows `--help`. With `--json` a command prints one JSON object on stdout, and all else on "
        "stderr.",
        "Exit status: 0 done; 1 it could not be done, the reason is printed; 2 wrong usage.",
        "`STATE` is the directory of everything that persists. A workspace started with `--state` needs the same "
        "`--state`, or the environment variable, in every other command.",
    )
    programs = (("lightbox", lightbox), ("curate", curate))
    sections = [section for name, app in programs for section in _command(typer.main.get_command(app), [name])]
    return _page("Commands", [*intro, *sections])


def _command(command: Any, path: list[str]) -> Iterator[str]:
    subcommands = getattr(command, "commands", {})
    yield f"{'#' * min(len(path) + 1, 4)} {' '.join(path)}"
    if not subcommands:
        yield f"```\n{_usage(command, path)}\n```"
    yield from _paragraphs(command.help or "")
    rows = [_parameter(parameter) for parameter in command.params]
    if rows:
        yield _table(("option or argument", "meaning", "default"), rows)
    for name, subcommand in subcommands.items():
        yield from _command(subcommand, [*path, name])


def _usage(command: Any, path: list[str]) -> str:
    words = list(path)
    if any(_is_option(parameter) for parameter in command.params):
        words.append("[OPTIONS]")
    for parameter in command.params:
        if not _is_option(parameter):
            words.append(parameter.name.upper() if parameter.required else f"[{parameter.name.upper()}]")
    if command.context_settings.get("allow_extra_args"):
        words.append("[ARGUMENTS]...")
    return " ".join(words)


def _parameter(parameter: Any) -> tuple[str, str, str]:
    if _is_option(parameter):
        value = "" if parameter.is_flag else f" {parameter.name.upper()}"
        names = ", ".join(f"`{option}{value}`" for option in parameter.opts)
    else:
        names = f"`{parameter.name.upper()}`"
    if not parameter.help:
        raise ValueError(f"{parameter.name} has no help: say in the code what it is for")
    help_text = _escape(parameter.help)
    if parameter.envvar:
        help_text += f" Environment variable: `{parameter.envvar}`."
    return names, help_text + _bounds(parameter), _default_of(parameter)


def _bounds(parameter: Any) -> str:
    low, high = getattr(parameter, "min", None), getattr(parameter, "max", None)
    if low is None and high is None:
        return ""
    return f" At least {low}." if high is None else f" From {low} to {high}."


def _default_of(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if parameter.default in (None, "") or (_is_option(parameter) and parameter.is_flag):
        return ""
    return f"`{parameter.default}`"


def _is_option(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "option")


def settings_page() -> str:
    """Return every setting with its type, default and meaning."""
    intro = (
        "`lightbox up` reads `lightbox.yaml` in the state directory, or the file after `--config`. Without a file the "
        "defaults start a demonstration. `--state`, `--port` and `--spawner` on the command line count more than the "
        "file. An unknown name, a wrong value or a contradiction stops `up` with the name of the setting.",
        "A change takes effect at the next `lightbox down` and `lightbox up`. A file for production, to be filled in: "
        "[lightbox.example.yaml](../hub_config/lightbox.example.yaml).",
    )
    parts: tuple[tuple[str, type[BaseModel], str], ...] = (
        ("Top level", Settings, ""),
        ("identity", IdentitySettings, "identity."),
        ("profiles", ProfileSettings, ""),
    )
    sections: list[str] = []
    for title, model, prefix in parts:
        sections += [f"## {title}", *_paragraphs(model.__doc__ or "")]
        rows = [_setting(prefix + name, field) for name, field in model.model_fields.items()]
        sections.append(_table(("name", "value", "default", "meaning"), rows))
    return _page("Settings", [*intro, *sections, *_default_profiles()])


def _setting(name: str, field: FieldInfo) -> tuple[str, str, str, str]:
    if not field.description:
        raise ValueError(f"The setting {name} has no description: give it one in hub_config/settings.py")
    return f"`{name}`", _type_words(field.annotation, field.metadata), _value(field), _escape(field.description)


def _value(field: FieldInfo) -> str:
    default = field.default
    if field.is_required():
        return "see meaning" if "Default:" in (field.description or "") else "required"
    if default is PydanticUndefined or (isinstance(default, tuple) and default and isinstance(default[0], BaseModel)):
        return "see below"
    if default is None or default == "":
        return "unset"
    if isinstance(default, dict):
        return "<br>".join(f"`{key}: {', '.join(values)}`" for key, values in default.items())
    if isinstance(default, tuple):
        return "<br>".join(f"`{item}`" for item in default)
    return f"`{default}`"


def _type_words(annotation: Any, metadata: Sequence[object] = ()) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_words(arguments[0], metadata)
    if origin in (Union, types.UnionType):
        return " or ".join(_type_words(part) for part in arguments if part is not type(None))
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is tuple:
        return f"list of {_type_words(arguments[0])}"
    if origin is dict:
        return f"for each of {_type_words(arguments[0])}: {_type_words(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "names and values"
    return _WORDS.get(annotation, getattr(annotation, "__name__", str(annotation))) + _limits(metadata)


def _limits(metadata: Iterable[object]) -> str:
    found = ""
    for limit in metadata:
        if isinstance(limit, annotated_types.Ge):
            found += f" from {limit.ge}"
        elif isinstance(limit, annotated_types.Gt):
            found += f" above {limit.gt}"
        elif isinstance(limit, annotated_types.Le):
            found += f" to {limit.le}"
        elif pattern := getattr(limit, "pattern", None):
            found += f" like `{_escape(pattern)}`"
    return found


def _default_profiles() -> Iterator[str]:
    yield "### Profiles without a settings file"
    yield "`profiles` in the file replaces all of them."
    rows = [
        (
            f"`{profile.id}`",
            _escape(f"{profile.title}. {profile.description}"),
            f"{profile.cpu:g}",
            f"{profile.memory_gib:g}",
            f"{profile.shm_gib:g}",
            str(profile.gpus),
            ", ".join(f"`{role}`" for role in profile.roles),
        )
        for profile in Settings.model_fields["profiles"].default
    ]
    yield _table(("id", "title and description", "cores", "memory GiB", "shm GiB", "GPUs", "roles"), rows)


def events_page() -> str:
    """Return every type of event with what it says."""
    intro = (
        "The audit trail, `STATE/audit/events.jsonl`, holds one JSON object a line. `lightbox audit tail` shows it. "
        "Each line begins with `seal`, a hash of all that stands before it; `lightbox audit verify` checks them. "
        "A login, a start or a decision goes on when its event is on the disk; where the event cannot be written, it "
        "does not happen.",
        "Every event carries:",
        _table(("field", "meaning"), _common_fields()),
        "Beside these:",
    )
    union = get_args(AnyEvent)[0]
    rows = []
    for model in get_args(union):
        own = [name for name in model.model_fields if name not in {*Event.model_fields, "type"}]
        rows.append(
            (
                f"`{model.model_fields['type'].default}`",
                _escape((model.__doc__ or "").splitlines()[0]),
                ", ".join(f"`{name}`" for name in own),
            )
        )
    return _page("Events", [*intro, _table(("type", "when", "fields"), rows)])


def _common_fields() -> list[tuple[str, str]]:
    """Read the numpydoc parameters of ``Event``: a name, then its meaning one step further in."""
    lines = (Event.__doc__ or "").partition("----------\n")[2].splitlines()
    found: list[tuple[str, list[str]]] = []
    for line in filter(None, map(str.rstrip, lines)):
        indent = len(line) - len(line.lstrip())
        if indent == 4 and " : " in line:
            found.append((line.strip().split(" : ")[0], []))
        elif found:
            found[-1][1].append(line.strip())
    return [(f"`{name}`", _escape(" ".join(words).replace("``", "`"))) for name, words in found]


def _paragraphs(text: str) -> Iterator[str]:
    for block in text.strip().split("\n\n"):
        if block.strip():
            yield _escape(" ".join(line.strip() for line in block.splitlines()))


def _escape(text: str) -> str:
    """Escape what Markdown would take for a tag or a column, outside and inside of code."""
    pieces = text.replace("|", "\\|").split("`")
    return "`".join(piece if number % 2 else piece.replace("<", "&lt;") for number, piece in enumerate(pieces))


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _page(title: str, sections: Iterable[str]) -> str:
    return "\n\n".join([f"# {title}", _NOTE, *sections]) + "\n"


def main() -> None:
    """Write the pages beside this file."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
        sys.stdout.write(f"docs/{name}\n")


if __name__ == "__main__":
    main()
