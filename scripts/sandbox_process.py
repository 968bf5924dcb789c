"""The Bland sandbox as a process, with its control API."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import requests
from processes import ManagedProcess, ProcessDiedError, wait_until

API_KEY = "sandbox-key"
_START_SECONDS = 60
_LISTENING = re.compile(r"Bland sandbox listening on (http://127\.0\.0\.1:(\d+))")


class SandboxProcess:
    """
    The sandbox, for as long as the `with` block lasts.

    :param log_path: where its output is kept
    :param port: 0 for a free one; `restart` keeps it
    :param speed: how many times faster than a real call everything happens
    :param options: further command line options
    """

    def __init__(self, log_path: Path, port: int = 0, speed: float = 20, options: Sequence[str] = ()) -> None:
        self.port = port
        self.url = ""
        self._speed = speed
        self._options = list(options)
        self._log_path = log_path
        self._process: ManagedProcess | None = None
        self._session = requests.Session()
        # No proxy, no .netrc: the server is on this machine.
        self._session.trust_env = False

    def __enter__(self) -> SandboxProcess:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def process(self) -> ManagedProcess:
        """The process, e.g. to freeze it."""
        if self._process is None:
            raise RuntimeError("the sandbox was never started")
        return self._process

    @property
    def connection(self) -> dict[str, str]:
        """The fields of an Airflow connection to this sandbox."""
        return {"conn_type": "bland", "host": self.url, "password": API_KEY}

    def start(self) -> None:
        """Start the sandbox and wait until it listens."""
        argv = [sys.executable, "-m", "airflow_provider_bland.sandbox"]
        argv += ["--port", str(self.port), "--speed", f"{self._speed:g}", "--api-key", API_KEY, *self._options]
        process = self._process = ManagedProcess(
            "sandbox", argv, env={**os.environ, "PYTHONUNBUFFERED": "1"}, log_path=self._log_path
        )
        offset = self._log_path.stat().st_size if self._log_path.exists() else 0
        process.start()

        def look() -> re.Match[str] | None:
            match = _LISTENING.search(self._log_path.read_text(errors="replace")[offset:])
            if match is None and not process.alive:
                raise ProcessDiedError(f"The Bland sandbox ended by itself\n{process.tail()}")
            return match

        try:
            found = wait_until(look, _START_SECONDS, "the Bland sandbox to listen", context=process.tail)
            assert found is not None
            self.url, self.port = found[1], int(found[2])
            wait_until(self.rings, 10, "the Bland sandbox to answer", accept=lambda _: True, passing=(OSError,))
        except BaseException:
            process.kill()
            raise

    def stop(self) -> None:
        """End the sandbox gracefully."""
        if self._process is not None:
            self._process.terminate(grace=5)

    def kill(self) -> None:
        """SIGKILL the sandbox."""
        self.process.kill()

    def restart(self) -> None:
        """Start the sandbox again on the same port."""
        self.stop()
        self.start()

    # --- control API --------------------------------------------------------------------------------------------

    def request(
        self,
        method: str,
        path: str,
        json: object = None,
        params: Mapping[str, Any] | None = None,
        timeout: float = 10,
    ) -> Any:
        """
        Send a request, with the API key, and return the parsed reply.

        :param timeout: seconds
        :raises requests.RequestException: if there is no reply, or one of 400 and above
        """
        headers = {"authorization": API_KEY}
        reply = self._session.request(
            method, self.url + path, json=json, params=params, headers=headers, timeout=timeout
        )
        if not reply.ok:
            raise requests.HTTPError(f"{method} {path}: {reply.status_code} {reply.text[:1000]}", response=reply)
        return reply.json() if reply.content else None

    def rings(self) -> dict[str, Any]:
        """Return the ledger: `rings` (how often each number rang), `events` (one by one) and `total`."""
        return dict(self.request("GET", "/sandbox/rings"))

    def ring_count(self, number: str | None = None) -> int:
        """Return how often a number (or any) rang."""
        ledger = self.rings()
        return int(ledger["total"] if number is None else ledger["rings"].get(number, 0))

    def calls(self, live: bool = False) -> list[dict[str, Any]]:
        """Return the calls the sandbox knows, or only those under way, oldest first."""
        return list(self.request("GET", "/sandbox/calls", params={"live": "true"} if live else None)["calls"])

    def requests(self) -> dict[str, Any]:
        """Return how many `requests` came per method and route, and their `total`."""
        return dict(self.request("GET", "/sandbox/requests"))

    def reset(self) -> None:
        """Forget all calls, rings, requests and faults."""
        self.request("POST", "/sandbox/reset")

    def now(self) -> float:
        """Return what Bland's clock shows (a Unix time)."""
        return float(self.request("GET", "/sandbox/clock")["unix"])

    def advance(self, seconds: float) -> float:
        """Let so many simulated seconds be over at once, with all that happens in them; return Bland's time then."""
        return float(self.request("POST", "/sandbox/clock", json={"advance": seconds}, timeout=300)["unix"])

    def describe(self, *callees: Mapping[str, Any]) -> None:
        """Say who has which number: `phone_number`, and e.g. `timezone`, `hours`, `outcomes`, `persona`."""
        self.request("POST", "/sandbox/callees", json={"callees": list(callees)}, timeout=60)

    def settings(self, **changes: Any) -> Any:
        """Change settings, e.g. `speed`."""
        return self.request("POST", "/sandbox/settings", json=changes)

    def fault(self, **fault: Any) -> Any:
        """Order a fault for requests to come."""
        return self.request("POST", "/sandbox/faults", json=fault)

    def clear_faults(self) -> None:
        """Take all faults back."""
        self.request("DELETE", "/sandbox/faults")

    def call_details(self, call_id: str) -> dict[str, Any]:
        """Return a call as Bland's own API tells it."""
        return dict(self.request("GET", f"/v1/calls/{call_id}"))
