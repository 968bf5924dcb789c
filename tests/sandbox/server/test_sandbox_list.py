"""The list of calls: rows, filters, pages, orders, lag, and speed."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sandbox_client import Client, number_of, until

from airflow_provider_bland.sandbox.server import SandboxServer

FIELDS = [
    "call_id",
    "created_at",
    "call_length",
    "to",
    "from",
    "completed",
    "queue_status",
    "error_message",
    "answered_by",
    "batch_id",
    "inbound",
    "pathway_id",
]


def place(server: SandboxServer, count: int, **fields: Any) -> list[str]:
    """Place calls without HTTP, for speed."""
    placed = []
    for which in range(count):
        body = {"phone_number": f"+1212{which:07}", "task": "x", **fields}
        placed.append(str(server.sandbox.place(body).body["call_id"]))
    return placed


def test_rows_have_the_documented_fields(client: Client) -> None:
    call_id = client.call("+14155550100", metadata={"k": 1})
    client.finished(call_id)
    body = client.get("/v1/calls").json()
    assert (body["total_count"], body["count"]) == (1, 1)
    assert list(body["calls"][0]) == FIELDS
    details = client.details(call_id)
    assert body["calls"][0] == {name: details[name] for name in FIELDS}
    client.settings(rows_with_metadata=True)
    row = client.rows()[0]
    assert row["metadata"] == {"k": 1}
    assert {"status", "request_data", "updated_at"} <= set(row)
    assert "transcripts" not in row


def test_pages(client: Client) -> None:
    ids = place(client.server, 25)
    newest_first = ids[::-1]

    def page(**params: Any) -> list[str]:
        body = client.get("/v1/calls", **params).json()
        assert (body["total_count"], body["count"]) == (25, len(body["calls"]))
        return [row["call_id"] for row in body["calls"]]

    assert page() == newest_first
    assert page(limit=10) == newest_first[:10]
    assert page(limit=10, **{"from": 20}) == newest_first[20:]
    assert page(to=15, **{"from": 5}) == newest_first[5:15]
    assert page(to=15, limit=3, **{"from": 5}) == newest_first[5:8]
    assert page(ascending="true") == ids
    assert page(ascending="true", limit=4, **{"from": 2}) == ids[2:6]
    assert page(sort_by="created_at", ascending="true", to=2) == ids[:2]
    assert page(**{"from": 100}) == []
    # A filter takes another way through the code and must give the same pages.
    assert page(update_start_date="2020-01-01", to=15, **{"from": 5}) == newest_first[5:15]


def test_a_page_has_at_most_1000_rows(client: Client) -> None:
    place(client.server, 1100)
    body = client.get("/v1/calls", limit=5000).json()
    assert (body["total_count"], body["count"]) == (1100, 1000)
    rest = client.get("/v1/calls", **{"from": 1000}).json()
    assert rest["count"] == 100


def test_filters(client: Client) -> None:
    human = client.call("+14155550100", **{"from": "+12223334444"}, campaign_id="c1")
    busy = client.call(number_of("busy"))
    live = client.call(number_of("endless"))
    for call_id in (human, busy):
        client.finished(call_id)

    def found(**params: Any) -> list[str]:
        body = client.get("/v1/calls", ascending="true", **params).json()
        assert body["total_count"] == body["count"]
        return [row["call_id"] for row in body["calls"]]

    assert found(completed="true") == [human, busy]
    assert found(completed="false") == [live]
    assert found(to_number="+14155550100") == [human]
    assert found(to_number="4155550100") == [human]
    assert found(to_number="+19995550100") == []
    assert found(from_number="+12223334444") == [human]
    assert found(answered_by="human") == [human]
    assert found(answered_by="voicemail") == []
    assert found(inbound="true") == []
    assert found(inbound="false") == [human, busy, live]
    assert found(duration_gt=0.4) == [human]
    assert found(duration_lt=0.4) == [busy, live]
    assert found(campaign_id="c1") == [human]
    assert found(batch_id="x") == []
    assert found(to_number="+14155550100", completed="false") == []
    assert found(metadata="ignored") == [human, busy, live]


def test_dates(client: Client) -> None:
    client.settings(speed=0.001)
    first, second, third = place(client.server, 3)
    moment = client.details(second)["created_at"]
    today = datetime.now(UTC).date()
    yesterday, tomorrow = str(today - timedelta(days=1)), str(today + timedelta(days=1))

    def found(**params: Any) -> list[str]:
        return [row["call_id"] for row in client.rows(ascending="true", **params)]

    assert found(start_date=moment) == [second, third]
    assert found(end_date=moment) == [first, second]
    assert found(start_date=moment, end_date=moment) == [second]
    assert found(start_date=moment, sort_by="updated_at") == [second, third]
    assert found(start_date=moment, completed="false") == [second, third]
    assert found(start_date=moment.replace("+00:00", "Z"), to_number="+12120000002") == [third]
    assert found(start_date=str(today), end_date=str(today)) == [first, second, third]
    assert found(created_at=str(today)) == [first, second, third]
    assert found(created_at=yesterday) == []
    assert found(start_date=tomorrow) == []
    assert found(end_date=yesterday) == []
    assert found(update_start_date=yesterday, update_end_date=str(today)) == [first, second, third]
    assert found(update_start_date=tomorrow) == []
    client.settings(end_date_exclusive=True)
    assert found(start_date=str(today), end_date=str(today)) == []


def test_days_are_days_of_a_zone(client: Client) -> None:
    place(client.server, 1)
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        offset = timedelta(hours=14 if "Kiritimati" in zone else -11)
        day = (datetime.now(UTC) + offset).date()
        assert len(client.rows(created_at=str(day), timezone=zone)) == 1
        assert client.rows(created_at=str(day - timedelta(days=1)), timezone=zone) == []


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "many"},
        {"completed": "perhaps"},
        {"start_date": "soon"},
        {"timezone": "Mars/Olympus"},
        {"sort_by": "price"},
        {"duration_gt": "long"},
        {"created_at": "2026-01-01", "start_date": "2026-01-01"},
    ],
)
def test_wrong_parameters(client: Client, params: dict[str, str]) -> None:
    reply = client.get("/v1/calls", **params)
    assert (reply.status_code, reply.json()["status"]) == (400, "error")


def test_updated_order_moves_with_every_change(client: Client) -> None:
    client.settings(speed=0.01)
    first, second = client.call("+14155550100"), client.call("+14155550101")

    def order() -> list[str]:
        return [row["call_id"] for row in client.rows(sort_by="updated_at")]

    assert order() == [second, first]
    client.post(f"/v1/calls/{first}/stop")
    assert order() == [first, second]
    assert [row["call_id"] for row in client.rows(sort_by="updated_at", completed="true")] == [first]
    client.settings(sort_by_updated_supported=False)
    assert order() == [second, first]


def test_the_list_may_lag(client: Client) -> None:
    client.settings(list_lag=2.0)
    call_id = client.call(number_of("busy"))
    placed = time.monotonic()
    assert client.rows() == []
    until(lambda: client.rows())
    assert time.monotonic() - placed > 1.5
    assert client.details(call_id)["to"] == number_of("busy")
    until(lambda: client.rows(completed="true"))


class Looked(dict[str, Any]):
    """Counts how often somebody looks something up."""

    looks = 0

    def __getitem__(self, key: str) -> Any:
        self.looks += 1
        return super().__getitem__(key)


def test_a_page_costs_what_it_holds(client: Client) -> None:
    client.settings(speed=1, same_number_seconds=0)
    place(client.server, 3000)
    client.server.sandbox.set_forward(3600)
    index = client.server.sandbox.engine.register.index
    assert len(client.rows(limit=1)) == 1
    rows = index.rows = Looked(index.rows)
    for params in (
        {"limit": 7},
        {"limit": 7, "sort_by": "updated_at", "from": 2000},
        {"limit": 7, "completed": "true"},
    ):
        rows.looks = 0
        assert len(client.rows(**params)) == 7
        assert rows.looks == 7
    seen = [row["call_id"] for start in range(0, 3000, 1000) for row in client.rows(**{"from": start})]
    assert len(set(seen)) == 3000


def test_orders_hold_under_change(client: Client) -> None:
    client.settings(speed=3000)
    place(client.server, 300)
    sandbox = client.server.sandbox

    def all_over() -> bool:
        with sandbox.engine.lock:
            sandbox.engine.advance()
            index = sandbox.engine.register.index
            index._sort_in()
            for (sort, completed), order in index._all.lists.items():
                rows = [row for row in index.rows.values() if completed in (None, row.completed)]
                assert order == sorted(row.key(sort) for row in rows)
            return not sandbox.live_calls()

    until(all_over)
