"""One frozen, typed ``Settings``: what an operator may choose, with defaults that start a demonstration.

The settings come from ``lightbox.yaml`` (see ``hub_config/lightbox.example.yaml``) and the command line;
secrets come from files named there, never from the settings themselves. Contradictions are refused when the
settings are loaded, not when somebody logs in. ``docs/settings.md`` lists every field from here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from hub_config.errors import SettingsError

Role = Literal["admins", "modellers", "data-providers", "users"]
SpawnerChoice = Literal["auto", "docker", "process"]
Slug = Annotated[str, Field(pattern=r"^[a-z](?:[a-z0-9-]{0,28}[a-z0-9])?$")]

COMMUNITY = "lifescience:communities_and_projects:EUCAIM:lightbox"


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IdentitySettings(_Model):
    """Who logs people in, and which group of theirs means which role here."""

    issuer: str | None = Field(
        default=None,
        description="OpenID Connect issuer, exactly as its discovery document states it (Life Science Login: "
        "ends in a slash). Unset in demo mode: the demonstration provider is started.",
    )
    client_id: str = Field(default="lightbox", description="Client id that the provider registered for this hub.")
    client_secret_file: Path | None = Field(
        default=None, description="File (mode 0600) holding the client secret. Never the secret itself."
    )
    login_name: str = Field(default="Life Science Login", description="Name of the provider on the login button.")
    scopes: tuple[str, ...] = Field(
        default=(
            "openid",
            "profile",
            "email",
            "offline_access",
            "eduperson_entitlement",
            "eduperson_assurance",
            "ga4gh_passport_v1",
        ),
        description="Scopes asked for at login. Life Science Login gives claims by scope.",
    )
    entitlement_namespaces: tuple[str, ...] = Field(
        default=("urn:geant:lifescience-ri.eu",),
        description="URN namespaces whose group entitlements (AARC-G069) are believed; others are ignored.",
    )
    entitlement_authorities: tuple[str, ...] = Field(
        default=("aai.lifescience-ri.eu",),
        description="Authorities (the part after #) whose group entitlements are believed.",
    )
    wlcg_prefixes: tuple[str, ...] = Field(
        default=(),
        description="Groups of a `wlcg.groups` claim are believed at and below these paths (`/vo/group`); none by "
        "default, since the claim names no authority.",
    )
    role_groups: dict[Role, tuple[str, ...]] = Field(
        default={
            "admins": (f"{COMMUNITY}:admins",),
            "modellers": (f"{COMMUNITY}:modellers",),
            "data-providers": (f"{COMMUNITY}:data-providers",),
            "users": (f"{COMMUNITY}:users",),
        },
        description="For each role the groups that give it. Any role includes `users`; nobody without a role gets in.",
    )
    refresh_seconds: int = Field(
        default=3600,
        ge=60,
        description="How often a person's claims are asked for again. Brokers ask for at most one poll an hour.",
    )


class ProfileSettings(_Model):
    """One choice on the start page: an image with CPU, memory and perhaps a GPU."""

    id: Slug = Field(description="Short name, used in URLs and the audit trail.")
    title: str = Field(description="Name on the start page.")
    description: str = Field(default="", description="One line on the start page: what it is good for.")
    image: str | None = Field(default=None, description="Container image; unset: the image built from this release.")
    cpu: float = Field(default=2.0, gt=0, description="CPU limit, in cores. Thread pools are set to it.")
    memory_gib: float = Field(default=4.0, ge=0.5, description="Memory limit in GiB, swap included.")
    shm_gib: float = Field(default=1.0, gt=0, description="Size of /dev/shm in GiB (data loaders need it).")
    pids: int = Field(default=1024, ge=64, description="Limit of processes and threads.")
    gpus: int = Field(default=0, ge=0, description="GPUs leased to the server.")
    roles: tuple[Role, ...] = Field(default=("users",), description="Roles that may use the profile.")


_DEFAULT_PROFILES = (
    ProfileSettings(
        id="standard",
        title="Standard",
        description="Reading, curation and annotation of studies.",
        cpu=2,
        memory_gib=4,
    ),
    ProfileSettings(
        id="large",
        title="Large",
        description="Whole cohorts, registration of many series.",
        cpu=4,
        memory_gib=16,
        roles=("modellers", "admins"),
    ),
    ProfileSettings(
        id="gpu",
        title="GPU",
        description="Training of models.",
        cpu=4,
        memory_gib=32,
        shm_gib=8,
        gpus=1,
        roles=("modellers", "admins"),
    ),
)


class Settings(_Model):
    """All settings of one instance."""

    mode: Literal["demo", "production"] = Field(
        default="demo",
        description="`demo` brings its own login provider and data. `production` refuses everything that is "
        "unsafe with patients' data.",
    )
    state: Path = Field(description="Directory of everything that persists. Default: see `lightbox up --help`.")
    port: int = Field(default=8000, ge=1, le=65535, description="The one port that browsers reach.")
    bind: str = Field(
        default="127.0.0.1",
        description="Address the port is opened on. Anything but loopback needs a TLS proxy in front.",
    )
    public_url: str | None = Field(
        default=None, description="URL under which browsers reach the hub. Default: http://127.0.0.1:<port>."
    )
    spawner: SpawnerChoice = Field(
        default="auto",
        description="`docker`: containers. `process`: plain processes, a demonstration without isolation. "
        "`auto`: containers where a Docker engine answers.",
    )
    database_url: str | None = Field(
        default=None,
        description="SQLAlchemy URL of the store. Default: SQLite in the state directory. PostgreSQL: "
        "postgresql+psycopg://user@host/database.",
    )
    contact: str | None = Field(
        default=None, description="Whom people ask for access; shown on the pages that refuse something."
    )
    identity: IdentitySettings = Field(default_factory=IdentitySettings, description="Login; see below.")
    profiles: tuple[ProfileSettings, ...] = Field(
        default=_DEFAULT_PROFILES, description="Choices on the start page; see below."
    )
    demo_patients: int = Field(default=4, ge=1, le=50, description="Demo mode: patients in the synthetic cohort.")
    demo_data: Path | None = Field(
        default=None,
        description="Demo mode: folder with real DICOM (`prostatex/ProstateX-0000`) to register as a second "
        "dataset. Default: the environment variable LIGHTBOX_DATA, then ../shared/data.",
    )

    @property
    def url(self) -> str:
        """URL of the hub for browsers, without a trailing slash."""
        host = "127.0.0.1" if self.bind in {"0.0.0.0", "::"} else self.bind  # noqa: S104 - compared, not bound
        return (self.public_url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def uses_dev_idp(self) -> bool:
        """Whether the demonstration provider stands in for Life Science Login."""
        return self.identity.issuer is None

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        _check_profiles(self.profiles)
        identity = self.identity
        if identity.issuer is not None and identity.client_secret_file is None:
            raise ValueError("identity.issuer is set but identity.client_secret_file is not: name the file")
        if self.mode == "production":
            _check_production(self)
        elif self.uses_dev_idp and not _is_loopback(self.bind):
            raise ValueError(
                f"bind is {self.bind}, but the demonstration provider lets anybody be anyone: "
                "bind to 127.0.0.1, or set identity.issuer"
            )
        return self


def _check_profiles(profiles: tuple[ProfileSettings, ...]) -> None:
    ids = [profile.id for profile in profiles]
    if not ids:
        raise ValueError("profiles is empty: nobody could start a server")
    if len(set(ids)) != len(ids):
        raise ValueError(f"profiles: the ids must differ, got {', '.join(ids)}")


def _check_production(settings: Settings) -> None:
    if settings.uses_dev_idp:
        raise ValueError("mode is production: identity.issuer must name a real provider")
    if settings.spawner == "process":
        raise ValueError("mode is production: spawner must be docker, processes are not isolated")
    for name, url in (("public_url", settings.public_url), ("identity.issuer", settings.identity.issuer)):
        if url is None or urlsplit(url).scheme != "https":
            raise ValueError(f"mode is production: {name} must be an https URL, got {url}")

    if urlsplit(str(settings.public_url)).path.strip("/"):
        raise ValueError(f"public_url must not have a path: the hub lives at the root, got {settings.public_url}")


def _is_loopback(bind: str) -> bool:
    try:
        return ipaddress.ip_address(bind).is_loopback
    except ValueError:
        return bind == "localhost"


def load_settings(file: Path | None, fallback: Mapping[str, Any] | None = None, /, **overrides: Any) -> Settings:
    """Read the settings file and put the command line's choices over it.

    Parameters
    ----------
    file : Path or None
        A YAML file; None: defaults only.
    fallback : mapping, optional
        Fields that hold where the file is silent.
    **overrides
        Fields given on the command line; those that are None are ignored.

    Returns
    -------
    Settings

    Raises
    ------
    SettingsError
        The file cannot be read, a field is unknown or malformed, or two fields contradict each other.
    """
    values: dict[str, Any] = dict(fallback or {})
    if file is not None:
        try:
            loaded = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise SettingsError(f"The settings file {file} cannot be read: {error}") from error
        if loaded is not None and not isinstance(loaded, dict):
            raise SettingsError(f"The settings file {file} must hold names and values, got a {type(loaded).__name__}.")
        values.update(loaded or {})
    values.update({name: value for name, value in overrides.items() if value is not None})
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        lines = [f"  {'.'.join(map(str, e['loc'])) or 'settings'}: {e['msg']}" for e in error.errors()]
        source = f" in {file}" if file else ""
        raise SettingsError("\n".join([f"The settings{source} are not usable:", *lines])) from error
