"""A retry policy for tasks that use ``BlandHook`` by themselves (Airflow 3.3)."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError, BlandRateLimitError
from airflow_provider_bland.exceptions import BlandUnsettledCallError

if TYPE_CHECKING:
    from airflow.sdk import RetryPolicy

_RATE_LIMIT_DELAY: Final = timedelta(minutes=2)


def bland_retry_policy(*, rate_limit_delay: timedelta = _RATE_LIMIT_DELAY) -> RetryPolicy:
    """
    A ``retry_policy`` that knows which errors of Bland can pass.

    Our operators fail for good by themselves where that is due. This is for ``@task`` functions that use the hook::

        @task(retries=3, retry_policy=bland_retry_policy())
        def ring(): BlandHook().send_call(...)

    - permanent refusals (do-not-call, invalid number, no balance, bad key...): fail at once;
    - a call whose reply was lost (``BlandAmbiguousError``): fail at once, since a retry would dial blindly;
    - a passing 429: retry when Bland said, or after ``rate_limit_delay``;
    - anything else: as the task's ``retries`` and ``retry_delay`` say.

    :param rate_limit_delay: how long to wait after a 429 without ``Retry-After``. Default two minutes.
    :raises RuntimeError: before Airflow 3.3, which has no retry policies.
    """
    try:
        from airflow.sdk import RetryDecision, RetryPolicy
    except ImportError:
        raise RuntimeError("bland_retry_policy() needs Airflow 3.3 or later. Leave retry_policy out.") from None

    class BlandRetryPolicy(RetryPolicy):
        """See :func:`bland_retry_policy`."""

        def evaluate(
            self, exception: BaseException, try_number: int, max_tries: int, context: Any = None
        ) -> RetryDecision:
            if isinstance(exception, BlandRateLimitError):
                seconds = exception.retry_after
                delay = rate_limit_delay if seconds is None else timedelta(seconds=seconds)
                return RetryDecision.retry(delay, "Bland's rate limit passes; nothing was placed")
            # SendCallOperator's own: its next try looks for the call and never dials.
            if isinstance(exception, BlandUnsettledCallError):
                return RetryDecision.default()
            if isinstance(exception, BlandAmbiguousError):
                return RetryDecision.fail("A call may have been placed; a retry could ring twice")
            if isinstance(exception, BlandError) and exception.permanent:
                return RetryDecision.fail(f"{type(exception).__name__} will not pass")
            return RetryDecision.default()

    return BlandRetryPolicy()
