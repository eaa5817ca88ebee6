"""Exchanges: what was asked, with what was answered, on the active branch of a conversation."""

from collections.abc import Sequence

import msgspec

from palaver.domain.conversations import Conversation


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A user message with its answer; `id` and `created_at` are the user message's."""

    id: int
    conversation_id: int
    message: str
    response: str | None  # None while there is none
    created_at: int


class Transcript(msgspec.Struct, frozen=True):
    """A conversation with its newest exchanges, oldest of them first."""

    conversation: Conversation
    exchanges: Sequence[Exchange]
