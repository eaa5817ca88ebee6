"""What is removed for good: deleted content, and the log of runs that ended long ago.

Everything goes in bounded pieces, since SQLite has one writer. The ledger stays.
"""

from typing import Final

import msgspec

from palaver.domain.generations import Recipe
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_encode: Final = msgspec.json.Encoder().encode


def _id(id: int) -> int:
    return id


_IS_DELETED: Final = Statement(
    "select id from conversations where id = :id and deleted_at is not null {for_update}", _id
)
_LIVE: Final = Statement(
    """select id from generations
    where conversation_id = :id and state in ('queued', 'running') limit 1""",
    _id,
)
# On SQLite the log is found by time alone: `_FORGET_EVENTS`.
_FORGET_LOG: Final[Statement[None]] = Statement(
    """delete from generation_events where generation_id in (
        select id from generations where conversation_id = :id)"""
)
# From the leaves down: a child's id is above its parent's. Generations go with their messages.
_DELETE_MESSAGES: Final = Statement(
    """delete from messages where id in (
        select id from messages where conversation_id = :id order by id desc limit :limit)
    returning id""",
    _id,
)
_DELETE_CONVERSATION: Final[Statement[None]] = Statement(
    "delete from conversations where id = :id and deleted_at is not null"
)
# The words of its `where` are those of the index `messages_deleted`.
_BLANK_MESSAGES: Final = Statement(
    """update messages set text = '', reasoning = null, citations = null, images = null
    where id in (
        select id from messages
        where deleted_at is not null and (text <> '' or reasoning is not null)
        order by id limit :limit)
    returning id""",
    _id,
)
_DELETE_IMAGES: Final[Statement[None]] = Statement(
    "delete from images where message_id {in_numbers ids}"
)
# What was sent for an answer, found for it and cited in it goes with it.
_BLANK_RUNS_SQL: Final = """update generations set outline = '[]', recipe = :recipe
    where answer_id in {ids} and state not in ('queued', 'running')"""
_BLANK_RUNS: Final[Statement[None]] = Statement(
    sqlite=_BLANK_RUNS_SQL.replace("{ids}", "(select value from json_each(:ids))"),
    postgresql=_BLANK_RUNS_SQL.replace(
        "{ids}", "(select value::bigint from json_array_elements_text(cast(:ids as json)))"
    ),
)
_FORGET_EVENTS: Final[Statement[None]] = Statement(
    # The log has no index but its order: it is cut off at its oldest end, below the first row of
    # a run that is live or has ended only now. (SQLite keeps the order of a cross join: from the
    # few rows to their runs.)
    sqlite="""with head as (
            select id, generation_id from generation_events order by id limit :limit)
        delete from generation_events where id < coalesce(
            (select min(head.id) from head cross join generations g on g.id = head.generation_id
                where g.finished_at is null or g.finished_at >= :before),
            (select max(id) + 1 from head),
            0)""",
    # The runs that have a log are found by leaping through its key.
    postgresql="""with recursive logged(id) as (
            select min(generation_id) from generation_events
            union all
            select (select min(generation_id) from generation_events e
                where e.generation_id > logged.id)
            from logged where logged.id is not null)
        delete from generation_events where generation_id in (
            select logged.id from logged left join generations g on g.id = logged.id
            where logged.id is not null and (g.id is null or g.finished_at < :before)
            limit greatest(1, :limit / 100))""",
)


class PurgeStore:
    """Removes rows of several tables; whoever calls has made sure that nobody is shown them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def is_deleted(self, conversation_id: int) -> bool:
        """Tell whether a conversation is there and deleted, and hold its row."""
        return await self._connection.one(_IS_DELETED, id=conversation_id) is not None

    async def is_live(self, conversation_id: int) -> bool:
        """Tell whether a generation runs, or will, in a conversation."""
        return await self._connection.one(_LIVE, id=conversation_id) is not None

    async def forget_log(self, conversation_id: int) -> None:
        """Remove the event log of a conversation's runs. For PostgreSQL."""
        await self._connection.run(_FORGET_LOG, id=conversation_id)

    async def messages(self, conversation_id: int, *, limit: int) -> list[int]:
        """Remove the newest messages and their generations; return their ids."""
        return await self._connection.all(_DELETE_MESSAGES, id=conversation_id, limit=limit)

    async def images(self, message_ids: list[int]) -> None:
        """Remove the pictures of messages; a job removes their files."""
        if message_ids:
            await self._connection.run(_DELETE_IMAGES, ids=_encode(message_ids).decode())

    async def conversation(self, conversation_id: int) -> None:
        """Remove a deleted conversation that has no messages left."""
        await self._connection.run(_DELETE_CONVERSATION, id=conversation_id)

    async def deleted_messages(self, *, limit: int) -> list[int]:
        """Empty messages that were deleted one by one; the rows hold the tree together."""
        blanked = await self._connection.all(_BLANK_MESSAGES, limit=limit)
        if blanked:
            await self._connection.run(
                _BLANK_RUNS,
                ids=_encode(blanked).decode(),
                recipe=_encode(Recipe(leaf_id=0, prompt_tokens=0, max_tokens=0)).decode(),
            )
        return blanked

    async def events(self, *, before: int, limit: int) -> int:
        """Remove about `limit` events of runs that ended before an instant; return how many."""
        return await self._connection.run(_FORGET_EVENTS, before=before, limit=limit)
