"""Couriers: each serves one endpoint that this worker has the lease of, and stores every try.

One first try at a time, in order, and up to three retries beside it. What has no outcome yet when a
worker dies is sent again, with the same id.
"""

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.webhook_payloads import payload
from palaver.domain.webhooks import (
    FAILED_FOR_LONG,
    GONE,
    RETRIES_AT_ONCE,
    Delivery,
    DeliveryAttempt,
    Outcome,
    WebhookEndpoint,
    WebhookEvent,
    WebhookEventKind,
    WebhookSender,
    signed,
)
from palaver.kit.clock import Clock
from palaver.kit.tasks import Tasks
from palaver.services.sealing import Sealer, Unsealable
from palaver.storage.database import Database, DatabaseError, retrying
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 0.25
"""How often a served endpoint is looked at for what is new."""
ABANDON_MAX: Final = 500
PAUSE_SECONDS: Final = 1.0
UNSEALABLE: Final = "Its secret cannot be read on this server. Rotate it."


class Post:
    """Tries once, and stores what came of it."""

    def __init__(
        self,
        db: Database,
        sender: WebhookSender,
        sealer: Sealer,
        *,
        tells_administration_texts: bool,
        clock: Clock,
    ) -> None:
        self.db = db
        self.sender = sender
        self.sealer = sealer
        self.tells_administration_texts = tells_administration_texts
        self.clock = clock

    async def attempt(self, endpoint: WebhookEndpoint, delivery: Delivery) -> None:
        """Try once, and store what came of it."""
        attempt, outcome = await self.send(
            endpoint, delivery.event, delivery_id=delivery.id, number=delivery.tries + 1
        )
        try:
            await self._record(endpoint, delivery, attempt, outcome)
        except DatabaseError:
            log.warning("a try of a webhook is not stored; it is sent again", exc_info=True)
            await asyncio.sleep(PAUSE_SECONDS)

    async def abandon(self, endpoint_id: int) -> None:
        """Give up all that waits for an endpoint that is not active."""
        gone = ABANDON_MAX
        while gone == ABANDON_MAX:
            async with self.db.transaction() as tx:
                gone = await tx.deliveries.abandon(endpoint_id, at=self.clock(), limit=ABANDON_MAX)
            await asyncio.sleep(0)

    async def send(
        self, endpoint: WebhookEndpoint, event: WebhookEvent, *, delivery_id: int, number: int
    ) -> tuple[DeliveryAttempt, Outcome]:
        """Send an event, and return the line of the log and what it means."""
        at = self.clock()
        headers: dict[str, str] = {}
        started = time.perf_counter()
        try:
            headers, body = self._request(endpoint, event, at=at)
            answered = await self.sender.send(endpoint.url, headers=headers, body=body)
            outcome = Outcome.of(answered, at=at)
        except ProviderError as error:
            outcome = Outcome(error.message)
        except Unsealable:
            log.error("the secret of webhook %s was sealed by another secret key", endpoint.uuid)
            outcome = Outcome(UNSEALABLE)
        attempt = DeliveryAttempt(
            delivery_id=delivery_id,
            number=number,
            at=at,
            duration_ms=round((time.perf_counter() - started) * 1000),
            headers=msgspec.json.encode(headers).decode(),
            status=outcome.status,
            error=outcome.error,
            answer=outcome.answer,
        )
        return attempt, outcome

    def body(self, endpoint: WebhookEndpoint, event: WebhookEvent) -> bytes:
        """Return what an endpoint is sent: the administration's, ids alone unless it is set."""
        is_own = endpoint.owner_id is not None
        return payload(event, has_text=is_own or self.tells_administration_texts)

    def _request(
        self, endpoint: WebhookEndpoint, event: WebhookEvent, *, at: int
    ) -> tuple[dict[str, str], bytes]:
        """Return the signed headers and the body of a try. Raises `Unsealable`."""
        secrets = [self.sealer.open(endpoint.secret, bound_to=endpoint.uuid)]
        if endpoint.former_secret is not None and at < (endpoint.former_until or 0):
            secrets.append(self.sealer.open(endpoint.former_secret, bound_to=endpoint.uuid))
        body = self.body(endpoint, event)
        return signed(event, body, secrets=secrets, at=at), body

    @retrying
    async def _record(
        self,
        endpoint: WebhookEndpoint,
        delivery: Delivery,
        attempt: DeliveryAttempt,
        outcome: Outcome,
    ) -> None:
        at = self.clock()
        async with self.db.transaction() as tx:
            if outcome.error is None:
                await tx.deliveries.record(
                    delivery, attempt, state="delivered", due_at=0, finished_at=at
                )
                if endpoint.failing_since is not None:
                    await tx.deliveries.succeed(endpoint.id)
                await _forget_told(tx, delivery)
                return
            spread = random.uniform(0.8, 1.2)  # noqa: S311  # no secret: it parts those that fail together
            due_at = outcome.due_at(tries=attempt.number, at=at, spread=spread)
            is_ours = await tx.deliveries.record(
                delivery,
                attempt,
                state="failed" if due_at is None else "retrying",
                due_at=due_at or 0,
                finished_at=at if due_at is None else None,
            )
            if is_ours:
                await self._fail(tx, endpoint, outcome, at=at)
            if due_at is None:
                await _forget_told(tx, delivery)

    async def _fail(self, tx: Tx, endpoint: WebhookEndpoint, outcome: Outcome, *, at: int) -> None:
        """Note a failure of an endpoint, and turn it off where it is time."""
        held_until = outcome.held_until(at=at)
        if endpoint.failing_since is None or held_until:
            await tx.deliveries.fail(endpoint.id, held_until=held_until, at=at)
        if outcome.is_gone or endpoint.is_spent(at=at):
            reason = GONE if outcome.is_gone else FAILED_FOR_LONG
            await tx.deliveries.disable(endpoint.id, reason=reason)


