"""The demonstration OpenID provider, run as a program and used as the hub and a browser would."""

import base64
import json
import re
import secrets
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from hub_config.services.node import DEV_IDP
from tests.hub_config.services.provider_client import (
    AUTHORITY,
    CALLBACK,
    CLIENT,
    GROUPS,
    PERSONAS,
    SCOPES,
    Provider,
    answer,
    choose,
    environment,
    follow,
    free_port,
    node,
    request_url,
    running,
    sign_in,
)


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Provider]:
    with running(tmp_path_factory.mktemp("dev-idp")) as started:
        yield started


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client() as client:
        yield client


class TestDiscovery:
    def test_issuer_keeps_its_slash_and_endpoints_have_the_paths_of_life_science_login(self, provider: Provider):
        document = provider.discovery()
        assert document["issuer"] == provider.issuer
        for name, path in {
            "authorization": "authorize",
            "token": "token",
            "userinfo": "userinfo",
            "introspection": "introspect",
            "revocation": "revoke",
            "end_session": "endsession",
        }.items():
            assert document[f"{name}_endpoint"] == provider.issuer + path
        assert document["jwks_uri"] == f"{provider.issuer}jwk"

    def test_scopes_and_methods_are_those_of_life_science_login(self, provider: Provider):
        document = provider.discovery()
        assert set(SCOPES.split()) <= set(document["scopes_supported"])  # type: ignore[call-overload]
        assert document["code_challenge_methods_supported"] == ["S256"]
        assert document["token_endpoint_auth_methods_supported"] == ["client_secret_basic"]

    def test_addresses_come_from_the_issuer_and_not_from_the_request(self, provider: Provider):
        headers = {"Host": "evil.example.org", "X-Forwarded-Host": "evil.example.org"}
        text = httpx.get(f"{provider.issuer}.well-known/openid-configuration", headers=headers).text
        assert "evil" not in text

    def test_health_answers(self, provider: Provider):
        assert httpx.get(f"{provider.issuer}health").status_code == 200


class TestSignIn:
    def test_userinfo_holds_the_claims_of_the_persona(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "researcher")
        claims = provider.userinfo(tokens["access_token"]).json()
        assert re.fullmatch(r"[0-9a-f]{40}@lifescience-ri\.eu", claims["sub"])
        assert claims["sub"] == PERSONAS["researcher"]["sub"]
        assert claims["preferred_username"] == "rosa"
        assert claims["email"] == "rosa@example.org"
        assert claims["eduperson_entitlement"] == [
            f"{GROUPS}{AUTHORITY}",
            f"{GROUPS}:lightbox:modellers{AUTHORITY}",
        ]
        assert claims["ga4gh_passport_v1"] == []

    def test_only_claims_of_the_asked_scopes_are_given(self, provider: Provider, browser: httpx.Client):
        verifier = secrets.token_urlsafe(48)
        page = follow(browser, browser.get(request_url(provider, verifier, scope="openid email")))
        tokens = provider.post(
            "token",
            grant_type="authorization_code",
            code=answer(choose(browser, page, "radiologist"))["code"],
            redirect_uri=CALLBACK,
            code_verifier=verifier,
        ).json()
        claims = provider.userinfo(tokens["access_token"]).json()
        assert claims.keys() == {"sub", "email", "email_verified"}

    def test_every_sign_in_asks_and_another_persona_can_be_chosen(self, provider: Provider, browser: httpx.Client):
        for persona in ("researcher", "admin", "admin", "stranger"):
            tokens = sign_in(provider, browser, persona)
            claims = provider.userinfo(tokens["access_token"]).json()
            assert claims["sub"] == PERSONAS[persona]["sub"]

    def test_silent_sign_in_is_refused(self, provider: Provider, browser: httpx.Client):
        sign_in(provider, browser, "researcher")
        back = follow(browser, browser.get(request_url(provider, "v" * 43, prompt="none")))
        assert answer(back)["error"] == "login_required"

    def test_prompt_consent_needs_no_second_page(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43, prompt="consent")))
        assert "code" in answer(choose(browser, page, "researcher"))

    def test_state_comes_back(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43)))
        assert answer(choose(browser, page, "researcher"))["state"] == "state-of-the-test"


