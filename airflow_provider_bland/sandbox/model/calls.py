"""A call of the sandbox: one record, plain enough to be stored as JSON."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bland.sandbox.model.numbers import NUMBERS, Scenario

ERROR_STATES: Final = frozenset({"pre_queue_error", "queue_error", "call_error", "complete_error"})
NOT_DIALLED: Final = frozenset({"new", "queued", "allocated"})


@dataclass
class Call:
    """
    One call.

    Times ending in ``_at`` are what Bland's clock showed;
    ``accepted``, ``connected`` and ``due`` are simulated moments.

    :param number: the number called, in E.164.
    :param body: the request as it was received.
    :param nth: how many calls to this number were accepted before.
    :param outcome: how the call will end; see ``lifecycle``.
    :param failure: the error message, should the call fail.
    :param talk: simulated seconds of conversation, if nothing cuts it short.
    :param talked: simulated seconds of conversation that took place.
    :param steps: what is still to happen: simulated seconds after the step before, and the step.
    :param admitted: the moment at which the plan gave it a line.
    :param call_me_at: when the callee wants to be called again (Unix time), if they said so.
    :param zone: where the callee lives, if a test said so.
    :param scheduled: whether it was accepted for a later time.
    :param edits: fields of the details that were changed after the end.
    :param timer: tells the current step's entry in the queue of events from outdated ones.
    """

    call_id: str
    seq: int
    number: str
    from_number: str
    body: dict[str, Any]
    nth: int
    accepted: float
    created_at: float
    updated_at: float
    outcome: str = "human"
    persona: str = ""
    failure: str | None = None
    talk: float = 0.0
    talked: float = 0.0
    queue_status: str = "new"
    status: str | None = None
    completed: bool = False
    settled: bool = False
    hidden: bool = False
    dialled: bool = False
    stopped: bool = False
    started_at: float | None = None
    connected: float | None = None
    ended_at: float | None = None
    answered_by: str | None = None
    ended_by: str | None = None
    error_message: str | None = None
    batch_id: str | None = None
    is_retry: bool = False
    retried: bool = False
    transferred_to: str | None = None
    details_asked: int = 0
    stops_asked: int = 0
    steps: list[tuple[float, str]] = field(default_factory=list)
    due: float | None = None
    timer: int = 0
    admitted: float | None = None
    call_me_at: float | None = None
    zone: str | None = None
    scheduled: bool = False
    edits: dict[str, Any] = field(default_factory=dict)

    @property
    def scenario(self) -> Scenario | None:
        """The magic number's scenario, if it is one."""
        return NUMBERS.get(self.number)

    def trait(self, name: str) -> float:
        """Return the strength of a peculiarity of the magic number; 0 without it."""
        scenario = self.scenario
        return scenario.traits.get(name, 0.0) if scenario else 0.0

    @property
    def finished(self) -> bool:
        """Whether nothing more happens on the line."""
        return self.completed or self.queue_status in ERROR_STATES

    @property
    def live(self) -> bool:
        """Whether the call can still be stopped."""
        return self.ended_at is None and not self.finished and not self.hidden

    @property
    def shown_to(self) -> str:
        """The number as replies show it."""
        return self.number[-10:] if self.trait("ten_digits") else self.number

    @property
    def max_duration(self) -> float:
        """Minutes after which the call is ended."""
        value = self.body.get("max_duration")
        try:
            return float(value) if value is not None else 30.0
        except (TypeError, ValueError):
            return 30.0

    @property
    def call_length(self) -> float:
        """Minutes of conversation; 0 before the end."""
        return 0.0 if self.ended_at is None else float(f"{self.talked / 60:.15g}")


@dataclass
class NumberState:
    """What the sandbox remembers of a phone number."""

    number: str
    requests: int = 0
    calls: int = 0
    last_accepted: float | None = None


def asked(body: dict[str, Any], name: str) -> bool:
    """Read a boolean of the request, which may be written as a string."""
    value = body.get(name)
    return value is True or (isinstance(value, str) and value.strip().lower() == "true")


def masked(number: str) -> str:
    """Hide all but the last four digits of a number, for logs."""
    return "*" * max(0, len(number) - 4) + number[-4:]
