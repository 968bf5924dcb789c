"""Asking Airflow what became of a task instance: a user's kill and a mere restart look alike otherwise."""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

UNKNOWN: Final = "unknown"

log = logging.getLogger(__name__)


def state_of(task_instance: Any) -> str | None:
    """
    State of a task instance in Airflow's database: ``None`` if it has none (cleared), ``"unknown"`` if we cannot tell.

    Blocks on Airflow; in a trigger, run it in a thread.
    """
    try:
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
    except ImportError:
        # Airflow 2.11: the task instance is the database's row.
        current = getattr(task_instance, "current_state", None)
        state = current() if callable(current) else UNKNOWN
        return str(state) if state is not None else None
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
        return UNKNOWN
    return str(found[key]) if found[key] is not None else None


def state_within(task_instance: Any, seconds: float) -> str | None:
    """
    As :func:`state_of`, in bounded time: ``"unknown"`` if there is no answer after ``seconds``, or an error.

    Asked in a thread: in a signal handler, the interrupted code may hold the channel to Airflow, and never let go.
    """
    answer: list[str | None] = []

    def ask() -> None:
        try:
            answer.append(state_of(task_instance))
        except Exception:
            log.warning("Could not ask Airflow for the state of the task instance.", exc_info=True)

    asking = threading.Thread(target=ask, name="bland-task-state", daemon=True)
    asking.start()
    asking.join(seconds)
    return answer[0] if answer else UNKNOWN


def is_in_state(task_instance: Any, state: str, *, within: float) -> bool:
    """Whether a task instance is known to be in ``state``; false if that is not known after ``within`` seconds."""
    return state_within(task_instance, within) == state
