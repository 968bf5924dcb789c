"""
All errors of this provider, behind one door.

::

    BlandError                        status_code, messages, code, retry_after
    ├── BlandValidationError          an argument was refused before anything left this machine (also a ValueError)
    ├── BlandConnectionError          Bland was not reached; nothing was sent
    ├── BlandAmbiguousError           something that dials, creates or charges may or may not have taken effect
    │   └── BlandUnsettledCallError   ... and that is this task instance's call
    ├── BlandServerError              no proper answer to something harmless
    ├── BlandUnpairedAnswersError     an analysis was charged, but its answers do not fit the questions
    ├── BlandRateLimitError           a passing 429; nothing was placed
    └── BlandRequestError             Bland refused
        ├── BlandAuthError            the key
        ├── BlandPermissionError      what the key may do
        ├── BlandBalanceError         no credit
        ├── BlandNotFoundError        no such call, agent, pathway
        ├── BlandInvalidNumberError   the carrier refused the number
        ├── BlandDoNotCallError       the number must not be called
        └── BlandCallNotLiveError     nothing to stop

    BlandTaskError                    what a task says of its call (also an AirflowException): call_id, outcome, ...
    ├── BlandRedialError              the next try rings again
    ├── BlandCallStillActiveError     the next try waits again
    ├── BlandTaskKilledError          the task was killed
    ├── BlandAnalysisFailedError      calls were not analysed; the next try asks again where nothing was charged
    ├── BlandCallFailedError          the outcome is in fail_on; no retries are used (also an AirflowFailException)
    ├── BlandCallTimeoutError         the deadline passed, the call was stopped; likewise
    ├── BlandNotRungError             nobody was rung: closed calling_hours, no time left; likewise
    ├── BlandCampaignStoppedError     a campaign stopped itself; a clear goes on with it; likewise
    ├── BlandCampaignFailedError      a campaign is over, but its counts are in fail_when; likewise
    └── BlandCallConflictError        this task instance has rung another number; likewise
"""

from __future__ import annotations

from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandAuthError,
    BlandBalanceError,
    BlandCallNotLiveError,
    BlandConnectionError,
    BlandDoNotCallError,
    BlandError,
    BlandInvalidNumberError,
    BlandNotFoundError,
    BlandPermissionError,
    BlandRateLimitError,
    BlandRequestError,
    BlandServerError,
    BlandUnpairedAnswersError,
    BlandValidationError,
)
from airflow_provider_bland.tasks.sdk import AirflowException, AirflowFailException

__all__ = [
    "BlandAmbiguousError",
    "BlandAnalysisFailedError",
    "BlandAuthError",
    "BlandBalanceError",
    "BlandCallConflictError",
    "BlandCallFailedError",
    "BlandCallNotLiveError",
    "BlandCallStillActiveError",
    "BlandCallTimeoutError",
    "BlandCampaignFailedError",
    "BlandCampaignStoppedError",
    "BlandConnectionError",
    "BlandDoNotCallError",
    "BlandError",
    "BlandInvalidNumberError",
    "BlandNotFoundError",
    "BlandNotRungError",
    "BlandPermissionError",
    "BlandRateLimitError",
    "BlandRedialError",
    "BlandRequestError",
    "BlandServerError",
    "BlandTaskError",
    "BlandTaskKilledError",
    "BlandUnpairedAnswersError",
    "BlandUnsettledCallError",
    "BlandValidationError",
]


class BlandTaskError(AirflowException):
    """
    A task fails, and says of its call what it knows: as attributes, so that a callback need not read the message.

    :param message: what happened, and what the next try will do.
    :param call_id: id of the call, if there is one.
    :param outcome: how it ended, if it did.
    :param status_code: HTTP status of Bland's reply that led to this, if one did.
    """

    call_id: str | None
    outcome: str | None
    status_code: int | None  # type: ignore[assignment, unused-ignore]

    def __init__(
        self,
        message: str = "",
        *,
        call_id: str | None = None,
        outcome: str | None = None,
        status_code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.call_id = call_id
        self.outcome = None if outcome is None else str(outcome)
        self.status_code = status_code


class BlandCallFailedError(BlandTaskError, AirflowFailException):
    """A call ended with an outcome in ``fail_on``, and may not ring again. Uses up no retries."""


class BlandRedialError(BlandTaskError):
    """A call ended with an outcome in ``redial_on``: the task is to be retried, and its next try rings again."""


class BlandCallConflictError(BlandTaskError, AirflowFailException):
    """This task instance has already rung another number, so neither ringing nor returning that result is right."""


class BlandNotRungError(BlandTaskError, AirflowFailException):
    """Nobody was rung: ``calling_hours`` are closed, or cannot be known, where the callee is, or no time is left."""


class BlandCallTimeoutError(BlandTaskError, AirflowFailException):
    """A call did not end before its deadline, and was stopped. A retry could only return the canceled call."""


class BlandCallStillActiveError(BlandTaskError):
    """A call did not end before its deadline and goes on. A retry waits for it again, without ringing."""


class BlandUnsettledCallError(BlandAmbiguousError):
    """It stays unknown whether this task instance's call was placed. A retry looks again, and rings nobody."""


class BlandAnalysisFailedError(BlandTaskError):
    """Calls were not analysed (``fail_when``). The next try asks only about those that were surely not charged."""


class BlandCampaignStoppedError(BlandTaskError, AirflowFailException):
    """A campaign stopped itself: too many failures, no balance, a spam block. Clearing the task goes on with it."""


class BlandCampaignFailedError(BlandTaskError, AirflowFailException):
    """A campaign is over and reported, but its counts meet a condition of ``fail_when``."""


class BlandTaskKilledError(BlandTaskError):
    """The task was killed while it was working."""
