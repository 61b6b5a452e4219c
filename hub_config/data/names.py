"""What an identifier may look like, in one place: it becomes a path, a mount, a URL and a volume name."""

from __future__ import annotations

import re

from hub_config.errors import InvalidInputError

# Also the rule of JupyterHub 6 for named servers, whose names are project ids.
_SLUG = re.compile(r"[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?")


def check_slug(value: str, what: str) -> str:
    """Return ``value`` if it may identify a project or dataset.

    Raises
    ------
    InvalidInputError
        It is not 1 to 30 lower-case letters, digits and hyphens, starting with a letter.
    """
    if not _SLUG.fullmatch(value):
        raise InvalidInputError(
            f"{value!r} cannot be the id of a {what}: use 1 to 30 lower-case letters, digits and hyphens, a letter "
            "first and no hyphen last, for example prostate-2026."
        )
    return value
