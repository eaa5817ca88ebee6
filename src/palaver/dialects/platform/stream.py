"""A run as the `platform` contract shows it: whole, or as `content` …, then `done` or `error`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec
from msgspec import UNSET

from palaver.dialects.platform import completions_wire as wire
from palaver.dialects.platform.errors import meaning
from palaver.domain.events import (
    Canceled,
    Cited,
    EventKind,
    Failed,
    Finished,
    FinishReason,
    Interrupted,
    ReasoningDelta,
    Segment,
    SourceFound,
    Status,
    TextDelta,
    UsageReported,
    failure_of,
    unpack,
)
from palaver.domain.streams import Stream
from palaver.kit.sse import frame

_encode: Final = msgspec.json.Encoder().encode
_HEARTBEAT: Final = b": \n\n"
_REASONS: Final[dict[FinishReason, wire.FinishReason]] = {
    FinishReason.STOP: "stop",
    FinishReason.LENGTH: "length",
    FinishReason.TOOL_CALLS: "stop",
    # What a filter cut off is no answer that came to its end.
    FinishReason.CONTENT_FILTER: "error",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """An answer under way, and how it is called; without a chat no generation outlives it."""

    id: str
    message_id: str
    model: str | None
    stream: Stream
    generation_uuid: str | None
    shows_thinking: bool = False
    shows_citations: bool = False  # also where there are none


class Answer:
    """What has come of an answer so far."""

    def __init__(self) -> None:
        self._texts: list[str] = []
        self._thoughts: list[str] = []
        self.citations: list[wire.Citation] = []
        self.tokens_used = 0
        self.ending: Finished | Canceled | Failed | Interrupted | None = None

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return "".join(self._texts)

    @property
    def thinking(self) -> str:
        """Return what the model has thought so far."""
        return "".join(self._thoughts)

    @property
    def finish_reason(self) -> wire.FinishReason:
        """Return why it has ended."""
        return _REASONS[self.ending.reason] if isinstance(self.ending, Finished) else "canceled"

    def take(self, segment: Segment) -> None:
        """Take a piece in."""
        event = unpack(segment)
        match event:
            case TextDelta(text):
                self._texts.append(text)
            case UsageReported():
                self.tokens_used = event.total_tokens
            case ReasoningDelta(text):
                self._thoughts.append(text)
            case Cited(citations):
                self.citations = [wire.Citation.of(citation) for citation in citations]
            case Status() | SourceFound():
                pass
            case Finished() | Canceled() | Failed() | Interrupted():
                self.ending = event
            case _:
                assert_never(event)


def completion_of(asked: Asked, segments: Sequence[Segment]) -> wire.Completion:
    """Return the whole answer. Raises `ProviderError` with the run's own failure."""
    answer = Answer()
    for segment in segments:
        answer.take(segment)
    if isinstance(answer.ending, Failed | Interrupted):
        raise failure_of(answer.ending)
    thinking = answer.thinking if asked.shows_thinking else UNSET
    return wire.Completion(
        asked.id,
        asked.model,
        wire.Said("assistant", answer.text, thinking),
        answer.tokens_used,
        answer.finish_reason,
        answer.citations if asked.shows_citations or answer.citations else UNSET,
    )


class CompletionFrames:
    """One reader's frames of one answer, from its beginning."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self._answer = Answer()

    def opening(self) -> bytes:
        """Return nothing: the first event is the answer's."""
        return b""

    def heartbeat(self) -> bytes:
        """Return a comment: this contract has no event for silence."""
        return _HEARTBEAT

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the events of some pieces; nothing for what this contract does not show."""
        return b"".join([self._frame(segment) for segment in segments])

    def _frame(self, segment: Segment) -> bytes:
        self._answer.take(segment)
        if segment.kind is EventKind.TEXT:
            return segment.framed("platform", _content)
        if segment.kind is EventKind.REASONING and self._asked.shows_thinking:
            return _event(wire.Thinking(segment.body))
        ending = self._answer.ending
        if ending is None:
            return b""
        if isinstance(ending, Failed | Interrupted):
            _, code = meaning(ending.kind)
            return _event(wire.Failure(code, ending.message))
        return _event(wire.Done(self._message()))

    def _message(self) -> wire.Streamed:
        return wire.Streamed(
            self._asked.message_id,
            "assistant",
            self._answer.text,
            self._asked.model,
            self._answer.tokens_used,
            self._answer.finish_reason,
            self._answer.thinking if self._asked.shows_thinking else UNSET,
            self._answer.citations
            if self._asked.shows_citations or self._answer.citations
            else UNSET,
        )


def _content(segment: Segment) -> bytes:
    return b'data: {"type":"content","text":%b}\n\n' % _encode(segment.body)


def _event(data: msgspec.Struct) -> bytes:
    return frame(_encode(data))
