"""What the ways of placing a campaign's calls know of the campaign that they work for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow_provider_bland.api.errors import BlandError
    from airflow_provider_bland.campaigns.bodies import CallTemplate
    from airflow_provider_bland.campaigns.ledger import Ledger
    from airflow_provider_bland.campaigns.plan import Plan
    from airflow_provider_bland.campaigns.recipients import Ended, Recipient
    from airflow_provider_bland.campaigns.rules import Rules
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.hooks.waves import ManyCalls
    from airflow_provider_bland.operators.policy import Identity, Policy


class Desk(Protocol):
    """A campaign: its plan, its ledger, its lines to Bland. ``Conductor`` is one, and says what each part does."""

    ledger: Ledger
    plan: Plan
    rules: Rules
    template: CallTemplate
    identity: Identity
    policy: Policy
    hook: BlandHook
    log: Any
    killed: Callable[[], bool]
    unpriced: dict[str, float]
    is_dirty: bool

    @property
    def many(self) -> ManyCalls: ...

    @property
    def live(self) -> dict[str, int]: ...

    @property
    def is_halted(self) -> bool: ...

    def save(self) -> None: ...

    def placed(self, count: int) -> None: ...

    def refused(self, error: BlandError, recipient: Recipient) -> None: ...

    def note(self, error: BlandError) -> None: ...

    def hear(self, row: int, call_id: str, details: Mapping[str, Any], *, wait_for_price: bool = True) -> None: ...

    def end(self, ended: Ended) -> None: ...
