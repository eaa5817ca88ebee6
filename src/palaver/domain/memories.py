"""Memories: what Palaver keeps about a person from one conversation to the next.

Contract `platform`: "Memories".
"""

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from palaver.domain.checks import Change, Checks, Text
from palaver.domain.errors import Fault
from palaver.domain.retrieval import Hit
from palaver.domain.sources import Reason
from palaver.domain.tokens import estimate_tokens

CONTENT_MAX_LENGTH: Final = 10_000
IMPORTANCE: Final = 0.5
FADE: Final = 5
"""How fast nearness fades with the rank of a hit: the seventh is half as near as the first."""
ENTRY_OVERHEAD_TOKENS: Final = 32
"""What frames a memory in a prompt: its number and its title."""

MemoryType: TypeAlias = Literal["global", "chat", "user_fact", "preference"]
"""A literal and no enum: rows become memories without a conversion."""


class Memory(msgspec.Struct, frozen=True, gc=False):
    """One thing to remember; one of the type `chat` counts in its conversation alone."""

    id: int
    uuid: str
    owner_id: int
    type: MemoryType
    content: str
    text_tokens: int  # our estimate of the content
    importance: float  # 0 to 1
    metadata: str | None  # JSON of the client that made it
    conversation_id: int | None  # of the type `chat`
    source_message_id: int | None  # the message that it was taken from, by extraction
    created_at: int
    updated_at: int

    @property
    def prompt_tokens(self) -> int:
        """Return what it takes of a prompt, by our estimate."""
        return self.text_tokens + ENTRY_OVERHEAD_TOKENS

    def counts_in(self, conversation_id: int | None) -> bool:
        """Tell whether it may go into the prompts of a conversation, None being none."""
        return self.conversation_id in (None, conversation_id)


class ShownMemory(msgspec.Struct, frozen=True, gc=False):
    """A memory as its owner sees it, with the uuids of what it belongs to; None: that is gone."""

    memory: Memory
    conversation_uuid: str | None  # of the type `chat`
    source_message_uuid: str | None
    source_conversation_uuid: str | None  # there whenever its message is


class FoundMemory(msgspec.Struct, frozen=True, gc=False):
    """A memory that was looked for; scores compare within one search, the higher the better."""

    shown: ShownMemory
    score: float


class FoundMemories(msgspec.Struct, frozen=True):
    """Memories, the best first; `note` says why there was no search by meaning, else None."""

    items: Sequence[FoundMemory]
    note: str | None


class RelevantMemory(msgspec.Struct, frozen=True):
    """A memory that goes into a prompt, and why."""

    memory: Memory
    score: float
    reason: Reason


class MemorySettings(msgspec.Struct, frozen=True):
    """What a user lets memories do."""

    uses_memories: bool = True  # they go into prompts
    extracts_memories: bool = False  # new ones are taken from what the user writes


class MemoryChange(Change, frozen=True, kw_only=True):
    """What somebody says of a memory; UNSET = stays as it is."""

    content: Text = UNSET
    type: Text = UNSET  # a `MemoryType`
    importance: float | UnsetType = UNSET

    def of(self, memory: Memory, *, at: int) -> Memory:
        """Return the memory as it is afterwards. Raises `InvalidInput`, with every wrong field.

        One that belongs to a conversation stays there, and no other one gets into it.
        """
        checks = Checks()
        if self.content is not UNSET:
            check_content(checks, self.content)
        if self.importance is not UNSET:
            _check_importance(checks, self.importance)
        if self.type is not UNSET and (self.type == "chat") != (memory.type == "chat"):
            message = "A memory of a conversation stays one, and no other becomes one."
            checks.blame("type", Fault.NOT_ALLOWED, message)
        checks.end()
        changed = replace(memory, **self.given, updated_at=at)
        return replace(changed, text_tokens=estimate_tokens(changed.content))


class NewMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What somebody wants kept. `conversation` is the key of one's own, for the type `chat`."""

    content: str
    type: MemoryType = "global"
    importance: float = IMPORTANCE
    metadata: str | None = None  # JSON
    conversation: int | str | None = None

    def check(self) -> None:
        """Raise `InvalidInput`, with every wrong field."""
        checks = Checks()
        check_content(checks, self.content)
        _check_importance(checks, self.importance)
        if (self.type == "chat") != (self.conversation is not None):
            message = "A memory of the type chat names its conversation, and no other does."
            checks.blame("conversation_id", Fault.NOT_ALLOWED, message)
        checks.end()


def check_content(checks: Checks, content: str) -> None:
    """Blame a content that cannot be kept."""
    if not content.strip():
        checks.blame("content", Fault.BLANK, "This field may not be blank.", limit=1)
    else:
        checks.text("content", content, max_length=CONTENT_MAX_LENGTH)


def _check_importance(checks: Checks, importance: float) -> None:
    if not importance >= 0:
        checks.blame("importance", Fault.TOO_SMALL, "This must be at least 0.", limit=0)
    elif not importance <= 1:
        checks.blame("importance", Fault.TOO_LARGE, "This may be at most 1.", limit=1)


def all_of(memories: Sequence[Memory]) -> list[RelevantMemory]:
    """Return all of them, the most important first, as they came."""
    return [RelevantMemory(each, each.importance, _ALL) for each in memories]


def fused(
    memories: Sequence[Memory], hits: Sequence[Hit], *, note: str | None
) -> list[RelevantMemory]:
    """Return memories with the best first: how near to the question, plus how important.

    Nearness is `(FADE + 1) / (FADE + rank)`, 1 for the first hit and 0 for what was not found. So
    six hits of middling importance go before the most important memory that is about other things.
    `note` is what the search has to say.
    """
    ranked = {hit.ref: (rank, hit) for rank, hit in enumerate(hits, start=1)}
    chosen = []
    for memory in memories:
        nearness, reason = 0.0, _IMPORTANT
        if (found := ranked.get(memory.id)) is not None:
            rank, hit = found
            nearness = (FADE + 1) / (FADE + rank)
            reason = Reason(text_rank=hit.text_rank, vector_rank=hit.vector_rank, note=note)
        chosen.append(RelevantMemory(memory, nearness + memory.importance, reason))
    return sorted(chosen, key=lambda each: each.score, reverse=True)


def fitting(memories: Sequence[RelevantMemory], *, budget_tokens: int) -> list[RelevantMemory]:
    """Return the first ones that fit into a budget; one that is too long stands in nobody's way."""
    kept = []
    for each in memories:
        if each.memory.prompt_tokens <= budget_tokens:
            budget_tokens -= each.memory.prompt_tokens
            kept.append(each)
    return kept


_ALL: Final = Reason(note="All memories fit into the prompt.")
_IMPORTANT: Final = Reason(note="Chosen for its importance.")
