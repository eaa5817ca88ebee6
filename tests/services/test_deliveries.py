"""What is told to endpoints, and when: against a real receiver, on both databases."""

import asyncio
import base64
import contextlib
import hashlib
import hmac
from collections.abc import AsyncIterator
from dataclasses import dataclass
from email.utils import formatdate
from ipaddress import ip_network
from itertools import pairwise
from typing import Any, Final

import pytest

from palaver.domain.memories import NewMemory
from palaver.domain.users import SYSTEM, Actor
from palaver.domain.webhooks import (
    DISABLED_AFTER,
    FAILED_FOR_LONG,
    GONE,
    KINDS,
    RETRIES_AT_ONCE,
    TRIES_MAX,
    Answered,
    Delivery,
    NewWebhook,
    WebhookChange,
    WebhookEndpoint,
    WebhookEventKind,
)
from palaver.kit.clock import DAY, HOUR, MINUTE, SECOND
from palaver.outbound.gate import Gate, Limits
from palaver.outbound.webhooks import GatedSender
from palaver.services.deliveries import DeliveryService
from palaver.services.memories import MemoryService
from palaver.services.retrieval import RetrievalService
from palaver.services.sealing import Sealer
from palaver.services.webhooks import WebhookService
from palaver.storage.database import Database
from palaver.storage.statements import Engine
from tests.cast import SECRET_KEY, Cast, a_cast
from tests.fakes.clock import StillClock
from tests.fakes.webhook_receiver import HANG, RESET, Receiver

MEMORY: Final = [WebhookEventKind.MEMORY_CREATED]
WEEK: Final = 7 * DAY


@dataclass
class Office:
    """Endpoints, who serves them, and a way to make something happen."""

    db: Database
    cast: Cast
    clock: StillClock
    receiver: Receiver
    webhooks: WebhookService
    deliveries: DeliveryService
    memories: MemoryService

    async def subscribe(
        self, path: str = "/hook", *, actor: Actor | None = None, **more: Any
    ) -> tuple[WebhookEndpoint, str]:
        """Return a new endpoint of the owner's, and its secret."""
        new = NewWebhook(self.receiver.url(path), MEMORY)
        return await self.webhooks.create(actor or self.cast.owner, new, **more)

    async def happen(self, text: str = "Likes tea", *, actor: Actor | None = None) -> str:
        """Let something happen that the endpoints want to know; return its uuid."""
        new = NewMemory(content=text, type="global", importance=0.5, metadata=None)
        shown = await self.memories.create(actor or self.cast.owner, new)
        return shown.memory.uuid

    async def of(self, endpoint: WebhookEndpoint) -> list[Delivery]:
        """Return its deliveries, the oldest first."""
        found = await self.webhooks.deliveries(self.cast.owner, endpoint.uuid)
        return list(reversed(found))

    async def serve(self, *services: DeliveryService) -> None:
        """Serve until nothing is due now."""
        async with asyncio.timeout(20):
            busy = True
            while busy:
                counts = [await each.serve_some(SYSTEM) for each in services or [self.deliveries]]
                busy = any(counts)
                await asyncio.sleep(0.01)


def an_office_of(
    db: Database, cast: Cast, receiver: Receiver, clock: StillClock, sender: GatedSender
) -> Office:
    sealer = Sealer(SECRET_KEY, "webhooks")
    return Office(
        db,
        cast,
        clock,
        receiver,
        WebhookService(db, sender, sealer, clock=clock),
        DeliveryService(db, sender, sealer, clock=clock),
        MemoryService(db, RetrievalService(db), clock=clock),
    )


@pytest.fixture
async def sender() -> AsyncIterator[GatedSender]:
    """Give a sender that may reach this machine, and waits half a second."""
    gate = Gate([ip_network("127.0.0.0/8")], connections_per_host=0)
    yield (sender := GatedSender(gate, limits=Limits(max_bytes=4_096, whole_seconds=0.5)))
    await sender.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give somebody who is told."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def office(db: Database, receiver: Receiver, sender: GatedSender) -> AsyncIterator[Office]:
    """Give an office with a clock that stands still."""
    office = an_office_of(db, await a_cast(db), receiver, StillClock(), sender)
    yield office
    await office.deliveries.close()


