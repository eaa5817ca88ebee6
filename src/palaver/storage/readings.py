"""Which documents wait to be read, and who reads them: leases, fenced by the attempt.

Whoever was served longest ago goes first, and then the oldest document of theirs.
"""

from typing import Final

from palaver.domain.documents import Reading
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_WAITING: Final = """status = 'pending' and deleted_at is null
    and leased_until <= :at and size_bytes <= :max_bytes"""
_HELD: Final = "id = :id and attempt = :attempt and status = 'pending' and deleted_at is null"


def _id(id: int) -> int:
    return id


_IS_WAITING: Final = Statement(f"select id from documents where {_WAITING} limit 1", _id)
_CLAIM_SQL: Final = f"""update documents
    set leased_until = :until, attempt = attempt + 1, tries = tries + 1, progress = 0
    where id = (
        select id from documents
        where {_WAITING} and owner_id = (
            select d.owner_id from documents d {{by_owner}} where {_WAITING}
            group by d.owner_id
            order by coalesce(
                (select t.served_at from document_turns t where t.owner_id = d.owner_id), 0),
                min(d.id)
            limit 1)
        order by id limit 1 {{skip_locked}})
    returning id, uuid, owner_id, title, mime_type, attempt, tries"""
_CLAIM: Final = Statement(
    row=Reading,
    # Without a word it would read the rows of all documents, in the order of another index.
    sqlite=_CLAIM_SQL.replace("{by_owner}", "indexed by documents_pending"),
    postgresql=_CLAIM_SQL.replace("{by_owner}", ""),
)
_SERVE: Final[Statement[None]] = Statement(
    """insert into document_turns (owner_id, served_at) values (:owner_id, :at)
    on conflict (owner_id) do update set served_at = excluded.served_at"""
)
_KEEP: Final = Statement(
    f"""update documents set leased_until = :until, progress = cast(:progress as double precision)
    where {_HELD} returning id""",
    _id,
)
_FINISH: Final = Statement(
    f"""update documents set status = 'ready', error = null, progress = 1, leased_until = 0,
        chunks = :chunks, embedded = 0, embedder = null, updated_at = :at
    where {_HELD} returning id""",
    _id,
)
_FAIL: Final = Statement(
    f"""update documents set status = 'failed', error = cast(:error as text), leased_until = 0,
        progress = 0, chunks = 0, embedded = 0, embedder = null, updated_at = :at
    where {_HELD} returning id""",
    _id,
)
_PUT_BACK: Final[Statement[None]] = Statement(
    f"""update documents set leased_until = :until, progress = 0, tries = tries - :untried
    where {_HELD}"""
)
_TAKE_BACK: Final[Statement[None]] = Statement(
    "update documents set leased_until = 0 where status = 'pending' and leased_until > 0"
)


class ReadingStore:
    """`documents` as those see them who read them, and `document_turns`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_waiting(self, *, max_bytes: int, at: int) -> bool:
        """Tell whether there is something to claim, of files up to this size."""
        return await self._connection.one(_IS_WAITING, max_bytes=max_bytes, at=at) is not None

    async def claim(self, *, max_bytes: int, at: int, until: int) -> Reading | None:
        """Lease the document whose turn it is; None where there is none."""
        reading = await self._connection.one(_CLAIM, max_bytes=max_bytes, at=at, until=until)
        if reading is not None:
            await self._connection.run(_SERVE, owner_id=reading.owner_id, at=at)
        return reading

    async def keep(self, reading: Reading, *, until: int, progress: float) -> bool:
        """Prolong the lease, and hold the row; False where the document is no longer ours.

        Then it was deleted, or another attempt has begun.
        """
        kept = await self._connection.one(
            _KEEP, id=reading.id, attempt=reading.attempt, until=until, progress=progress
        )
        return kept is not None

    async def finish(self, reading: Reading, *, chunks: int, at: int) -> bool:
        """Say that a document can be found; False where it is no longer ours."""
        finished = await self._connection.one(
            _FINISH, id=reading.id, attempt=reading.attempt, chunks=chunks, at=at
        )
        return finished is not None

    async def fail(self, reading: Reading, *, error: str, at: int) -> bool:
        """Say for good why a document cannot be read; False where it is no longer ours."""
        failed = await self._connection.one(
            _FAIL, id=reading.id, attempt=reading.attempt, error=error, at=at
        )
        return failed is not None

    async def take_back(self) -> None:
        """End every lease: for a process that knows to be alone, before it reads anything."""
        await self._connection.run(_TAKE_BACK)

    async def put_back(self, reading: Reading, *, until: int, counts: bool) -> None:
        """Let it be claimed again from `until` on; a try that does not count was cut short."""
        await self._connection.run(
            _PUT_BACK,
            id=reading.id,
            attempt=reading.attempt,
            until=until,
            untried=int(not counts),
        )
