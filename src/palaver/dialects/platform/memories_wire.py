"""The shapes of the chapter "Memories", in the document's words."""

from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta, Struct

from palaver.dialects.platform.wire import Id, Limit, Time, render_time
from palaver.domain import memories
from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.memories import CONTENT_MAX_LENGTH, IMPORTANCE, MemoryType
from palaver.domain.metadata import encode_metadata
from palaver.kit.ids import parse_uuid
from palaver.kit.words import QUERY_MAX_LENGTH

# The service holds these rules; this tells of them.
Content: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": CONTENT_MAX_LENGTH, "pattern": r"\S"}),
]
Query: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": QUERY_MAX_LENGTH, "pattern": r"\S"}),
]
Importance: TypeAlias = Annotated[float, Meta(ge=0, le=1)]

_CHAT: str = "metadata.chat_id"


class MemoryCreate(Struct):
    """The body of "Create Memory"; a memory of the type `chat` names one in `metadata.chat_id`."""

    content: Content
    memory_type: MemoryType | None = None
    importance_score: Importance | None = None
    metadata: dict[str, Any] | None = None

    @property
    def new(self) -> memories.NewMemory:
        """Return it in the domain's words. Raises `InvalidInput`."""
        return memories.NewMemory(
            content=self.content,
            type=self.memory_type or "global",
            importance=IMPORTANCE if self.importance_score is None else self.importance_score,
            metadata=encode_metadata(self.metadata),
            conversation=self._chat_id() if self.memory_type == "chat" else None,
        )

    def _chat_id(self) -> str:
        given = (self.metadata or {}).get("chat_id")
        if given is None:
            message = "A memory of the type chat names its chat here."
            raise InvalidInput.of(_CHAT, Fault.MISSING, message)
        if not isinstance(given, str) or (chat_id := parse_uuid(given)) is None:
            raise InvalidInput.of(_CHAT, Fault.WRONG_FORMAT, "This is not a UUID.")
        return chat_id


class Memory(Struct, kw_only=True, gc=False):
    """A memory; what belongs to a chat names it in `metadata.chat_id`."""

    id: Id
    user_id: Id
    content: str
    memory_type: MemoryType
    importance_score: float
    metadata: dict[str, Any]
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, shown: memories.ShownMemory, *, user_id: str) -> "Memory":
        """Render a memory."""
        return cls(**_fields(shown, user_id))


class MemoryHit(Memory, kw_only=True, gc=False):
    """A memory that was looked for; scores compare within one answer, the higher the better."""

    score: float

    @classmethod
    def found(cls, hit: memories.FoundMemory, *, user_id: str) -> "MemoryHit":
        """Render a hit."""
        return cls(**_fields(hit.shown, user_id), score=hit.score)


class MemorySearch(Struct):
    """The body of "Search Memories"."""

    query: Query
    memory_type: MemoryType | None = None
    limit: Limit | None = None


def _fields(shown: memories.ShownMemory, user_id: str) -> dict[str, Any]:
    memory = shown.memory
    metadata = msgspec.json.decode(memory.metadata or "{}")
    if shown.conversation_uuid is not None:
        metadata["chat_id"] = shown.conversation_uuid
    return {
        "id": memory.uuid,
        "user_id": user_id,
        "content": memory.content,
        "memory_type": memory.type,
        "importance_score": memory.importance,
        "metadata": metadata,
        "created_at": render_time(memory.created_at),
        "updated_at": render_time(memory.updated_at),
    }