def signature(secret: str, received: Any) -> str:
    key = base64.b64decode(secret.removeprefix("whsec_"))
    content = f"{received.id}.{received.headers['webhook-timestamp']}.".encode() + received.body
    return "v1," + base64.b64encode(hmac.new(key, content, hashlib.sha256).digest()).decode()


async def test_what_happens_is_told_signed_and_once(office: Office) -> None:
    endpoint, secret = await office.subscribe()
    uuid = await office.happen("Likes tea")
    await office.serve()
    (received,) = office.receiver.of()
    assert received.json["event"] == "memory.created"
    assert received.json["data"]["id"] == uuid
    assert received.json["data"]["content"] == "Likes tea"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["webhook-timestamp"] == str(office.clock() // SECOND)
    assert received.headers["webhook-signature"] == signature(secret, received)
    (delivery,) = await office.of(endpoint)
    assert (delivery.state, delivery.finished_at) == ("delivered", office.clock())
    assert delivery.event.message_id == received.id
    (attempt,) = delivery.attempts
    assert (attempt.number, attempt.status, attempt.error, attempt.answer) == (1, 200, None, "ok")


async def test_only_who_it_belongs_to_is_told(office: Office) -> None:
    await office.subscribe("/owner")
    await office.subscribe("/stranger", actor=office.cast.stranger)
    await office.happen()
    await office.serve()
    assert len(office.receiver.of("/owner")) == 1
    assert office.receiver.of("/stranger") == []


async def test_the_administration_is_told_ids_and_no_text(office: Office) -> None:
    await office.subscribe("/house", actor=office.cast.admin, of_administration=True)
    uuid = await office.happen("Likes tea")
    await office.serve()
    (received,) = office.receiver.of("/house")
    assert list(received.json["data"]) == [
        *("id", "user_id", "memory_type", "importance_score", "created_at", "updated_at")
    ]
    assert received.json["data"]["id"] == uuid
    assert b"tea" not in received.body


async def test_the_administration_is_told_texts_where_it_is_set(
    office: Office, sender: GatedSender
) -> None:
    sealer = Sealer(SECRET_KEY, "webhooks")
    telling = DeliveryService(
        office.db, sender, sealer, tells_administration_texts=True, clock=office.clock
    )
    await office.subscribe("/house", actor=office.cast.admin, of_administration=True)
    await office.happen("Likes tea")
    await office.serve(telling)
    assert office.receiver.of("/house")[0].json["data"]["content"] == "Likes tea"


async def test_a_filter_is_kept(office: Office) -> None:
    kinds = [kind for kind in KINDS if kind is not WebhookEventKind.MEMORY_CREATED]
    await office.webhooks.create(office.cast.owner, NewWebhook(office.receiver.url(), kinds))
    await office.happen()
    await office.serve()
    assert office.receiver.received == []


async def test_events_go_out_one_at_a_time_in_order(office: Office) -> None:
    await office.subscribe()
    office.receiver.behave("/hook", 200, delay_seconds=0.01)
    told = [await office.happen(f"Fact {number}") for number in range(12)]
    await office.serve()
    assert [each.json["data"]["id"] for each in office.receiver.of()] == told
    assert office.receiver.most_at_once["/hook"] == 1


@pytest.mark.parametrize("status", [500, 404, 301, 302, RESET, HANG])
async def test_a_failure_is_tried_again_with_the_same_id(office: Office, status: int) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", status, 204, headers={"Location": office.receiver.url("/x")})
    await office.happen()
    await office.serve()
    (delivery,) = await office.of(endpoint)
    assert (delivery.state, delivery.tries) == ("retrying", 1)
    assert 4 * SECOND <= delivery.due_at - office.clock() <= 6 * SECOND
    assert delivery.attempts[0].error
    office.clock.move(seconds=7)
    await office.serve()
    (delivery,) = await office.of(endpoint)
    assert (delivery.state, delivery.tries) == ("delivered", 2)
    first, second = office.receiver.of()
    assert first.id == second.id
    assert first.body == second.body
    assert first.headers["webhook-timestamp"] != second.headers["webhook-timestamp"]
    assert office.receiver.of("/x") == []


async def test_it_is_tried_for_three_days_and_then_listed_as_failed(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", 500)
    await office.happen()
    begun, pauses = office.clock(), []
    while True:
        await office.serve()
        (delivery,) = await office.of(endpoint)
        if delivery.state == "failed":
            break
        pauses.append(delivery.due_at - office.clock())
        office.clock.now = delivery.due_at
    assert len(delivery.attempts) == TRIES_MAX
    assert 2.5 * DAY < office.clock() - begun < 3.7 * DAY
    assert 24 * SECOND <= pauses[1] <= 36 * SECOND
    assert all(before < after * 1.5 for before, after in pairwise(pauses))
    assert (await office.webhooks.get(office.cast.owner, endpoint.uuid)).is_active


@pytest.mark.parametrize("is_date", [False, True])
async def test_retry_after_is_honoured_and_holds_everything_back(
    office: Office,
    is_date: bool,  # noqa: FBT001  # a parameter
) -> None:
    endpoint, _ = await office.subscribe()
    at = office.clock() + 600 * SECOND
    value = formatdate(at / SECOND, usegmt=True) if is_date else "600"
    office.receiver.behave("/hook", 429, 200, headers={"Retry-After": value})
    await office.happen("one")
    await office.serve()
    await office.happen("two")
    await office.serve()
    assert len(office.receiver.received) == 1
    one, _two = await office.of(endpoint)
    assert one.due_at == at
    office.clock.move(seconds=599)
    await office.serve()
    assert len(office.receiver.received) == 1
    office.clock.move(seconds=2)
    await office.serve()
    assert {delivery.state for delivery in await office.of(endpoint)} == {"delivered"}


async def test_a_retry_after_of_years_is_bounded(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", 503, headers={"Retry-After": "999999999999"})
    await office.happen()
    await office.serve()
    (delivery,) = await office.of(endpoint)
    assert delivery.due_at - office.clock() == 12 * HOUR
    held = (await office.webhooks.get(office.cast.owner, endpoint.uuid)).held_until
    assert held - office.clock() == HOUR


async def test_410_turns_an_endpoint_off_and_the_rest_is_listed_as_failed(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", 410)
    for number in range(3):
        await office.happen(f"Fact {number}")
    await office.serve()
    endpoint = await office.webhooks.get(office.cast.owner, endpoint.uuid)
    assert (endpoint.is_active, endpoint.disabled_reason) == (0, GONE)
    assert [delivery.state for delivery in await office.of(endpoint)] == ["failed"] * 3
    assert len(office.receiver.received) == 1
    await office.happen("Not told any more")
    assert len(await office.of(endpoint)) == 3
    change = WebhookChange(is_active=True)
    endpoint = await office.webhooks.update(office.cast.owner, endpoint.uuid, change)
    assert (endpoint.is_active, endpoint.disabled_reason) == (1, None)
    office.receiver.behave("/hook", 200)
    since = office.clock() - MINUTE
    assert await office.webhooks.redeliver_since(office.cast.owner, endpoint.uuid, since=since) == 3
    await office.serve()
    assert [delivery.state for delivery in await office.of(endpoint)] == ["delivered"] * 3


async def test_an_endpoint_that_fails_for_five_days_is_turned_off(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", 500)
    await office.happen("one")
    await office.serve()
    office.clock.move(microseconds=DISABLED_AFTER - SECOND)
    await office.serve()
    assert (await office.webhooks.get(office.cast.owner, endpoint.uuid)).is_active
    await office.happen("two")
    office.clock.move(seconds=1)
    await office.serve()
    endpoint = await office.webhooks.get(office.cast.owner, endpoint.uuid)
    assert (endpoint.is_active, endpoint.disabled_reason) == (0, FAILED_FOR_LONG)
    assert {delivery.state for delivery in await office.of(endpoint)} == {"failed"}


async def test_one_success_forgives(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", 500, 200)
    await office.happen()
    await office.serve()
    assert (await office.webhooks.get(office.cast.owner, endpoint.uuid)).failing_since
    office.clock.move(seconds=7)
    await office.serve()
    assert (await office.webhooks.get(office.cast.owner, endpoint.uuid)).failing_since is None


async def test_at_most_three_retries_run_beside_a_first_try(office: Office) -> None:
    await office.subscribe()
    office.receiver.behave("/hook", 500)
    for number in range(8):
        await office.happen(f"Fact {number}")
    await office.serve()
    office.receiver.most_at_once.clear()
    office.clock.move(seconds=7)
    office.receiver.behave("/hook", 200, delay_seconds=0.05)
    for number in range(4):
        await office.happen(f"Later {number}")
    await office.serve()
    assert office.receiver.most_at_once["/hook"] == RETRIES_AT_ONCE + 1
    assert len(office.receiver.received) == 8 + 12


async def test_a_hanging_endpoint_delays_no_other(office: Office) -> None:
    await office.subscribe("/hangs")
    await office.subscribe("/well")
    office.receiver.behave("/hangs", HANG)
    for number in range(5):
        await office.happen(f"Fact {number}")
    await office.deliveries.serve_some(SYSTEM)
    await office.receiver.wait_for(5, path="/well")
    assert len(office.receiver.of("/hangs")) == 1


async def test_both_secrets_sign_for_a_day_after_a_rotation(office: Office) -> None:
    endpoint, old = await office.subscribe()
    endpoint, new = await office.webhooks.rotate(office.cast.owner, endpoint.uuid)
    assert old != new
    assert new not in endpoint.secret
    await office.happen()
    await office.serve()
    office.clock.move(microseconds=DAY)
    await office.happen()
    await office.serve()
    both, one = office.receiver.of()
    assert both.headers["webhook-signature"].split(" ") == [
        signature(new, both),
        signature(old, both),
    ]
    assert one.headers["webhook-signature"] == signature(new, one)


async def test_a_worker_that_dies_loses_nothing(office: Office, sender: GatedSender) -> None:
    """Its tasks vanish; another serves what has no outcome."""
    endpoint, _ = await office.subscribe()
    office.receiver.behave("/hook", HANG, 200)
    told = [await office.happen(f"Fact {number}") for number in range(3)]
    await office.deliveries.serve_some(SYSTEM)
    await office.receiver.wait_for(1)
    await office.deliveries._tasks.cancel()  # as a kill: the lease is not given back
    sealer = Sealer(SECRET_KEY, "webhooks")
    heir = DeliveryService(office.db, sender, sealer, clock=office.clock)
    assert await heir.serve_some(SYSTEM) == 0
    await heir.begin(SYSTEM)
    if office.db.engine is Engine.POSTGRESQL:
        async with office.db.transaction() as tx:  # as if the lease had run out
            await tx.deliveries.take_back()
    await office.serve(heir)
    assert [each.json["data"]["id"] for each in office.receiver.of()] == [told[0], *told]
    assert office.receiver.of()[0].id == office.receiver.of()[1].id
    assert {delivery.state for delivery in await office.of(endpoint)} == {"delivered"}
    await heir.close()


async def test_two_workers_send_everything_once(office: Office, sender: GatedSender) -> None:
    sealer = Sealer(SECRET_KEY, "webhooks")
    other = DeliveryService(office.db, sender, sealer, clock=office.clock)
    paths = [f"/hook{number}" for number in range(6)]
    for path in paths:
        await office.subscribe(path)
    told = [await office.happen(f"Fact {number}") for number in range(5)]
    await office.serve(office.deliveries, other)
    for path in paths:
        assert [each.json["data"]["id"] for each in office.receiver.of(path)] == told
    await other.close()


async def test_what_is_deleted_before_it_is_told_is_told_without_its_text(office: Office) -> None:
    await office.subscribe()
    uuid = await office.happen("A secret")
    await office.memories.delete(office.cast.owner, uuid)
    await office.serve()
    (received,) = office.receiver.of()
    assert received.json["data"]["id"] == uuid
    assert b"A secret" not in received.body


async def test_old_events_and_deleted_endpoints_are_purged(office: Office) -> None:
    endpoint, _ = await office.subscribe()
    await office.happen("one")
    await office.serve()
    office.clock.move(microseconds=31 * DAY)
    await office.happen("two")
    while await office.deliveries.purge(SYSTEM):
        pass
    assert [each.event.created_at for each in await office.of(endpoint)] == [office.clock()]
    await office.webhooks.delete(office.cast.owner, endpoint.uuid)
    await office.serve()
    while await office.deliveries.purge(SYSTEM):
        pass
    async with office.db.read() as tx:
        assert await tx.deliveries.endpoint(endpoint.id) is None
    assert len(office.receiver.received) == 1


async def test_a_deleted_account_is_told_nothing_more(office: Office) -> None:
    await office.subscribe()
    await office.happen()
    owner_id = office.cast.owner.owner_id
    async with office.db.transaction() as tx:
        await tx.webhooks.delete_all(owner_id=owner_id)
        assert await tx.outbox.erase(owner_id, limit=10) == 1
    await office.happen("more")
    await office.serve()
    assert office.receiver.received == []
    assert (await office.webhooks.list(office.cast.owner)).items == []


async def test_a_private_address_is_refused_again_when_it_is_sent_to(office: Office) -> None:
    """The operator's list of networks may have changed since."""
    endpoint, _ = await office.subscribe()
    await office.happen()
    async with contextlib.AsyncExitStack() as stack:
        closed = GatedSender(Gate())
        stack.push_async_callback(closed.close)
        service = DeliveryService(
            office.db, closed, Sealer(SECRET_KEY, "webhooks"), clock=office.clock
        )
        await office.serve(service)
    (delivery,) = await office.of(endpoint)
    assert delivery.state == "retrying"
    assert "not on the public internet" in (delivery.attempts[0].error or "")
    assert office.receiver.received == []


async def test_a_secret_of_another_key_fails_with_a_sentence(
    office: Office, sender: GatedSender
) -> None:
    endpoint, _ = await office.subscribe()
    await office.happen()
    service = DeliveryService(office.db, sender, Sealer("x" * 32, "webhooks"), clock=office.clock)
    await office.serve(service)
    (delivery,) = await office.of(endpoint)
    assert delivery.attempts[0].error == "Its secret cannot be read on this server. Rotate it."


async def test_a_sender_that_breaks_is_not_called_without_a_pause(
    office: Office, caplog: pytest.LogCaptureFixture
) -> None:
    calls = 0

    class Broken(GatedSender):
        async def send(self, url: str, **more: Any) -> Answered:
            nonlocal calls
            calls += 1
            raise ValueError("a fault of ours")

    await office.subscribe()
    await office.happen()
    service = DeliveryService(
        office.db, Broken(Gate()), Sealer(SECRET_KEY, "webhooks"), clock=office.clock
    )
    assert await service.serve_some(SYSTEM) == 1
    await service._tasks.wait()
    assert calls == 1
    assert "a fault of ours" in caplog.text
    await service.close()


async def test_a_test_is_sent_at_once_and_stored_nowhere(office: Office) -> None:
    endpoint, secret = await office.subscribe()
    _, attempt = await office.deliveries.test(SYSTEM, endpoint.uuid)
    assert attempt.status == 200
    (received,) = office.receiver.of()
    assert received.json["event"] == "webhook.test"
    assert received.headers["webhook-signature"] == signature(secret, received)
    assert await office.of(endpoint) == []


async def test_where_nobody_wants_to_know_nothing_is_stored(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.subscribe(actor=office.cast.stranger)
    await office.happen()
    async with office.db.read() as tx:
        assert await tx.deliveries.waiting(at=office.clock()) == []
