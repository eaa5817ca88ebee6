"""Memories in the database. Every read names the owner: not yours is not there.

What belongs to a conversation is hidden with it at once, and removed with it by its job.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from palaver.domain.cursors import LAST_ID
from palaver.domain.memories import Memory, MemorySettings, MemoryType, ShownMemory
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_NAMES: Final = Memory.__struct_fields__
_COLUMNS: Final = ", ".join(_NAMES)
_GIVEN: Final = tuple(name for name in _NAMES if name != "id")
_KEPT: Final = ("type", "content", "text_tokens", "importance", "updated_at")


class MinedMessage(msgspec.Struct, frozen=True, gc=False):
    """What a user wrote and got an answer to, from which memories may be taken."""

    id: int
    owner_id: int
    text: str
    model: str  # that answered


def _shown(*columns: Any) -> ShownMemory:
    return ShownMemory(Memory(*columns[:-3]), *columns[-3:])


def _settings(uses_memories: int, extracts_memories: int) -> MemorySettings:
    return MemorySettings(bool(uses_memories), bool(extracts_memories))


_INSERT: Final = Statement(
    f"""insert into memories ({", ".join(_GIVEN)})
    values ({", ".join(f":{name}" for name in _GIVEN)})
    on conflict (uuid) do nothing returning {_COLUMNS}""",
    Memory,
)
_SHOWN_SQL: Final = f"""select {", ".join(f"m.{name}" for name in _NAMES)}, c.uuid,
        case when sc.id is not null then s.uuid end, sc.uuid
    from memories m
    left join conversations c on c.id = m.conversation_id and c.deleted_at is null
    left join messages s on s.id = m.source_message_id and s.deleted_at is null
    left join conversations sc on sc.id = s.conversation_id and sc.deleted_at is null
    where m.owner_id = :owner_id and (m.conversation_id is null or c.id is not null)"""
_FIND: Final = Statement(f"{_SHOWN_SQL} and m.uuid = :uuid", _shown)
_LIST: Final = Statement(
    f"""{_SHOWN_SQL} and (m.updated_at, m.id) < (:before_at, :before_id)
    order by m.updated_at desc, m.id desc limit :limit offset :offset""",
    _shown,
)
_LIST_OF_TYPE: Final = Statement(
    f"""{_SHOWN_SQL} and (m.updated_at, m.id) < (:before_at, :before_id) and m.type = :type
    order by m.updated_at desc, m.id desc limit :limit offset :offset""",
    _shown,
)
_FOUND: Final = Statement(
    row=_shown,
    # By their ids: SQLite would rather go through all that the owner has.
    sqlite=_SHOWN_SQL.replace("where m.owner_id", "where +m.owner_id")
    + " and m.id in (select value from json_each(:ids))",
    postgresql=f"""{_SHOWN_SQL} and m.id in (
        select value::bigint from json_array_elements_text(cast(:ids as json)))""",
)
# One read for everybody, and an empty one for who has no memories or does not want them used.
_FOREMOST: Final = Statement(
    f"""select {_COLUMNS} from memories
    where owner_id = :owner_id
        and (conversation_id is null or conversation_id = :conversation_id)
        and exists (select 1 from users where id = :owner_id and uses_memories = 1)
    order by importance desc, updated_at desc, id desc limit :limit""",
    Memory,
)
_COUNT: Final = Statement("select count(*) from memories where owner_id = :owner_id", int)
_SAVE: Final[Statement[None]] = Statement(
    f"update memories set {', '.join(f'{name} = :{name}' for name in _KEPT)} where id = :id"
)
_DELETE: Final[Statement[None]] = Statement("delete from memories where id = :id")
_CLEAR_SQL: Final = f"""delete from memories where id in (
        select id from memories where {{those}} order by id limit :limit)
    returning {_COLUMNS}"""
_CLEAR: Final = Statement(_CLEAR_SQL.replace("{those}", "owner_id = :owner_id"), Memory)
_CLEAR_OF: Final = Statement(
    _CLEAR_SQL.replace("{those}", "conversation_id = :conversation_id"), Memory
)
_SETTINGS: Final = Statement(
    "select uses_memories, extracts_memories from users where id = :owner_id", _settings
)
_SET: Final[Statement[None]] = Statement(
    """update users set uses_memories = :uses_memories, extracts_memories = :extracts_memories
    where id = :owner_id"""
)
_CONVERSATION_TO_MINE: Final = Statement(
    """select m.conversation_id from users u join messages m on m.owner_id = u.id
    where u.id = :owner_id and u.extracts_memories = 1 and m.id = :message_id""",
    int,
)
# A retry says once more what was mined already.
_TO_MINE: Final = Statement(
    """select m.id, m.owner_id, m.text, g.model
    from messages m
    join conversations c on c.id = m.conversation_id and c.deleted_at is null
    join users u on u.id = m.owner_id and u.extracts_memories = 1
    join generations g on g.id = (
        select max(id) from generations where message_id = m.id and state = 'completed')
    where m.conversation_id = :conversation_id and m.id >= :first_id
        and m.role = 'user' and m.deleted_at is null
        and not exists (
            select 1 from messages o
            join generations og on og.message_id = o.id and og.state = 'completed'
            where o.id < m.id and o.role = 'user' and o.text = m.text and (
                o.parent_id = m.parent_id
                or (o.parent_id is null and m.parent_id is null
                    and o.conversation_id = m.conversation_id)))
    order by m.id limit :limit""",
    MinedMessage,
)


class MemoryStore:
    """`memories`, and what their users have set about them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def insert(self, memory: Memory) -> Memory | None:
        """Store a new memory under an id of its own; None where there is one with this uuid."""
        return await self._connection.one(_INSERT, **_values(memory))

    async def find(self, uuid: str, *, owner_id: int) -> ShownMemory | None:
        """Return the memory with this uuid, if it is the owner's."""
        return await self._connection.one(_FIND, uuid=uuid, owner_id=owner_id)

    async def list(
        self,
        *,
        owner_id: int,
        type: MemoryType | None,
        limit: int,
        offset: int = 0,
        before: tuple[int, int] = (LAST_ID, LAST_ID),
    ) -> Sequence[ShownMemory]:
        """Return the last changed first; `before` is the change and the id of the last one seen."""
        before_at, before_id = before
        values = {
            "owner_id": owner_id,
            "before_at": before_at,
            "before_id": before_id,
            "limit": limit,
            "offset": offset,
        }
        if type is None:
            return await self._connection.all(_LIST, **values)
        return await self._connection.all(_LIST_OF_TYPE, type=type, **values)

    async def shown(self, ids: Sequence[int], *, owner_id: int) -> Sequence[ShownMemory]:
        """Return those of the owner's that are (still) there, in the order of their ids' list."""
        if not ids:
            return []
        listed = msgspec.json.encode(ids).decode()
        found = await self._connection.all(_FOUND, ids=listed, owner_id=owner_id)
        by_id = {each.memory.id: each for each in found}
        return [by_id[id] for id in ids if id in by_id]

    async def found(self, ids: Sequence[int], *, owner_id: int) -> Sequence[Memory]:
        """Return as `shown` does, the memories alone."""
        return [each.memory for each in await self.shown(ids, owner_id=owner_id)]

    async def foremost(
        self, *, owner_id: int, conversation_id: int | None, limit: int
    ) -> Sequence[Memory]:
        """Return what may go into the prompts of a conversation: the most important, newest first.

        None for a user who does not want that.
        """
        return await self._connection.all(
            _FOREMOST, owner_id=owner_id, conversation_id=conversation_id, limit=limit
        )

    async def count(self, *, owner_id: int) -> int:
        """Return how many the owner has."""
        return await self._connection.one(_COUNT, owner_id=owner_id) or 0

    async def save(self, memory: Memory) -> None:
        """Write a changed memory."""
        await self._connection.run(
            _SAVE, id=memory.id, **{name: getattr(memory, name) for name in _KEPT}
        )

    async def delete(self, id: int) -> None:
        """Remove a memory."""
        await self._connection.run(_DELETE, id=id)

    async def clear(self, *, owner_id: int, limit: int) -> Sequence[Memory]:
        """Remove some of the owner's, and return them."""
        return await self._connection.all(_CLEAR, owner_id=owner_id, limit=limit)

    async def clear_of(self, conversation_id: int, *, limit: int) -> Sequence[Memory]:
        """Remove some of a conversation's, and return them."""
        return await self._connection.all(_CLEAR_OF, conversation_id=conversation_id, limit=limit)

    async def settings(self, owner_id: int) -> MemorySettings:
        """Return what a user lets memories do."""
        return await self._connection.one(_SETTINGS, owner_id=owner_id) or MemorySettings()

    async def set(self, owner_id: int, settings: MemorySettings) -> None:
        """Write what a user lets memories do."""
        await self._connection.run(
            _SET,
            owner_id=owner_id,
            uses_memories=int(settings.uses_memories),
            extracts_memories=int(settings.extracts_memories),
        )

    async def conversation_to_mine(self, message_id: int, *, owner_id: int) -> int | None:
        """Return the conversation of a message, None where nothing is to be taken from it."""
        return await self._connection.one(
            _CONVERSATION_TO_MINE, message_id=message_id, owner_id=owner_id
        )

    async def to_mine(
        self, conversation_id: int, *, first_id: int, limit: int
    ) -> Sequence[MinedMessage]:
        """Return the answered messages of a user who wants them mined, oldest first.

        From `first_id` on; none of what is deleted.
        """
        return await self._connection.all(
            _TO_MINE, conversation_id=conversation_id, first_id=first_id, limit=limit
        )


def _values(memory: Memory) -> dict[str, Any]:
    return {name: getattr(memory, name) for name in _GIVEN}
