"""The same machinery on the databases themselves."""

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator

import pytest

from palaver.domain.errors import ErrorKind
from palaver.domain.events import EventKind, Failed, Segment, TextDelta
from palaver.domain.generations import Options, Recipe
from palaver.domain.log import Claimed, Refused
from palaver.domain.usage import Terms
from palaver.kit.clock import system_clock
from palaver.storage.database import Database
from palaver.storage.log import DatabaseLog
from palaver.storage.statements import Engine, Statement
from palaver.streaming.run import CancelRequested, Lost, Run
from palaver.streaming.runs import Runs
from palaver.streaming.segments import end_of, merge
from tests.streaming.helpers import DONE, read_all, say, text, until

SCENE: list[Statement[None]] = [
    Statement(
        """insert into users (id, uuid, username, username_key, password_hash, role, created_at)
        values (1, 'u', 'ann', 'ann', '', 'user', 0)"""
    ),
    Statement(
        """insert into conversations (id, uuid, owner_id, created_at, updated_at)
        values (1, 'c', 1, 0, 0)"""
    ),
]
MESSAGE: Statement[None] = Statement(
    """insert into messages (id, uuid, conversation_id, owner_id, role, text, created_at)
    values (:id, :uuid, 1, 1, 'user', '', 0)"""
)
GENERATION: Statement[None] = Statement(
    """insert into generations (id, uuid, owner_id, conversation_id, message_id, answer_id, model,
        state, worker, attempt, options, recipe, created_at)
    values (:id, :uuid, 1, 1, :id, :id, 'demo/demo', 'running', :worker, 1, '{}', '{}', 0)"""
)
FINISH = Statement(
    """update generations set state = 'completed', worker = null
    where id = :id and worker = :worker and attempt = :attempt and state = 'running' returning id""",
    int,
)
EXPIRE: Statement[None] = Statement("update workers set lease_until = 0 where id = :id")


