"""Where a URL leads, by its very name."""

from __future__ import annotations

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import call_body, row_fields
from airflow_provider_bland.api.urls import is_on_this_machine

LEAST = {"phone_number": "+14155550100", "task": "Say hi."}


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:8700", True),
        ("http://127.9.9.9/x", True),
        ("http://localhost/hook", True),
        ("http://sandbox.localhost:1/hook", True),
        ("http://[::1]:8700", True),
        ("http://[::ffff:127.0.0.1]:8700", True),
        ("http://[::ffff:10.0.0.1]:8700", False),
        ("https://api.bland.ai", False),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://127.0.0.1@evil.example/", False),
        ("http://10.0.0.1", False),
        ("http://[::1", False),
        ("", False),
        (None, False),
    ],
)
def test_where_a_url_leads(url: str | None, here: bool) -> None:
    assert is_on_this_machine(url) is here


def test_a_webhook_may_stay_on_this_machine_where_the_call_does() -> None:
    arguments = {**LEAST, "webhook": "http://127.0.0.1:9000/hook"}
    assert call_body(arguments, local=True)["webhook"] == "http://127.0.0.1:9000/hook"
    for refused, local in ((arguments, False), ({**LEAST, "webhook": "http://evil.example/"}, True)):
        with pytest.raises(BlandValidationError, match="https"):
            call_body(refused, local=local)


def test_numbers_are_of_the_region_the_connection_names() -> None:
    arguments = {**LEAST, "phone_number": "020 7946 0000", "transfer_list": {"desk": "020 7946 0001"}}
    body = call_body(arguments, region="GB")
    assert (body["phone_number"], body["transfer_list"]) == ("+442079460000", {"desk": "+442079460001"})
    with pytest.raises(BlandValidationError, match="phone_number: has no country code"):
        call_body({**LEAST, "phone_number": "4155550100"}, region=None)


@pytest.mark.parametrize(
    ("row", "hint"),
    [({"phone": "x"}, "phone"), ({"langauge": "x"}, "Is it language?"), ([1], "must be a dict"), ({1: 2}, "1")],
)
def test_a_row_holds_fields_of_a_call(row: object, hint: str) -> None:
    with pytest.raises(BlandValidationError, match="row: ") as refused:
        row_fields(row)
    assert hint in str(refused.value)


def test_a_row_is_taken_as_it_is() -> None:
    assert row_fields(None) == {}
    assert row_fields({"task": "{{ conn.bland_default.password }}"}) == {"task": "{{ conn.bland_default.password }}"}
