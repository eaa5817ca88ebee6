"""The shapes of the chapter "Chat Completions", in the document's words and order."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from palaver.dialects.platform.wire import ModelName
from palaver.domain import providers, sources
from palaver.domain.conversations import MessageRole
from palaver.domain.errors import Fault, FieldFault, InvalidInput
from palaver.domain.generations import Options

FinishReason: TypeAlias = Literal["stop", "length", "canceled", "error"]


class Turn(Struct):
    """What somebody said."""

    role: MessageRole
    content: str


class CompletionRequest(Struct):
    """The body of "Send Message"."""

    messages: Annotated[list[Turn], Meta(min_length=1, max_length=1000)]
    chat_id: UUID | None = None
    model: ModelName | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    max_tokens: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    stream: bool | None = False
    use_web_grounding: bool | None = None
    use_extended_thinking: bool | None = None
    use_rag: bool | None = None

    def checked(self) -> "CompletionRequest":
        """Return it. Raises `InvalidInput`: the last message must be a question."""
        if faults := list(self._faults()):
            raise InvalidInput(faults)
        return self

    @property
    def key(self) -> str | None:
        """Return which chat goes on, None for none."""
        return None if self.chat_id is None else str(self.chat_id)

    @property
    def question(self) -> str:
        """Return the new message."""
        return self.messages[-1].content

    @property
    def turns(self) -> Sequence[providers.Turn]:
        """Return what is sent; an answer that was stopped before its first word is no turn."""
        said = [turn for turn in self.messages if turn.content.strip()]
        return [providers.Turn(turn.role, turn.content) for turn in said]

    @property
    def context(self) -> Sequence[providers.Turn] | None:
        """Return what is sent in place of the chat's history, None for that history."""
        return None if len(self.messages) == 1 else self.turns

    @property
    def options(self) -> Options:
        """Return how the model is asked."""
        return Options(
            temperature=self.temperature,
            top_p=self.top_p,
            max_tokens=self.max_tokens,
            use_rag=self.use_rag,
            use_web_grounding=self.use_web_grounding,
            use_extended_thinking=self.use_extended_thinking,
        )

    def _faults(self) -> Iterator[FieldFault]:
        place, last = ("body", "messages", len(self.messages) - 1), self.messages[-1]
        if last.role != "user":
            message = "The last message must be the user's."
            yield FieldFault((*place, "role"), Fault.NOT_ALLOWED, message, "user")
        elif not last.content.strip():
            message = "A message may not be blank."
            yield FieldFault((*place, "content"), Fault.BLANK, message, "str", 1)


class Citation(Struct):
    """A span that the answer cites as `[index]`.

    `quote` is what stands from `start` to `end` of the source's text, in code points.
    """

    index: int
    kind: Literal["document", "web", "memory"]
    id: str
    title: str
    url: str | None
    page: int | None
    quote: str
    start: int
    end: int
    score: float

    @classmethod
    def of(cls, citation: sources.Citation) -> "Citation":
        """Render a citation."""
        return cls(*msgspec.structs.astuple(citation))


class Said(Struct):
    """The answer; what the model thought before it, where that was asked for."""

    role: Literal["assistant"]
    content: str
    thinking: str | UnsetType = UNSET


class Completion(Struct):
    """The whole answer; its `model` is the name that was asked for.

    `citations` are there where the answer has some, or was to rest on documents or the web.
    """

    id: str
    model: str | None
    message: Said
    tokens_used: int
    finish_reason: FinishReason
    citations: list[Citation] | UnsetType = UNSET


class Streamed(Struct):
    """The whole answer at the end of a stream; the id is the message's, where there is a chat."""

    id: str
    role: Literal["assistant"]
    content: str
    model: str | None
    tokens_used: int
    finish_reason: FinishReason
    thinking: str | UnsetType = UNSET
    citations: list[Citation] | UnsetType = UNSET


class Content(Struct, tag="content"):
    """An event of a stream: more of the answer."""

    text: str


class Thinking(Struct, tag="thinking"):
    """An event of a stream: more of what the model thinks, where that was asked for."""

    text: str


class Done(Struct, tag="done"):
    """The last event of a stream."""

    message: Streamed


class Failure(Struct, tag="error"):
    """The last event of a stream that could not be brought to its end."""

    error: str
    message: str
