"""``bland_retry_policy``: which errors of Bland a task of one's own may be retried after."""

from __future__ import annotations

from datetime import timedelta

import pytest

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import BlandUnsettledCallError
from airflow_provider_bland.retry_policies import bland_retry_policy

sdk = pytest.importorskip("airflow.sdk")
if not hasattr(sdk, "RetryPolicy"):
    pytest.skip("retry policies came with Airflow 3.3", allow_module_level=True)

FAIL, RETRY, DEFAULT = (sdk.RetryAction[name] for name in ("FAIL", "RETRY", "DEFAULT"))


@pytest.mark.parametrize(
    ("error", "action", "delay"),
    [
        (errors.BlandDoNotCallError("no"), FAIL, None),
        (errors.BlandInvalidNumberError("no"), FAIL, None),
        (errors.BlandBalanceError("no"), FAIL, None),
        (errors.BlandAuthError("no"), FAIL, None),
        (errors.BlandValidationError("task", "no"), FAIL, None),
        (errors.BlandAmbiguousError("perhaps"), FAIL, None),
        (BlandUnsettledCallError("perhaps"), DEFAULT, None),
        (errors.BlandRateLimitError("later", retry_after=7), RETRY, timedelta(seconds=7)),
        (errors.BlandRateLimitError("later"), RETRY, timedelta(minutes=3)),
        (errors.BlandServerError("hm"), DEFAULT, None),
        (errors.BlandConnectionError("hm"), DEFAULT, None),
        (KeyError("not ours"), DEFAULT, None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else str(value),
)
def test_the_policy(error: Exception, action: object, delay: timedelta | None) -> None:
    decision = bland_retry_policy(rate_limit_delay=timedelta(minutes=3)).evaluate(error, 1, 3)
    assert decision.action == action
    if delay is not None:
        assert decision.retry_delay == delay


def test_it_is_a_retry_policy_of_airflows() -> None:
    assert isinstance(bland_retry_policy(), sdk.RetryPolicy)
