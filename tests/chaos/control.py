"""Palaver with a fault put in, to prove that the chaos finds it. Run in the place of `palaver`.

`shown-early` shows what is said 100 ms before it is in the log. `acked-early` (SQLite) answers 100 ms
before it commits. `torn-end` stores the answer, and its price and last event in a transaction of
their own 100 ms later. `held-back` keeps what was held and not used. `unlocked` (PostgreSQL) asks
about limits without holding the user's row, so that all ask at once.
"""

import asyncio
import sys
import time
from typing import Any, Final

from palaver import __main__
from palaver.services import driver, ledger
from palaver.services.ledger import Work, settle
from palaver.storage.sqlite_writer import Writer
from palaver.storage.users import UserStore
from palaver.streaming.flusher import Flusher
from palaver.streaming.run import Run

DELAY_SECONDS: Final = 0.1


def show_early() -> None:
    """Publish what is taken, write it later, and publish nothing when it has landed."""
    take, write = Run.take, Flusher._write

    def take_and_show(self: Run) -> bool:
        took = take(self)
        if took:
            self.channel.publish(self.flying)
        return took

    async def write_late(self: Flusher, batch: Any) -> None:
        await asyncio.sleep(DELAY_SECONDS)
        await write(self, batch)

    def land(self: Run) -> None:
        self.flying, self.flying_bytes = [], 0
        self._wake()

    Run.take, Flusher._write, Run.land = take_and_show, write_late, land  # type: ignore[method-assign]


def ack_early() -> None:
    """Tell everybody that it is durable, and commit later."""
    join, commit = Writer.join, Writer._commit

    def join_nobody(self: Writer) -> "asyncio.Future[None]":
        join(self)
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def commit_late(self: Writer) -> Exception | None:
        time.sleep(DELAY_SECONDS)
        return commit(self)

    Writer.join, Writer._commit = join_nobody, commit_late  # type: ignore[method-assign]


def tear_the_end() -> None:
    """Release the reservation and charge the answer in a second transaction."""
    finish = driver.finish

    async def finish_in_two(db: Any, generation: Any, *, usage: Any, **more: Any) -> bool:
        is_ours = await finish(db, generation, usage=None, **more)
        if is_ours and usage is not None:
            await asyncio.sleep(DELAY_SECONDS)
            work = Work(
                owner_id=generation.owner_id,
                model=generation.model,
                conversation_id=generation.conversation_id,
                generation_id=generation.id,
            )
            async with db.transaction() as tx:
                await settle(
                    tx,
                    work,
                    generation.terms,
                    usage,
                    started_at=generation.created_at,
                    at=more["at"],
                )
        return is_ours

    driver.finish = finish_in_two


def hold_back() -> None:
    """Write what was used, and leave the sums as they are: with all that was held."""

    async def correct_nothing(*_: Any, **__: Any) -> None:
        pass

    assert ledger._correct  # a fault that nobody meets would be no fault
    ledger._correct = correct_nothing


def unlock() -> None:
    """Let everybody look for room at the same time."""

    async def lock_nobody(_store: UserStore, _id: int) -> None:
        pass

    assert UserStore.lock_usage  # as above
    UserStore.lock_usage = lock_nobody  # type: ignore[method-assign]


CONTROLS: Final = {
    "shown-early": show_early,
    "acked-early": ack_early,
    "torn-end": tear_the_end,
    "held-back": hold_back,
    "unlocked": unlock,
}

if __name__ == "__main__":
    CONTROLS[sys.argv.pop(1)]()
    sys.exit(__main__.main())
