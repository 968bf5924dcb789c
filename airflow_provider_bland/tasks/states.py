"""
What became of a task instance: otherwise a user's kill, a restart, a deploy and a lost worker look alike.

A kill is what somebody wants to be over. Who cannot be asked has not said so.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bland.tasks.channel import ask_airflow

UNKNOWN: Final = "unknown"
"""Airflow did not answer, or not in words we know."""
GONE: Final = "gone"
"""Airflow has no such task instance any more: deleted, or its DAG run was."""

log = logging.getLogger(__name__)

_OVER: Final = frozenset({"failed", "success", "skipped", "upstream_failed", "removed", GONE})
_GOES_ON: Final = frozenset(
    {
        None,
        "scheduled",
        "queued",
        "running",
        "restarting",
        "up_for_retry",
        "up_for_reschedule",
        "deferred",
        "awaiting_input",
    }
)
_ASK_AGAIN: Final = 2.0
_FIRST_AFTER: Final = 1.0


class Standing(StrEnum):
    """What a task instance's state says to a process of it that was told to end."""

    OVER = "over"
    """Nobody goes on with it: marked failed, success or skipped, removed, deleted. What it has begun is to end."""
    GOES_ON = "goes_on"
    """It runs on, or will run again: retried, cleared, handed over. Whoever runs next decides."""
    UNKNOWN = "unknown"
    """Not a kill, as far as anybody knows."""


def standing(state: str | None, *, was_frozen: bool = False) -> Standing:
    """
    Decide what a state means.

    A clear is ``GOES_ON``: with ``on_existing_call="reuse"`` the next try keeps the call, with ``"call_again"`` it
    stops the call before it rings. So nothing depends on whether the next try or the old process is the faster one.

    :param state: as :func:`state_of` gives it.
    :param was_frozen: whether this process has just been frozen for longer than Airflow waits for a heartbeat. Then
        it was Airflow that failed the task.
    """
    if state == "failed" and was_frozen:
        return Standing.UNKNOWN
    if state in _OVER:
        return Standing.OVER
    return Standing.GOES_ON if state in _GOES_ON else Standing.UNKNOWN


def state_of(task_instance: Any) -> str | None:
    """
    State of a task instance in Airflow's database: ``None`` if it was cleared, ``UNKNOWN``, ``GONE``.

    Blocks on Airflow. In a trigger, use :func:`astanding_of`.
    """
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:
        return _state_in_database(task_instance)
    index = -1 if task_instance.map_index is None else task_instance.map_index
    states = RuntimeTaskInstance.get_task_states(
        dag_id=task_instance.dag_id,
        task_ids=[task_instance.task_id],
        run_ids=[task_instance.run_id],
        map_index=index,
    )
    # The execution API keys mapped instances this way.
    key = task_instance.task_id if index < 0 else f"{task_instance.task_id}_{index}"
    found = states.get(task_instance.run_id, {})
    if key not in found:
        return UNKNOWN if found else GONE
    return str(found[key]) if found[key] is not None else None


def _state_in_database(task_instance: Any) -> str | None:
    """Airflow 2.11, where tasks and triggers may look for themselves."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    index = -1 if task_instance.map_index is None else task_instance.map_index
    with create_session() as session:
        row = (
            session.query(TaskInstance.state)
            .filter_by(
                dag_id=task_instance.dag_id,
                run_id=task_instance.run_id,
                task_id=task_instance.task_id,
                map_index=index,
            )
            .one_or_none()
        )
    if row is None:
        return GONE
    return str(row[0]) if row[0] is not None else None


async def astanding_of(task_instance: Any, seconds: float) -> Standing:
    """
    What the state of a trigger's task instance means. Asks until Airflow answers.

    :param task_instance: the trigger's; ``None`` if it has none.
    :param seconds: for how long to ask, at most.
    """
    if task_instance is None:
        return Standing.UNKNOWN
    try:
        async with asyncio.timeout(seconds):
            while True:
                try:
                    found = standing(await ask_airflow(lambda: state_of(task_instance)))
                except Exception:
                    log.warning("Could not ask Airflow for the state of the task instance.", exc_info=True)
                    found = Standing.UNKNOWN
                if found is not Standing.UNKNOWN:
                    return found
                await asyncio.sleep(_ASK_AGAIN)
    except TimeoutError:
        return Standing.UNKNOWN


_first: set[asyncio.Task[None]] = set()
"""The first question of this process, while it is put and ever after."""


def first_question(task_instance: Any) -> None:
    """
    Ask Airflow something once in this triggerer's life, in the background, so that later questions are answered fast.

    Airflow loads its whole execution API into the triggerer for the first question, which takes several seconds.

    :param task_instance: a trigger's; with ``None`` nothing is asked.
    """
    if task_instance is not None and not _first:
        _first.add(asyncio.create_task(_ask_first(task_instance)))


async def _ask_first(task_instance: Any) -> None:
    # The trigger's own first steps come first: questions are answered one by one.
    await asyncio.sleep(_FIRST_AFTER)
    try:
        await ask_airflow(lambda: state_of(task_instance))
    except Exception:
        log.debug("Airflow did not answer this triggerer's first question.", exc_info=True)


class StateQuestion:
    """
    Asks for the state of a task instance from within its task, in bounded time.

    To be put only while the task itself says nothing to Airflow: there is one wire. An unanswered question is not put
    a second time; it is waited for again.

    :param task_instance: of the running task.
    """

    def __init__(self, task_instance: Any) -> None:
        self._task_instance = task_instance
        self._asking: threading.Thread | None = None
        self._answer: str | None = UNKNOWN

    def ask(self, seconds: float) -> str | None:
        """As :func:`state_of`; ``UNKNOWN`` if there is no answer after ``seconds``, or an error."""
        if self._asking is None:
            self._answer = UNKNOWN
            # A thread: Airflow's server may never answer, and a signal handler must end.
            self._asking = threading.Thread(target=self._ask, name="bland-task-state", daemon=True)
            self._asking.start()
        asking = self._asking
        asking.join(seconds)
        if asking.is_alive():
            return UNKNOWN
        self._asking = None
        return self._answer

    def _ask(self) -> None:
        try:
            self._answer = state_of(self._task_instance)
        except Exception:
            log.warning("Could not ask Airflow for the state of the task instance.", exc_info=True)
