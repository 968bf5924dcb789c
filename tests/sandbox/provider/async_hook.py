"""The hook through the transport of triggers, and what is asked of both transports."""

from __future__ import annotations

import asyncio
from typing import Any

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.fields import list_query
from airflow_provider_bland.hooks.bland import BlandHook

HUMAN = "+14155550100"
VOICEMAIL = "+14155550102"
NO_ANSWER = "+14155550103"
ENDLESS = "+14155550154"
SECRET_KEY = "sk-very-secret-key-of-nobody"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def ring(number: str = HUMAN, **arguments: Any) -> str:
    return str(BlandHook().send_call(number, "Say hello.", **arguments)["call_id"])


async def aget_call(call_id: str) -> dict[str, Any]:
    """A call."""
    return dict(await BlandHook()._asend(endpoints.get_call(call_id)))


async def alist_calls_page(filters: dict[str, Any], *, from_index: int, limit: int) -> dict[str, Any]:
    """A page of the list."""
    query = {**list_query(filters), "from": from_index or None, "limit": limit}
    return dict(await BlandHook()._asend(endpoints.list_calls(query)))


def stop(call_id: str) -> dict[str, Any]:
    return BlandHook().stop_call(call_id)


def astop(call_id: str) -> dict[str, Any]:
    return asyncio.run(BlandHook().astop_call(call_id))
