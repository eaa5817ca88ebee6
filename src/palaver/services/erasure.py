"""Erasure: what somebody left behind who deleted their account, removed piece by piece."""

from typing import Final

from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import Actor
from palaver.services.conversations import ConversationService
from palaver.services.documents import DocumentService
from palaver.services.memories import MemoryService
from palaver.storage.database import Database

PIECE: Final = 100


class ErasureService:
    """Removes by the same verbs, and the same jobs, as when its owner removes something."""

    def __init__(
        self,
        db: Database,
        *,
        conversations: ConversationService,
        documents: DocumentService,
        memories: MemoryService,
    ) -> None:
        self.db = db
        self.conversations = conversations
        self.documents = documents
        self.memories = memories

    async def erase(self, actor: Actor, user_id: int) -> bool:
        """Remove some of what a deleted account holds; False while there is more. For jobs.

        At last its row goes, and with it what hangs on that: known origins, keys, subscriptions,
        pictures. The ledger stays, under a number that is nobody's any more. Raises `DomainError`
        (`CONFLICT`) while other jobs still remove texts and files.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            if not await tx.users.is_deleted(user_id):
                return True
        async with self.db.transaction() as tx:
            await tx.webhooks.delete_all(owner_id=user_id)
            if await tx.outbox.erase(user_id, limit=PIECE) == PIECE:
                return False
        owner = Actor(user_id=user_id)
        conversations = await self.conversations.list(owner, limit=PIECE)
        for conversation in conversations:
            await self.conversations.delete(owner, conversation.id)
        documents = await self.documents.list(owner, limit=PIECE)
        for document in documents:
            await self.documents.delete(owner, document.uuid)
        if conversations or documents:
            return False
        await self.memories.clear(owner)
        async with self.db.transaction() as tx:
            if not await tx.users.erase(user_id):
                message = "Conversations or documents are still being removed."
                raise DomainError(message, kind=ErrorKind.CONFLICT)
        return True
