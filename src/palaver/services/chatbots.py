"""Chatbots: the personas that somebody may talk to, and their upkeep by administrators."""

from collections.abc import Iterable, Mapping

from msgspec import UNSET
from msgspec.structs import replace

from palaver.domain.chatbots import NEW, NOBODY, Chatbot, ChatbotChange
from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_cursor
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.users import Actor, AuditAction
from palaver.kit.clock import Clock, system_clock
from palaver.services.audit import note
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx


class ChatbotService:
    """Chatbots. One is visible when it is active, and open to all or in the caller's plan."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def list(self, actor: Actor) -> list[Chatbot]:
        """Return the chatbots that the caller may talk to, oldest first."""
        async with self.db.read() as tx:
            return await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())

    async def get(self, actor: Actor, id: int) -> Chatbot:
        """Return a chatbot that the caller may talk to; administrators see every one.

        Raises `NotFound`.
        """
        async with self.db.read() as tx:
            if actor.is_admin:
                found = await tx.chatbots.get(id)
            else:
                visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
                found = next((chatbot for chatbot in visible if chatbot.id == id), None)
        if found is None:
            raise NotFound("chatbot")
        return found

    async def choose(self, actor: Actor, id: int | None) -> Chatbot:
        """Return the chatbot that a conversation begins with; None = the first one for text.

        Raises `InvalidInput` (`chatbot_id`: unknown or inactive), `DomainError` (`NOT_IN_PLAN`).
        """
        async with self.db.read() as tx:
            visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
            found = _first_for_text(visible) if id is None else _with_id(visible, id)
            if found is not None:
                return found
            there = None if id is None else await tx.chatbots.get(id)
        if id is not None and (there is None or not there.is_active):
            message = "There is no active chatbot with this id."
            raise InvalidInput.of("chatbot_id", Fault.NOT_ALLOWED, message)
        what = "any chatbot for text" if there is None else "this chatbot"
        raise DomainError(f"Your plan does not include {what}.", kind=ErrorKind.NOT_IN_PLAN)

    async def describe(
        self, actor: Actor, ids: Iterable[int | None]
    ) -> Mapping[int | None, Chatbot]:
        """Return the chatbots of conversations, whether or not they are visible (any more).

        For None, and for what is gone, it is the one that a conversation would begin with now.
        Reads at most twice, however many ids there are.
        """
        async with self.db.read() as tx:
            every = {chatbot.id: chatbot for chatbot in await tx.chatbots.all()}
            wanted = set(ids)
            if wanted <= every.keys():
                return {id: every[id] for id in wanted if id is not None}
            visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
        default = _first_for_text(visible) or _first_for_text(list(every.values())) or NOBODY
        return {id: default if id is None else every.get(id, default) for id in wanted}

    async def list_all(
        self, actor: Actor, *, cursor: str | None = None, limit: int = LIMIT
    ) -> Stretch[Chatbot]:
        """Return every chatbot, oldest first, at most 1000. For administrators.

        Raises `InvalidInput`.
        """
        actor.require_admin()
        after, limit = parse_cursor(cursor, first=0), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.chatbots.page(after=after, limit=limit + 1)
        return Stretch.of(found, limit=limit, id=lambda chatbot: chatbot.id)

    @retrying
    async def create(self, actor: Actor, change: ChatbotChange) -> Chatbot:
        """Make a chatbot. For administrators.

        Raises `InvalidInput`, `DomainError` (`CONFLICT`: another one has this name).
        """
        actor.require_admin()
        if change.name is UNSET:
            raise InvalidInput.of("name", Fault.MISSING, "This field is required.")
        chatbot = replace(NEW, **change.columns(), created_at=self.clock())
        async with self.db.transaction() as tx:
            await tx.chatbots.lock_all()
            stored = await tx.chatbots.insert(chatbot)
            if stored is None:
                raise _conflict("Another chatbot has this name.")
            done = AuditAction.CHATBOT_CREATED
            await note(tx, actor, done, stored.name, at=self.clock())
        return stored

    @retrying
    async def update(self, actor: Actor, id: int, change: ChatbotChange) -> Chatbot:
        """Change what is said of a chatbot. For administrators. Raises as `create`, `NotFound`."""
        actor.require_admin()
        columns = change.columns()
        async with self.db.transaction() as tx:
            await tx.chatbots.lock_all()
            chatbot = replace(await _get(tx, id), **columns)
            if await tx.chatbots.is_taken(chatbot.name, except_id=id):
                raise _conflict("Another chatbot has this name.")
            await tx.chatbots.save(chatbot)
            done = AuditAction.CHATBOT_CHANGED
            await note(tx, actor, done, chatbot.name, details=columns, at=self.clock())
        return chatbot

    @retrying
    async def delete(self, actor: Actor, id: int) -> None:
        """Remove a chatbot that no conversation is with. For administrators.

        Raises `NotFound`, `DomainError` (`CONFLICT`).
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            await tx.chatbots.lock_all()
            chatbot = await _get(tx, id)
            if await tx.chatbots.is_used(id):
                raise _conflict("There are conversations with this chatbot: deactivate it instead.")
            await tx.chatbots.delete(id)
            done = AuditAction.CHATBOT_DELETED
            await note(tx, actor, done, chatbot.name, at=self.clock())


async def _get(tx: Tx, id: int) -> Chatbot:
    chatbot = await tx.chatbots.get(id)
    if chatbot is None:
        raise NotFound("chatbot")
    return chatbot


def _conflict(message: str) -> DomainError:
    return DomainError(message, kind=ErrorKind.CONFLICT)


def _first_for_text(chatbots: Iterable[Chatbot]) -> Chatbot | None:
    return next((chatbot for chatbot in chatbots if chatbot.chatbot_type == "text"), None)


def _with_id(chatbots: Iterable[Chatbot], id: int) -> Chatbot | None:
    return next((chatbot for chatbot in chatbots if chatbot.id == id), None)
