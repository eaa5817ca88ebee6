"""The log of running generations, and the leases of the workers that write it.

On PostgreSQL a flush is one statement.
"""

from collections.abc import Sequence
from typing import Final

from palaver.domain.events import Segment
from palaver.domain.log import Claimed, Fenced, Listener
from palaver.storage.database import Database
from palaver.storage.events import append, columns, segment
from palaver.storage.notices import CHANNEL, RUNS, tell_of_runs
from palaver.storage.statements import Engine, Statement
from palaver.storage.tx import connection_of


def _tailed(generation_id: int, until: int, kind: int, body: str) -> tuple[int, Segment]:
    return generation_id, segment(until, kind, body)


def _id(id: int, *_: object) -> int:
    return id


_RENEW: Final = Statement(
    """update workers set lease_until = {now} + :lease
    where id = :worker and dead_at is null returning id""",
    _id,
)
# A row that is there already is the same row: the outcome of an earlier try was unknown.
_FLUSH_POSTGRESQL: Final = Statement(
    postgresql=f"""with alive as (
        update workers set lease_until = {{now}} + :lease
        where id = :worker and dead_at is null returning id
    ), logged as (
        insert into generation_events (generation_id, until, kind, body)
        select given.* from alive,
            unnest(:ids::bigint[], :untils::bigint[], :kinds::int[], :bodies::text[]) as given
        on conflict do nothing
    )
    select id, pg_notify('{CHANNEL}', id::text) from alive""",
    row=_id,
)
# `distinct`: SQLite has no key that would keep a row away which is given twice.
_READ: Final = Statement(
    """select distinct until, kind, body from generation_events
    where generation_id = :generation_id and until > :after order by until limit :limit""",
    segment,
    slow=True,
)
_TAIL_POSTGRESQL: Final = Statement(
    postgresql="""select position.id, event.until, event.kind, event.body
    from unnest(:ids::bigint[], :afters::bigint[]) as position (id, after)
    cross join lateral (
        select until, kind, body from generation_events
        where generation_id = position.id and until > position.after order by until limit :limit
    ) as event
    order by position.id, event.until""",
    row=_tailed,
)

_ENLIST: Final = Statement(
    "insert into workers (lease_until) values ({now} + :lease) returning id", _id
)
_DECLARE_OTHERS_DEAD: Final[Statement[None]] = Statement(
    "update workers set dead_at = {now} where dead_at is null"
)
_DECLARE_DEAD: Final[Statement[None]] = Statement(
    "update workers set dead_at = {now} where lease_until < {now} and dead_at is null"
)
_RETIRE: Final[Statement[None]] = Statement(
    "update workers set dead_at = {now} where id = :worker and dead_at is null"
)
# What somebody else holds is being finished, or queued, at this moment.
_QUEUE_THEIR_RUNS: Final[Statement[None]] = Statement(
    """update generations set state = 'queued', worker = null where id in (
        select id from generations where state = 'running'
        and worker in (select id from workers where dead_at is not null)
        order by id {skip_locked}
    ) and state = 'running'"""
)
_CLAIM: Final = Statement(
    """update generations set state = 'running', worker = :worker, attempt = attempt + 1
    where id in (
        select id from generations where state = 'queued' order by id limit :limit {skip_locked}
    ) and exists (select 1 from workers where id = :worker and dead_at is null)
    returning id, attempt, worker""",
    Claimed,
)
_CANCELED: Final = Statement(
    """select id from generations
    where worker = :worker and state = 'running' and cancel_requested_at is not null
    order by id""",
    _id,
)
_OWNED: Final = Statement(
    """select id, attempt, worker from generations
    where worker = :worker and state = 'running' order by id""",
    Claimed,
)
_RELEASE: Final[Statement[None]] = Statement(
    """update generations set state = 'queued', worker = null
    where id = :id and worker = :worker and state = 'running'"""
)


