"""Sending webhooks, and trying again (docs.bland.ai/tutorials/post-call-webhooks)."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

from airflow_provider_bland.sandbox.model.replies import encoded
from airflow_provider_bland.sandbox.model.webhooks import SIGNATURE_HEADER, Post, signature
from airflow_provider_bland.sandbox.world.sandbox import Sandbox
from airflow_provider_bland.sandbox.world.sending import post

log = logging.getLogger(__name__)

# How often Bland tries, and how long it waits in between, is not documented.
PAUSES: Final = (1.0, 5.0)
TIMEOUT_SECONDS: Final = 10.0
TICK_SECONDS: Final = 0.02


class Courier:
    """
    Keeps the sandbox's time when nobody asks, and sends its webhooks.

    :param sandbox: the state.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        # The last delivery of each call: what belongs to one call arrives in order.
        self._last: dict[str, asyncio.Task[None]] = {}
        self._sending: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Run until cancelled."""
        try:
            while True:
                self._sandbox.engine.advance()
                while self._sandbox.engine.outbox.posts:
                    self._dispatch(self._sandbox.engine.outbox.posts.popleft())
                await asyncio.sleep(TICK_SECONDS)
        finally:
            for sending in self._sending:
                sending.cancel()

    def _dispatch(self, post: Post) -> None:
        key = post.call_id or post.url
        sending = asyncio.ensure_future(self._after(self._last.get(key), post))
        self._last[key] = sending
        self._sending.add(sending)

        def done(task: asyncio.Task[None]) -> None:
            self._sending.discard(task)
            if self._last.get(key) is task:
                del self._last[key]

        sending.add_done_callback(done)

    async def _after(self, before: asyncio.Task[None] | None, post: Post) -> None:
        if before is not None:
            await asyncio.wait([before])
        await self.send(post)

    async def send(self, post: Post) -> None:
        """Send one webhook; the one after a call is tried again, and its failure shows in the call."""
        raw = encoded(post.body)
        headers = {"Content-Type": "application/json"}
        if post.signed and self._sandbox.settings.webhook_secret:
            headers[SIGNATURE_HEADER] = signature(self._sandbox.settings.webhook_secret, raw)
        pauses = PAUSES if post.final else ()
        for pause in (*pauses, None):
            started = time.monotonic()
            status = await self._attempt(post.url, raw, headers)
            if post.final:
                self._sandbox.deliveries.note(post, status, time.monotonic() - started)
            if status is not None and 200 <= status < 300:
                return
            if pause is not None:
                await asyncio.sleep(self._sandbox.engine.clock.real(pause))
        if post.final:
            self._sandbox.deliveries.failed(post.call_id)

    async def _attempt(self, url: str, raw: bytes, headers: dict[str, str]) -> int | None:
        try:
            return await post(url, raw, headers, TIMEOUT_SECONDS)
        except (OSError, ValueError) as problem:
            log.warning("webhook not delivered: %s", type(problem).__name__)
            return None
