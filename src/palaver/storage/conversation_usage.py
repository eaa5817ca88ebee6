"""What each conversation has used: one row each, which outlives the conversation."""

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

_ADD: Final[Statement[None]] = Statement(
    """insert into conversation_usage
        (conversation_id, owner_id, tokens, free_tokens, is_free, created_at, updated_at)
    values (:conversation_id, :owner_id, :tokens, :free_tokens, :is_free, :at, :at)
    on conflict (conversation_id) do update set
        tokens = conversation_usage.tokens + excluded.tokens,
        free_tokens = conversation_usage.free_tokens + excluded.free_tokens,
        is_free = excluded.is_free, updated_at = excluded.updated_at"""
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

    async def add(
        self,
        conversation_id: int,
        *,
        owner_id: int,
        tokens: int,
        free_tokens: int,
        is_free: bool,
        at: int,
    ) -> None:
        """Add an answer's tokens to what its conversation has used."""
        await self._connection.run(
            _ADD,
            conversation_id=conversation_id,
            owner_id=owner_id,
            tokens=tokens,
            free_tokens=free_tokens,
            is_free=int(is_free),
            at=at,
        )
