"""Memories: what Palaver keeps about a person from one conversation to the next.

Contract `platform`: "Memories".
"""

from typing import Literal, TypeAlias

import msgspec

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