class DatabaseLog:
    """`GenerationLog` on either engine."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def listen(self, listener: Listener) -> None:
        """Tell the listener what other workers do, for ever; return where there are none."""

        def hear(notice: str | None) -> None:
            if not notice:
                listener.rely(is_told=notice is not None)
            elif notice == RUNS:
                listener.wake()
            else:
                listener.heard_of(int(notice))

        await self._db.listen(CHANNEL, hear)

    async def enlist(self, *, lease_microseconds: int) -> int:
        """Register a new worker; on SQLite all others are dead, as the process lock proves."""
        async with self._db.transaction() as tx:
            if self._db.engine is Engine.SQLITE:
                await connection_of(tx).run(_DECLARE_OTHERS_DEAD)
                await connection_of(tx).run(_QUEUE_THEIR_RUNS)
            worker = await connection_of(tx).one(_ENLIST, lease=lease_microseconds)
        assert worker is not None  # noqa: S101  # an insert returns its row
        return worker

    async def flush(
        self,
        worker: int,
        batch: Sequence[tuple[int, Sequence[Segment]]],
        *,
        lease_microseconds: int,
    ) -> None:
        """Renew the worker's lease and append the rows; raises `Fenced`, `Refused`."""
        if batch and self._db.engine is Engine.POSTGRESQL:
            arrays = columns(batch)
            async with self._db.single() as tx:
                alive = await connection_of(tx).one(
                    _FLUSH_POSTGRESQL, worker=worker, lease=lease_microseconds, **arrays
                )
            if alive is None:
                raise Fenced
            return
        async with self._db.transaction() as tx:
            if await connection_of(tx).one(_RENEW, worker=worker, lease=lease_microseconds) is None:
                raise Fenced
            if batch:
                await append(connection_of(tx), batch)

    async def read(self, generation_id: int, after: int, *, limit: int) -> list[Segment]:
        """Return the logged segments that end beyond `after`, in order, uncut."""
        async with self._db.read() as tx:
            return await connection_of(tx).all(
                _READ, generation_id=generation_id, after=after, limit=limit
            )

    async def tail(
        self, positions: Sequence[tuple[int, int]], *, limit: int
    ) -> list[tuple[int, Segment]]:
        """Read on in many runs at once; on SQLite, where nobody else writes, one by one."""
        if self._db.engine is Engine.POSTGRESQL:
            ids, afters = zip(*positions, strict=True) if positions else ((), ())
            async with self._db.read() as tx:
                return await connection_of(tx).all(
                    _TAIL_POSTGRESQL, ids=ids, afters=afters, limit=limit
                )
        found = []
        for generation_id, after in positions:
            rows = await self.read(generation_id, after, limit=limit)
            found += [(generation_id, row) for row in rows]
        return found

    async def bury_the_dead(self) -> int:
        """Declare workers dead whose lease ran out, queue the runs of all dead; count the new."""
        async with self._db.transaction() as tx:
            died = await connection_of(tx).run(_DECLARE_DEAD)
            await connection_of(tx).run(_QUEUE_THEIR_RUNS)
        return died

    async def retire(self, worker: int) -> None:
        """Declare this worker dead, and queue what it still runs."""
        async with self._db.transaction() as tx:
            await connection_of(tx).run(_RETIRE, worker=worker)
            if await connection_of(tx).run(_QUEUE_THEIR_RUNS):
                await tell_of_runs(connection_of(tx))

    async def claim(self, worker: int, *, limit: int) -> list[Claimed]:
        """Take over queued runs, oldest first; none for a worker that is dead."""
        async with self._db.single() as tx:
            claimed = await connection_of(tx).all(_CLAIM, worker=worker, limit=limit)
        return sorted(claimed, key=lambda run: run.generation_id)

    async def canceled(self, worker: int) -> list[int]:
        """Return this worker's live runs that somebody has asked to cancel."""
        async with self._db.read() as tx:
            return await connection_of(tx).all(_CANCELED, worker=worker)

    async def owned(self, worker: int) -> list[Claimed]:
        """Return what the database believes this worker to be running."""
        async with self._db.read() as tx:
            return await connection_of(tx).all(_OWNED, worker=worker)

    async def release(self, worker: int, generation_ids: Sequence[int]) -> None:
        """Put runs of this worker back into the queue, those that it still runs."""
        rows = [{"id": id, "worker": worker} for id in sorted(generation_ids)]
        async with self._db.transaction() as tx:
            await connection_of(tx).many(_RELEASE, rows)
