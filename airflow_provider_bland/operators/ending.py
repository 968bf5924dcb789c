"""What a running task does when it is told to end: finds out whether a user wants that, and only then hangs up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandCallNotLiveError, BlandError, BlandNotFoundError
from airflow_provider_bland.exceptions import BlandTaskKilledError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.sdk import BaseOperator
from airflow_provider_bland.tasks.states import Standing, StateQuestion, standing
from airflow_provider_bland.tasks.successor import hang_up_later

_FIRST_ANSWER: Final = 1.5
_LATER_ANSWER: Final = 3.0
_AGAIN: Final = 1.0
_LAST_SECONDS: Final = 15.0
"""Airflow kills a task five seconds after a user's kill; a shutdown may leave more time, but not for ever."""
_FROZEN: Final = 15.0
"""Seconds beyond which a pause between two slices of a sleep means that the process was stopped meanwhile."""
_THAW: Final = 60.0


class EndsOnKill(BaseOperator):
    """An operator whose call is stopped when a user kills the task. A shutdown, a retry, a clear do not stop it."""

    bland_conn_id: str
    stop_on_kill: bool
    on_existing_call: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._hook: BlandHook | None = None
        self._call_id: str | None = None
        self._ti: Any = None
        self._killed = False
        self._is_idle = False
        self._question: StateQuestion | None = None
        self._must_end = False
        self._is_settled = False
        self._has_successor = False
        self._awake_at = float("inf")
        self._thawed_at = float("-inf")

    @property
    def hook(self) -> BlandHook:
        """The hook of this operator's connection."""
        if self._hook is None:
            self._hook = BlandHook(self.bland_conn_id)
            # What waits between two requests hears of a kill.
            self._hook.pause = lambda seconds: pause(seconds, self._raise_if_killed)
        return self._hook

    def on_kill(self) -> None:
        """
        Stop the call if a user has killed the task.

        A worker that is shut down leaves the task instance running in Airflow's database, and a retry or a clear will
        look at the call again: then it goes on. If Airflow does not answer, nobody has said that it is to end.
        """
        self._killed = True
        self._notice_freezing()
        if self._is_idle:
            # Not in the middle of a word to Airflow, so it can be asked. Nor is there any use any more in what the task
            # waits for just now: Bland's reply, or the end of a pause.
            self._end_call_if_over(_FIRST_ANSWER)
            raise self._killed_error()

    @contextmanager
    def _idle(self) -> Iterator[None]:
        """Around waiting for the call: a kill is seen to at once, and whatever is not done then, in the end."""
        try:
            self._is_idle = True
            self._awake_at = time.monotonic()
            try:
                self._raise_if_killed()
                yield
            finally:
                self._is_idle = False
                self._awake_at = float("inf")
        except BaseException:
            if self._killed:
                self._see_to_kill()
            raise

    def _raise_if_killed(self) -> None:
        self._notice_freezing()
        if self._killed:
            self._see_to_kill()
            raise self._killed_error()

    def _killed_error(self) -> BlandTaskKilledError:
        return BlandTaskKilledError(
            f"The task was killed{f' while it waited for call {self._call_id}' if self._call_id else ''}.",
            call_id=self._call_id,
        )

    def _see_to_kill(self) -> None:
        """Go on until it is clear what becomes of the call, or Airflow ends this process."""
        end = time.monotonic() + _LAST_SECONDS
        while True:
            self._end_call_if_over(_LATER_ANSWER)
            if self._is_settled:
                return
            if time.monotonic() >= end:
                self.log.warning(
                    "Told to end, and Airflow does not say by whom. Call %s is left as it is, and a retry will look "
                    "at it.",
                    self._call_id,
                )
                self._is_settled = True
                return
            time.sleep(_AGAIN)

    def _end_call_if_over(self, seconds: float) -> None:
        call_id = self._call_id
        if call_id is None or self._ti is None or not self.stop_on_kill:
            self._is_settled = True
        if self._is_settled or call_id is None:
            return
        if not self._must_end:
            found = self._standing(seconds)
            if found is Standing.GOES_ON:
                self._is_settled = True
                self.log.warning(
                    "Told to end, but the task is not over: a shutdown, a retry, or a clear. Call %s is left as it is, "
                    "and the next try will look at it.",
                    call_id,
                )
            self._must_end = found is Standing.OVER
        if self._must_end:
            self._stop_killed(call_id)

    def _standing(self, seconds: float) -> Standing:
        if self._question is None:
            self._question = StateQuestion(self._ti)
        state = self._question.ask(seconds)
        if state == "restarting" and self.on_existing_call == "call_again":
            # A clear of a running task. The next try sees to it before it dials, but may have to wait for a slot; and
            # Airflow 2.11 and 3.0 do not tell it of the clear.
            return Standing.OVER
        return standing(state, was_frozen=time.monotonic() - self._thawed_at < _THAW)

    def _stop_killed(self, call_id: str) -> None:
        try:
            self.hook.stop_call_at_once(call_id)
        except (BlandCallNotLiveError, BlandNotFoundError):
            self._is_settled = True
        except BlandError as error:
            self.log.warning("The task was killed, but call %s was not stopped yet: %s", call_id, error)
            if not self._has_successor:
                # Airflow ends this process in a few seconds.
                self._has_successor = hang_up_later(self.hook.settings, call_id)
        else:
            self._is_settled = True
            self.log.warning("The task was killed; call %s was stopped.", call_id)

    def _notice_freezing(self) -> None:
        """To be called twice a second while the task sleeps: tells whether the process was stopped meanwhile."""
        now = time.monotonic()
        if now - self._awake_at > _FROZEN:
            self._thawed_at = now
        if self._awake_at != float("inf"):
            self._awake_at = now

    @contextmanager
    def _may_last(self) -> Iterator[None]:
        """Around a request while idle: it may last, and yet nobody has stopped this process."""
        self._awake_at = float("inf")
        try:
            yield
        finally:
            self._awake_at = time.monotonic()
