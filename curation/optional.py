"""The one door for optional packages: absent ones give an error that says what to install."""

from __future__ import annotations

import importlib
from types import ModuleType

from curation.errors import MissingDependencyError


def require(module: str, feature: str, extra: str) -> ModuleType:
    """Import an optional package, or say what needs it and how to get it.

    Parameters
    ----------
    module : str
        Dotted name of the module, for example ``"matplotlib.figure"``.
    feature : str
        What the caller wants to do, as the start of a sentence: ``"Drawing slices"``.
    extra : str
        The optional dependency group of this project that holds the package.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingDependencyError
        If the package is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        package = module.partition(".")[0]
        if error.name is None or error.name.partition(".")[0] != package:
            raise  # the package is there; something that it needs itself is not
        message = (
            f"{feature} needs the package {package!r}, which is not installed. "
            f"Install it with: pip install 'lightbox[{extra}]'"
        )
        raise MissingDependencyError(message) from error
