"""The JSON shapes of the contract's web routes."""

from typing import Annotated, Final, TypeAlias

from msgspec import Meta, Struct

from palaver.dialects.sessions.wire import Chat, Id
from palaver.domain.conversations import NEW_CHAT, Conversation
from palaver.domain.exchanges import Transcript

TITLE_MAX_LENGTH: Final = 100

Title: TypeAlias = Annotated[
    str,
    Meta(extra_json_schema={"minLength": 1, "maxLength": TITLE_MAX_LENGTH, "pattern": r"\S"}),
]


class NewSession(Struct):
    """The body of "Create Chat Session", which may be empty."""

    title: Title | None = None


class Rename(Struct):
    """The body of "Rename Chat Session"."""

    title: Title


class Created(Struct):
    """A new conversation."""

    success: bool
    session_id: Id
    session_title: str

    @classmethod
    def of(cls, conversation: Conversation) -> "Created":
        """Render a conversation."""
        return cls(True, conversation.uuid, conversation.title or NEW_CHAT)


class Done(Struct):
    """It was done."""

    success: bool = True


class Refused(Struct):
    """It was not done, and why."""

    success: bool
    error: str


class Loaded(Struct):
    """What was said in a conversation, the newest 200 exchanges, oldest first."""

    chats: list[Chat]

    @classmethod
    def of(cls, transcript: Transcript) -> "Loaded":
        """Render what was said."""
        return cls([Chat.of(exchange) for exchange in transcript.exchanges])
