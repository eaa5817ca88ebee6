"""Memories: kept, found, corrected and removed by whom they are about; chosen for prompts."""

from collections.abc import Sequence
from typing import Final

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from palaver.domain.conversations import LIST_LIMIT
from palaver.domain.cursors import LAST_ID, LIMIT, LIMIT_MAX, Stretch
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.memories import (
    ENTRY_OVERHEAD_TOKENS,
    FoundMemories,
    FoundMemory,
    Memory,
    MemoryChange,
    MemorySettings,
    MemoryType,
    NewMemory,
    RelevantMemory,
    ShownMemory,
    all_of,
    fitting,
    fused,
)
from palaver.domain.retrieval import Finder, Retrieved
from palaver.domain.search import SearchKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.kit.clock import DAY, SECOND, Clock, system_clock
from palaver.kit.words import QUERY_MAX_LENGTH
from palaver.services.outbox import emit
from palaver.storage.database import Database, retrying
from palaver.storage.tx import Tx

PER_USER: Final = 10_000
CLEAR_MAX: Final = 200
"""Memories that one transaction removes."""
CONSIDERED: Final = 100
"""Hits that are considered for a prompt, and as many of the most important ones besides."""
QUESTION_MAX_LENGTH: Final = 4_000
"""Code points of a question that memories are looked for by."""


