"""What was sent of post-call webhooks, and sending it again (docs.bland.ai/api-v1/post/postcall-webhooks)."""

from __future__ import annotations

from typing import Any

from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.webhooks import Post
from airflow_provider_bland.sandbox.world.engine import Engine


class Deliveries:
    """
    What is known of the post-call webhooks.

    :param engine: has the calls, and what is to be sent.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.clear()

    def clear(self) -> None:
        """Forget all deliveries."""
        self.known: dict[str, dict[str, Any]] = {}

    def send(self, call_id: str, url: str | None) -> str | None:
        """
        Send a post-call webhook by hand.

        :param call_id: the call.
        :param url: where to, for a call without a webhook; ``None``: where it went before.
        :return: the problem, if there is one.
        """
        engine = self._engine
        with engine.lock:
            engine.advance()
            call = engine.register.calls.get(call_id)
            if call is None or not call.completed:
                return f"Call {call_id} not found or not completed"
            known = self.known.get(call_id)
            if url is None and known is None:
                return f"No webhook was sent for call {call_id}"
            if url is not None and (known is not None or call.body.get("webhook")):
                return f"A webhook was sent for call {call_id} already"
            engine.outbox.post_call(call, url or (known or {}).get("url"), "create" if known is None else "resend")
            return None

    def note(self, post: Post, status: int | None, seconds: float) -> None:
        """Note an attempt to deliver a post-call webhook, its answer if there was one, and how long it took."""
        with self._engine.lock:
            self._engine.advance()
            now = iso_milli(self._engine.shown_now)
            known = self.known.setdefault(
                post.call_id,
                {"payload": post.body, "url": post.url, "created_at": now, "call_id": post.call_id, "metadata": []},
            )
            attempt = {"sent_at": now, "response_code": status, "response_time": f"{round(seconds * 1000)}ms"}
            known["metadata"].append({**attempt, "send_type": post.send_type})

    def failed(self, call_id: str) -> None:
        """Note that a post-call webhook failed for good; the call shows it."""
        engine = self._engine
        with engine.lock:
            engine.advance()
            call = engine.register.calls.get(call_id)
            if call is not None and call.queue_status == engine.settings.complete_word:
                call.queue_status = "complete_error"
                engine.register.touch(call)
                engine.store.flush()
