"""What each conversation has used, in the database: one row each, which outlives the conversation.

Written with the ledger (`UsageStore.add_to_conversation`), read here.
"""

from collections.abc import Sequence
from typing import Final

from palaver.domain.usage import ConversationUsage
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

_SELECT: Final = f"select {', '.join(ConversationUsage.__struct_fields__)} from conversation_usage"
_ORDER: Final = "order by updated_at desc, id desc limit :limit"

_LIST: Final = Statement(f"{_SELECT} where owner_id = :owner_id {_ORDER}", ConversationUsage)
_LIST_BEFORE: Final = Statement(
    f"""{_SELECT} where owner_id = :owner_id and (updated_at, id) < (
        select updated_at, id from conversation_usage where id = :before and owner_id = :owner_id)
    {_ORDER}""",
    ConversationUsage,
)


class ConversationUsageStore:
    """`conversation_usage`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def list(
        self, *, owner_id: int, limit: int, before: int | None = None
    ) -> Sequence[ConversationUsage]:
        """Return the newest first; those that follow the row with id `before`, if given."""
        if before is None:
            return await self._connection.all(_LIST, owner_id=owner_id, limit=limit)
        return await self._connection.all(
            _LIST_BEFORE, owner_id=owner_id, limit=limit, before=before
        )
