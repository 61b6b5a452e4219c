"""Runs inside a workspace container: starts the server as the hub does, computes 1 + 1, prints JSON.

The hub is played by a few lines that admit one token. Standard library and what the image holds only.
"""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

TOKEN = "t" * 32
PREFIX = "/user/ada/"
SERVER = f"127.0.0.1:8888{PREFIX}"
HEADERS = {"Authorization": f"token {TOKEN}"}
SCOPE = "access:servers!server=ada/"
CODE = 'import json, ipykernel; (1 + 1, json.loads(ipykernel.get_connection_info())["transport"])'


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers every question as the hub does for the owner of the server."""

    def do_GET(self) -> None:
        body = json.dumps({"kind": "user", "name": "ada", "admin": False, "groups": [], "scopes": [SCOPE]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_arguments: object) -> None:
        pass


def environment() -> dict[str, str]:
    api = "http://127.0.0.1:8081/hub/api"
    return {
        **os.environ,
        "JUPYTERHUB_ACTIVITY_URL": f"{api}/users/ada/activity",
        "JUPYTERHUB_API_TOKEN": TOKEN,
        "JUPYTERHUB_API_URL": api,
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": "jupyterhub-user-ada",
        "JUPYTERHUB_DEFAULT_URL": "/lab",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": json.dumps([SCOPE]),
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{PREFIX}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": json.dumps([SCOPE]),
        "JUPYTERHUB_SERVICE_PREFIX": PREFIX,
        "JUPYTERHUB_SERVICE_URL": f"http://{SERVER}",
        "JUPYTERHUB_USER": "ada",
    }


def fetch(path: str, data: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://{SERVER}{path}", data=data, headers=HEADERS)
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read()


def wait_for_server(server: subprocess.Popen[bytes]) -> None:
    while True:
        try:
            fetch("api")
        except (urllib.error.URLError, ConnectionError):
            if server.poll() is not None:
                sys.exit("the server ended")
            time.sleep(0.05)
        else:
            return


async def compute(kernel: str) -> str:
    url = f"ws://{SERVER}api/kernels/{kernel}/channels?session_id=test"
    socket = await websocket_connect(HTTPRequest(url, headers=HEADERS))
    header = {"msg_id": "1", "msg_type": "execute_request", "username": "ada", "session": "test", "version": "5.3"}
    content = {"code": CODE, "silent": False, "user_expressions": {}, "allow_stdin": False}
    message = {"header": header, "parent_header": {}, "metadata": {}, "content": content, "channel": "shell"}
    await socket.write_message(json.dumps(message))
    while True:
        answer = json.loads(await socket.read_message() or "{}")
        if answer["msg_type"] in {"execute_result", "error"}:
            return str(answer["content"].get("data", answer["content"]))


def main() -> None:
    hub = http.server.ThreadingHTTPServer(("127.0.0.1", 8081), Hub)
    threading.Thread(target=hub.serve_forever, daemon=True).start()
    begin = time.perf_counter()
    with subprocess.Popen(["/opt/lightbox/start"], env=environment()) as server:
        try:
            wait_for_server(server)
            served = time.perf_counter()
            kernel = json.loads(fetch("api/kernels", b"{}"))["id"]
            result = asyncio.run(compute(kernel))
            computed = time.perf_counter()
            page = fetch("lab").decode()
        finally:
            server.terminate()
            server.wait(20)
    times = {"server_seconds": served - begin, "kernel_seconds": computed - served}
    sys.stdout.write(json.dumps({**times, "result": result, "lab": "jupyter-config-data" in page}))


if __name__ == "__main__":
    main()
