"""Exchanges in the database: questions of the active branch, each joined with its answer."""

from collections.abc import Mapping, Sequence
from typing import Final

import msgspec

from palaver.domain.exchanges import Exchange
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement


def _shown(alias: str, role: str) -> str:
    # Every word of the partial index `messages_active` is here, or it could not be used.
    return f"""{alias}.is_active = 1 and {alias}.is_hidden = 0 and {alias}.deleted_at is null
        and {alias}.role = '{role}'"""


_QUESTION: Final = _shown("q", "user")
_ANSWER: Final = f"left join messages a on a.parent_id = q.id and {_shown('a', 'assistant')}"
_COLUMNS: Final = "q.id, q.conversation_id, q.text, a.text, q.created_at"
# The engines unfold a list in ways of their own.
_IDS_SQLITE: Final = "select value as id from json_each(:ids)"
_IDS_POSTGRESQL: Final = (
    "select value::bigint as id from json_array_elements_text(cast(:ids as json))"
)

_FIND: Final = Statement(
    f"""select {_COLUMNS} from messages q {_ANSWER}
    where q.id = :id and q.conversation_id = :conversation_id and {_QUESTION}""",
    Exchange,
)
_LIST: Final = Statement(
    f"""select {_COLUMNS} from messages q {_ANSWER}
    where q.conversation_id = :conversation_id and {_QUESTION}
    order by q.id limit :limit offset :offset""",
    Exchange,
)
_COUNT: Final = Statement(
    f"""select count(*) from messages q
    where q.conversation_id = :conversation_id and {_QUESTION}""",
    int,
)


def _newest_of_each(ids: str) -> str:
    """Return the text: where the last ones of each begin is found first, then all are one join."""
    return f"""with given (conversation_id, beginning) as materialized (
            select ids.id, coalesce((
                select q.id from messages q where q.conversation_id = ids.id and {_QUESTION}
                order by q.id desc limit 1 offset cast(:most as bigint) - 1), 0)
            from ({ids}) as ids)
        select {_COLUMNS} from given join messages q
            on q.conversation_id = given.conversation_id and q.id >= given.beginning and {_QUESTION}
        {_ANSWER}
        order by q.id"""


_NEWEST_OF_EACH: Final = Statement(
    row=Exchange,
    sqlite=_newest_of_each(_IDS_SQLITE),
    postgresql=_newest_of_each(_IDS_POSTGRESQL),
)
# Every answer, also those that left the branch: without its question none makes sense.
_DELETE: Final = Statement(
    """update messages set deleted_at = :at
    where deleted_at is null and (id = :id or (parent_id = :id and role = 'assistant'))
    returning id""",
    int,
)
_json: Final = msgspec.json.Encoder()


class ExchangeStore:
    """Pairs of rows of `messages`; whose conversation it is has been checked already."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, id: int, *, conversation_id: int) -> Exchange | None:
        """Return the exchange of a conversation that this user message begins."""
        return await self._connection.one(_FIND, id=id, conversation_id=conversation_id)

    async def count(self, conversation_id: int) -> int:
        """Return how many a conversation has."""
        return await self._connection.one(_COUNT, conversation_id=conversation_id) or 0

    async def list(
        self, conversation_id: int, *, limit: int, offset: int = 0
    ) -> Sequence[Exchange]:
        """Return those of a conversation from the `offset`-th on, oldest first."""
        return await self._connection.all(
            _LIST, conversation_id=conversation_id, limit=limit, offset=offset
        )

    async def newest_of_each(
        self, conversation_ids: Sequence[int], *, most: int
    ) -> Mapping[int, Sequence[Exchange]]:
        """Return the newest `most` of every conversation, oldest first, by the conversation's id.

        One statement, however many conversations there are.
        """
        ids = _json.encode(conversation_ids).decode()
        found: dict[int, list[Exchange]] = {id: [] for id in conversation_ids}
        for exchange in await self._connection.all(_NEWEST_OF_EACH, ids=ids, most=most):
            found[exchange.conversation_id].append(exchange)
        return found

    async def delete(self, id: int, *, at: int) -> Sequence[int]:
        """Hide a user message with its answers; return the ids of what was hidden."""
        return await self._connection.all(_DELETE, id=id, at=at)
