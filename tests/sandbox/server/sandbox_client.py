"""Helpers of the sandbox's own tests: a small client, and waiting for conditions."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import requests

from airflow_provider_bland.sandbox.model.numbers import NUMBERS
from airflow_provider_bland.sandbox.server import SandboxServer


class Client:
    """A client of Bland that hides nothing: every method returns the raw response."""

    def __init__(self, server: SandboxServer) -> None:
        self.server = server
        self.session = requests.Session()
        self.session.headers["authorization"] = server.api_key

    def request(self, method: str, path: str, **more: Any) -> requests.Response:
        return self.session.request(method, self.server.url + path, timeout=10, **more)

    def get(self, path: str, **params: Any) -> requests.Response:
        return self.request("GET", path, params=params)

    def post(self, path: str, body: Any = None) -> requests.Response:
        return self.request("POST", path, json=body)

    def call(self, number: str, **fields: Any) -> str:
        """Place a call and return its id."""
        reply = self.post("/v1/calls", {"phone_number": number, "task": "You are Anna, ask about the order.", **fields})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["call_id"])

    def details(self, call_id: str) -> dict[str, Any]:
        reply = self.get(f"/v1/calls/{call_id}")
        assert reply.status_code == 200, reply.text
        return dict(reply.json())

    def finished(self, call_id: str) -> dict[str, Any]:
        """Wait until a call is completed and return its details."""
        return until(lambda: (lambda call: call if call["completed"] else None)(self.details(call_id)))

    def rows(self, **params: Any) -> list[dict[str, Any]]:
        reply = self.get("/v1/calls", **params)
        assert reply.status_code == 200, reply.text
        return list(reply.json()["calls"])

    def rings(self, number: str) -> int:
        return int(self.get("/sandbox/rings").json()["rings"].get(number, 0))

    def settings(self, **changes: Any) -> None:
        reply = self.post("/sandbox/settings", changes)
        assert reply.status_code == 200, reply.text

    def fault(self, **fault: Any) -> None:
        reply = self.post("/sandbox/faults", fault)
        assert reply.status_code == 200, reply.text


def until(condition: Callable[[], Any], seconds: float = 8.0) -> Any:
    """Wait until a condition yields something true, and return it."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def number_of(name: str) -> str:
    """Return the magic number of a scenario."""
    return next(number for number, scenario in NUMBERS.items() if scenario.name == name)


class Receiver:
    """Receives webhooks: raw body, headers; answers with the statuses it was given, then with 200."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, dict[str, str]]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["content-length"]))
                receiver.received.append((raw, dict(self.headers)))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(raw) for raw, _ in self.received]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