class MemoryService:
    """One's own memories."""

    def __init__(
        self,
        db: Database,
        finder: Finder,
        *,
        clock: Clock = system_clock,
        per_user: int = PER_USER,
    ) -> None:
        self.db = db
        self.finder = finder
        self.clock = clock
        self.per_user = per_user

    @retrying
    async def create(self, actor: Actor, new: NewMemory) -> ShownMemory:
        """Keep something; once, however often its request is repeated.

        Raises `InvalidInput`, `NotFound` (the conversation), `DomainError` (`QUOTA_EXCEEDED`).
        """
        new.check()
        uuid = actor.uuid_for("memory")
        async with self.db.transaction() as tx:
            if actor.repeat_key is not None:
                made = await tx.memories.find(uuid, owner_id=actor.owner_id)
                if made is not None:
                    return made
            conversation_id = None
            if new.conversation is not None:
                conversation_id = await _conversation_id(tx, actor, new.conversation)
            if not await room(tx, actor.owner_id, per_user=self.per_user):
                raise _full(self.per_user)
            at = self.clock()
            await insert_memory(
                tx,
                Memory(
                    id=0,
                    uuid=uuid,
                    owner_id=actor.owner_id,
                    type=new.type,
                    content=new.content,
                    text_tokens=estimate_tokens(new.content),
                    importance=new.importance,
                    metadata=new.metadata,
                    conversation_id=conversation_id,
                    source_message_id=None,
                    created_at=at,
                    updated_at=at,
                ),
            )
            return await _get(tx, actor, uuid)

    async def get(self, actor: Actor, uuid: str) -> ShownMemory:
        """Return one memory. Raises `NotFound`."""
        async with self.db.read() as tx:
            return await _get(tx, actor, uuid)

    async def list(
        self, actor: Actor, *, type: MemoryType | None = None, limit: int, offset: int = 0
    ) -> Sequence[ShownMemory]:
        """Return the last changed first, from the `offset`-th on, at most 1000."""
        async with self.db.read() as tx:
            return await tx.memories.list(
                owner_id=actor.owner_id, type=type, limit=min(limit, LIST_LIMIT), offset=offset
            )

    async def page(
        self,
        actor: Actor,
        *,
        type: MemoryType | None = None,
        cursor: str | None = None,
        limit: int = LIMIT,
    ) -> Stretch[ShownMemory]:
        """Return the last changed first, at most 1000 a page. Raises `InvalidInput`."""
        before, limit = _parse_cursor(cursor), min(limit, LIMIT_MAX)
        async with self.db.read() as tx:
            found = await tx.memories.list(
                owner_id=actor.owner_id, type=type, limit=limit + 1, before=before
            )
        if len(found) <= limit:
            return Stretch(found, None)
        last = found[limit - 1].memory
        return Stretch(found[:limit], f"{last.updated_at}.{last.id}")

    async def search(
        self,
        actor: Actor,
        query: str,
        *,
        type: MemoryType | None = None,
        limit: int,
        field: str = "query",
    ) -> FoundMemories:
        """Return the best hits by words and by meaning, at most 1000.

        Raises `InvalidInput` for a blank or too long query, under the name of `field`.
        """
        _check_query(query, field)
        retrieved = await self._find(actor.owner_id, query, limit=min(limit, LIST_LIMIT), type=type)
        scores = {hit.ref: hit.score for hit in retrieved.hits}
        async with self.db.read() as tx:
            shown = await tx.memories.shown(list(scores), owner_id=actor.owner_id)
        items = [FoundMemory(each, scores[each.memory.id]) for each in shown]
        return FoundMemories(items, retrieved.note)

    @retrying
    async def update(self, actor: Actor, uuid: str, change: MemoryChange) -> ShownMemory:
        """Correct what is given. Raises `NotFound`, `InvalidInput`."""
        async with self.db.transaction() as tx:
            await tx.users.lock_usage(actor.owner_id)  # two changes at once come one by one
            shown = await _get(tx, actor, uuid)
            memory = change.of(shown.memory, at=self.clock())
            if replace(memory, updated_at=shown.memory.updated_at) == shown.memory:
                return shown  # nothing is different
            await tx.memories.save(memory)
            if memory.content != shown.memory.content:
                await _reindex(tx, memory)
            return replace(shown, memory=memory)

    async def delete(self, actor: Actor, uuid: str) -> None:
        """Remove one for good: no prompt from now on holds it. Raises `NotFound`."""
        async with self.db.transaction() as tx:
            memory = (await _get(tx, actor, uuid)).memory
            await tx.memories.delete(memory.id)
            await _remove_traces(tx, [memory])

    async def clear(self, actor: Actor) -> int:
        """Remove all of them, and return how many there were."""
        total = 0
        while True:
            async with self.db.transaction() as tx:
                gone = await tx.memories.clear(owner_id=actor.owner_id, limit=CLEAR_MAX)
                await _remove_traces(tx, gone)
            total += len(gone)
            if len(gone) < CLEAR_MAX:
                return total

    async def settings(self, actor: Actor) -> MemorySettings:
        """Return what the caller lets memories do."""
        async with self.db.read() as tx:
            return await tx.memories.settings(actor.owner_id)

    @retrying
    async def set(
        self,
        actor: Actor,
        *,
        uses_memories: bool | UnsetType = UNSET,
        extracts_memories: bool | UnsetType = UNSET,
    ) -> MemorySettings:
        """Change what the caller lets memories do; UNSET leaves that alone."""
        async with self.db.transaction() as tx:
            await tx.users.lock(actor.owner_id)
            settings = await tx.memories.settings(actor.owner_id)
            if uses_memories is not UNSET:
                settings = replace(settings, uses_memories=uses_memories)
            if extracts_memories is not UNSET:
                settings = replace(settings, extracts_memories=extracts_memories)
            await tx.memories.set(actor.owner_id, settings)
        return settings

    async def relevant(
        self, owner_id: int, *, conversation_id: int | None, text: str, budget_tokens: int
    ) -> Sequence[RelevantMemory]:
        """Choose what goes into a prompt, the best first: all where they fit, else what fits.

        Who has none pays one read, and who has few as well; only who has more than fits is
        searched. `text` is the question, `conversation_id` where it is asked, None for nowhere.
        """
        most = budget_tokens // ENTRY_OVERHEAD_TOKENS
        async with self.db.read() as tx:
            foremost = await tx.memories.foremost(
                owner_id=owner_id,
                conversation_id=conversation_id,
                limit=max(most + 1, CONSIDERED),
            )
        if len(foremost) <= most and sum(each.prompt_tokens for each in foremost) <= budget_tokens:
            return all_of(foremost)
        retrieved = await self._find(owner_id, text[:QUESTION_MAX_LENGTH], limit=CONSIDERED)
        known = {memory.id: memory for memory in foremost}
        others = [hit.ref for hit in retrieved.hits if hit.ref not in known]
        async with self.db.read() as tx:
            found = await tx.memories.found(others, owner_id=owner_id)
        candidates = [*foremost, *(each for each in found if each.counts_in(conversation_id))]
        chosen = fused(candidates, retrieved.hits, note=retrieved.note)
        return fitting(chosen, budget_tokens=budget_tokens)

    async def _find(
        self, owner_id: int, text: str, *, limit: int, type: MemoryType | None = None
    ) -> Retrieved:
        if not text.strip():
            return Retrieved(())
        return await self.finder.find(
            owner_id, text, kind=SearchKind.MEMORY, limit=limit, type=type
        )


