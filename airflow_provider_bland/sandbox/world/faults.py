"""Faults that tests inject into any route while the sandbox runs."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bland.sandbox.model.validation import normalised

ALLOWED: Final = frozenset({"method", "path", "kind", "status", "body", "headers", "times", "seconds", "phone_number"})
# What HTTP allows as a header's name, and as its value.
_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD_VALUE: Final = re.compile(r"(?:[\x21-\x7e\x80-\xff](?:[\x20-\x7e\x80-\xff\t]*[\x21-\x7e\x80-\xff])?)?")
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
        problem = _problem(vars(self))
        if problem:
            raise ValueError(problem)
        self.method = self.method.upper()
        try:
            self._pattern: re.Pattern[str] | None = re.compile(self.path)
        except (re.error, OverflowError, RecursionError):
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


def _problem(given: Mapping[str, Any]) -> str | None:
    for name in ("method", "path", "kind", "phone_number"):
        if not isinstance(given[name], str) and not (name == "phone_number" and given[name] is None):
            return f"{name} must be a string."
    if given["kind"] not in KINDS:
        return f"Unknown kind {given['kind']!r}. Known: {', '.join(KINDS)}."
    if not _is_whole(given["status"], 200, 599):
        return "status must be a whole number from 200 to 599."
    if given["times"] is not None and not _is_whole(given["times"], 0, 1e15):
        return "times must be a whole number, at least 0, or null."
    if given["seconds"] is not None and not _is_number(given["seconds"], 0, 1e9):
        return "seconds must be a number from 0 to 1e9, or null."
    headers = given["headers"]
    if not isinstance(headers, dict) or not all(
        isinstance(value, str) and _TOKEN.fullmatch(name) and _FIELD_VALUE.fullmatch(value)
        for name, value in headers.items()
    ):
        return "headers must be an object of names and texts that HTTP allows."
    if {name.lower() for name in headers} & {"content-length", "transfer-encoding"}:
        return "headers cannot say how long the body is; the kind half_body lies about it."
    return None


def _is_whole(value: object, low: float, high: float) -> bool:
    return _is_number(value, low, high) and float(str(value)).is_integer()


def _is_number(value: object, low: float, high: float) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and low <= value <= high


def fault_from(body: object) -> Fault:
    """
    Read a fault from the control API.

    :raises ValueError: when it is not one.
    """
    if not isinstance(body, dict):
        raise ValueError("A fault is a JSON object.")
    unknown = set(body) - ALLOWED
    if unknown:
        raise ValueError(f"Unknown keys: {', '.join(sorted(unknown))}. Known: {', '.join(sorted(ALLOWED))}.")
    return Fault(**{name: value for name, value in body.items() if not (value is None and name == "headers")})
