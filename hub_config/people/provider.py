"""Which provider logs people in, and the secret the hub shares with it."""

from __future__ import annotations

from hub_config.errors import SettingsError
from hub_config.instance import Instance
from hub_config.settings import Settings


def issuer_of(settings: Settings) -> str:
    """Return the provider's issuer; the demonstration provider stands behind the hub's own address."""
    return settings.identity.issuer or f"{settings.url}/services/dev-idp/oidc/"


def account_issuer(settings: Settings) -> str:
    """Return what stands for the provider in account names.

    The demonstration provider's issuer holds the port; accounts, and with them homes, must not change with it.
    """
    return settings.identity.issuer or "urn:lightbox:dev-idp"


def client_secret(instance: Instance) -> str:
    """Return the client secret: from the operator's file, or the instance's own for the demonstration provider.

    Raises
    ------
    SettingsError
        The file cannot be read, or is readable for others.
    """
    file = instance.settings.identity.client_secret_file
    if file is None:
        return instance.secret("dev_idp_client")
    try:
        if file.stat().st_mode & 0o077:
            raise SettingsError(f"The client secret {file} is readable for others: chmod 600 {file}.")
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise SettingsError(f"The client secret {file} cannot be read: {error.strerror}.") from error


def role_group(role: str) -> str:
    """Return the name of the hub group that holds the people of a role."""
    return f"role:{role}"
