"""A request for any endpoint, there is or will be, from what a user writes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.endpoints import LIST_PAGE_LIMIT, ROW_BYTES, BlandRequest, Host
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown

_SECRETS: Final = frozenset({
    "token", "access_token", "refresh_token", "session_token", "api_key", "encrypted_key", "secret", "client_secret",
    "auth_token", "password",
})  # fmt: skip
_MADE: Final = ("call_id", "c_id", "batch_id", "campaign_id")
METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
_PATH: Final = re.compile(r"(/[A-Za-z0-9\-._~$!'()*+,;=:@%]+)+/?", re.ASCII)
# These answer on a host of their own (docs.bland.ai/api-v1/post/calls-active-stop, .../post/agents-id-authorize).
_HOSTS: Final = (
    (re.compile(r"POST /v1/calls/active/stop"), Host.STOP_ALL),
    (re.compile(r"POST /v1/agents/[^/]+/authorize"), Host.WEB),
)
_DIALS: Final = re.compile(r"POST /(v1/calls|v1/batches|v2/batches/create|v1/campaigns)/?", re.IGNORECASE)


def any_request(
    method: Any,
    path: Any,
    *,
    query: Mapping[str, Any] | None = None,
    body: Any = None,
    repeatable: bool | None = None,
) -> BlandRequest:
    """
    Check a request that no builder of ours knows.

    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
    :param path: such as ``/v1/calls``, or the whole address on one of Bland's hosts. A query goes into ``query``.
    :param query: names to strings, numbers, booleans, dates; ``None`` values are left out.
    :param body: anything JSON can carry.
    :param repeatable: whether doing it twice is harmless. By default only ``GET`` is.
    :raises BlandValidationError: names the argument and the remedy.
    """
    verb = method.strip().upper() if isinstance(method, str) else ""
    if verb not in METHODS:
        raise BlandValidationError("method", f"must be one of {', '.join(METHODS)}, not {shown(method)}.")
    if body is not None and verb == "GET":
        raise BlandValidationError("body", "cannot go with GET. Use query.")
    host, plain = _address(path)
    line = f"{verb} {plain}"
    dialling = _DIALS.fullmatch(line) is not None
    for pattern, own in _HOSTS:
        if host is None and pattern.fullmatch(line):
            host = own
    return BlandRequest(
        verb,
        plain,
        repeatable=verb == "GET" if repeatable is None else checks.checked("repeatable", checks.boolean, repeatable),
        body=None if body is None else checks.checked("body", checks.json_value, checks.from_template(body)),
        query=written_query(query) or None,
        host=host or Host.API,
        traces=_names_what_was_made if dialling else None,
        most_bytes=LIST_PAGE_LIMIT * ROW_BYTES,
    )


def dials(request: BlandRequest) -> bool:
    """Whether a request makes phones ring, as far as is known."""
    return _DIALS.fullmatch(f"{request.method} {request.path}") is not None


def _names_what_was_made(body: Any) -> bool:
    """Whether an error names a call or a batch: then phones may ring all the same."""
    data = body.get("data") if isinstance(body, Mapping) else None
    return any(one.get(name) for one in (body, data) if isinstance(one, Mapping) for name in _MADE)


def _address(path: Any) -> tuple[Host | None, str]:
    text = path.strip() if isinstance(path, str) else ""
    hint = "Give a path such as '/v1/calls'; the connection's base URL says where it leads"
    host: Host | None = None
    if "://" in text or text.startswith("//"):
        try:
            parts = urlsplit(text)
            host = Host(f"{parts.scheme}://{parts.netloc}".lower())
        except ValueError:
            raise BlandValidationError("path", f"is an address that is not Bland's. {hint}.") from None
        text = text[len(host.value) :]
    if "?" in text or "#" in text:
        raise BlandValidationError("path", "must not hold '?' or '#'. Give what follows as query.")
    if not _PATH.fullmatch(text) or any(unquote(part) in (".", "..") for part in text.split("/")):
        raise BlandValidationError("path", f"{text[:100]!r} is no path. {hint}.")
    return host, text


def written_query(query: Mapping[str, Any] | None) -> dict[str, str]:
    """
    Write a query as Bland reads it: ``true`` and ``false``, ISO dates; what is ``None`` or empty is left out.

    :raises BlandValidationError: names the entry that cannot be written.
    """
    query = checks.from_template(query)
    if query is not None and not isinstance(query, Mapping):
        raise BlandValidationError("query", f"must be a dict, not {type(query).__name__}.")
    return dict(_written(query or {}))


def _written(query: Mapping[Any, Any]) -> Iterator[tuple[str, str]]:
    for name, value in query.items():
        if not isinstance(name, str):
            raise BlandValidationError("query", f"has a key that is not a string: {shown(name)}.")
        if value is None or value == "":
            continue
        if isinstance(value, bool):
            yield name, str(value).lower()
        elif isinstance(value, date):
            if isinstance(value, datetime) and value.utcoffset() is None:
                raise BlandValidationError(
                    f"query[{shown(name)}]", "has no time zone. Use an aware datetime, or a date."
                )
            yield name, value.isoformat()
        elif isinstance(value, str | int | float):
            yield name, str(value)
        else:
            raise BlandValidationError(
                f"query[{shown(name)}]", f"must be a string, number, boolean or date, not {type(value).__name__}."
            )


def rows_in(reply: Any, place: str | None) -> tuple[list[Any], int | None]:
    """
    Find the rows of a page, and how many there are in all.

    :param place: where the list is, such as ``"calls"`` or ``"data.entries"``; ``""`` for the reply itself. ``None``
        looks for the one list there is.
    :return: rows, and the ``total_count`` beside them, if any.
    :raises BlandValidationError: if there is no list in that place, or none or several where one was looked for.
    """
    if place is None:
        found = list(_lists_in(reply))
        if len(found) != 1:
            raise BlandValidationError(
                "rows", f"where are they? The reply has {', '.join(map(repr, found)) or 'no list'}. Name the list."
            )
        place = found[0]
    holder, value = reply, reply
    for name in place.split(".") if place else ():
        holder, value = value, value.get(name) if isinstance(value, Mapping) else None
    if not isinstance(value, list):
        known = ", ".join(map(repr, _lists_in(reply))) or "none"
        raise BlandValidationError("rows", f"the reply has no list {place!r}. Lists it has: {known}.")
    totals = [one.get("total_count") for one in (holder, reply) if isinstance(one, Mapping)]
    return value, next((total for total in totals if isinstance(total, int) and not isinstance(total, bool)), None)


def secrets_in(reply: Any, depth: int = 4) -> Iterator[str]:
    """Values of a reply that are secrets by their names: session tokens, keys."""
    if depth and isinstance(reply, Mapping):
        for name, value in reply.items():
            if isinstance(value, str) and value and str(name).lower() in _SECRETS:
                yield value
            else:
                yield from secrets_in(value, depth - 1)
    elif depth and isinstance(reply, list):
        for value in reply[:1000]:
            yield from secrets_in(value, depth - 1)


def without_secrets(reply: Any, depth: int = 4) -> Any:
    """A reply with ``***`` in the place of its secrets."""
    if depth and isinstance(reply, Mapping):
        return {
            name: "***"
            if isinstance(value, str) and value and str(name).lower() in _SECRETS
            else without_secrets(value, depth - 1)
            for name, value in reply.items()
        }
    if depth and isinstance(reply, list):
        return [without_secrets(value, depth - 1) for value in reply]
    return reply


def _lists_in(reply: Any, prefix: str = "") -> Iterator[str]:
    if isinstance(reply, list):
        yield prefix
    elif isinstance(reply, Mapping) and prefix.count(".") < 1:
        for name, value in reply.items():
            # "errors" stands beside the data in every reply of the newer endpoints.
            if name != "errors" and isinstance(name, str):
                yield from _lists_in(value, f"{prefix}.{name}" if prefix else name)
