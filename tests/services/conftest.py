"""A house of services over each database, with a provider that the test scripts."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from palaver.domain.users import Actor
from palaver.kit.clock import system_clock
from palaver.services.conversations import ConversationService
from palaver.services.driver import Driver
from palaver.services.generations import GenerationService
from palaver.services.models import ModelService
from palaver.services.starting import Starter
from palaver.storage.database import Database
from palaver.storage.log import DatabaseLog
from palaver.storage.statements import Engine
from palaver.streaming.runs import Runs
from tests.cast import Cast, a_cast
from tests.fakes.provider import ScriptedProvider


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
    db: Database, cast: Cast, provider: ScriptedProvider, *, is_alone: bool | None = None
) -> AsyncIterator[Talk]:
    """Start a worker over the database, as `main` does; what still runs is handed over."""
    models = ModelService(db, {provider.id: provider}, default_model="scripted/one")
    alone = db.engine is Engine.SQLITE if is_alone is None else is_alone
    runs = Runs(DatabaseLog(db), clock=system_clock, is_alone=alone, watch_interval_seconds=0.02)
    driver = Driver(db, runs, models)
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
