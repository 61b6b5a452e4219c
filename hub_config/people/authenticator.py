"""Login through an OpenID provider: oauthenticator's generic client, fed by discovery and by our access rules."""

from __future__ import annotations

import json
from typing import Any, ClassVar
from urllib.parse import urlsplit, urlunsplit

from jupyterhub.handlers import BaseHandler
from oauthenticator.generic import GenericOAuthenticator
from oauthenticator.oauth2 import OAuthCallbackHandler, OAuthLoginHandler
from tornado.httpclient import HTTPClientError, HTTPRequest
from tornado.web import HTTPError

from hub_config.errors import InvalidInputError
from hub_config.instance import Instance
from hub_config.people.identity import Identity, identity_from_claims
from hub_config.people.provider import account_issuer, client_secret, issuer_of, role_group
from hub_config.record.audit import AuditTrail
from hub_config.record.events import Login, LoginRefused
from hub_config.settings import Settings

_DISCOVERY = ".well-known/openid-configuration"  # OpenID Connect Discovery 1.0, section 4
_ENDPOINTS = ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
_ANSWER_SECONDS = 10.0


class LoginHandler(OAuthLoginHandler):
    """Leads to the provider, from the hub's one public address and only when the provider answers."""

    async def get(self) -> None:
        """Send the browser on."""
        authenticator: LightboxAuthenticator = self.authenticator
        public = urlsplit(authenticator.settings.url)
        if _authority(self.request.host, public.scheme) != _authority(public.netloc, public.scheme):
            # The state cookie must be set for the address that the provider will lead back to.
            here = urlsplit(self.request.uri)
            self.redirect(urlunsplit((public.scheme, public.netloc, here.path, here.query, "")))
            return
        await authenticator.discover()
        super().get()


class CallbackHandler(OAuthCallbackHandler):
    """Takes the person who comes back from the provider."""

    async def get(self) -> None:
        """Log the person in; a provider that fails half-way is the provider's fault, and said to be."""
        try:
            await super().get()
        except (HTTPClientError, OSError) as error:
            self.log.error("login failed at the provider: %s", error)
            raise provider_error(self.authenticator.settings) from error

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Leave out the address that upstream would log: it holds the provider's code and our state."""
        if isinstance(error, HTTPError):
            self.log.warning("login refused: %s %s", error.status_code, error.reason or error.log_message or "")
        else:
            super().log_exception(kind, error, trace)


class LightboxAuthenticator(GenericOAuthenticator):
    """Accounts keyed by issuer and ``sub``, roles from group entitlements, nobody in without a role.

    ``settings`` and ``audit`` are given once, by the hub's configuration, to the class.
    """

    settings: ClassVar[Settings]
    audit: ClassVar[AuditTrail]
    issuer: ClassVar[str]
    accounts_of: ClassVar[str]
    _discovered = False

    login_handler = LoginHandler
    callback_handler = CallbackHandler

    async def discover(self) -> None:
        """Read the provider's endpoints, once; later calls cost nothing.

        Raises
        ------
        HTTPError
            503: the provider does not answer, or its document is not usable.
        """
        if self._discovered:
            return
        url = self.issuer.rstrip("/") + "/" + _DISCOVERY
        request = HTTPRequest(url, connect_timeout=_ANSWER_SECONDS, request_timeout=_ANSWER_SECONDS)
        try:
            document = await self.fetch(request, "discovering the provider")
            endpoints = checked_endpoints(document, self.issuer)
        except (HTTPClientError, OSError, json.JSONDecodeError, InvalidInputError) as error:
            self.log.error("the provider's discovery document %s is not usable: %s", url, error)
            raise provider_error(self.settings) from error
        self.authorize_url, self.token_url, self.userdata_url = endpoints
        self._discovered = True

    async def refresh_user(self, user: Any, handler: BaseHandler | None = None, **kwargs: Any) -> Any:
        """Ask for the claims again; a person who has lost the last role must log in, and will be refused."""
        await self.discover()
        model = await super().refresh_user(user, handler, **kwargs)
        if isinstance(model, dict) and not await self.check_allowed(model["name"], model):
            return False
        return model

    def identity(self, auth_state: dict[str, Any]) -> Identity:
        """Return who an ``auth_state`` speaks of."""
        return identity_from_claims(auth_state[self.user_auth_state_key], self.accounts_of, self.settings.identity)

    async def update_auth_model(self, auth_model: dict[str, Any]) -> dict[str, Any]:
        """Put our account name, display name, groups and rights in place of what upstream guesses."""
        state = auth_model["auth_state"]
        state["issuer"] = self.accounts_of
        person = self.identity(state)
        auth_model["name"] = person.username
        # The hub's own admin flag would open everybody's server; our admins get scopes through their group.
        auth_model["admin"] = False
        auth_model["user_info"] = {"name": person.display_name, "display_name": person.display_name}
        return auth_model

    async def get_user_groups(self, auth_state: dict[str, Any]) -> set[str]:
        """Return the person's roles as groups of the hub, by which it gives scopes."""
        return {role_group(role) for role in self.identity(auth_state).roles}

    async def check_allowed(self, username: str, auth_model: dict[str, Any] | None) -> bool:
        """Let in whoever has a role; a refusal is recorded, at login and when rights are gone at a refresh."""
        if not auth_model:
            return False
        person = self.identity(auth_model["auth_state"])
        if not person.roles:
            self.audit.append(
                LoginRefused(
                    subject=person.subject,
                    username=person.username,
                    issuer=self.issuer,
                    reason="no role in any group",
                )
            )
        return bool(person.roles)

    async def get_authenticated_user(self, handler: BaseHandler, data: Any, **kwargs: Any) -> Any:
        """Authenticate, and record who came in."""
        model = await super().get_authenticated_user(handler, data, **kwargs)
        if model:
            person = self.identity(model["auth_state"])
            self.audit.append(
                Login(
                    subject=person.subject,
                    username=person.username,
                    issuer=self.issuer,
                    roles=tuple(sorted(person.roles)),
                )
            )
        return model


