"""``curate``: the command line of this package. It parses and prints; the work is done elsewhere.

Exit codes: 0 done, 1 missing data or another reason that is printed, 2 wrong usage.
"""

from __future__ import annotations

import typer

from curation.cli import look, work

app = typer.Typer(
    name="curate",
    help="Cancer images in, better images and masks out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def curate() -> None:
    """Cancer images in, better images and masks out."""


app.command()(look.synth)
app.command()(look.scan)
app.command()(work.run)
app.command("motion-correct")(work.motion_correct)
app.command()(work.coregister)


def main() -> None:
    """Run ``curate``."""
    app()
