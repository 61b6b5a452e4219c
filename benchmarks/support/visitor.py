"""A person without a browser: logs in, starts a server, runs cells, by the same requests a browser makes."""

from __future__ import annotations

import json
import re
import time
import uuid
from types import TracebackType
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import httpx
from websockets.sync.client import connect


class Visitor:
    """One person with one cookie jar.

    Parameters
    ----------
    url : str
        Of the hub.
    persona : str
        Key of a persona of the demonstration provider.
    """

    def __init__(self, url: str, persona: str) -> None:
        self.url = url
        self.persona = persona
        self.client = httpx.Client(timeout=90, trust_env=False)
        self.username = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.close()

    def get(self, path: str, **options: Any) -> httpx.Response:
        """Request a page below the hub's address, following redirects."""
        return self.client.get(urljoin(self.url, path), follow_redirects=True, **options)

    def login(self) -> httpx.Response:
        """Log in; return the page that the person lands on, or that refuses them."""
        page = self.get("/hub/oauth_login?next=/hub/home")
        action = persona_action(page.text, self.persona)
        answer = self.client.post(urljoin(str(page.url), action[0]), data=action[1], follow_redirects=True)
        found = re.search(r'user: "([^"]+)"', answer.text)
        self.username = found.group(1) if found else ""
        return answer

    def api(self, method: str, path: str, **options: Any) -> httpx.Response:
        """Call the hub's API with the person's cookies."""
        token = next((c.value for c in self.client.cookies.jar if c.name == "_xsrf" and c.path == "/hub/"), "") or ""
        headers = {"X-XSRFToken": token, "Referer": f"{self.url}/hub/home"}
        return self.client.request(method, f"{self.url}/hub/api/{path}", headers=headers, **options)

    def start(self, project: str, options: dict[str, Any] | None = None, seconds: float = 90) -> dict[str, Any]:
        """Start a server and wait until it is ready; ``options`` default to the profile ``standard``.

        Raises
        ------
        RuntimeError
            It is refused or fails; the hub's message is in the error.
        """
        answer = self.api("POST", f"users/{self.username}/servers/{project}", json=options or {"profile": "standard"})
        if answer.status_code >= 400:
            raise RuntimeError(f"{answer.status_code}: {answer.json().get('message')}")
        with self.client.stream(
            "GET",
            f"{self.url}/hub/api/users/{self.username}/servers/{project}/progress",
            headers={"Referer": f"{self.url}/hub/home"},
            timeout=seconds,
        ) as events:
            for line in events.iter_lines():
                event = json.loads(line[5:]) if line.startswith("data:") else {}
                if event.get("failed"):
                    raise RuntimeError(event["message"])
                if event.get("ready"):
                    return event
        raise RuntimeError("the hub told neither success nor failure")

    def stop(self, project: str, seconds: float = 30) -> None:
        """Stop a server and wait until it has gone."""
        self.api("DELETE", f"users/{self.username}/servers/{project}").raise_for_status()
        deadline = time.monotonic() + seconds
        while project in self.servers():
            if time.monotonic() > deadline:
                raise RuntimeError(f"the server of {project} did not stop within {seconds} s")
            time.sleep(0.05)

    def servers(self) -> dict[str, Any]:
        """Return the person's running servers."""
        model: dict[str, Any] = self.api("GET", f"users/{self.username}").json()
        return {
            name: server
            for name, server in model.get("servers", {}).items()
            if server.get("ready") or server.get("pending")
        }

    def enter(self, project: str) -> httpx.Response:
        """Open JupyterLab, which also gives the cookies for the server's own API."""
        return self.get(f"/user/{self.username}/{project}/lab")

    def run(self, project: str, code: str, seconds: float = 60) -> str:
        """Start a kernel, run ``code`` in it, end it; return what it printed.

        Raises
        ------
        RuntimeError
            The code raised an error; its traceback is in the message.
        """
        prefix = f"/user/{self.username}/{project}/"
        cookies = [c for c in self.client.cookies.jar if c.path in {prefix, "/"}]
        token = next((c.value for c in cookies if c.name == "_xsrf"), "") or ""
        kernels = f"{self.url}{prefix}api/kernels"
        answer = self.client.post(kernels, json={"name": "python3"}, headers={"X-XSRFToken": token})
        answer.raise_for_status()
        kernel = answer.json()["id"]
        try:
            return _execute(self.url, prefix, kernel, cookies, code, seconds)
        finally:
            self.client.delete(f"{kernels}/{kernel}", headers={"X-XSRFToken": token})


def persona_action(page: str, key: str) -> tuple[str, dict[str, str]]:
    """Return the address that takes ``key`` on the provider's page of personas, and the field to send there."""
    button = re.search(rf'<button[^>]*formaction="([^"]*/{re.escape(key)})"', page)
    if button:
        return button[1], {}
    button = re.search(rf'<button[^>]*name="([^"]+)"[^>]*value="{re.escape(key)}"', page)
    if button is None:
        raise RuntimeError(f"the provider's page offers no {key!r}")
    return "", {button[1]: key}


def _execute(url: str, prefix: str, kernel: str, cookies: list[Any], code: str, seconds: float) -> str:
    session = uuid.uuid4().hex
    address = f"ws://{urlsplit(url).netloc}{prefix}api/kernels/{kernel}/channels?session_id={session}"
    headers = {"Cookie": "; ".join(f"{c.name}={c.value}" for c in cookies)}
    message = uuid.uuid4().hex
    header = {"msg_id": message, "msg_type": "execute_request", "session": session, "username": "", "version": "5.4"}
    request = {
        "channel": "shell",
        "header": header,
        "parent_header": {},
        "metadata": {},
        "content": {"code": code, "silent": False, "store_history": False, "allow_stdin": False},
    }
    printed, deadline = [], time.monotonic() + seconds
    with connect(address, additional_headers=headers, origin=url, max_size=None, proxy=None) as socket:  # type: ignore[arg-type]
        socket.send(json.dumps(request))
        while True:
            answer = json.loads(socket.recv(timeout=max(0.0, deadline - time.monotonic())))
            if answer.get("parent_header", {}).get("msg_id") != message:
                continue
            content = answer["content"]
            if answer["msg_type"] == "stream":
                printed.append(content["text"])
            elif answer["msg_type"] == "error":
                raise RuntimeError("\n".join([*printed, *content["traceback"]]))
            elif answer["msg_type"] == "status" and content["execution_state"] == "idle":
                return "".join(printed)
