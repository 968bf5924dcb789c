"""Webhooks that are to be sent (docs.bland.ai/tutorials/post-call-webhooks)."""

from __future__ import annotations

from collections import deque
from typing import Any

from airflow_provider_bland.sandbox.model import rendering
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.webhooks import Post
from airflow_provider_bland.sandbox.world.register import Register


class Outbox:
    """
    What the courier is to send, oldest first.

    :param settings: matter for what webhooks show.
    :param register: knows the address of the sandbox.
    """

    def __init__(self, settings: Settings, register: Register) -> None:
        self._settings = settings
        self._register = register
        self.posts: deque[Post] = deque()

    def live_event(self, call: Call, category: str, message: str, level: str = "info") -> None:
        """Send an event of a call that goes on, if its request wants such events."""
        webhook, events = call.body.get("webhook"), call.body.get("webhook_events")
        if webhook and isinstance(events, list) and category in events:
            body = {"message": message, "call_id": call.call_id, "category": category, "log_level": level}
            self.posts.append(Post(webhook, body, call.call_id))

    def post_call(self, call: Call, url: str | None = None, send_type: str = "spawn") -> None:
        """
        Send the webhook after a call, if there is an address for it.

        :param call: the call, which is over.
        :param url: the address; ``None``: the one in the request.
        :param send_type: why it is sent, as its deliveries show it.
        """
        webhook = url or call.body.get("webhook")
        if webhook:
            body = rendering.webhook_body(call, self._settings, self._register.url)
            self.posts.append(Post(webhook, body, call.call_id, final=True, send_type=send_type))

    def status(self, url: str, body: dict[str, Any]) -> None:
        """Send the status of a batch: once, unsigned."""
        self.posts.append(Post(url, body, signed=False))
