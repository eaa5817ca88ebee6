"""Delivering webhooks: at least once, in order as far as retries allow.

What is to be delivered is a row. A worker leases an endpoint and has a courier serve it, so no
endpoint waits for another. The worker may die at any point: the lease runs out.
"""

import asyncio
import logging
import time
from collections.abc import Iterator
from typing import Final

import msgspec

from palaver.domain.errors import NotFound
from palaver.domain.users import Actor
from palaver.domain.webhooks import (
    TEST_EVENT,
    DeliveryAttempt,
    WebhookEndpoint,
    WebhookEvent,
    WebhookSender,
)
from palaver.kit.clock import DAY, SECOND, Clock, system_clock
from palaver.kit.ids import new_secret, new_uuid
from palaver.kit.tasks import Tasks
from palaver.services.couriers import PAUSE_SECONDS, Courier, Post
from palaver.services.sealing import Sealer
from palaver.storage.database import Database, DatabaseError
from palaver.storage.statements import Engine

log = logging.getLogger(__name__)

ENDPOINTS_AT_ONCE: Final = 64
FAILING_AT_ONCE: Final = 24
"""Of those, endpoints that fail: the others always find room beside them."""
LEASE: Final = 3 * SECOND
RENEW: Final = SECOND
TURN_SECONDS: Final = 10.0
"""So long an endpoint is served before it makes way for others that wait."""
PURGE_MAX: Final = 200  # events, each with its deliveries and their tries
CLOSE_SECONDS: Final = 2.0


class DeliveryService:
    """Sends what endpoints are to be told; `tells_administration_texts` as the setting says."""

    def __init__(
        self,
        db: Database,
        sender: WebhookSender,
        sealer: Sealer,
        *,
        tells_administration_texts: bool = False,
        kept_days: int = 30,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.post = Post(
            db,
            sender,
            sealer,
            tells_administration_texts=tells_administration_texts,
            clock=clock,
        )
        self.kept_days = kept_days
        self.clock = clock
        self._worker = new_secret(size_bytes=9)
        self._tasks = Tasks()
        self._served: dict[int, bool] = {}  # endpoints that are ours: do they fail?
        self._is_crowded = False  # an endpoint waits for room
        self._is_closing = False
        self._renewed_at = 0.0

    async def begin(self, actor: Actor) -> None:
        """Take back what a process before this one was serving, where no other can be.

        Elsewhere the leases of the dead run out.
        """
        actor.require_admin()
        if self.db.engine is Engine.SQLITE:
            async with self.db.transaction() as tx:
                await tx.deliveries.take_back()

    async def serve_some(self, actor: Actor) -> int:
        """Begin to serve endpoints that something is due for; return how many are served now."""
        actor.require_admin()
        await self._renew()
        async with self.db.read() as tx:
            waiting = await tx.deliveries.waiting(at=self.clock())
        others = [each for each in waiting if each.id not in self._served]
        chosen = list(self._chosen((each.id, each.failing_since is not None) for each in others))
        self._is_crowded = len(chosen) < len(others)
        if chosen:
            failing = dict(chosen)
            async with self.db.transaction() as tx:
                claimed = await tx.deliveries.claim(list(failing), worker=self._worker, lease=LEASE)
            for id in claimed:
                self._served[id] = failing[id]
                _ = self._tasks.start(self._serve(id), name=f"webhook {id}")
        return len(self._served)

    async def test(self, actor: Actor, uuid: str) -> tuple[WebhookEndpoint, DeliveryAttempt]:
        """Send an event of no kind once, to anybody's endpoint; it is not stored.

        For the operator. Raises `NotFound`.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            endpoint = await tx.deliveries.endpoint_of(uuid)
        if endpoint is None:
            raise NotFound("webhook")
        data = msgspec.json.encode({"id": endpoint.uuid}).decode()
        event = WebhookEvent(new_uuid(), TEST_EVENT, data, None, self.clock())
        attempt, _ = await self.post.send(endpoint, event, delivery_id=0, number=1)
        return endpoint, attempt

    async def purge(self, actor: Actor) -> int:
        """Remove some of what is older than it is kept, and of deleted endpoints. For jobs."""
        actor.require_admin()
        before = self.clock() - self.kept_days * DAY
        async with self.db.transaction() as tx:
            gone = await tx.outbox.purge(before=before, limit=PURGE_MAX)
        async with self.db.transaction() as tx:
            return gone + await tx.outbox.purge_deleted(limit=PURGE_MAX)

    async def close(self) -> None:
        """Let tries that are under way end for a moment; what has no outcome is sent again."""
        self._is_closing = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._tasks.wait()
        except TimeoutError:
            await self._tasks.cancel()
        if self._served:
            async with self.db.transaction() as tx:
                await tx.deliveries.release(list(self._served), worker=self._worker)

    def _chosen(self, waiting: Iterator[tuple[int, bool]]) -> Iterator[tuple[int, bool]]:
        """Choose as many as there is room for, those that fail only within their share."""
        room = ENDPOINTS_AT_ONCE - len(self._served)
        room_for_failing = FAILING_AT_ONCE - sum(self._served.values())
        for id, is_failing in waiting:
            if room <= 0:
                return
            if is_failing and room_for_failing <= 0:
                continue
            room -= 1
            room_for_failing -= is_failing
            yield id, is_failing

    async def _renew(self) -> None:
        now = time.monotonic()
        if self._served and now - self._renewed_at >= RENEW / SECOND:
            self._renewed_at = now
            async with self.db.transaction() as tx:
                await tx.deliveries.keep(list(self._served), worker=self._worker, lease=LEASE)

    async def _serve(self, id: int) -> None:
        """Send to an endpoint until nothing is due, or its turn is over."""
        courier = Courier(self.post, id, must_yield=self._must_yield, on_look=self._note)
        try:
            await courier.run()
            async with self.db.transaction() as tx:
                await tx.deliveries.release([id], worker=self._worker)
        except DatabaseError:
            log.warning("webhook %s is left for later", id, exc_info=True)
            await asyncio.sleep(PAUSE_SECONDS)
        finally:
            await courier.cancel()
            # Whoever is canceled leaves it to `close` to release the lease.
            if not self._is_closing:
                self._served.pop(id, None)

    def _must_yield(self, since: float) -> bool:
        """Tell whether an endpoint that is served since then is to make way."""
        if self._is_closing:
            return True
        return self._is_crowded and time.monotonic() - since > TURN_SECONDS

    def _note(self, endpoint: WebhookEndpoint) -> None:
        """Remember whether an endpoint fails."""
        if endpoint.id in self._served:
            self._served[endpoint.id] = endpoint.failing_since is not None
