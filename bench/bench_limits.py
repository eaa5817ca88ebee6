"""What do all limits of a plan cost a start?

Unit: microseconds of this process's CPU a start (question, record, answer, reservation; 50 tasks,
one user), with every limit of the plan set less with none, in turn; with 10 and with 1,000,000
lines of the user in the ledger, spread over the 40 days past.
Run: python -m bench.run limits
"""

import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from msgspec.structs import replace

from bench.rows import Row
from bench.stage import postgresql, run

TASKS = 50
LIMIT = 10**12
TARGET_MICROSECONDS = 150


def limits(*, on: str, quick: bool = False) -> list[Row]:
    """Measure starts with and without limits."""
    with tempfile.TemporaryDirectory() as folder:
        if on == "SQLite":
            return run(_measure(f"sqlite:///{Path(folder) / 'bench.db'}", on, quick=quick))
        with postgresql() as url:
            return run(_measure(url, on, quick=quick))


async def _measure(url: str, on: str, *, quick: bool) -> list[Row]:
    from palaver.domain.limits import LIMITS
    from palaver.kit.clock import system_clock
    from palaver.services.ledger import recount
    from palaver.services.models import ModelService
    from palaver.services.starting import Choice, Starter
    from palaver.storage.log import DatabaseLog
    from palaver.storage.migrate import migrate
    from palaver.storage.opening import open_database
    from palaver.storage.statements import Statement
    from palaver.streaming.runs import Runs
    from tests.cast import a_cast
    from tests.fakes.provider import ScriptedProvider
    from tests.talks import driver_over

    clear = ", ".join(f"{limit.attribute} = :value" for limit in LIMITS)
    set_limits = Statement(f"update plans set {clear} where is_default = 1")
    lines = Statement(
        """insert into usage_entries (owner_id, kind, model, prompt_tokens, completion_tokens,
            reasoning_tokens, cached_tokens, messages, is_estimate, created_at, counted_at,
            charged_tokens)
        with recursive numbers(n) as (select 1 union all select n + 1 from numbers where n < :count)
        select :owner_id, 'title', 'sim/sim', 5, 5, 0, 0, 0, 0, :at, :at - n * (:span / :count), 10
        from numbers""",
        postgresql="""insert into usage_entries (owner_id, kind, model, prompt_tokens,
            completion_tokens, reasoning_tokens, cached_tokens, messages, is_estimate, created_at,
            counted_at, charged_tokens)
        select cast(:owner_id as bigint), 'title', 'sim/sim', 5, 5, 0, 0, 0, 0,
            cast(:at as bigint),
            cast(:at as bigint) - n * (cast(:span as bigint) / cast(:count as bigint)), 10
        from generate_series(1, cast(:count as bigint)) as n""",
    )

    db = await open_database(url)
    await migrate(db)
    cast = await a_cast(db)
    models = ModelService(db, {"scripted": ScriptedProvider()}, default_model="scripted/one")
    runs = Runs(DatabaseLog(db), clock=system_clock, is_alone=True)
    starter = Starter(driver_over(db, runs, models), models, clock=system_clock)
    order = await starter.order(cast.owner, None, Choice(), question="")
    # With a price: a run without one would hold all that the cost limit leaves.
    priced = replace(order.resolved.model, prompt_price=1_000_000, completion_price=1_000_000)
    order = replace(order, resolved=replace(order.resolved, model=priced))
    owner_id = cast.owner.owner_id

    async def limit(value: int | None) -> None:
        async with db.transaction() as tx:
            await tx._connection.run(set_limits, value=value)

    async def one_task(count: int) -> None:
        from palaver.services.conversations import append_messages, create_conversation

        for _ in range(count):
            async with db.transaction() as tx:
                at = system_clock()
                conversation = await create_conversation(
                    tx, cast.owner, title=None, system_prompt=None, model=None, at=at
                )
                (question,) = await append_messages(
                    tx, cast.owner, conversation, [("user", "What is a palaver?")], at=at
                )
                await starter.begin(tx, conversation, question, order)

    async def cpu(count: int) -> float:
        begun = time.process_time()
        await asyncio.gather(*(one_task(count) for _ in range(TASKS)))
        return (time.process_time() - begun) / (count * TASKS) * 1_000_000

    async def difference(entries: int) -> Row:
        async with db.transaction() as tx:
            span = 40 * 86_400_000_000
            await tx._connection.run(
                lines, owner_id=owner_id, count=entries, at=system_clock(), span=span
            )
            await recount(tx, owner_id, at=system_clock())
        samples = []
        for _ in range(1 if quick else 7):
            await limit(None)
            without = await cpu(2 if quick else 20)
            await limit(LIMIT)
            samples.append((await cpu(2 if quick else 20), without))
        cost = statistics.median(with_all - without for with_all, without in samples)
        without = statistics.median(without for _, without in samples)
        return Row(
            f"A start with all limits of a plan, {entries:,} lines in the ledger",
            on,
            f"{cost:.0f} µs more than {without:.0f} µs",
            f"≤ {TARGET_MICROSECONDS} µs more" if on == "SQLite" else "",
            cost <= TARGET_MICROSECONDS if on == "SQLite" else None,
        )

    rows = [await difference(10), await difference(1_000 if quick else 1_000_000)]
    await models.close()
    await db.close()
    return rows
