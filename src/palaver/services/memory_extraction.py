"""Memories taken from what a user writes, where that user wants it: by the model that answered."""

import asyncio
from collections.abc import Sequence
from typing import Final

from palaver.domain.errors import QuotaExceeded
from palaver.domain.events import TextDelta
from palaver.domain.memories import IMPORTANCE, Memory
from palaver.domain.mining import (
    ANSWER_MAX_LENGTH,
    KNOWN_MAX,
    MESSAGES_MAX,
    Fact,
    facts_by_rule,
    facts_in,
    mining_request,
    says_the_same,
    without_repeats,
)
from palaver.domain.retrieval import Finder
from palaver.domain.search import SearchKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageKind
from palaver.domain.users import Actor
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.ids import new_uuid
from palaver.services.calls import CallService
from palaver.services.memories import PER_USER, insert_memory, room
from palaver.services.models import DEMO, ModelService, ResolvedModel
from palaver.services.prompts import prompt_of
from palaver.storage.database import Database
from palaver.storage.memories import MinedMessage
from palaver.storage.tx import Tx

EXTRACTION_JOB: Final = "extract_memories"
DELAY: Final = 5 * SECOND
"""So long a job waits for further answers of its conversation, which it then takes along."""
NEAR_MAX: Final = 8
"""What is stored already and near to a fact: so many are looked at."""
NEAR_LENGTH: Final = 4_000  # of a text that such are looked for by
ANSWER_TOKENS: Final = 500
THINKING_TOKENS: Final = 2_000  # what a model that thinks may need besides
TIMEOUT_SECONDS: Final = 60.0


async def enqueue_extraction(tx: Tx, owner_id: int, message_id: int, *, at: int) -> None:
    """Ask for memories out of a user's message that is answered now, if its owner wants that.

    One look at the owner's row for everybody else. Answers in a row make one job.
    """
    conversation_id = await tx.memories.conversation_to_mine(message_id, owner_id=owner_id)
    if conversation_id is not None:
        await tx.jobs.enqueue(
            EXTRACTION_JOB,
            {"conversation_id": conversation_id, "message_id": message_id},
            dedupe_key=f"memories:{conversation_id}",
            run_at=at + DELAY,
        )


class MemoryExtractionService:
    """Takes memories from messages that were answered."""

    def __init__(
        self,
        db: Database,
        models: ModelService,
        calls: CallService,
        finder: Finder,
        *,
        clock: Clock = system_clock,
        per_user: int = PER_USER,
    ) -> None:
        self.db = db
        self.models = models
        self.calls = calls
        self.finder = finder
        self.clock = clock
        self.per_user = per_user

    async def extract(self, actor: Actor, conversation_id: int, *, first_message_id: int) -> int:
        """Mine the messages of a conversation from one on; return how many memories were new.

        0 where it was deleted, its owner does not want it (any more), or no limit leaves room.
        Raises `DomainError` where the model cannot be asked, `TimeoutError`.
        """
        actor.require_admin()
        async with self.db.read() as tx:
            messages = await tx.memories.to_mine(
                conversation_id, first_id=first_message_id, limit=MESSAGES_MAX
            )
        messages = [message for message in messages if message.text.strip()]
        if not messages:
            return 0
        facts = await self._ask(conversation_id, messages)
        new = [fact for fact in facts if not await self._is_known(messages[0].owner_id, fact)]
        return await self._keep(conversation_id, messages, new) if new else 0

    async def _ask(self, conversation_id: int, messages: Sequence[MinedMessage]) -> list[Fact]:
        texts = [message.text for message in messages]
        owner = Actor(user_id=messages[0].owner_id)
        resolved = await self.models.stored(owner, messages[-1].model)
        if resolved.provider.id == DEMO:
            return list(without_repeats(facts_by_rule(texts)))
        known = await self._near(owner.owner_id, "\n".join(texts), limit=KNOWN_MAX)
        turns = mining_request(texts, known)
        prompt = prompt_of(turns, resolved=resolved, max_tokens=_tokens(resolved))
        try:
            call = await self.calls.open(
                owner, prompt, kind=UsageKind.EXTRACTION, conversation_id=conversation_id
            )
        except QuotaExceeded:
            return []
        async with asyncio.timeout(TIMEOUT_SECONDS), call:
            room = ANSWER_MAX_LENGTH
            while room > 0 and (event := await call.next()) is not None:
                if isinstance(event, TextDelta):
                    room -= len(event.text)
        return list(without_repeats(facts_in(call.text, messages=len(texts))))

    async def _near(self, owner_id: int, text: str, *, limit: int) -> list[str]:
        """Return what is stored already and near to a text, the nearest first."""
        retrieved = await self.finder.find(
            owner_id, text[:NEAR_LENGTH], kind=SearchKind.MEMORY, limit=limit
        )
        async with self.db.read() as tx:
            found = await tx.memories.found([hit.ref for hit in retrieved.hits], owner_id=owner_id)
        return [memory.content for memory in found]

    async def _is_known(self, owner_id: int, fact: Fact) -> bool:
        near = await self._near(owner_id, fact.content, limit=NEAR_MAX)
        return any(says_the_same(fact.content, each) for each in near)

    async def _keep(
        self, conversation_id: int, messages: Sequence[MinedMessage], facts: Sequence[Fact]
    ) -> int:
        """Store facts, if their messages are still there and their owner still wants it."""
        at, owner_id = self.clock(), messages[0].owner_id
        async with self.db.transaction() as tx:
            if await tx.conversations.lock(conversation_id, owner_id=owner_id) is None:
                return 0
            there = await tx.memories.to_mine(
                conversation_id, first_id=messages[0].id, limit=MESSAGES_MAX
            )
            ids = {message.id for message in there}
            kept = [fact for fact in facts if messages[fact.message - 1].id in ids]
            kept = kept[: await room(tx, owner_id, per_user=self.per_user)]
            for fact in kept:
                source_id = messages[fact.message - 1].id
                await insert_memory(tx, _memory(fact, owner_id, source_id, at=at))
        return len(kept)


def _memory(fact: Fact, owner_id: int, source_message_id: int, *, at: int) -> Memory:
    return Memory(
        id=0,
        uuid=new_uuid(),
        owner_id=owner_id,
        type=fact.type,
        content=fact.content,
        text_tokens=estimate_tokens(fact.content),
        importance=IMPORTANCE,
        metadata=None,
        conversation_id=None,
        source_message_id=source_message_id,
        created_at=at,
        updated_at=at,
    )


def _tokens(resolved: ResolvedModel) -> int:
    profile = resolved.model.profile
    wanted = ANSWER_TOKENS + (THINKING_TOKENS if profile.thinks else 0)
    return wanted if profile.max_answer_tokens is None else min(wanted, profile.max_answer_tokens)
