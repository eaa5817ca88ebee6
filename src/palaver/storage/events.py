"""`generation_events`: what runs have said, by position.

On SQLite the table is append-only and has no index: its rows are read again only at a start, and
rows clustered by run would dirty a page each.
"""

from collections.abc import Iterable, Sequence
from typing import Any, Final

from palaver.domain.events import EventKind, Segment, length
from palaver.domain.log import Refused
from palaver.storage.connection import Connection
from palaver.storage.notices import CHANNEL
from palaver.storage.statements import Engine, Statement


def segment(until: int, kind: int, body: str) -> Segment:
    """Return a row as what it covers."""
    kind = EventKind(kind)
    return Segment(until - length(kind, body), until, kind, body)


_APPEND_SQLITE: Final[Statement[None]] = Statement(
    sqlite="""insert into generation_events (generation_id, until, kind, body)
    values (:generation_id, :until, :kind, :body)"""
)
_APPEND_POSTGRESQL: Final[Statement[None]] = Statement(
    postgresql=f"""with logged as (
        insert into generation_events (generation_id, until, kind, body)
        select * from unnest(:ids::bigint[], :untils::bigint[], :kinds::int[], :bodies::text[])
        on conflict do nothing
    )
    select pg_notify('{CHANNEL}', '0')"""
)


class EventStore:
    """The rows of runs, for a transaction that holds more than them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def append(self, generation_id: int, segments: Sequence[Segment]) -> None:
        """Write the rows of a run that this transaction holds. Raises `Refused`."""
        await append(self._connection, [(generation_id, segments)])


async def append(connection: Connection, batch: Iterable[tuple[int, Sequence[Segment]]]) -> None:
    """Write the rows of many runs. Raises `Refused`."""
    if connection.engine is Engine.POSTGRESQL:
        await connection.run(_APPEND_POSTGRESQL, **columns(batch))
        return
    rows = [
        {
            "generation_id": generation_id,
            "until": segment.until,
            "kind": segment.kind,
            "body": _storable(segment.body),
        }
        for generation_id, segments in batch
        for segment in segments
    ]
    await connection.many(_APPEND_SQLITE, rows)


def columns(batch: Iterable[tuple[int, Sequence[Segment]]]) -> dict[str, list[Any]]:
    """Return the rows as PostgreSQL takes them, an array for each column. Raises `Refused`."""
    rows = [(id, segment) for id, segments in batch for segment in segments]
    return {
        "ids": [id for id, _ in rows],
        "untils": [segment.until for _, segment in rows],
        "kinds": [segment.kind for _, segment in rows],
        "bodies": [_storable(segment.body) for _, segment in rows],
    }


def _storable(body: str) -> str:
    """Return the text, or raise `Refused` for what PostgreSQL's UTF-8 cannot hold."""
    if "\0" in body:
        raise Refused("A text holds U+0000.")
    if not body.isascii():
        try:
            body.encode()
        except UnicodeEncodeError as error:
            raise Refused(f"A text is not Unicode: {error.reason}.") from error
    return body
