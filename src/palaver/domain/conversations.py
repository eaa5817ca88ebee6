"""Conversations: a title, an owner, and a tree of messages with one active branch."""

import enum
from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import msgspec

from palaver.domain.errors import Fault, InvalidInput

TITLE_MAX_LENGTH: Final = 500
LIST_LIMIT: Final = 1000
NEW_CHAT: Final = "New Chat"
"""What three of the contracts show for no title; given back to them, it stands for none."""


MessageRole: TypeAlias = Literal["system", "user", "assistant"]
"""Who speaks. A literal and no enum: rows become messages without a conversion."""


class AutoTitle(enum.IntEnum):
    """Whether the model is asked for a title while there is none; the numbers are stored."""

    OFF = 0
    WANTED = 1  # after the first answer
    ASKED = 2  # it was: once is enough, whatever came of it


class Conversation(msgspec.Struct, frozen=True, gc=False):
    """A titled tree of messages with one owner; `title` is None until somebody gives one."""

    id: int
    uuid: str
    owner_id: int
    title: str | None
    system_prompt: str | None  # what the model is told before everything else
    active_message_id: int | None  # the leaf of the active branch
    model: str | None  # `provider/name`, used where a request names none
    created_at: int
    updated_at: int
    chatbot_id: int | None = None  # the persona that answers, None until somebody names one
    asked_model: str | None = None  # the name under which its first model was asked for, an alias
    metadata: str | None = None  # JSON of the client that made it
    archived_at: int | None = None
    auto_titled: int = AutoTitle.OFF


class Message(msgspec.Struct, frozen=True, gc=False):
    """One turn. An answer is hidden from the moment its generation starts until it ends."""

    id: int
    uuid: str
    conversation_id: int
    parent_id: int | None
    role: MessageRole
    text: str
    text_tokens: int  # our estimate, made once: prompts are put together by it
    model: str | None  # as it was asked for; answers only
    prompt_tokens: int | None  # answers only
    completion_tokens: int | None  # of an answer what was produced, else None
    is_active: int
    is_hidden: int
    created_at: int
    edited_at: int | None
    asked_model: str | None = None  # the name under which it was asked for, where it was an alias
    images: str | None = None  # its pictures, as `pictures.attached` reads them

    @property
    def total_tokens(self) -> int | None:
        """Return prompt and completion together, None where nothing was measured."""
        if self.completion_tokens is None:
            return None
        return (self.prompt_tokens or 0) + self.completion_tokens


def parse_new_chat(title: str | None, *, max_length: int = TITLE_MAX_LENGTH) -> str | None:
    """Return a title as `parse_title` does, None for "New Chat": what is shown for none."""
    stored = None if title is None else parse_title(title, max_length=max_length)
    return None if stored == NEW_CHAT else stored


class Window(msgspec.Struct, frozen=True):
    """Some messages of a conversation's active branch in a row, as a reader leafs through it."""

    conversation: Conversation
    messages: Sequence[Message]  # oldest first
    has_older: bool
    has_newer: bool
    is_answering: bool  # a run writes the next answer right now

    @property
    def unanswered(self) -> Message | None:
        """Return the question at the very end that nothing answers, if there is one."""
        if self.has_newer or self.is_answering or not self.messages:
            return None
        return self.messages[-1] if self.messages[-1].role == "user" else None


def parse_title(title: str, *, max_length: int = TITLE_MAX_LENGTH) -> str:
    """Return the title as it is stored.

    Raises `InvalidInput` when it is blank or longer than `max_length` characters.
    """
    title = title.strip()
    if not title:
        raise InvalidInput.of("title", Fault.BLANK, "A title may not be blank.", limit=1)
    if len(title) > max_length:
        message = f"A title has at most {max_length} characters."
        raise InvalidInput.of("title", Fault.TOO_LONG, message, limit=max_length)
    return title