class TestPersonaPage:
    def test_it_says_what_it_is_and_shows_everybody(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43)))
        assert "stands in for Life Science Login" in page.text
        for key, persona in PERSONAS.items():
            assert f'value="{key}"' in page.text
            assert persona["claims"]["name"] in page.text

    def test_it_names_no_outside_address_and_its_files_exist(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43)))
        files = re.findall(r'(?:src|href)="([^"]+/assets/[^"]+)"', page.text)
        assert files
        for path in files:
            assert browser.get(page.url.join(path)).status_code == 200
        outside = set(re.findall(r"https?://[^/\"'\s]+", page.text))
        assert outside <= {"http://127.0.0.1:5055", "http://www.w3.org"}
        assert "default-src 'none'" in page.headers["content-security-policy"]

    def test_an_unknown_persona_shows_the_page_again(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43)))
        again = choose(browser, page, "constructor")
        assert again.status_code == 200
        assert "Rosa Researcher" in again.text

    def test_without_a_begun_sign_in_it_says_what_to_do(self, provider: Provider, browser: httpx.Client):
        page = browser.get(f"{provider.issuer}persona/none")
        assert page.status_code == 400
        assert "sign in again" in page.text

    @pytest.mark.parametrize("path", ["nowhere", "assets/provider.mjs", "assets/__proto__", "../x"])
    def test_other_addresses_are_not_found(self, provider: Provider, path: str):
        assert httpx.get(provider.issuer + path).status_code == 404


