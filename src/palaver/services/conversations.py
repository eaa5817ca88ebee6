"""Conversations and their messages: create, find, rename, delete, append."""

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType

from palaver.domain.conversations import (
    LIST_LIMIT,
    AutoTitle,
    Conversation,
    Message,
    Window,
    parse_title,
)
from palaver.domain.cursors import LIMIT, LIMIT_MAX, Stretch, parse_place
from palaver.domain.errors import NotFound
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.kit.clock import Clock, system_clock
from palaver.kit.text import fold
from palaver.services.driver import Driver
from palaver.services.messages import append_messages, check_text, find_made
from palaver.services.outbox import emit
from palaver.storage.database import Database
from palaver.storage.tx import Tx

PURGE_JOB: Final = "purge_conversation"


class ConversationService:
    """One's own conversations; a key is an integer id or a uuid, as the contract shows them."""

    def __init__(self, db: Database, driver: Driver, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.driver = driver
        self.clock = clock

    async def create(
        self,
        actor: Actor,
        *,
        title: str | None = None,
        system_prompt: str | None = None,
        model: str | None = None,
        asked_model: str | None = None,
        chatbot_id: int | None = None,
        metadata: str | None = None,
        auto_titled: bool = False,
    ) -> Conversation:
        """Start an empty conversation. Raises `InvalidInput` for the title.

        `model` is `provider/name`, `asked_model` the alias that stood for it, `metadata` JSON of
        the client's own; with `auto_titled` the model is asked for a title in time.
        """
        stored_title = None if title is None else parse_title(title)
        async with self.db.transaction() as tx:
            return await create_conversation(
                tx,
                actor,
                title=stored_title,
                system_prompt=system_prompt,
                model=model,
                asked_model=asked_model,
                chatbot_id=chatbot_id,
                metadata=metadata,
                auto_titled=auto_titled,
                at=self.clock(),
            )

    async def get(self, actor: Actor, key: int | str) -> Conversation:
        """Return one conversation. Raises `NotFound`."""
        async with self.db.read() as tx:
            return await get_conversation(tx, actor, key)

    async def list(
        self,
        actor: Actor,
        *,
        limit: int = LIST_LIMIT,
        offset: int = 0,
        before: int | None = None,
        with_archived: bool = True,
    ) -> Sequence[Conversation]:
        """Return the newest first, from the `offset`-th on, or behind the one with id `before`."""
        async with self.db.read() as tx:
            if before is not None:
                return await tx.conversations.list_before(
                    before, owner_id=actor.owner_id, limit=min(limit, LIST_LIMIT)
                )
            return await tx.conversations.list(
                owner_id=actor.owner_id,
                limit=min(limit, LIST_LIMIT),
                offset=offset,
                with_archived=with_archived,
            )

    async def page(
        self,
        actor: Actor,
        *,
        is_archived: bool | None = None,
        cursor: str | None = None,
        limit: int = LIMIT,
    ) -> Stretch[Conversation]:
        """Return the newest first: all, or those that were put away or not. Raises `InvalidInput`.

        At most 1000 a page.
        """
        after, limit = parse_place(cursor), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.conversations.stretch(
                owner_id=actor.owner_id, is_archived=is_archived, after=after, limit=limit + 1
            )
        return Stretch.by_place(found, limit=limit, place=lambda each: (each.updated_at, each.id))

    async def filter(
        self,
        actor: Actor,
        *,
        title_holds: str,
        default_title: str,
        limit: int = LIST_LIMIT,
        before: int | None = None,
    ) -> Sequence[Conversation]:
        """Return those whose title holds a text, in any case; untitled ones show the default.

        Newest first; `before` is the id of the last one seen.
        """
        wanted = fold(title_holds)
        owner_id, limit = actor.owner_id, min(limit, LIST_LIMIT)
        async with self.db.read() as tx:
            if wanted:
                return await tx.conversations.filter(
                    owner_id=owner_id,
                    title_key_holds=wanted,
                    default_matches=wanted in fold(default_title),
                    limit=limit,
                    before=before,
                )
            if before is None:
                return await tx.conversations.list(owner_id=owner_id, limit=limit)
            return await tx.conversations.list_before(before, owner_id=owner_id, limit=limit)

    async def rename(self, actor: Actor, key: int | str, *, title: str | None) -> Conversation:
        """Change the title, or with None take it away. Raises `NotFound`, `InvalidInput`."""
        return await self.update(actor, key, title=title)

    async def archive(self, actor: Actor, key: int | str, *, is_archived: bool) -> Conversation:
        """Put it away, or take it out again. Raises `NotFound`."""
        return await self.update(actor, key, is_archived=is_archived)

    async def update(
        self,
        actor: Actor,
        key: int | str,
        *,
        title: str | UnsetType | None = UNSET,
        is_archived: bool | None = None,
        chatbot_id: int | None = None,
        model: str | None = None,
        is_auto_titled: bool | None = None,
    ) -> Conversation:
        """Change what is given; a title of None takes it away, all else that is None stays.

        `chatbot_id` and `model` (`provider/name`) are on offer to the caller: that was checked.
        Raises `NotFound`, `InvalidInput`.
        """
        if isinstance(title, str):
            title = parse_title(title)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, key)
            at = self.clock()
            if title is not UNSET:
                await _retitle(tx, conversation, title, at=at)
            if is_archived is not None:
                await _archive(tx, conversation, is_archived=is_archived, at=at)
            if (chatbot_id, model, is_auto_titled) != (None, None, None):
                await tx.conversations.set(
                    conversation.id,
                    chatbot_id=chatbot_id,
                    model=model,
                    auto_titled=_auto_title(conversation, is_wanted=is_auto_titled),
                    at=at,
                )
            return await get_conversation(tx, actor, conversation.id)

    async def delete(self, actor: Actor, key: int | str) -> None:
        """Hide it at once, everywhere, and stop what runs in it; a job removes the content.

        Raises `NotFound`.
        """
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, key)
            at = self.clock()
            await tx.conversations.delete(conversation.id, at=at)
            await tx.jobs.enqueue(PURGE_JOB, {"conversation_id": conversation.id})
            await emit(
                tx, conversation.owner_id, WebhookEventKind.CHAT_DELETED, conversation.id, at=at
            )
        await self.driver.halt(conversation.id)

    async def messages(
        self,
        actor: Actor,
        key: int | str,
        *,
        limit: int = LIST_LIMIT,
        offset: int = 0,
    ) -> Sequence[Message]:
        """Return the active branch from its `offset`-th message on, oldest first."""
        async with self.db.read() as tx:
            conversation = await get_conversation(tx, actor, key)
            return await tx.messages.list(
                conversation.id, limit=min(limit, LIST_LIMIT), offset=offset
            )

    async def newest_messages(
        self,
        actor: Actor,
        key: int | str,
        *,
        limit: int = LIST_LIMIT,
        before: int | str | None = None,
    ) -> Sequence[Message]:
        """Return the end of the active branch, oldest first; `before` is the last one seen.

        That is an id or a uuid, and what nobody has is followed by nothing.
        """
        async with self.db.read() as tx:
            conversation = await get_conversation(tx, actor, key)
            return await tx.messages.newest(
                conversation.id, limit=min(limit, LIST_LIMIT), before=before
            )

    async def window(
        self,
        actor: Actor,
        key: int | str,
        *,
        size: int,
        before: int | None = None,
        after: int | None = None,
    ) -> Window:
        """Return at most `size` messages: those before an id, those after it, or the newest.

        The newest also where fewer than `size` come after it. Raises `NotFound`.
        """
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            shown = await _shown(tx, conversation, size=size, before=before, after=after)
            live = await tx.generations.live_of_conversation(conversation.id)
            if not shown:
                return Window(conversation, (), False, False, bool(live))
            older = await tx.messages.newest(conversation.id, limit=1, before=shown[0].id)
            newer = await tx.messages.next(conversation.id, limit=1, after=shown[-1].id)
        return Window(conversation, shown, bool(older), bool(newer), bool(live))

    async def append(self, actor: Actor, key: int | str, *, text: str) -> Message:
        """Add a user message at the end. Raises `NotFound`, `InvalidInput`."""
        check_text(text)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, key)
            if (made := await find_made(tx, actor)) is not None:
                return made
            at = self.clock()
            (message,) = await append_messages(tx, actor, conversation, [("user", text)], at=at)
            await tx.conversations.move_leaf(conversation.id, leaf_id=message.id, at=at)
        return message


