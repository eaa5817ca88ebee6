"""The shapes of the chapter "Conversations"."""

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.dialects.native.wire import Id, Time, render_time
from palaver.domain import conversations
from palaver.domain.chatbots import PROMPT_MAX_LENGTH
from palaver.domain.conversations import TITLE_MAX_LENGTH
from palaver.domain.cursors import Stretch
from palaver.domain.models import NAME_MAX_LENGTH
from palaver.web.bodies import Int64

# The domain holds the rule; this tells of it.
Title: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_MAX_LENGTH, "pattern": r"\S"}),
]
ModelName: TypeAlias = Annotated[str, Meta(min_length=1, max_length=NAME_MAX_LENGTH)]
"""`provider/name`."""


class ConversationCreate(Struct):
    """What a conversation begins with."""

    title: Title | None = None
    model: ModelName | None = None
    system_prompt: Annotated[str, Meta(max_length=PROMPT_MAX_LENGTH)] | None = None
    chatbot_id: Int64 | None = None


class ConversationUpdate(Struct):
    """What is to be different; a title of null takes it away."""

    title: Title | UnsetType | None = UNSET
    model: ModelName | None = None
    archived: bool | None = None
    chatbot_id: Int64 | None = None


class Conversation(Struct, gc=False):
    """A conversation; its title is null until somebody, or the model, gives it one."""

    id: Id
    title: str | None
    model: str | None
    system_prompt: str | None
    chatbot_id: int | None
    archived: bool
    created_at: Time
    updated_at: Time

    @classmethod
    def of(cls, conversation: conversations.Conversation) -> "Conversation":
        """Render a conversation."""
        return cls(
            conversation.uuid,
            conversation.title,
            conversation.model,
            conversation.system_prompt,
            conversation.chatbot_id,
            conversation.archived_at is not None,
            render_time(conversation.created_at),
            render_time(conversation.updated_at),
        )


class Conversations(Struct):
    """Conversations, the last changed first."""

    items: list[Conversation]
    next: str | None

    @classmethod
    def of(cls, found: Stretch[conversations.Conversation]) -> "Conversations":
        """Render a stretch of the list."""
        return cls([Conversation.of(conversation) for conversation in found.items], found.next)