async def _forget_told(tx: Tx, delivery: Delivery) -> None:
    """Keep nothing that was written in a deleted chat once all have been told of it."""
    if delivery.event.kind == WebhookEventKind.CHAT_DELETED:
        await tx.outbox.forget_told(delivery.event.uuid)


class Courier:
    """An endpoint that is served: what is on its way to it."""

    def __init__(
        self,
        post: Post,
        endpoint_id: int,
        *,
        must_yield: Callable[[float], bool],
        on_look: Callable[[WebhookEndpoint], None],
    ) -> None:
        self.post = post
        self.endpoint_id = endpoint_id
        self._must_yield = must_yield  # since when it is served: is it to make way?
        self._on_look = on_look
        self._since = time.monotonic()
        self._tasks = Tasks()
        self._first: asyncio.Task[None] | None = None
        self._retries: dict[int, asyncio.Task[None]] = {}  # by their deliveries' ids

    async def run(self) -> None:
        """Send until there is nothing to send. Raises `DatabaseError`."""
        while True:
            await self._send_more()
            running = {*self._retries.values(), *filter(None, [self._first])}
            if not running:
                return
            await asyncio.wait(running, timeout=LOOK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
            self._forget_done()

    async def cancel(self) -> None:
        """Break off what is on its way."""
        await self._tasks.cancel()

    def _forget_done(self) -> None:
        # What a try raises ends the courier: it would be sent again and again without a pause.
        if self._first is not None and self._first.done():
            self._first.result()
            self._first = None
        for id in [id for id, task in self._retries.items() if task.done()]:
            self._retries.pop(id).result()

    async def _send_more(self) -> None:
        """Begin with what is due, as far as there is room."""
        post = self.post
        at = post.clock()
        if self._must_yield(self._since):
            return
        firsts: Sequence[Delivery] = ()
        retries: Sequence[Delivery] = ()
        async with post.db.read() as tx:
            endpoint = await tx.deliveries.endpoint(self.endpoint_id)
            if endpoint is not None and endpoint.is_active and endpoint.held_until <= at:
                if self._first is None:
                    firsts = await tx.deliveries.next(endpoint.id, "new", at=at, limit=1)
                if len(self._retries) < RETRIES_AT_ONCE:
                    retries = await tx.deliveries.next(
                        endpoint.id, "retrying", at=at, limit=2 * RETRIES_AT_ONCE
                    )
        if endpoint is None:
            return
        self._on_look(endpoint)
        if not endpoint.is_active:
            await post.abandon(endpoint.id)
            return
        for delivery in firsts:
            self._first = self._start(endpoint, delivery)
        for delivery in retries:
            if delivery.id not in self._retries and len(self._retries) < RETRIES_AT_ONCE:
                self._retries[delivery.id] = self._start(endpoint, delivery)

    def _start(self, endpoint: WebhookEndpoint, delivery: Delivery) -> "asyncio.Task[None]":
        return self._tasks.start(
            self.post.attempt(endpoint, delivery), name=f"deliver {delivery.event.message_id}"
        )