async def _shown(
    tx: Tx, conversation: Conversation, *, size: int, before: int | None, after: int | None
) -> Sequence[Message]:
    id = conversation.id
    if before is not None and (shown := await tx.messages.newest(id, limit=size, before=before)):
        return shown
    if after is not None:
        shown = await tx.messages.next(id, limit=size, after=after)
        if len(shown) == size:
            return shown
    return await tx.messages.newest(id, limit=size)


async def _retitle(tx: Tx, conversation: Conversation, title: str | None, *, at: int) -> None:
    await tx.conversations.rename(
        conversation.id, title=title, title_key=None if title is None else fold(title), at=at
    )
    await tx.search.enqueue(
        owner_id=conversation.owner_id, kind=SearchKind.TITLE, ref=conversation.id
    )


async def _archive(tx: Tx, conversation: Conversation, *, is_archived: bool, at: int) -> None:
    since = conversation.archived_at or at  # who puts it away again changes nothing
    await tx.conversations.archive(
        conversation.id, archived_at=since if is_archived else None, at=at
    )


def _auto_title(conversation: Conversation, *, is_wanted: bool | None) -> AutoTitle | None:
    """Return what is to be stored; what was asked once is not asked again."""
    if is_wanted is None:
        return None
    return (AutoTitle(conversation.auto_titled) or AutoTitle.WANTED) if is_wanted else AutoTitle.OFF