class TestTokens:
    def test_a_refresh_token_gives_new_tokens(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "researcher")
        renewed = provider.post("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert renewed.status_code == 200
        assert renewed.json()["access_token"] != tokens["access_token"]

    def test_a_refresh_token_outlives_the_next_sign_in(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "researcher")
        sign_in(provider, browser, "admin")
        renewed = provider.post("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert renewed.status_code == 200

    def test_introspection_knows_a_live_token_and_revocation_ends_it(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "researcher")
        assert provider.post("introspection", token=tokens["access_token"]).json()["active"] is True
        assert provider.post("revocation", token=tokens["refresh_token"]).status_code == 200
        refused = provider.post("token", grant_type="refresh_token", refresh_token=tokens["refresh_token"])
        assert refused.json()["error"] == "invalid_grant"
        assert provider.post("introspection", token=tokens["access_token"]).json() == {"active": False}

    def test_sign_out_returns_to_the_front_door(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "researcher")
        query = {"id_token_hint": tokens["id_token"], "post_logout_redirect_uri": "http://127.0.0.1:5055/"}
        page = browser.get(provider.endpoint("end_session"), params=query)
        assert "Sign out" in page.text
        secret = re.search(r'name="xsrf" value="([^"]+)"', page.text)
        assert secret
        done = browser.post(f"{provider.issuer}endsession/confirm", data={"xsrf": secret[1], "logout": "yes"})
        assert done.headers["location"].startswith("http://127.0.0.1:5055/")


class TestRefusals:
    def test_without_pkce(self, provider: Provider, browser: httpx.Client):
        url = request_url(provider, "v" * 43, code_challenge=None, code_challenge_method=None)
        assert answer(follow(browser, browser.get(url)))["error"] == "invalid_request"

    def test_plain_pkce(self, provider: Provider, browser: httpx.Client):
        url = request_url(provider, "v" * 43, code_challenge_method="plain")
        assert answer(follow(browser, browser.get(url)))["error"] == "invalid_request"

    def test_another_verifier(self, provider: Provider, browser: httpx.Client):
        page = follow(browser, browser.get(request_url(provider, "v" * 43)))
        refused = provider.post(
            "token",
            grant_type="authorization_code",
            code=answer(choose(browser, page, "researcher"))["code"],
            redirect_uri=CALLBACK,
            code_verifier="w" * 43,
        )
        assert refused.json()["error"] == "invalid_grant"

    def test_a_code_used_twice_takes_back_the_first_tokens(self, provider: Provider, browser: httpx.Client):
        verifier = "v" * 43
        page = follow(browser, browser.get(request_url(provider, verifier)))
        form = {
            "grant_type": "authorization_code",
            "code": answer(choose(browser, page, "researcher"))["code"],
            "redirect_uri": CALLBACK,
            "code_verifier": verifier,
        }
        first = provider.post("token", **form).json()
        assert provider.post("token", **form).json()["error"] == "invalid_grant"
        assert provider.userinfo(first["access_token"]).status_code == 401

    def test_a_wrong_secret(self, provider: Provider):
        refused = provider.post("token", auth=(CLIENT[0], "wrong"), grant_type="refresh_token", refresh_token="x")
        assert refused.status_code == 401
        assert refused.json()["error"] == "invalid_client"

    def test_another_redirect_address(self, provider: Provider, browser: httpx.Client):
        url = request_url(provider, "v" * 43, redirect_uri="http://127.0.0.1:5055/elsewhere")
        page = browser.get(url)
        assert page.status_code == 400
        assert "Signing in did not work" in page.text

    def test_a_made_up_token(self, provider: Provider):
        assert provider.userinfo("made-up").status_code == 401


class TestProgram:
    def test_logs_name_events_but_no_token(self, provider: Provider, browser: httpx.Client):
        tokens = sign_in(provider, browser, "data-controller")
        log = provider.log.read_text()
        assert 'persona-chosen persona="data-controller"' in log
        assert "tokens-issued" in log
        for token in (tokens["access_token"], tokens["refresh_token"], tokens["id_token"], CLIENT[1]):
            assert token not in log

    def test_hangup_rereads_the_personas(self, tmp_path: Path, browser: httpx.Client):
        path = tmp_path / "personas.json"
        visa = {"value": "https://data.example.org/datasets/x", "source": "https://dac.example.org"}
        path.write_text(json.dumps({"researcher": PERSONAS["researcher"]}))
        with running(tmp_path, LIGHTBOX_IDP_PERSONAS=str(path)) as provider:
            token = sign_in(provider, browser, "researcher")["access_token"]
            path.write_text(json.dumps({"researcher": {**PERSONAS["researcher"], "visas": [visa]}}))
            provider.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            while not (passport := provider.userinfo(token).json()["ga4gh_passport_v1"]):
                assert time.monotonic() < deadline
            check_visa(provider, passport[0], visa)

    def test_a_wrong_file_keeps_the_personas(self, tmp_path: Path, browser: httpx.Client):
        path = tmp_path / "personas.json"
        path.write_text(json.dumps(PERSONAS))
        with running(tmp_path, LIGHTBOX_IDP_PERSONAS=str(path)) as provider:
            path.write_text("{")
            provider.process.send_signal(signal.SIGHUP)
            deadline = time.monotonic() + 10
            while "personas-kept" not in provider.log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            assert sign_in(provider, browser, "admin")["access_token"]

    def test_it_ends_at_once_when_asked(self, tmp_path: Path):
        with running(tmp_path) as provider, httpx.Client() as kept_open:
            kept_open.get(f"{provider.issuer}health")
            provider.process.terminate()
            assert provider.process.wait(2) == 0

    @pytest.mark.parametrize("mode", ["production", "Demo", "", None])
    def test_it_starts_only_in_a_demonstration(self, mode: str | None):
        said = start_and_fail(LIGHTBOX_MODE=mode)
        assert "starts only with LIGHTBOX_MODE=demo" in said

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("LIGHTBOX_IDP_ISSUER", None),
            ("LIGHTBOX_IDP_ISSUER", "dev-idp"),
            ("LIGHTBOX_IDP_ISSUER", "http://127.0.0.1/?a=b"),
            ("LIGHTBOX_IDP_PORT", "http"),
            ("LIGHTBOX_IDP_PORT", "70000"),
            ("LIGHTBOX_IDP_CLIENT_ID", None),
            ("LIGHTBOX_IDP_CLIENT_SECRET", ""),
            ("LIGHTBOX_IDP_REDIRECT_URIS", ","),
            ("LIGHTBOX_IDP_REDIRECT_URIS", "javascript:alert(1)"),
            ("LIGHTBOX_IDP_PERSONAS", "/nowhere/personas.json"),
        ],
    )
    def test_a_wrong_variable_is_named_in_one_line(self, name: str, value: str | None):
        said = start_and_fail(**{name: value})
        assert name in said
        assert len(said.splitlines()) == 1


def start_and_fail(**changes: str | None) -> str:
    """Start the provider, expect it to refuse, and return what it says on standard error."""
    done = subprocess.run(
        [node(), str(DEV_IDP / "provider.mjs")],
        env=environment(free_port(), **changes),
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    return done.stderr


def check_visa(provider: Provider, visa: str, expected: dict[str, str]) -> None:
    """Check that a visa names its own issuer and keys, and says what the persona's file says."""
    header, payload, _ = visa.split(".")
    head, body = (json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload))
    assert head["jku"] == f"{provider.issuer}visas/jwk"
    assert head["kid"] in {key["kid"] for key in httpx.get(head["jku"]).json()["keys"]}
    assert body["iss"] == f"{provider.issuer}visas/"
    assert body["sub"] == PERSONAS["researcher"]["sub"]
    assert body["ga4gh_visa_v1"]["type"] == "ControlledAccessGrants"
    assert {name: body["ga4gh_visa_v1"][name] for name in expected} == expected
