"""Usage: what one's own conversations have used."""

from collections.abc import Sequence

from palaver.domain.conversations import LIST_LIMIT
from palaver.domain.usage import ConversationUsage
from palaver.domain.users import Actor
from palaver.storage.database import Database


class UsageService:
    """Reads what the ledger has added up."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def conversations(
        self, actor: Actor, *, limit: int = LIST_LIMIT, before: int | None = None
    ) -> Sequence[ConversationUsage]:
        """Return what each conversation has used, deleted ones included, newest first.

        `before` is the id of the last row seen.
        """
        async with self.db.read() as tx:
            return await tx.conversation_usage.list(
                owner_id=actor.owner_id, limit=min(limit, LIST_LIMIT), before=before
            )
