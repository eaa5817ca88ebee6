"""`palaver webhook`: what an operator sees of webhooks, tries and sends again."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from ipaddress import ip_network
from pathlib import Path

import pytest
from msgspec.structs import replace

from palaver.commands import run
from palaver.domain.memories import NewMemory
from palaver.domain.users import SYSTEM
from palaver.domain.webhooks import NewWebhook, WebhookEventKind
from palaver.main import WEBHOOK_SECRETS
from palaver.outbound.gate import Gate
from palaver.outbound.webhooks import GatedSender
from palaver.services.deliveries import DeliveryService
from palaver.services.memories import MemoryService
from palaver.services.retrieval import RetrievalService
from palaver.services.sealing import Sealer
from palaver.services.webhooks import WebhookService
from palaver.storage.database import Database
from palaver.storage.opening import open_database
from tests.cast import SECRET_KEY, Cast, a_cast
from tests.databases import new_sqlite
from tests.fakes.webhook_receiver import Receiver

Palaver = Callable[..., Awaitable[tuple[int, str, str]]]
NOWHERE = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give somebody who is told."""
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def db(tmp_path: Path) -> AsyncIterator[Database]:
    """Give the database that the command opens as well."""
    url = await asyncio.to_thread(new_sqlite, tmp_path)
    db = await open_database(url)
    yield db
    await db.close()


@pytest.fixture
def palaver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Palaver:
    """Give what runs a command: its status, and what it said on both."""
    monkeypatch.setenv("PALAVER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PALAVER_SECRET_KEY", SECRET_KEY)
    monkeypatch.setenv("PALAVER_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8")

    async def call(*arguments: str) -> tuple[int, str, str]:
        status = await asyncio.to_thread(run, arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


@pytest.fixture
async def webhook(db: Database, receiver: Receiver) -> str:
    """Give the id of the owner's webhook, which missed something an hour ago."""
    cast: Cast = await a_cast(db)
    sender = GatedSender(Gate([ip_network("127.0.0.0/8")]))
    sealer = Sealer(SECRET_KEY, WEBHOOK_SECRETS)
    events = [WebhookEventKind.MEMORY_CREATED]
    endpoint, _ = await WebhookService(db, sender, sealer).create(
        cast.owner, NewWebhook(receiver.url(), events)
    )
    memory = NewMemory(content="Likes tea", type="global", importance=0.5)
    await MemoryService(db, RetrievalService(db)).create(cast.owner, memory)
    receiver.behave("/hook", 410)
    deliveries = DeliveryService(db, sender, sealer)
    while await deliveries.serve_some(SYSTEM):  # noqa: ASYNC110  # as the loop of the house
        await asyncio.sleep(0.01)
    await deliveries.close()
    await sender.close()
    return endpoint.uuid


async def test_all_are_listed_with_what_is_wrong(
    palaver: Palaver, webhook: str, receiver: Receiver
) -> None:
    status, out, _ = await palaver("webhook", "list")
    assert status == 0
    line = out.splitlines()[1]
    assert line.split()[:5] == [webhook, "user", "1", "off", receiver.url()]
    assert line.endswith("(It answered 410 Gone.)")


async def test_a_test_says_what_is_answered(
    palaver: Palaver, webhook: str, receiver: Receiver
) -> None:
    receiver.behave("/hook", 202)
    status, out, _ = await palaver("webhook", "test", webhook)
    assert status == 0
    assert out.startswith(f"{receiver.url()} answered 202 in ")
    assert receiver.of()[-1].event == "webhook.test"
    receiver.behave("/hook", 500, text="Oh dear")
    status, out, _ = await palaver("webhook", "test", webhook)
    assert status == 1
    assert "It answered 500.\nOh dear\n" in out


async def test_what_failed_is_sent_again_once_it_is_on(
    palaver: Palaver, webhook: str, db: Database
) -> None:
    again = ("webhook", "redeliver", webhook)
    status, _, err = await palaver(*again, "--since", "2020-01-01")
    assert (status, err) == (1, "palaver: This webhook is not active. Turn it on first.\n")
    async with db.transaction() as tx:
        endpoint = await tx.deliveries.endpoint_of(webhook)
        assert endpoint is not None
        await tx.webhooks.save(replace(endpoint, is_active=1))
        (delivery,) = await tx.deliveries.list(endpoint.id, limit=10)
    assert (await palaver(*again, "--since", "2020-01-01", "--failed-only"))[1].startswith("1 of")
    assert (await palaver(*again, delivery.event.uuid))[1].startswith("1 of")
    assert "Name a delivery" in (await palaver(*again))[2]
    assert "Write a time" in (await palaver(*again, "--since", "once"))[2]
    assert (await palaver("webhook", "redeliver", NOWHERE, "--since", "2020-01-01"))[0] == 1
