"""A request for any endpoint: what a user writes, where it leads, and what is refused before it is sent."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from airflow_provider_bland.api.anything import any_request, dials, rows_in, secrets_in, without_secrets
from airflow_provider_bland.api.endpoints import BlandRequest, Host
from airflow_provider_bland.api.errors import BlandValidationError


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/me", BlandRequest("GET", "/v1/me", True)),
        (" get ", " /v1/me ", BlandRequest("GET", "/v1/me", True)),
        ("POST", "/v1/org_dnc/search", BlandRequest("POST", "/v1/org_dnc/search", False)),
        ("DELETE", "/v1/org_dnc/a-1", BlandRequest("DELETE", "/v1/org_dnc/a-1", False)),
        ("PATCH", "/v1/orgs/o%20x/properties", BlandRequest("PATCH", "/v1/orgs/o%20x/properties", False)),
        ("GET", "https://api.bland.ai/v1/me", BlandRequest("GET", "/v1/me", True)),
        ("GET", "HTTPS://US.API.bland.ai/v1/me", BlandRequest("GET", "/v1/me", True, host=Host.STOP_ALL)),
        ("POST", "/v1/calls/active/stop", BlandRequest("POST", "/v1/calls/active/stop", False, host=Host.STOP_ALL)),
        ("POST", "/v1/agents/a-1/authorize", BlandRequest("POST", "/v1/agents/a-1/authorize", False, host=Host.WEB)),
    ],
)
def test_where_a_request_leads(method: str, path: str, expected: BlandRequest) -> None:
    assert replace(any_request(method, path), most_bytes=expected.most_bytes) == expected


@pytest.mark.parametrize(
    "path",
    [
        "", "/", "v1/me", "me", None, 5, [], "//evil.example/v1/me", "https://evil.example/v1/me",
        "http://api.bland.ai/v1/me",
        "https://api.bland.ai.evil.example/v1/me", "https://api.bland.ai@evil.example/v1/me", "https://api.bland.ai:444/x",
        "/v1/../admin", "/v1/%2e%2E/admin", "/v1/./me", "/v1//me", "/v1/me?x=1", "/v1/me#x", "/v1/m e", "/v1/me\\n",
        "/v1/\nme",
        "/v1/me\r\nx: y", "/v1/\u00e9", "https://[", "file:///etc/passwd", "/v1\\..\\me",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_path_of_blands_is_refused(path: Any) -> None:
    with pytest.raises(BlandValidationError, match=r"^path"):
        any_request("GET", path)


@pytest.mark.parametrize("method", ["", "HEAD", "GETS", "CONNECT", None, 1, "POST\n/x"], ids=repr)
def test_what_is_no_method_is_refused(method: Any) -> None:
    with pytest.raises(BlandValidationError, match=r"^method"):
        any_request(method, "/v1/me")


def test_only_what_is_said_to_be_or_is_a_get_is_repeatable() -> None:
    assert any_request("POST", "/v1/x", repeatable=True).repeatable
    assert not any_request("GET", "/v1/x", repeatable=False).repeatable
    with pytest.raises(BlandValidationError, match=r"^repeatable"):
        any_request("POST", "/v1/x", repeatable="maybe")  # type: ignore[arg-type]


def test_queries_and_bodies_are_written_as_bland_reads_them() -> None:
    query = {
        "a": None, "b": "", "c": True, "d": False, "e": 5, "f": 1.5, "g": date(2026, 1, 31), "h": "x y",
        "i": datetime(2026, 1, 31, 9, tzinfo=UTC),
    }  # fmt: skip
    assert any_request("GET", "/v1/x", query=query).query == {
        "c": "true", "d": "false", "e": "5", "f": "1.5", "g": "2026-01-31", "h": "x y",
        "i": "2026-01-31T09:00:00+00:00",
    }  # fmt: skip
    assert any_request("GET", "/v1/x", query={}).query is None
    assert any_request("GET", "/v1/x", query='{"a": 1}').query == {"a": "1"}  # type: ignore[arg-type]
    assert any_request("POST", "/v1/x", body=[1, {"a": None}]).body == [1, {"a": None}]
    assert any_request("POST", "/v1/x", body='{"a": 1}').body == {"a": 1}
    assert any_request("POST", "/v1/x").body is None
    for bad in ({"a": [1]}, {"a": {}}, {1: "a"}, "x", [1], {"a": datetime(2026, 1, 1)}):
        with pytest.raises(BlandValidationError, match=r"^query"):
            any_request("GET", "/v1/x", query=bad)  # type: ignore[arg-type]
    for body in ({"a": {1, 2}}, {"a": float("nan")}, object()):
        with pytest.raises(BlandValidationError, match=r"^body"):
            any_request("POST", "/v1/x", body=body)
    with pytest.raises(BlandValidationError, match="Use query"):
        any_request("GET", "/v1/x", body={})


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("POST", "/v1/calls", True), ("POST", "/v1/calls/", True), ("POST", "/V1/Calls", True),
        ("GET", "/v1/calls", False),
        ("POST", "/v2/batches/create", True), ("POST", "/v1/batches", True), ("POST", "/v1/campaigns", True),
        ("POST", "/v1/calls/c-1/stop", False), ("POST", "/v1/calls/c-1/analyze", False),
    ],
)  # fmt: skip
def test_what_dials(method: str, path: str, expected: bool) -> None:
    assert dials(any_request(method, path)) is expected


def test_a_number_in_a_path_is_hidden_where_the_request_is_named() -> None:
    assert "14155550100" not in str(any_request("GET", "/v1/inbound/+14155550100"))


@pytest.mark.parametrize(
    ("reply", "place", "expected"),
    [
        ([1, 2], None, ([1, 2], None)),
        ([1, 2], "", ([1, 2], None)),
        ({"calls": [1], "total_count": 7, "count": 1}, None, ([1], 7)),
        ({"data": [1], "errors": None}, None, ([1], None)),
        ({"data": [1], "errors": []}, None, ([1], None)),
        ({"data": {"entries": [1], "total_count": 3}, "errors": None}, None, ([1], 3)),
        ({"data": {"entries": [1]}, "total_count": 3}, "data.entries", ([1], 3)),
        ({"a": [1], "b": [2], "total_count": "9"}, "b", ([2], None)),
        ({"a": [1], "total_count": True}, "a", ([1], None)),
    ],
)
def test_where_the_rows_are(reply: Any, place: str | None, expected: Any) -> None:
    assert rows_in(reply, place) == expected


@pytest.mark.parametrize(
    ("reply", "place", "says"),
    [
        ({"a": [1], "b": [2]}, None, "'a', 'b'"),
        ({"a": 1}, None, "no list"),
        (None, None, "no list"),
        ({"a": [1]}, "b", "'a'"),
        ({"a": {"b": 1}}, "a.b", "none"),
        ({"a": [1]}, "a.b", "'a'"),
    ],
)
def test_rows_that_are_not_found_are_asked_for(reply: Any, place: str | None, says: str) -> None:
    with pytest.raises(BlandValidationError, match=rf"^rows.*{says}"):
        rows_in(reply, place)


def test_secrets_of_a_reply_are_known_by_their_names() -> None:
    reply = {"token": "a", "data": [{"API_KEY": "b", "name": "c"}, 5], "tokens": 3, "key": {"secret": "d"}}
    assert list(secrets_in(reply)) == ["a", "b", "d"]
    assert without_secrets(reply) == {
        "token": "***", "data": [{"API_KEY": "***", "name": "c"}, 5], "tokens": 3, "key": {"secret": "***"},
    }  # fmt: skip
    assert without_secrets({"secret": None, "token": ""}) == {"secret": None, "token": ""}
    assert without_secrets([1, "token"]) == [1, "token"]
    assert without_secrets(None) is None