def _authority(netloc: str, scheme: str) -> str:
    """Return host and port in one spelling: lower case, the scheme's own port left out (RFC 3986, section 6.2)."""
    return netloc.lower().removesuffix(":443" if scheme == "https" else ":80")


def checked_endpoints(document: object, issuer: str) -> tuple[str, str, str]:
    """Return authorization, token and userinfo endpoint of a discovery document.

    Raises
    ------
    InvalidInputError
        It is not the document of ``issuer`` (OpenID Connect Discovery 1.0, section 4.3), or names no endpoint.
    """
    if not isinstance(document, dict):
        raise InvalidInputError("The discovery document is no JSON object.")
    if str(document.get("issuer", "")).rstrip("/") != issuer.rstrip("/"):
        raise InvalidInputError(f"The document is of issuer {document.get('issuer')!r}, expected {issuer!r}.")
    values = [document.get(name) for name in _ENDPOINTS]
    if not all(isinstance(value, str) and urlsplit(value).scheme in {"http", "https"} for value in values):
        raise InvalidInputError(f"The document must name {', '.join(_ENDPOINTS)}.")
    return str(values[0]), str(values[1]), str(values[2])


def provider_error(settings: Settings) -> HTTPError:
    """Return what a person sees when the provider does not answer."""
    return HTTPError(503, f"{settings.identity.login_name} is not answering.", reason="Login is not available")


def configure_login(c: Any, instance: Instance) -> None:
    """Tell the hub how people log in."""
    settings = instance.settings
    LightboxAuthenticator.settings = settings
    LightboxAuthenticator.audit = AuditTrail(instance.audit_file)
    LightboxAuthenticator.issuer = issuer_of(settings)
    LightboxAuthenticator.accounts_of = account_issuer(settings)
    c.JupyterHub.authenticator_class = LightboxAuthenticator
    login = c.LightboxAuthenticator
    login.client_id = settings.identity.client_id
    login.client_secret = client_secret(instance)
    login.oauth_callback_url = f"{settings.url}/hub/oauth_callback"
    login.login_service = settings.identity.login_name
    login.scope = list(settings.identity.scopes)
    login.username_claim = "sub"
    login.enable_pkce = True
    login.basic_auth = True
    login.manage_groups = True
    login.enable_auth_state = True
    login.auth_refresh_age = settings.identity.refresh_seconds
    login.auth_refresh_strict = True
    login.refresh_pre_spawn = True
    login.any_allow_config = True  # our check_allowed decides, the hub need not warn that nobody may enter
