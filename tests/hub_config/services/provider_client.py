"""The demonstration OpenID provider, started for a test and used as the hub and a browser would."""

import base64
import contextlib
import hashlib
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from hub_config.errors import ServiceError
from hub_config.services.node import DEV_IDP
from hub_config.services.node import node as installed_node

PERSONAS = json.loads((DEV_IDP / "personas.json").read_text())
CLIENT = ("lightbox", "secret-of-the-test")
CALLBACK = "http://127.0.0.1:5055/hub/oauth_callback"
SCOPES = (
    "openid profile email offline_access eduperson_entitlement eduperson_assurance "
    "eduperson_scoped_affiliation voperson_external_affiliation ga4gh_passport_v1"
)
GROUPS = "urn:geant:lifescience-ri.eu:group:lifescience:communities_and_projects:EUCAIM"
AUTHORITY = "#aai.lifescience-ri.eu"


def node() -> str:
    """Return the node program, or skip."""
    try:
        program = installed_node()
    except ServiceError as error:
        pytest.skip(str(error))
    if not (DEV_IDP / "node_modules" / "oidc-provider").is_dir():
        pytest.skip(f"the packages of the provider are not installed: run npm ci in {DEV_IDP}")
    return program


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def environment(port: int, **changes: str | None) -> dict[str, str]:
    """Return the provider's environment; a change to None leaves the variable out."""
    variables: dict[str, str | None] = {
        "PATH": os.environ["PATH"],
        "LIGHTBOX_MODE": "demo",
        "LIGHTBOX_IDP_ISSUER": f"http://127.0.0.1:{port}/services/dev-idp/oidc/",
        "LIGHTBOX_IDP_PORT": str(port),
        "LIGHTBOX_IDP_CLIENT_ID": CLIENT[0],
        "LIGHTBOX_IDP_CLIENT_SECRET": CLIENT[1],
        "LIGHTBOX_IDP_REDIRECT_URIS": CALLBACK,
        **changes,
    }
    return {name: value for name, value in variables.items() if value is not None}


@dataclass(frozen=True)
class Provider:
    process: subprocess.Popen[bytes]
    issuer: str
    log: Path

    def discovery(self) -> dict[str, object]:
        return dict(httpx.get(f"{self.issuer}.well-known/openid-configuration").json())

    def endpoint(self, name: str) -> str:
        return str(self.discovery()[f"{name}_endpoint"])

    def post(self, name: str, auth: tuple[str, str] = CLIENT, **form: str) -> httpx.Response:
        return httpx.post(self.endpoint(name), data=form, auth=auth)

    def userinfo(self, token: str) -> httpx.Response:
        return httpx.get(self.endpoint("userinfo"), headers={"Authorization": f"Bearer {token}"})


@contextlib.contextmanager
def running(folder: Path, **changes: str | None) -> Iterator[Provider]:
    port = free_port()
    log = folder / "provider.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [node(), str(DEV_IDP / "provider.mjs")],
            env=environment(port, **changes),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + 30
        while " ready " not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, "the provider did not get ready in 30 s"
            time.sleep(0.05)
        yield Provider(process, f"http://127.0.0.1:{port}/services/dev-idp/oidc/", log)
    finally:
        process.terminate()
        process.wait(10)


def challenge(verifier: str) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def request_url(provider: Provider, verifier: str, **changes: str | None) -> str:
    """Return the address to which the hub sends the browser."""
    query: dict[str, str | None] = {
        "client_id": CLIENT[0],
        "response_type": "code",
        "redirect_uri": CALLBACK,
        "scope": SCOPES,
        "state": "state-of-the-test",
        "code_challenge": challenge(verifier),
        "code_challenge_method": "S256",
        **changes,
    }
    return f"{provider.endpoint('authorization')}?{urlencode({k: v for k, v in query.items() if v})}"


def follow(browser: httpx.Client, response: httpx.Response) -> httpx.Response:
    """Follow redirects until a page is shown or the browser would go back to the hub."""
    while response.is_redirect and not response.headers["location"].startswith(CALLBACK):
        response = browser.get(response.next_request.url if response.next_request else "")
    return response


def answer(response: httpx.Response) -> dict[str, str]:
    """Return what the hub's callback is given."""
    query = urlsplit(response.headers["location"]).query
    return {name: values[0] for name, values in parse_qs(query).items()}


def choose(browser: httpx.Client, page: httpx.Response, persona: str) -> httpx.Response:
    return follow(browser, browser.post(page.url, data={"persona": persona}))


def sign_in(provider: Provider, browser: httpx.Client, persona: str) -> dict[str, str]:
    """Sign in as a persona and return the tokens."""
    verifier = secrets.token_urlsafe(48)
    page = follow(browser, browser.get(request_url(provider, verifier)))
    assert page.status_code == 200
    code = answer(choose(browser, page, persona))["code"]
    tokens = provider.post(
        "token", grant_type="authorization_code", code=code, redirect_uri=CALLBACK, code_verifier=verifier
    )
    assert tokens.status_code == 200, tokens.text
    return dict(tokens.json())
