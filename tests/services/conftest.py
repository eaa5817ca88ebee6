"""A house of services over each database, with a provider that the test scripts."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

import pytest

from palaver.domain.events import Event, unpack
from palaver.domain.providers import Turn
from palaver.domain.streams import Stream
from palaver.domain.usage import Reservation, UsageEntry
from palaver.domain.users import Actor
from palaver.domain.web import WebSearch
from palaver.kit.clock import system_clock
from palaver.services.calls import CallService
from palaver.services.completions import CompletionService
from palaver.services.conversations import ConversationService
from palaver.services.driver import Driver
from palaver.services.generations import GenerationService
from palaver.services.models import ModelService
from palaver.services.starting import Choice, Starter
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.log import DatabaseLog
from palaver.storage.statements import Engine
from palaver.streaming.runs import Runs
from tests.cast import Cast, a_cast
from tests.fakes.provider import ScriptedProvider
from tests.talks import driver_over

ASKED: Final = (Turn("system", "Be brief."), Turn("user", "Hello"))


@dataclass
class Talk:
    """What talking takes: conversations, generations, a provider, and the cast."""

    db: Database
    provider: ScriptedProvider
    models: ModelService
    runs: Runs
    driver: Driver
    conversations: ConversationService
    generations: GenerationService
    cast: Cast

    @property
    def owner(self) -> Actor:
        """Return the one whose conversations these are."""
        return self.cast.owner

    @property
    def stranger(self) -> Actor:
        """Return somebody else."""
        return self.cast.stranger


@contextlib.asynccontextmanager
async def a_worker(
    db: Database,
    cast: Cast,
    provider: ScriptedProvider,
    *,
    is_alone: bool | None = None,
    search: WebSearch | None = None,
    files: Files | None = None,
) -> AsyncIterator[Talk]:
    """Start a worker over the database, as `main` does; what still runs is handed over."""
    models = ModelService(db, {provider.id: provider}, default_model="scripted/one")
    alone = db.engine is Engine.SQLITE if is_alone is None else is_alone
    runs = Runs(DatabaseLog(db), clock=system_clock, is_alone=alone, watch_interval_seconds=0.02)
    driver = driver_over(db, runs, models, search=search, files=files)
    runs.on_claim = driver.take_over
    await runs.start()
    try:
        yield Talk(
            db,
            provider,
            models,
            runs,
            driver,
            ConversationService(db, driver),
            GenerationService(db, driver, Starter(driver, models, clock=system_clock)),
            cast,
        )
    finally:
        await runs.close()
        await driver.close()
        await models.close()


@pytest.fixture
async def talk(db: Database) -> AsyncIterator[Talk]:
    """Give a worker with the cast signed in."""
    async with a_worker(db, await a_cast(db), ScriptedProvider()) as talk:
        yield talk


@dataclass
class Desk:
    """Where one asks, and what one finds there afterwards."""

    talk: Talk
    completions: CompletionService
    calls: CallService

    async def ask(self, *, choice: Choice | None = None, turns: Sequence[Turn] = ASKED) -> Stream:
        answer = await self.completions.open(self.talk.owner, turns, choice or Choice())
        return answer.stream

    async def held(self) -> list[Reservation]:
        """Return what is held."""
        async with self.talk.db.read() as tx:
            return await tx.usage.held(owner_id=self.talk.owner.owner_id)

    async def entries(self) -> list[UsageEntry]:
        """Return the ledger, once all is settled, and check that nothing is held."""
        await self.calls.tasks.wait()
        owner_id = self.talk.owner.owner_id
        async with self.talk.db.read() as tx:
            assert await tx.usage.held(owner_id=owner_id) == []
            return await tx.usage.list(owner_id=owner_id)


@pytest.fixture
async def desk(talk: Talk) -> AsyncIterator[Desk]:
    """Give somewhere to ask."""
    service = CallService(talk.db, talk.driver.asker)
    starter = Starter(talk.driver, talk.models, clock=system_clock)
    desk = Desk(talk, CompletionService(service, starter), service)
    yield desk
    await desk.completions.close()
    await service.close()


async def read(stream: Stream) -> list[Event]:
    """Return every event, and check that they are numbered without a gap."""
    events: list[Event] = []
    until = 0
    while segments := await stream.next():
        for segment in segments:
            assert segment.start == until
            until = segment.until
            events.append(unpack(segment))
        assert stream.at == until
    return events
