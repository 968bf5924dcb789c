"""What a campaign's task does when it is told to end: if a user wants that, everybody on the phone is hung up on."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.batches import stop_batch
from airflow_provider_bland.api.calls import call_id_of, is_finished
from airflow_provider_bland.api.errors import BlandCallNotLiveError, BlandError, BlandNotFoundError
from airflow_provider_bland.api.parallel import in_order, newest_first
from airflow_provider_bland.exceptions import BlandTaskKilledError
from airflow_provider_bland.hooks.base import send_at_once
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.sdk import BaseOperator
from airflow_provider_bland.tasks.states import Standing, StateQuestion, standing
from airflow_provider_bland.tasks.successor import hang_up_later

if TYPE_CHECKING:
    from airflow_provider_bland.api.settings import BlandSettings
    from airflow_provider_bland.operators.conducting import Conductor

# Airflow ends a killed task within five seconds.
_FIRST_ANSWER: Final = 1.0
_LATER_ANSWER: Final = 3.0
_LAST_SECONDS: Final = 15.0
_AT_ONCE: Final = 24
_QUEUED: Final = frozenset({"new", "queued", "allocated"})


class HaltsOnKill(BaseOperator):
    """An operator whose calls are stopped when a user kills the task. A shutdown, a retry, a clear do not stop them."""

    bland_conn_id: str
    stop_on_kill: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._hook: BlandHook | None = None
        self._conductor: Conductor | None = None
        self._ti: Any = None
        self._killed = False
        self._is_idle = False
        self._question: StateQuestion | None = None
        self._standing: Standing | None = None
        self._stopped: set[str] = set()

    @property
    def hook(self) -> BlandHook:
        """The hook of this operator's connection."""
        if self._hook is None:
            self._hook = BlandHook(self.bland_conn_id)
            # What waits between two requests, two minutes for a rate limit, hears of a kill.
            self._hook.pause = lambda seconds: pause(seconds, self._give_up_if_killed)
        return self._hook

    def _give_up_if_killed(self) -> None:
        if self._killed:
            # The kill is seen to where the campaign is left.
            raise BlandTaskKilledError("The task was killed while its campaign was under way.")

    def is_killed(self) -> bool:
        """Whether the task has been told to end."""
        return self._killed

    @contextmanager
    def idle(self) -> Iterator[None]:
        """Around what says nothing to Airflow, so that a kill can be seen to in the middle of it."""
        self._is_idle = True
        try:
            yield
        finally:
            self._is_idle = False

    def on_kill(self) -> None:
        """
        Hang up if a user has killed the task.

        A worker that is shut down leaves the task instance running in Airflow's database, and a retry or a clear goes
        on with the campaign: then the calls go on too. If Airflow does not answer, nobody has said they are to end.
        """
        self._killed = True
        if self._is_idle:
            # What is waited for just now, Bland's reply to a request for a call, is taken in when it comes.
            self._halt(_FIRST_ANSWER)

    def raise_if_killed(self) -> None:
        """
        See to a kill.

        :raises BlandTaskKilledError: if the task has been told to end.
        """
        if self._killed:
            self.see_to_kill()
            raise BlandTaskKilledError("The task was killed while its campaign was under way.")

    def see_to_kill(self) -> None:
        """Go on until it is clear what becomes of the calls, or Airflow ends this process."""
        end = time.monotonic() + _LAST_SECONDS
        while not self._halt(_LATER_ANSWER) and time.monotonic() < end:
            time.sleep(0.5)

    def _halt(self, seconds: float) -> bool:
        """Stop what is to be stopped; whether nothing is left to do."""
        conductor = self._conductor
        if conductor is None or self._ti is None or self.stop_on_kill == "none":
            return True
        if self._standing in (None, Standing.UNKNOWN):
            if self._question is None:
                self._question = StateQuestion(self._ti)
            self._standing = standing(self._question.ask(seconds))
            if self._standing is Standing.GOES_ON:
                self.log.warning(
                    "Told to end, but the task is not over: a shutdown, a retry, or a clear. The campaign's calls are "
                    "left as they are, and the next try goes on with them."
                )
        if self._standing is not Standing.OVER:
            return self._standing is Standing.GOES_ON
        settings, queued_only = self.hook.settings, self.stop_on_kill == "queued"
        batches = [batch_id for batch_id in conductor.dispatch.batches if batch_id not in self._stopped]
        calls = [call_id for call_id in conductor.live if call_id not in self._stopped]
        # First what would ring more people.
        for batch_id, of_batch in stop_batches(settings, batches).items():
            if of_batch is not None:
                self._stopped.add(batch_id)
                calls += of_batch
        if calls:
            done = stop_calls(settings, calls, queued_only)
            self._stopped |= {call_id for call_id, ended in done.items() if ended}
            self.log.warning("The task was killed; %d of %d calls were stopped.", sum(done.values()), len(calls))
            left = [call_id for call_id, ended in done.items() if not ended]
            # Airflow ends this process in a few seconds.
            if left and hang_up_later(settings, *left):
                self._stopped.update(left)
        return all(name in self._stopped for name in (*batches, *calls))


def stop_batches(settings: BlandSettings, batch_ids: list[str]) -> Mapping[str, list[str] | None]:
    """
    Stop batches, one attempt each.

    :return: by id, the batch's calls that are under way; ``None`` if the batch could not be stopped.
    """

    def stop(batch_id: str) -> list[str] | None:
        try:
            send_at_once(settings, stop_batch(batch_id))
            query = {"batch_id": batch_id, "limit": endpoints.LIST_PAGE_LIMIT}
            rows = send_at_once(settings, endpoints.list_calls(query))["calls"]
            return [call_id for row in rows if not is_finished(row) and (call_id := call_id_of(row))]
        except BlandNotFoundError:
            return []
        except BlandError:
            return None

    return dict(in_order(stop, batch_ids, min(_AT_ONCE, len(batch_ids)), ahead=1)) if batch_ids else {}


def stop_calls(settings: BlandSettings, call_ids: list[str], queued_only: bool) -> Mapping[str, bool]:
    """
    Stop calls, many at once, one attempt each, within a few seconds.

    :param call_ids: oldest first.
    :param queued_only: leave those alone who are on the phone.
    :return: by id, whether there is nothing left to stop.
    """

    def stop(call_id: str) -> bool:
        try:
            if queued_only:
                call = send_at_once(settings, endpoints.get_call(call_id))
                if is_finished(call) or call.get("queue_status") not in _QUEUED:
                    return True
            send_at_once(settings, endpoints.stop_call(call_id))
        except (BlandCallNotLiveError, BlandNotFoundError):
            return True
        except BlandError:
            return False
        return True

    done: dict[str, bool] = {}
    for some in newest_first(call_ids):
        done |= in_order(stop, some, min(_AT_ONCE, len(some)), ahead=1)
    return done
