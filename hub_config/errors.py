"""The errors of the hub's half, one tree.

::

    LightboxError                 every message says what was expected, what came, what to do
    ├── SettingsError             a setting is wrong or contradicts another
    ├── StateError                the state directory, an instance or a port cannot be used
    ├── ServiceError              a part of the workspace does not start or does not answer
    ├── NotFoundError             a project, dataset, version or grant that does not exist
    ├── ConflictError             it exists already, or its state does not allow this
    ├── InvalidInputError         an identifier, path or file that is not acceptable
    └── RefusedError              a person may not do this; carries what to do about it
"""

from __future__ import annotations


class LightboxError(Exception):
    """Base of all errors raised by ``hub_config``."""


class SettingsError(LightboxError):
    """A setting is missing, malformed or contradicts another one."""


class StateError(LightboxError):
    """The state directory, the instance in it or a port cannot be used."""


class ServiceError(LightboxError):
    """A part of the workspace does not start, does not stop or does not answer."""


class NotFoundError(LightboxError):
    """The named project, dataset, version or grant does not exist."""


class ConflictError(LightboxError):
    """The thing exists already, or is in a state that does not allow the request."""


class InvalidInputError(LightboxError):
    """An identifier, path or file is not acceptable."""


class RefusedError(LightboxError):
    """A person may not do what was asked for.

    Parameters
    ----------
    reason : str
        What was refused and why, in the reader's words.
    remedy : str
        What the person can do about it.
    """

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason} {remedy}")
        self.reason = reason
        self.remedy = remedy
