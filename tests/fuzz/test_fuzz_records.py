"""Whatever a store holds, or a trigger tells: it is read as it was written, or nobody is rung or charged."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hostile import TEXTS, refused_or
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.calls.intents import CallRecord, FirstStep, UnreadableRecordError, first_step
from airflow_provider_bland.campaigns.ledger import Ledger
from airflow_provider_bland.tasks.journal import StoreJournal
from airflow_provider_bland.tasks.store import CampaignPointer, IntentStore, StopNote
from airflow_provider_bland.triggers.events import WaitEvent, WaitStatus

GOOD = {
    "round": 0, "number_hash": "abc", "fingerprint": "def", "intent_at": 1_760_000_000.0, "max_tries": 2,
    "call_id": "c-1",
}  # fmt: skip
EVENT = {"status": "finished", "call_id": "c-1"}
# What JSON can hold, for stores and events hold nothing else.
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def damaged(draw: st.DrawFn, good: Mapping[str, Any]) -> Any:
    """Something that was right once: fields are lost, replaced, added, or all of it is something else."""
    if draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    found = dict(good)
    for name in draw(st.lists(st.sampled_from(sorted(good)), max_size=2)):
        if draw(st.booleans()):
            found.pop(name, None)
        else:
            found[name] = draw(JSON)
    found.update(draw(st.dictionaries(TEXTS, JSON, max_size=1)))
    return found


class Store(dict[str, Any]):
    """As Airflow's task state store."""

    def set(self, key: str, value: Any, **kw: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def context(**held: Any) -> dict[str, Any]:
    return {"task_state_store": Store(held), "ti": SimpleNamespace(max_tries=2)}


@given(held=damaged(GOOD))
def test_a_record_that_cannot_be_read_is_looked_for_and_never_dialled_again(held: Any) -> None:
    try:
        record = IntentStore(context(bland_call=held)).load()
    except UnreadableRecordError:
        assert first_step(None, has_store=True, try_number=1, readable=False) is FirstStep.RECONCILE
        return
    assert (record is None) == (held is None)
    if record is not None:
        assert record == CallRecord.from_json(json.loads(json.dumps(record.to_json())))
        assert first_step(record, has_store=True, try_number=1) is not FirstStep.PLACE


@given(held=damaged({"campaign": "abc", "path": "/data/out", "round": 1, "max_tries": 0}))
def test_a_campaigns_pointer(held: Any) -> None:
    pointer = refused_or(lambda: CampaignPointer(context(bland_campaign=held)).load())
    if pointer is not None:
        assert isinstance(pointer["round"], int)
        assert isinstance(pointer["path"], str)


@given(held=JSON)
def test_a_note_of_a_stop(held: Any) -> None:
    found = refused_or(lambda: StopNote(context(bland_stopped=held)).read())
    assert found is None or found == held


@given(held=damaged({"max_tries": 2, "row": {"call_id": "c-1", "answers": {}}}))
def test_what_may_have_been_charged_is_not_asked_again(held: Any) -> None:
    rows, asking = StoreJournal(context(**{"bland_analysis_c-1": held}), ["c-1"]).load()
    older = isinstance(held, dict) and isinstance(held.get("max_tries"), int) and held["max_tries"] < 2
    if held is not None and not older:
        assert ("c-1" in rows) != ("c-1" in asking)


class Folder:
    """Files that hold anything."""

    def __init__(self, content: bytes) -> None:
        self.content = content

    def read(self, name: str) -> bytes:
        return self.content

    def names(self, below: str) -> list[str]:
        return []


@given(content=st.binary(max_size=30) | JSON.map(lambda value: json.dumps(value).encode()) | st.just(b"[" * 9_000))
def test_a_campaigns_file(content: bytes) -> None:
    ledger = Ledger(Folder(content), "w-1")  # type: ignore[arg-type]
    refused_or(ledger.campaign)
    refused_or(lambda: ledger.read_page(0))
    refused_or(lambda: ledger.read_rows("chunks/1"))


@given(
    payload=damaged(EVENT)
    | damaged({**EVENT, "status": "error", "error": "BlandAuthError", "message": "no", "status_code": 401})
)
def test_what_a_trigger_tells(payload: Any) -> None:
    event = refused_or(lambda: WaitEvent.of(payload, "c-1"))
    if event is not None:
        if payload.get("call_id") != "c-1":
            # About nobody, or somebody else: the task looks at its own call, which is what it would do without a word.
            assert event == WaitEvent(WaitStatus.FINISHED, "c-1")
        error = event.to_error()
        assert isinstance(error, BlandError)
        refused_or(lambda: _raise(error))


def _raise(error: BaseException) -> None:
    raise error


@pytest.mark.parametrize("name", sorted(GOOD))
def test_the_net_catches_a_record_without_a_field(name: str) -> None:
    held = {field: value for field, value in GOOD.items() if field != name}
    if name == "call_id":
        assert IntentStore(context(bland_call=held)).load() is not None
        return
    with pytest.raises(UnreadableRecordError):
        IntentStore(context(bland_call=held)).load()
