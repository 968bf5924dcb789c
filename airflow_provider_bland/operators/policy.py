"""Whose a campaign is, and what its user decided besides the rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT
from airflow_provider_bland.campaigns.buckets import Bucket

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.recipients import Recipient


@dataclass(frozen=True)
class Identity:
    """Whose campaign it is; goes into the metadata of its calls."""

    key: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    def metadata(self, recipient: Recipient) -> dict[str, Any]:
        """What finds a recipient's call again."""
        return {
            "campaign": self.key,
            "recipient": recipient.key,
            "row": recipient.row,
            "attempt": recipient.attempts,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": self.map_index,
            "try_number": self.try_number,
        }


@dataclass(frozen=True)
class Policy:
    """
    What else the user decided; fields as the arguments of ``CallCampaignOperator``.

    :param opt_out: what ``reactions.check_opt_out`` returned.
    """

    reconcile_timeout: float = 60.0
    on_ambiguous: str = "fail"
    opt_out: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    callback_at: str | None = None
    settle_timeout: float = SETTLE_TIMEOUT


def checked_shares(fail_when: Any) -> dict[str, float]:
    """
    Bucket to the share of rows above which a campaign's task fails.

    :raises BlandValidationError: for anything else.
    """
    found: dict[str, float] = {}
    if fail_when is not None and not isinstance(fail_when, Mapping):
        raise BlandValidationError("fail_when", f"must be a dict of bucket to share, not {shown(fail_when)}.")
    for bucket, share in (fail_when or {}).items():
        known = [str(one) for one in Bucket]
        if bucket not in known:
            raise BlandValidationError("fail_when", f"{shown(bucket)} is no bucket. Known: {', '.join(known)}.")
        if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share < 1:
            raise BlandValidationError(
                "fail_when", f"needs a share from 0 to below 1 for {bucket!r}, not {shown(share)}."
            )
        found[str(bucket)] = float(share)
    return found
