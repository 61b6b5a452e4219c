"""``lightbox test|bench``: what developers and continuous integration run."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

from hub_config.cli.output import JsonOption, errors, people, show
from hub_config.errors import ServiceError
from hub_config.paths import ROOT
from hub_config.services.testbed import run_checks


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})(test)
    app.command()(bench)


def test(context: typer.Context) -> None:
    """Run every check: format, lint, types, dependency rules, front end, tests.

    Arguments after `test` go to pytest, and then only pytest runs: lightbox test tests/curation -k series
    """
    raise typer.Exit(run_checks(context.args, lambda text: errors.print(text, highlight=False, soft_wrap=True)))


def bench(
    name: Annotated[str | None, typer.Argument(help="Benchmark to run. Without it: a list of what there is.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Run a benchmark of this release against its peers."""
    known = _benchmarks()
    if name is None:
        rows = list(known.items())
        show(as_json, {"benchmarks": known}, "Benchmarks: lightbox bench NAME", ("name", "what it measures"), rows)
        return
    if name not in known:
        raise typer.BadParameter(f"there is no benchmark {name!r}; there are: {', '.join(known) or 'none yet'}")
    done = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{name}"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise ServiceError(f"The benchmark {name} failed; its last words are above.")
    result: dict[str, Any] = json.loads(done.stdout)
    if as_json:
        sys.stdout.write(json.dumps(result) + "\n")
    else:
        people.print_json(data=result)


def _benchmarks() -> dict[str, str]:
    """Return the benchmarks with the first line of each docstring."""
    files = sorted((ROOT / "benchmarks").glob("[a-z]*.py"))
    return {file.stem: file.read_text(encoding="utf-8").split('"""', 2)[1].splitlines()[0] for file in files}
