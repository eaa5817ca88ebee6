"""Purging: content that was deleted, and records that nobody can ask for any more."""

from typing import Final

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.kit.clock import HOUR, Clock, system_clock
from palaver.services.memories import forget_conversation
from palaver.storage.database import Database, retrying
from palaver.storage.statements import Engine
from palaver.storage.tx import Tx

MESSAGES_MAX: Final = 200
EVENTS_MAX: Final = 2_000
LOG_KEPT: Final = HOUR
"""After that a replay is made from the stored message."""


class PurgeService:
    """Every method removes a bounded number of rows in one transaction, to be called again."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    @retrying
    async def conversation(self, actor: Actor, id: int) -> bool:
        """Remove content of a deleted conversation; False while there is more of it.

        The usage ledger stays. Raises `DomainError` (`CONFLICT`) while something runs in it.
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            if not await tx.purge.is_deleted(id):
                return True
            if await tx.purge.is_live(id):
                raise DomainError(
                    "A generation still runs in this conversation.", kind=ErrorKind.CONFLICT
                )
            if self.db.engine is Engine.POSTGRESQL:
                await tx.purge.forget_log(id)
            gone = await tx.purge.messages(id, limit=MESSAGES_MAX)
            await _remove_traces(tx, gone)
            await tx.purge.images(gone)
            if len(gone) == MESSAGES_MAX:
                return False
            if await forget_conversation(tx, id, limit=MESSAGES_MAX) == MESSAGES_MAX:
                return False
            await tx.purge.conversation(id)
            await tx.outbox.forget([WebhookEventKind.CHAT_CREATED], [id])
            await tx.search.remove(SearchKind.TITLE, [id])
        return True

    async def deleted_messages(self, actor: Actor) -> int:
        """Empty messages that were deleted one by one; return how many."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            gone = await tx.purge.deleted_messages(limit=MESSAGES_MAX)
            await _remove_traces(tx, gone)
            await tx.purge.images(gone)
        return len(gone)

    async def events(self, actor: Actor) -> int:
        """Remove logged events of runs that ended more than an hour ago; return how many."""
        actor.require_admin()
        async with self.db.transaction() as tx:
            return await tx.purge.events(before=self.clock() - LOG_KEPT, limit=EVENTS_MAX)


async def _remove_traces(tx: Tx, message_ids: list[int]) -> None:
    """Take messages that are gone out of the search, and out of what webhooks have told."""
    await tx.search.remove(SearchKind.MESSAGE, message_ids)
    await tx.outbox.forget([WebhookEventKind.MESSAGE_CREATED], message_ids)