async def get_conversation(tx: Tx, actor: Actor, key: int | str) -> Conversation:
    """Return the caller's conversation. Raises `NotFound`."""
    conversation = await tx.conversations.find(key, owner_id=actor.owner_id)
    if conversation is None:
        raise NotFound("conversation")
    return conversation


async def lock_conversation(tx: Tx, actor: Actor, key: int | str) -> Conversation:
    """Return the caller's conversation, held until the transaction ends. Raises `NotFound`."""
    conversation = await tx.conversations.lock(key, owner_id=actor.owner_id)
    if conversation is None:
        raise NotFound("conversation")
    return conversation


async def create_conversation(
    tx: Tx,
    actor: Actor,
    *,
    title: str | None,
    system_prompt: str | None,
    model: str | None,
    at: int,
    asked_model: str | None = None,
    chatbot_id: int | None = None,
    metadata: str | None = None,
    auto_titled: bool = False,
) -> Conversation:
    """Insert a conversation, its title findable; once, however often its request is repeated.

    Raises `NotFound` where it was made by an earlier attempt, and deleted since.
    """
    uuid = actor.uuid_for("conversation")
    conversation = await tx.conversations.create(
        uuid=uuid,
        owner_id=actor.owner_id,
        title=title,
        title_key=None if title is None else fold(title),
        system_prompt=system_prompt,
        model=model,
        asked_model=asked_model,
        chatbot_id=chatbot_id,
        metadata=metadata,
        auto_titled=auto_titled,
        at=at,
    )
    if conversation is None:
        return await get_conversation(tx, actor, uuid)
    if title is not None:
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.TITLE, ref=conversation.id
        )
    await emit(tx, conversation.owner_id, WebhookEventKind.CHAT_CREATED, conversation.id, at=at)
    return conversation
