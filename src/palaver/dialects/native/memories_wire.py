"""The shapes of the chapters "Memories" and "Settings", in their document's order."""

from typing import Annotated, Any, TypeAlias
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.structs import asdict

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import memories
from palaver.domain.cursors import Stretch
from palaver.domain.memories import CONTENT_MAX_LENGTH, IMPORTANCE, MemoryType

# The domain holds this rule; this tells of it.
Content: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": CONTENT_MAX_LENGTH, "pattern": r"\S"}),
]
Importance: TypeAlias = Annotated[float, Meta(ge=0, le=1)]


# Memories


class MemorySource(Struct, gc=False):
    """The message that a memory was taken from."""

    conversation_id: Id
    message_id: Id


class Memory(Struct, kw_only=True, gc=False):
    """Something that is kept about a person."""

    id: Id
    content: str
    type: MemoryType
    importance: float
    conversation_id: Id | None
    source: MemorySource | None
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, shown: memories.ShownMemory) -> "Memory":
        """Render a memory."""
        return cls(**_fields(shown))


class Memories(Struct):
    """Memories, the last changed first."""

    items: list[Memory]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[memories.ShownMemory]) -> "Memories":
        """Render a stretch of the list."""
        return cls([Memory.of(shown) for shown in found.items], found.next)


class MemoryHit(Memory, kw_only=True, gc=False):
    """A memory that was looked for; scores compare within one answer, the higher the better."""

    score: float

    @classmethod
    def found(cls, hit: memories.FoundMemory) -> "MemoryHit":
        """Render a hit."""
        return cls(**_fields(hit.shown), score=hit.score)


class MemoryHits(Struct):
    """Hits, the best first; `note` says why there was no search by meaning, else null."""

    items: list[MemoryHit]
    note: str | None

    @classmethod
    def of(cls, found: memories.FoundMemories) -> "MemoryHits":
        """Render what was found."""
        return cls([MemoryHit.found(hit) for hit in found.items], found.note)


class MemoryCreate(Struct):
    """A new memory; one of the type `chat` names its conversation."""

    content: Content
    type: MemoryType = "global"
    importance: Importance = IMPORTANCE
    conversation_id: UUID | None = None

    @property
    def new(self) -> memories.NewMemory:
        """Return it in the domain's words."""
        return memories.NewMemory(
            content=self.content,
            type=self.type,
            importance=self.importance,
            conversation=None if self.conversation_id is None else str(self.conversation_id),
        )


class MemoryUpdate(Struct):
    """What is to change of a memory."""

    content: Content | UnsetType = UNSET
    type: MemoryType | UnsetType = UNSET
    importance: Importance | UnsetType = UNSET

    @property
    def change(self) -> memories.MemoryChange:
        """Return it in the domain's words."""
        return memories.MemoryChange(**asdict(self))


class Cleared(Struct):
    """How many were removed."""

    removed: int


def _fields(shown: memories.ShownMemory) -> dict[str, Any]:
    memory = shown.memory
    source = None
    if shown.source_conversation_uuid is not None and shown.source_message_uuid is not None:
        source = MemorySource(shown.source_conversation_uuid, shown.source_message_uuid)
    return {
        "id": memory.uuid,
        "content": memory.content,
        "type": memory.type,
        "importance": memory.importance,
        "conversation_id": shown.conversation_uuid,
        "source": source,
        "created_at": render_time(memory.created_at),
        "updated_at": render_time(memory.updated_at),
    }


# Settings


class Settings(Struct):
    """What a user lets Palaver do."""

    use_memories: bool
    extract_memories: bool

    @classmethod
    def of(cls, settings: memories.MemorySettings) -> "Settings":
        """Render the settings."""
        return cls(settings.uses_memories, settings.extracts_memories)


class SettingsUpdate(Struct):
    """What is to change of the settings."""

    use_memories: bool | UnsetType = UNSET
    extract_memories: bool | UnsetType = UNSET
