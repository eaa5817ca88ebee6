"""What every transaction and every read keeps, on both engines."""

import asyncio

import pytest

from palaver.storage.database import (
    Closed,
    Conflict,
    Database,
    NestedTransaction,
    Poisoned,
    StatementFailed,
    retrying,
)
from palaver.storage.opening import open_database
from palaver.storage.statements import Statement

INSERT: Statement[None] = Statement("insert into facts (name, value) values (:name, :value)")
VALUE = Statement("select value from facts where name = :name", str)
NAMES = Statement("select name from facts order by name", str)
BROKEN: Statement[None] = Statement("insert into facts (name) values (:name)")


async def insert(db: Database, name: str, value: str = "x") -> None:
    async with db.transaction() as tx:
        await tx._connection.run(INSERT, name=name, value=value)


async def names(db: Database) -> list[str]:
    async with db.read() as tx:
        return await tx._connection.all(NAMES)


async def test_what_a_body_wrote_is_there_after_the_block(db):
    await insert(db, "a", "1")
    async with db.read() as tx:
        assert await tx._connection.one(VALUE, name="a") == "1"
        assert await tx._connection.one(VALUE, name="b") is None


async def test_run_tells_how_many_rows_it_changed(db):
    change: Statement[None] = Statement("update facts set value = :value where name <> :name")
    async with db.transaction() as tx:
        await tx._connection.many(INSERT, [{"name": n, "value": "x"} for n in "abc"])
        assert await tx._connection.run(change, value="y", name="a") == 2
        assert await tx._connection.run(change, value="y", name="a") == 2


async def test_an_error_in_the_body_rolls_all_of_it_back(db):
    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="a", value="1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()
    assert await names(db) == []


async def test_bodies_that_fail_take_nothing_of_their_neighbours_along(db):
    async def work(number: int) -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name=f"{number:03}", value="x")
            if number % 3 == 0:
                raise ZeroDivisionError

    done = await asyncio.gather(*map(work, range(100)), return_exceptions=True)
    assert [type(error) for error in done[:3]] == [ZeroDivisionError, type(None), type(None)]
    assert await names(db) == [f"{n:03}" for n in range(100) if n % 3]


async def test_a_failed_statement_that_is_swallowed_fails_the_transaction(db):
    async def body() -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name="a", value="1")
            with pytest.raises(StatementFailed):
                await tx._connection.run(BROKEN, name="b")
            with pytest.raises(Poisoned):
                await tx._connection.run(INSERT, name="c", value="1")

    with pytest.raises(Poisoned):
        await body()
    assert await names(db) == []
    await insert(db, "d")
    assert await names(db) == ["d"]


@pytest.mark.parametrize("outer", ["transaction", "read"])
@pytest.mark.parametrize("inner", ["transaction", "read"])
async def test_blocks_do_not_nest(db, outer, inner):
    with pytest.raises(NestedTransaction):
        async with getattr(db, outer)(), getattr(db, inner)():
            pass
    await insert(db, "a")
    assert await names(db) == ["a"]


async def test_a_block_cannot_be_used_after_its_end(db):
    async with db.transaction() as tx:
        pass
    with pytest.raises(Closed):
        await tx._connection.run(INSERT, name="a", value="1")
    async with db.read() as tx:
        pass
    with pytest.raises(Closed):
        await tx._connection.all(NAMES)


async def test_a_snapshot_sees_one_state(db):
    await insert(db, "a")
    async with db.read(snapshot=True) as tx:
        assert await tx._connection.all(NAMES) == ["a"]
        await asyncio.gather(insert(db, "b"))  # in a task of its own
        assert await tx._connection.all(NAMES) == ["a"]
    async with db.read(snapshot=True) as tx:
        assert await tx._connection.all(NAMES) == ["a", "b"]


async def test_readers_do_not_wait_for_writers(db):
    seen = []

    async def read() -> None:
        seen.append(len(await names(db)))

    await asyncio.gather(*(work for n in range(50) for work in (insert(db, str(n)), read())))
    assert len(await names(db)) == 50
    assert len(seen) == 50


async def test_a_storm_of_cancellations_leaves_whole_bodies_and_a_working_database(db):
    async def work(number: int) -> None:
        async with db.transaction() as tx:
            await tx._connection.run(INSERT, name=f"{number}-a", value="x")
            await tx._connection.run(INSERT, name=f"{number}-b", value="x")

    for round_ in range(15):
        tasks = [asyncio.ensure_future(work(round_ * 100 + n)) for n in range(30)]
        for _ in range(round_ % 5):
            await asyncio.sleep(0)
        if round_ % 2:
            await asyncio.sleep(0.001)
        for task in tasks[::2]:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert {type(e) for e in ended} <= {asyncio.CancelledError, type(None)}
        for n, error in enumerate(ended):
            if error is None:
                async with db.read() as tx:
                    assert await tx._connection.one(VALUE, name=f"{round_ * 100 + n}-a") == "x"
    found = await names(db)
    assert len(found) % 2 == 0
    assert {name[:-2] for name in found if name.endswith("a")} == {
        name[:-2] for name in found if name.endswith("b")
    }
    await insert(db, "after")


async def test_a_time_limit_around_a_block_leaves_the_database_working(db):
    for _ in range(5):
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(insert(db, "a"), timeout=0)
    await insert(db, "b")


async def test_bad_values_are_refused_as_any_statement_is(db):
    for value in ("\ud800", 2**63):
        with pytest.raises((StatementFailed, TypeError)):
            await insert(db, "a", value)
    assert await names(db) == []


async def test_a_limit_holds_whoever_comes_at_once(db):
    await insert(db, "count", "0")
    take = Statement(
        "update facts set value = cast(cast(value as integer) + 1 as text)"
        " where name = 'count' and cast(value as integer) < 37 returning value",
        str,
    )

    async def start() -> str | None:
        async with db.transaction() as tx:
            return await tx._connection.one(take)

    got = await asyncio.gather(*(start() for _ in range(100)))
    assert sorted(int(value) for value in got if value is not None) == list(range(1, 38))


async def test_close_lets_open_transactions_end(database_url):
    db = await open_database(database_url)
    tasks = [asyncio.ensure_future(insert(db, str(n))) for n in range(10)]
    await asyncio.sleep(0)
    await db.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    again = await open_database(database_url)
    done = [task for task in tasks if task.exception() is None]
    assert len(await names(again)) == len(done)
    await again.close()
    with pytest.raises(Closed):
        await insert(again, "late")


async def test_a_use_case_that_met_another_runs_again():
    tries = []

    @retrying
    async def use_case(*, often: int) -> int:
        tries.append(1)
        if len(tries) <= often:
            raise Conflict
        return len(tries)

    assert await use_case(often=2) == 3
    tries.clear()
    with pytest.raises(Conflict):
        await use_case(often=9)
    assert len(tries) == 4
