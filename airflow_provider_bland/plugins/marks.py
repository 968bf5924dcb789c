"""
Hears of tasks that a user marks, in the API server that does it, and sees to it that their calls end.

A running task and a trigger see to that themselves. But a task that waits deferred while no triggerer runs, in the
second before its trigger starts, or beyond the triggerer's capacity is told nothing; a worker may be killed before it
could hang up, or Airflow may not have answered it in time. So, some seconds after a mark, the API server looks whether
the call still goes on. Airflow 2.11 tells listeners nothing of marks.
"""

from __future__ import annotations

import functools
import itertools
import logging
import os
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from queue import PriorityQueue
from typing import TYPE_CHECKING, Any, Final

from pluggy import HookimplMarker

from airflow_provider_bland.api.clock import utcnow
from airflow_provider_bland.api.ids import is_usable_id
from airflow_provider_bland.tasks.states import Standing, standing

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

log = logging.getLogger(__name__)
hookimpl = HookimplMarker("airflow")

DELAY: Final = 4.0
"""Seconds that the task, or its trigger, has to see to its call itself."""
_AGAIN: Final = 15.0
_SLICE: Final = 0.5
_ATTEMPTS: Final = 20
_MARKING: Final = timedelta(seconds=30)
"""How long it takes to mark all tasks of a run, before one hears of it."""
_OURS: Final = frozenset({"phone_number", "bland_conn_id", "stop_on_kill"})


@dataclass(frozen=True)
class Mark:
    """
    A user's word about a task instance, or with ``task_id=None`` about a whole run.

    :param due: seconds on the steady clock at which to look.
    :param state: what the user has made of a whole run.
    :param at: when.
    """

    dag_id: str
    run_id: str
    task_id: str | None
    map_index: int
    due: float
    attempt: int = 1
    state: str | None = None
    at: datetime = field(default_factory=utcnow)

    def has_ended(self, state: str | None, updated_at: datetime | None) -> bool:
        """
        Whether it may be this mark that has ended a task.

        The mark of a run leaves alone what had ended before, be it a task that did not wait for its call.

        :param state: of the task instance.
        :param updated_at: when that was last changed. Not ``end_date``: who waited for a retry keeps the old one.
        """
        if standing(state) is not Standing.OVER:
            return False
        if self.task_id is not None:
            return True
        # A run that is marked as failed has no task of it made a success, and the other way round.
        untouched = {"failed": "success", "success": "failed"}.get(self.state or "")
        return state != untouched and (updated_at is None or self.at - updated_at < _MARKING)


@dataclass(frozen=True)
class MarkedCall:
    """A call whose task is over."""

    mark: Mark
    call_id: str
    bland_conn_id: str


# --- what Airflow calls -----------------------------------------------------------------------------------------------


@hookimpl
def on_task_instance_success(previous_state: Any, task_instance: Any) -> None:
    """A task has succeeded, or was marked so."""
    _task_marked(previous_state, task_instance)


@hookimpl
def on_task_instance_failed(previous_state: Any, task_instance: Any) -> None:
    """A task has failed, or was marked so."""
    _task_marked(previous_state, task_instance)


@hookimpl
def on_task_instance_skipped(previous_state: Any, task_instance: Any) -> None:
    """A task was skipped, or marked so."""
    _task_marked(previous_state, task_instance)


@hookimpl
def on_dag_run_success(dag_run: Any, msg: str) -> None:
    """A run has succeeded, or was marked so."""
    _run_marked(dag_run, "success", msg)


@hookimpl
def on_dag_run_failed(dag_run: Any, msg: str) -> None:
    """A run has failed, or was marked so."""
    _run_marked(dag_run, "failed", msg)


def _task_marked(previous_state: Any, task_instance: Any) -> None:
    # Airflow knows of its own doings from which state they came; of a user's mark it does not say.
    if previous_state is None:
        index = -1 if task_instance.map_index is None else task_instance.map_index
        _watcher.add(
            Mark(task_instance.dag_id, task_instance.run_id, task_instance.task_id, index, time.monotonic() + DELAY)
        )


def _run_marked(dag_run: Any, state: str, msg: str) -> None:
    # The scheduler gives its reason; the API none (3.0 to 3.2), or says that it was by hand (3.3).
    if not msg or "manually" in msg:
        _watcher.add(Mark(dag_run.dag_id, dag_run.run_id, None, -1, time.monotonic() + DELAY, state=state))


# --- the look ---------------------------------------------------------------------------------------------------------


