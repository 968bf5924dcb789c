"""The hook: an Airflow connection of type ``bland`` becomes a typed client of Bland's API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.settings import secret_of
from airflow_provider_bland.api.text import clean
from airflow_provider_bland.hooks import form
from airflow_provider_bland.hooks.agents import AgentMethods
from airflow_provider_bland.hooks.anything import AnyMethods
from airflow_provider_bland.hooks.base import extra_of
from airflow_provider_bland.hooks.batches import BatchMethods
from airflow_provider_bland.hooks.calls import CallMethods
from airflow_provider_bland.hooks.listing import ListMethods
from airflow_provider_bland.hooks.many import ManyCallsMethods
from airflow_provider_bland.hooks.media import MediaMethods
from airflow_provider_bland.hooks.numbers import NumberMethods

_MOST_MONEY = 1e12


class BlandHook(
    CallMethods, ListMethods, ManyCallsMethods, BatchMethods, AgentMethods, NumberMethods, MediaMethods, AnyMethods
):
    """
    Talks to Bland AI.

    All methods take and return plain JSON types and raise :class:`~airflow_provider_bland.api.errors.BlandError`; they
    can serve as tools of an AI agent as they are. Nothing is connected or looked up before the first request.

    :param bland_conn_id: id of a connection of type ``bland``: API key as password, base URL as host (empty for Bland
        itself, the sandbox's address for trials), and in the extra ``encrypted_key``, ``webhook_secret``,
        ``connect_timeout`` (s, default 5), ``read_timeout`` (s, default 30), ``default_region`` (of numbers without a
        country code, default ``US``; ``none`` refuses them), ``verify`` (file of CA certificates), ``proxy``.
    """

    # Airflow before 3.3 looks for these two in this very class, not in its bases.

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Fields of the connection form on Airflow before 3.3, which builds it from the provider info alone."""
        return form.widgets()

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the connection form on Airflow before 3.3."""
        return form.ui_field_behaviour()

    def test_connection(self) -> tuple[bool, str]:
        """Check key and address with ``GET /v1/me``; for the Test button of the connection form."""
        try:
            account = self.get_account()
        except BlandError as error:
            return False, str(error)
        billing = account.get("billing")
        balance = billing.get("current_balance") if isinstance(billing, Mapping) else None
        # What nobody has is no balance, but something that was put in its place.
        is_money = isinstance(balance, int | float) and not isinstance(balance, bool) and abs(balance) < _MOST_MONEY
        funds = f", balance ${balance:.2f}" if is_money else ""
        return True, f"Connected to Bland: account is {clean(account.get('status', 'known'), limit=50)}{funds}."

    def get_account(self) -> dict[str, Any]:
        """
        Read the account: ``GET /v1/me``.

        :return: ``{"status", "billing": {"current_balance", "refill_to"}, "total_calls"}``.
        """
        return dict(self._send(endpoints.get_account()))

    def is_webhook_signed(self, body: bytes | str, signature: str | bytes | None) -> bool:
        """
        Whether a webhook really comes from Bland.

        :param body: the raw bytes of the request, before any parsing.
        :param signature: value of its ``X-Webhook-Signature`` header.
        :raises BlandValidationError: if the connection has no webhook secret, or the body has been parsed.
        """
        from airflow_provider_bland.api.webhooks import is_signed

        connection = self.get_connection(self.bland_conn_id)
        secret = secret_of("webhook_secret", extra_of(connection).get("webhook_secret"))
        if not secret:
            raise BlandValidationError(
                "webhook_secret", f"connection {self.bland_conn_id!r} has none. Bland shows it under Settings, Keys."
            )
        return is_signed(secret, body, signature)
