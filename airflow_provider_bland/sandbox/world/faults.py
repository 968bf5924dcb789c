"""Faults that tests inject into any route while the sandbox runs."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bland.sandbox.model.validation import normalised

KINDS: Final = ("status", "drop", "drop_after", "hang", "half_body", "html")


@dataclass
class Fault:
    """
    A fault that befalls matching requests.

    ``drop_after`` and ``half_body`` happen after the request was dealt with, the others instead.

    :param method: an HTTP method, or ``*``.
    :param path: the beginning of a path, a route template, or a regular expression searched in the path.
    :param kind: one of ``KINDS``.
    :param status: the status of ``status`` and ``html``.
    :param body: the JSON body of ``status``; null: a plain error.
    :param headers: further headers of ``status``.
    :param times: how often it happens; null: always.
    :param seconds: for how long (real seconds) it happens, for ``hang``: how long each one hangs; null: no limit.
    :param phone_number: only requests that name this number.
    """

    method: str = "*"
    path: str = "/"
    kind: str = "status"
    status: int = 503
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    times: int | None = None
    seconds: float | None = None
    phone_number: str | None = None
    added: float = field(default_factory=time.monotonic)
    hits: int = 0

    def __post_init__(self) -> None:
        """Check what a test asked for."""
        if self.kind not in KINDS:
            raise ValueError(f"Unknown kind {self.kind!r}. Known: {', '.join(KINDS)}.")
        self.method = self.method.upper()
        try:
            self._pattern: re.Pattern[str] | None = re.compile(self.path)
        except re.error:
            self._pattern = None

    def matches(self, method: str, path: str, template: str | None, number: str | None) -> bool:
        """Return whether the fault befalls a request."""
        if self.times is not None and self.hits >= self.times:
            return False
        if self.seconds is not None and self.kind != "hang" and time.monotonic() - self.added > self.seconds:
            return False
        if self.method not in ("*", method):
            return False
        if self.phone_number and number != (normalised(self.phone_number) or self.phone_number):
            return False
        return path.startswith(self.path) or self.path == template or bool(self._pattern and self._pattern.search(path))

    def as_json(self) -> dict[str, Any]:
        """Return the fault for the control API."""
        hidden = ("added", "_pattern")
        return {name: value for name, value in vars(self).items() if name not in hidden}


def fault_from(body: object) -> Fault:
    """
    Read a fault from the control API.

    :raises ValueError: when it is not one.
    """
    if not isinstance(body, dict):
        raise ValueError("A fault is a JSON object.")
    allowed = {"method", "path", "kind", "status", "body", "headers", "times", "seconds", "phone_number"}
    unknown = set(body) - allowed
    if unknown:
        raise ValueError(f"Unknown keys: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(allowed))}.")
    return Fault(**{name: value for name, value in body.items() if not (value is None and name == "headers")})