class _Watcher:
    """One thread per process, started when the first mark comes: whoever marks a task does not wait for Bland."""

    def __init__(self) -> None:
        self._marks: PriorityQueue[tuple[float, int, Mark]] = PriorityQueue()
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._owner = 0

    def add(self, mark: Mark) -> None:
        self._put(mark)
        with self._lock:
            # A fork inherits this object, but not its thread.
            if self._owner != os.getpid():
                self._owner = os.getpid()
                threading.Thread(target=self._run, name="bland-marks", daemon=True).start()

    def _put(self, mark: Mark) -> None:
        self._marks.put((mark.due, next(self._numbers), mark))

    def _run(self) -> None:
        while True:
            *_, mark = self._marks.get()
            left = mark.due - time.monotonic()
            if left > 0:
                # Another one may come that is due sooner.
                self._put(mark)
                time.sleep(min(left, _SLICE))
                continue
            try:
                again = look(mark)
            except Exception:
                log.warning("Could not look for calls of %s %s.", mark.dag_id, mark.run_id, exc_info=True)
                again = [mark]
            for found in again:
                if found.attempt < _ATTEMPTS:
                    self._put(replace(found, due=time.monotonic() + _AGAIN, attempt=found.attempt + 1))


_watcher = _Watcher()


def look(mark: Mark) -> list[Mark]:
    """
    Stop the calls of marked tasks, where they still go on.

    :return: what to look at again: Bland did not answer, or did not stop the call.
    """
    from airflow_provider_bland.hooks.bland import BlandHook

    # Of a run with a thousand calls, each is asked about over the same line.
    hook_of = functools.cache(BlandHook)
    return [call.mark for call in marked_calls(mark) if not _is_over(call, hook_of(call.bland_conn_id))]


def _is_over(call: MarkedCall, hook: BlandHook) -> bool:
    from airflow_provider_bland.api.calls import is_finished
    from airflow_provider_bland.api.errors import BlandError

    what = f"call {call.call_id} of task {call.mark.task_id} in {call.mark.dag_id} {call.mark.run_id}"
    try:
        if is_finished(hook.get_call(call.call_id)):
            return True
        stopped = hook.stop_call(call.call_id)
    except BlandError as error:
        log.warning("A user has marked the task, but %s was not stopped: %s", what, error)
        return error.permanent
    except Exception as error:  # noqa: BLE001 - a connection that this API server does not have, most likely
        log.warning(
            "A user has marked the task, but the API server cannot make sure that %s ends: it cannot use connection "
            "%r (%s). The worker or the triggerer will have seen to it if they could.",
            what,
            call.bland_conn_id,
            error,
        )
        return True
    log.warning("A user has marked the task, and nobody had stopped its call. Stopped %s: %s", what, stopped["message"])
    return True


def marked_calls(mark: Mark) -> Iterable[MarkedCall]:
    """The calls of marked task instances that are over for good, as Airflow's database has it."""
    from airflow.models.renderedtifields import RenderedTaskInstanceFields
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import and_, select

    names = ("dag_id", "run_id", "task_id", "map_index")
    same = and_(*(getattr(TaskInstance, name) == getattr(XComModel, name) for name in names))
    wanted = (
        select(XComModel, TaskInstance)
        .join(TaskInstance, same)
        .where(XComModel.dag_id == mark.dag_id, XComModel.run_id == mark.run_id, XComModel.key == "call_id")
    )
    if mark.task_id is not None:
        wanted = wanted.where(XComModel.task_id == mark.task_id, XComModel.map_index == mark.map_index)
    found = []
    with create_session() as session:
        for row, ti in session.execute(wanted).all():
            if not mark.has_ended(ti.state, ti.updated_at):
                continue
            rendered = RenderedTaskInstanceFields.get_templated_fields(ti, session=session) or {}
            # Only our operator has these; and it is not sure what a value looks like that Airflow has serialized.
            if not rendered.keys() >= _OURS or str(rendered["stop_on_kill"]).lower() != "true":
                continue
            task = Mark(row.dag_id, row.run_id, row.task_id, row.map_index, mark.due, mark.attempt)
            found.append(MarkedCall(task, str(_call_id_in(row)), str(rendered["bland_conn_id"])))
    return found


def _call_id_in(row: Any) -> Any:
    import json

    from airflow.models.xcom import XComModel

    value = XComModel.deserialize_value(row)
    # Some versions keep the JSON text of a text.
    value = json.loads(value) if isinstance(value, str) and value.startswith('"') else value
    if is_usable_id(value):
        return value
    # A backend of the user's keeps it elsewhere, and knows where.
    from airflow.sdk.execution_time.xcom import XCom

    return XCom.deserialize_value(row)
