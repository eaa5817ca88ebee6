"""Calls beside the runs: settled whatever the database does meanwhile, and once."""

import contextlib
from collections.abc import AsyncIterator
from typing import cast

import pytest

from palaver.domain.events import UsageReported
from palaver.services import calls
from palaver.storage.database import CommitFailed, Database
from palaver.storage.tx import Tx
from tests.fakes.provider import words
from tests.http import settled
from tests.services.conftest import Desk, read

USAGE = UsageReported(prompt_tokens=30, completion_tokens=12)


@contextlib.asynccontextmanager
async def no_ledger(db: Database) -> AsyncIterator[None]:
    """Let nothing be written into the ledger, while all else goes on."""
    async with db.exclusive() as connection:
        await connection.script("alter table usage_entries rename to usage_entries_away")
    yield
    async with db.exclusive() as connection:
        await connection.script("alter table usage_entries_away rename to usage_entries")


class Speechless:
    """A database that commits, and whose word of it is lost, once."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.has_spoken = True

    @contextlib.asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        async with self.db.transaction() as tx:
            yield tx
        if not self.has_spoken:
            self.has_spoken = True
            raise CommitFailed("The connection was lost.")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let whoever tries again not wait long before."""
    for name in ("SETTLE_RETRY_SECONDS", "SETTLE_LATE_SECONDS", "RENEW_SECONDS"):
        monkeypatch.setattr(calls, name, 0.001)
    monkeypatch.setattr(calls, "SETTLE_WAIT_SECONDS", 0.01)


@pytest.mark.usefixtures("hasty")
async def test_what_cannot_be_settled_stays_held_until_it_can(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.talk.provider.scripts = [words("Hello", usage=USAGE)]
    async with no_ledger(desk.talk.db):
        await read(await desk.ask())  # which does not wait for it
        (held,) = await desk.held()

        async def is_renewed_and_told() -> bool:
            (now,) = await desk.held()
            is_renewed = (now.expires_at or 0) > (held.expires_at or 0)
            return is_renewed and "it stays held" in caplog.text

        await settled(is_renewed_and_told)
    (entry,) = await desk.entries()
    assert (entry.prompt_tokens, entry.completion_tokens) == (30, 12)


@pytest.mark.usefixtures("hasty")
async def test_a_server_that_ends_does_not_try_for_ever(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.talk.provider.scripts = [words("Hello", usage=USAGE)]
    async with no_ledger(desk.talk.db):
        await read(await desk.ask())
        await desk.calls.close()
    assert "the server ends" in caplog.text
    assert len(await desk.held()) == 1


@pytest.mark.usefixtures("hasty")
async def test_what_was_settled_without_a_word_of_it_is_not_paid_again(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello", usage=USAGE)]
    stream = await desk.ask()
    desk.calls.db = cast("Database", speechless := Speechless(desk.talk.db))
    speechless.has_spoken = False
    await read(stream)
    assert len(await desk.entries()) == 1
    assert speechless.has_spoken