async def room(tx: Tx, owner_id: int, *, per_user: int) -> int:
    """Return how many more memories a user may have; nobody else adds any until the end."""
    await tx.users.lock_usage(owner_id)
    return max(0, per_user - await tx.memories.count(owner_id=owner_id))


def _full(per_user: int) -> DomainError:
    return DomainError(
        f"You have {per_user} memories, as many as this server keeps. Delete one to make room.",
        kind=ErrorKind.QUOTA_EXCEEDED,
        retry_after_seconds=DAY // SECOND,  # no time helps: as limits of plans that never reset
    )


async def insert_memory(tx: Tx, memory: Memory) -> None:
    """Store a memory, findable; the caller has seen to it that there is room for it."""
    stored = await tx.memories.insert(memory)
    if stored is not None:
        await _reindex(tx, stored)
        await emit(
            tx,
            stored.owner_id,
            WebhookEventKind.MEMORY_CREATED,
            stored.id,
            at=stored.created_at,
        )


async def forget_conversation(tx: Tx, conversation_id: int, *, limit: int) -> int:
    """Remove some of the memories that count in a deleted conversation; return how many."""
    gone = await tx.memories.clear_of(conversation_id, limit=limit)
    await _remove_traces(tx, gone)
    return len(gone)


async def _remove_traces(tx: Tx, gone: Sequence[Memory]) -> None:
    """Take memories that are gone out of the search, and out of what webhooks have told."""
    for memory in gone:
        await _reindex(tx, memory)
    refs = [memory.id for memory in gone]
    await tx.outbox.forget([WebhookEventKind.MEMORY_CREATED], refs)


async def _reindex(tx: Tx, memory: Memory) -> None:
    """Say that a memory's text appeared, changed or is gone."""
    await tx.search.enqueue(owner_id=memory.owner_id, kind=SearchKind.MEMORY, ref=memory.id)


async def _conversation_id(tx: Tx, actor: Actor, key: int | str) -> int:
    conversation = await tx.conversations.find(key, owner_id=actor.owner_id)
    if conversation is None:
        raise NotFound("conversation")
    return conversation.id


async def _get(tx: Tx, actor: Actor, uuid: str) -> ShownMemory:
    shown = await tx.memories.find(uuid, owner_id=actor.owner_id)
    if shown is None:
        raise NotFound("memory")
    return shown


def _check_query(query: str, field: str) -> None:
    if not query.strip():
        raise InvalidInput.of(field, Fault.BLANK, "Say what to look for.", limit=1)
    if len(query) > QUERY_MAX_LENGTH:
        message = f"At most {QUERY_MAX_LENGTH} characters can be looked for."
        raise InvalidInput.of(field, Fault.TOO_LONG, message, limit=QUERY_MAX_LENGTH)


def _parse_cursor(cursor: str | None) -> tuple[int, int]:
    """Return the change and the id of the last memory seen; the beginning without a cursor."""
    if cursor is None:
        return LAST_ID, LAST_ID
    at, _, id = cursor.partition(".")
    if not all(part.isascii() and part.isdigit() and len(part) <= 18 for part in (at, id)):
        message = "This is not a cursor of this list."
        raise InvalidInput.of("cursor", Fault.WRONG_FORMAT, message, place="query")
    return int(at), int(id)
