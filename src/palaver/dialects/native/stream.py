"""A run as events: `ping`, `text`, `reasoning`, `status`, `source`, `cited`, `usage`, and an end.

Every event has an `id:`, the number up to which its reader has seen the run.
"""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from palaver.dialects.native import generations_wire as wire
from palaver.dialects.native.answers_wire import Citation, Source
from palaver.domain.events import (
    Canceled,
    Cited,
    Ending,
    Event,
    EventKind,
    Failed,
    Finished,
    Interrupted,
    ReasoningDelta,
    Segment,
    SourceFound,
    Status,
    TextDelta,
    UsageReported,
    unpack,
)
from palaver.domain.generations import ShownRun
from palaver.kit.sse import frame

_encode: Final = msgspec.json.Encoder().encode

EVENTS: Final = (
    wire.Ping,
    wire.Text,
    wire.Status,
    wire.SourceFound,
    wire.Cited,
    wire.Usage,
    wire.Done,
    wire.Failed,
)


class GenerationFrames:
    """One reader's frames of one run; the bytes of a piece are made once for all its readers."""

    def __init__(self, run: ShownRun, *, after: int) -> None:
        self._run = run
        self._until = after

    def opening(self) -> bytes:
        """Return the first `ping`."""
        return self.heartbeat()

    def heartbeat(self) -> bytes:
        """Return a `ping` with the number up to which everything has been sent."""
        return _event("ping", self._until, wire.Ping(self._run.uuid))

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the events of some pieces."""
        self._until = segments[-1].until
        return b"".join([segment.framed("native", self._frame) for segment in segments])

    def _frame(self, segment: Segment) -> bytes:
        if segment.kind is EventKind.TEXT:  # a `wire.Text`, which readers get all the time
            body = _encode(segment.body)
            return b'id: %d\nevent: text\ndata: {"text":%b}\n\n' % (segment.until, body)
        name, data = self._told(unpack(segment))
        return _event(name, segment.until, data)

    def _told(self, event: Event) -> tuple[str, msgspec.Struct]:
        match event:
            case TextDelta(text):
                return "text", wire.Text(text)
            case ReasoningDelta(text):
                return "reasoning", wire.Text(text)
            case Status(text):
                return "status", wire.Status(text)
            case SourceFound(source):
                return "source", wire.SourceFound(Source.of(source))
            case Cited(citations):
                told = [Citation(*msgspec.structs.astuple(each)) for each in citations]
                return "cited", wire.Cited(told)
            case UsageReported() as usage:
                counted = (usage.prompt_tokens, usage.completion_tokens, usage.reasoning_tokens)
                return "usage", wire.Usage(*counted, usage.total_tokens)
            case Finished() | Canceled() | Failed() | Interrupted():
                return self._end(event)
            case _:
                assert_never(event)

    def _end(self, ending: Ending) -> tuple[str, msgspec.Struct]:
        answer_id = self._run.answer_uuid
        match ending:
            case Finished(reason):
                return "done", wire.Done("completed", answer_id, reason)
            case Canceled():
                return "done", wire.Done("canceled", answer_id, None)
            case Failed():
                error = wire.Failure(ending.kind.name, ending.message)
                return "failed", wire.Failed("failed", answer_id, error)
            case Interrupted():
                error = wire.Failure(ending.kind.name, ending.message)
                return "failed", wire.Failed("interrupted", answer_id, error)
            case _:
                assert_never(ending)


def _event(name: str, number: int, data: msgspec.Struct) -> bytes:
    return frame(_encode(data), event=name, id=str(number))
