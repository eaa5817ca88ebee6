"""Jobs in the database: work that must happen, enqueued in the transaction that makes it necessary.

A job whose `run_at` has come is due. A lease moves `run_at` to its own end, so the job of a dead
worker is due again by itself; the attempt is the fence against the one who comes back.
"""

from collections.abc import Collection
from typing import Any, Final

import msgspec

from palaver.domain.jobs import Job
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_COLUMNS: Final = "id, kind, payload, run_at, attempt"
_KINDS_SQLITE: Final = "(select value from json_each(:kinds))"
_KINDS_POSTGRESQL: Final = "(select json_array_elements_text(cast(:kinds as json)))"

_decode: Final = msgspec.json.Decoder(dict[str, Any]).decode


def _job(id: int, kind: str, payload: str, run_at: int, attempt: int) -> Job:
    return Job(id, kind, _decode(payload), run_at, attempt)


def _id(id: int) -> int:
    return id


def _counted(kind: str, count: int) -> tuple[str, int]:
    return kind, count


def _listed(kinds: Collection[str]) -> str:
    return msgspec.json.encode(list(kinds)).decode()


_ENQUEUE: Final[Statement[None]] = Statement(
    """insert into jobs (kind, payload, dedupe_key, run_at)
    values (:kind, :payload, :dedupe_key, :run_at)
    on conflict (dedupe_key) do update set run_at = excluded.run_at
    where excluded.run_at < jobs.run_at"""
)
_IS_DUE_SQL: Final = "select id from jobs where run_at <= :at and kind in {kinds} limit 1"
_IS_DUE: Final = Statement(
    row=_id,
    sqlite=_IS_DUE_SQL.replace("{kinds}", _KINDS_SQLITE),
    postgresql=_IS_DUE_SQL.replace("{kinds}", _KINDS_POSTGRESQL),
)
# A leased job gives its key up: what is enqueued from now on may be what it no longer sees.
_CLAIM_SQL: Final = f"""update jobs set run_at = :until, attempt = attempt + 1, dedupe_key = null
    where id in (
        select id from jobs where run_at <= :at and kind in {{kinds}}
        order by run_at, id limit :limit {{skip_locked}})
    returning {_COLUMNS}"""
_CLAIM: Final = Statement(
    row=_job,
    sqlite=_CLAIM_SQL.replace("{kinds}", _KINDS_SQLITE),
    postgresql=_CLAIM_SQL.replace("{kinds}", _KINDS_POSTGRESQL),
)
_FINISH: Final = Statement(
    "delete from jobs where id = :id and attempt = :attempt returning id", _id
)
_FAIL: Final = Statement(
    """update jobs set run_at = :run_at, error = :error
    where id = :id and attempt = :attempt returning id""",
    _id,
)

_COUNT_DUE: Final = Statement(
    "select kind, count(*) from jobs where run_at <= :at group by kind", _counted
)


class JobStore:
    """`jobs`: a row each until it is done."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def enqueue(
        self,
        kind: str,
        payload: dict[str, Any],
        *,
        dedupe_key: str | None = None,
        run_at: int = 0,
    ) -> None:
        """Add a job, due at `run_at` (0: at once).

        While another with the same `dedupe_key` waits, there is one job, due at the earlier time.
        """
        encoded = msgspec.json.encode(payload).decode()
        await self._connection.run(
            _ENQUEUE, kind=kind, payload=encoded, dedupe_key=dedupe_key, run_at=run_at
        )

    async def is_due(self, kinds: Collection[str], *, at: int) -> bool:
        """Tell whether there is something of these kinds to claim."""
        return await self._connection.one(_IS_DUE, kinds=_listed(kinds), at=at) is not None

    async def count_due(self, *, at: int) -> list[tuple[str, int]]:
        """Return how many wait for a worker, by kind."""
        return await self._connection.all(_COUNT_DUE, at=at)

    async def claim(self, kinds: Collection[str], *, at: int, until: int, limit: int) -> list[Job]:
        """Lease the jobs that are due, the longest waiting first, each with its next attempt."""
        return await self._connection.all(
            _CLAIM, kinds=_listed(kinds), at=at, until=until, limit=limit
        )

    async def finish(self, id: int, *, attempt: int) -> bool:
        """Remove a job that is done; False when another attempt has begun meanwhile."""
        return await self._connection.one(_FINISH, id=id, attempt=attempt) is not None

    async def fail(self, id: int, *, attempt: int, run_at: int, error: str) -> bool:
        """Put a job back for `run_at`; False when another attempt has begun meanwhile."""
        failed = await self._connection.one(
            _FAIL, id=id, attempt=attempt, run_at=run_at, error=error
        )
        return failed is not None