class House:
    """Workers on one database, and the little that a service does around them."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.log = DatabaseLog(db)
        self.workers: list[Runs] = []
        self.opened: dict[int, Run] = {}
        self.rng = random.Random(1)
        self.speaking: set[asyncio.Task[None]] | None = None  # tasks, where runs drive themselves

    async def add(self, *, watch_seconds: float = 0.01, tail_seconds: float = 0.005) -> Runs:
        runs = Runs(
            self.log,
            clock=system_clock,
            is_alone=self.db.engine is Engine.SQLITE,
            watch_interval_seconds=watch_seconds,
            tail_interval_seconds=tail_seconds,
        )

        async def on_claim(claimed: Claimed) -> None:
            id = claimed.generation_id
            already = await runs.logged(id)
            with contextlib.suppress(Lost):
                self.opened[id] = runs.open(
                    id, worker=claimed.worker, attempt=claimed.attempt, already=already
                )
                self.drive(self.opened[id])

        runs.on_claim = on_claim
        await runs.start()
        self.workers.append(runs)
        return runs

    async def start(self, runs: Runs, count: int) -> list[Run]:
        async with self.db.transaction() as tx:
            for statement in SCENE:
                await tx._connection.run(statement)
            for id in range(1, count + 1):
                await tx._connection.run(MESSAGE, id=id, uuid=f"m{id}")
                await tx._connection.run(GENERATION, id=id, uuid=f"g{id}", worker=runs.worker)
        return [runs.open(id, worker=runs.worker) for id in range(1, count + 1)]

    def drive(self, run: Run) -> None:
        if self.speaking is not None:
            self.speaking.add(asyncio.ensure_future(self.speak(run)))

    async def speak(self, run: Run) -> None:
        """Say something else in every attempt, so that a lost or doubled piece shows."""
        with contextlib.suppress(Lost):
            async with run.guard():
                for number in range(60):
                    say(run, f"{run.attempt}:{number}é ")
                    await asyncio.sleep(self.rng.random() / 200)
            await self.finish(run)

    async def read(self, generation_id: int) -> list[Segment]:
        """Read a run to its end, with a connection that breaks, each time at another worker."""
        seen: list[Segment] = []
        while not seen or seen[-1].kind is not EventKind.FINISHED:
            worker = self.rng.choice(self.workers)
            follower = await worker.follow(generation_id, after=end_of(seen))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self.rng.random() / 10):
                    while segments := await follower.next():
                        assert segments[0].start == end_of(seen)
                        seen += segments
            follower.close()
            await asyncio.sleep(0)
        return merge(seen)

    async def finish(self, run: Run) -> bool:
        segments = await run.seal(DONE)
        async with self.db.transaction() as tx:
            is_ours = await tx._connection.one(
                FINISH, id=run.generation_id, worker=run.worker, attempt=run.attempt
            )
            if is_ours:
                await tx.log.append(run.generation_id, segments)
        if is_ours:
            run.publish(segments)
        else:
            run.leave()
        return bool(is_ours)

    async def kill(self, runs: Runs) -> None:
        """End a worker without a word, as SIGKILL does."""
        await runs._claims.cancel()
        await runs._flushing.cancel()
        await runs._loops.cancel()
        runs._end_all(Lost("killed"))
        runs._tailer.close()
        async with self.db.transaction() as tx:
            await tx._connection.run(EXPIRE, id=runs.worker)


@pytest.fixture
async def house(db: Database) -> AsyncIterator[House]:
    house = House(db)
    yield house
    for runs in house.workers:
        await runs.close()


async def test_many_runs_are_logged_shown_and_read_from_any_number(house: House) -> None:
    runs = await house.add()
    live = await house.start(runs, 20)
    readers = [
        asyncio.ensure_future(read_all(await runs.follow(run.generation_id))) for run in live
    ]

    async def speak(run: Run) -> None:
        for number in range(20):
            say(run, f"{run.generation_id}:{number} héllo 👋 你好 ")
            await asyncio.sleep(0.001)
        assert await house.finish(run)

    await asyncio.gather(*[speak(run) for run in live])
    for run, reader in zip(live, readers, strict=True):
        seen = await reader
        logged = await runs.logged(run.generation_id)
        assert merge(seen) == logged
        assert text(logged) == run.text
        assert logged[-1].kind is EventKind.FINISHED
    late = await runs.follow(1, after=7)
    assert text(await read_all(late)) == live[0].text[7:]


async def test_text_that_the_database_refuses_fails_its_run_alone(house: House) -> None:
    runs = await house.add()
    good, bad = await house.start(runs, 2)
    for run in (good, bad):
        say(run, "good ")
    await until(lambda: good.channel.until == bad.channel.until == 5)
    say(good, "on")
    say(bad, "a\0b")
    with pytest.raises(Refused):
        async with bad.guard():
            await asyncio.sleep(30)
    with pytest.raises(Refused):
        bad.feed(TextDelta("more"))
    segments = await bad.seal(Failed(ErrorKind.PROVIDER_FAILED, "unstorable"))
    assert [(piece.start, piece.kind) for piece in segments] == [(5, EventKind.FAILED)]
    assert await house.finish(good)
    assert text(await runs.logged(1)) == "good on"
    assert text(await runs.logged(2)) == "good "


async def test_a_killed_workers_runs_go_on_under_the_next(house: House) -> None:
    first = await house.add()
    live = await house.start(first, 5)
    for run in live:
        say(run, "Once upon ")
    await until(lambda: all(run.channel.until == 10 for run in live))
    seen: list[Segment] = list(await (await first.follow(3)).next() or [])
    await house.kill(first)

    second = await house.add()
    await until(lambda: len(house.opened) == 5)
    reading = asyncio.ensure_future(read_all(await second.follow(3, after=end_of(seen))))
    for run in house.opened.values():
        assert (run.attempt, run.text) == (2, "Once upon ")
        say(run, "a time")
        assert await house.finish(run)
    assert text(seen + await reading) == "Once upon a time"
    with pytest.raises(Lost):
        await house.finish(live[2])
    assert text(await second.logged(3)) == "Once upon a time"


async def test_draining_hands_over_at_once(house: House) -> None:
    first = await house.add()
    (run,) = await house.start(first, 1)
    say(run, "half")
    await until(lambda: run.channel.until == 4)
    await first.drain(grace_seconds=0)
    second = await house.add()
    await until(lambda: house.opened)
    assert (house.opened[1].attempt, house.opened[1].text) == (2, "half")
    assert await house.finish(house.opened[1])
    assert text(await second.logged(1)) == "half"


async def test_a_stopped_worker_is_fenced_and_its_readers_follow_the_new_owner(
    house: House,
) -> None:
    if house.db.engine is Engine.SQLITE:
        pytest.skip("several workers need PostgreSQL")
    first, second = await house.add(), await house.add()
    (run,) = await house.start(first, 1)
    reading = asyncio.ensure_future(read_all(await first.follow(1)))
    there = asyncio.ensure_future(read_all(await second.follow(1)))
    say(run, "here, ")
    await until(lambda: run.channel.until == 6)
    former = first.worker
    await first._flushing.cancel()  # as SIGSTOP does
    await first._loops.cancel()
    async with house.db.transaction() as tx:
        await tx._connection.run(EXPIRE, id=former)
    await until(lambda: house.opened)
    _ = first._flushing.start(first._flusher.run(), name="flusher")
    _ = first._loops.start(first._tailer.run(), name="tailer")
    say(run, "lost")
    await until(lambda: first.worker not in (0, former))
    say(house.opened[1], "there")
    assert await house.finish(house.opened[1])
    assert text(await reading) == text(await there) == "here, there"


async def two_that_never_look_by_themselves(house: House) -> tuple[Runs, Runs]:
    if house.db.engine is Engine.SQLITE:
        pytest.skip("several workers need PostgreSQL")
    first, second = [await house.add(watch_seconds=600, tail_seconds=600) for _ in range(2)]
    await until(lambda: first._tailer.is_told and second._tailer.is_told)
    await asyncio.sleep(0.05)  # what they look at when they begin to listen
    return first, second


async def test_who_follows_at_another_worker_is_told_of_every_piece_and_of_the_end(
    house: House,
) -> None:
    first, second = await two_that_never_look_by_themselves(house)
    (run,) = await house.start(first, 1)
    follower = await second.follow(1)
    for number in range(20):
        say(run, f"{number} ")
        assert text(await follower.next() or []) == f"{number} "
    assert await house.finish(run)
    assert [piece.kind for piece in await read_all(follower)] == [EventKind.FINISHED]


async def test_a_cancel_at_another_worker_is_told_to_the_owner(house: House) -> None:
    first, _ = await two_that_never_look_by_themselves(house)
    (run,) = await house.start(first, 1)
    with pytest.raises(CancelRequested):
        async with run.guard():
            async with house.db.transaction() as tx:
                assert await tx.generations.request_cancel(1, at=1)
            await asyncio.sleep(30)


async def test_a_run_that_is_queued_is_told_to_whoever_has_room(house: House) -> None:
    await two_that_never_look_by_themselves(house)
    async with house.db.transaction() as tx:
        for statement in SCENE:
            await tx._connection.run(statement)
        await tx._connection.run(MESSAGE, id=1, uuid="m1")
        queued = await tx.generations.start(
            uuid="g",
            owner_id=1,
            conversation_id=1,
            message_id=1,
            answer_id=1,
            model="demo/demo",
            worker=None,
            options=Options(),
            recipe=Recipe(leaf_id=1, prompt_tokens=1, max_tokens=1),
            terms=Terms(),
            at=0,
        )
    await until(lambda: house.opened)
    assert await house.finish(house.opened[queued.id])


async def test_what_a_worker_hands_over_is_told_to_the_others(house: House) -> None:
    first, second = await two_that_never_look_by_themselves(house)
    (run,) = await house.start(first, 1)
    say(run, "half")
    await until(lambda: run.channel.until == 4)
    await first.drain(grace_seconds=0)
    await until(lambda: house.opened)
    assert (house.opened[1].worker, house.opened[1].text) == (second.worker, "half")


async def test_a_worker_that_hears_nothing_looks_by_itself(house: House) -> None:
    if house.db.engine is Engine.SQLITE:
        pytest.skip("several workers need PostgreSQL")
    first, second = await house.add(), await house.add(watch_seconds=600)
    await until(lambda: second._tailer.is_told)
    (run,) = await house.start(first, 1)
    follower = await second.follow(1)
    second.rely(is_told=False)
    second.heard_of = lambda _: None  # type: ignore[method-assign]
    for number in range(5):
        say(run, f"{number} ")
        assert text(await follower.next() or []) == f"{number} "


async def test_what_was_shown_survives_every_kill(house: House) -> None:
    house.speaking = set()
    for _ in range(1 if house.db.engine is Engine.SQLITE else 3):
        await house.add()
    for run in await house.start(house.workers[0], 12):
        house.drive(run)
    readers = [asyncio.ensure_future(house.read(1 + number % 12)) for number in range(24)]
    for victim in (0, 1, 0, 2, 1, 0):
        await asyncio.sleep(house.rng.random() / 15)
        killed = min(victim, len(house.workers) - 1)
        await house.kill(house.workers[killed])
        added = await house.add()
        house.workers[killed] = house.workers.pop()
        assert house.workers[killed] is added
    for number, reader in enumerate(readers):
        assert await reader == await house.workers[0].logged(1 + number % 12)
    assert house.opened
    await asyncio.gather(*house.speaking)
