"""Chatbots in the database: every persona, and those that a user's plan holds."""

from typing import Any, Final

from palaver.domain.chatbots import Chatbot
from palaver.storage.connection import Connection
from palaver.storage.plans import PLAN_OF_USER
from palaver.storage.statements import Statement

_NAMES: Final = Chatbot.__struct_fields__
_COLUMNS: Final = ", ".join(_NAMES)
_GIVEN: Final = tuple(name for name in _NAMES if name not in {"id", "created_at"})

_ALL: Final = Statement(f"select {_COLUMNS} from chatbots order by id", Chatbot)
_PAGE: Final = Statement(
    f"select {_COLUMNS} from chatbots where id > :after order by id limit :limit", Chatbot
)
_VISIBLE: Final = Statement(
    f"""select {_COLUMNS} from chatbots
    where is_active = 1 and (open_to_all = 1 or id in (
        select chatbot_id from plan_chatbots where plan_id = {PLAN_OF_USER}))
    order by id""",
    Chatbot,
)
_GET: Final = Statement(f"select {_COLUMNS} from chatbots where id = :id", Chatbot)
_LOCK_ALL: Final = Statement("select id from chatbots order by id {for_update}", int)
_INSERT: Final = Statement(
    f"""insert into chatbots ({", ".join(_GIVEN)}, created_at)
    values ({", ".join(f":{name}" for name in _GIVEN)}, :created_at)
    on conflict do nothing returning {_COLUMNS}""",
    Chatbot,
)
_SAVE: Final[Statement[None]] = Statement(
    f"update chatbots set {', '.join(f'{name} = :{name}' for name in _GIVEN)} where id = :id"
)
_IS_TAKEN: Final = Statement("select id from chatbots where name = :name and id <> :id", int)
_IS_USED: Final = Statement(
    "select id from conversations where chatbot_id = :id and deleted_at is null limit 1", int
)
_DELETE: Final[Statement[None]] = Statement("delete from chatbots where id = :id")


class ChatbotStore:
    """`chatbots`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> list[Chatbot]:
        """Return every chatbot, oldest first."""
        return await self._connection.all(_ALL)

    async def page(self, *, after: int, limit: int) -> list[Chatbot]:
        """Return chatbots with ids above `after`, oldest first."""
        return await self._connection.all(_PAGE, after=after, limit=limit)

    async def visible(self, *, owner_id: int, at: int) -> list[Chatbot]:
        """Return the active ones that are open to all or linked to a user's plan, oldest first."""
        return await self._connection.all(_VISIBLE, owner_id=owner_id, at=at)

    async def get(self, id: int) -> Chatbot | None:
        """Return a chatbot."""
        return await self._connection.one(_GET, id=id)

    async def lock_all(self) -> None:
        """Let nobody else make, change or delete a chatbot until the transaction ends."""
        await self._connection.all(_LOCK_ALL)

    async def insert(self, chatbot: Chatbot) -> Chatbot | None:
        """Store a new chatbot, under an id of its own; None when its name is taken."""
        return await self._connection.one(_INSERT, **_values(chatbot))

    async def save(self, chatbot: Chatbot) -> None:
        """Write a changed chatbot."""
        await self._connection.run(_SAVE, **_values(chatbot))

    async def is_taken(self, name: str, *, except_id: int) -> bool:
        """Tell whether another chatbot has this name."""
        return await self._connection.one(_IS_TAKEN, name=name, id=except_id) is not None

    async def is_used(self, id: int) -> bool:
        """Tell whether somebody's conversation is with this chatbot."""
        return await self._connection.one(_IS_USED, id=id) is not None

    async def delete(self, id: int) -> None:
        """Remove a chatbot."""
        await self._connection.run(_DELETE, id=id)


def _values(chatbot: Chatbot) -> dict[str, Any]:
    return {name: getattr(chatbot, name) for name in _NAMES}
