"""A run as the `streaming` contract's events: `ping`, `delta`, `usage`, `done`, `error`.

Every event has an `id:`, the number up to which its reader has seen the run. Of several events that
tell one fact only the last carries that fact's number, so whoever comes back misses none of them.
"""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from palaver.dialects.streaming import wire
from palaver.dialects.streaming.errors import meaning
from palaver.domain.events import (
    Canceled,
    Cited,
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
from palaver.domain.generations import Generation
from palaver.kit.sse import frame

_encode: Final = msgspec.json.Encoder().encode


class StreamFrames:
    """One reader's frames of one run; the bytes of a piece are made once for all its readers."""

    def __init__(self, generation: Generation, *, after: int) -> None:
        self._uuid = generation.uuid
        self._answer_id = generation.answer_id
        self._until = after
        # A delta is what a reader gets all the time: only its number and its text are made anew.
        self._delta = b'\nevent: delta\ndata: {"generation_id":%b,"delta":' % _encode(self._uuid)

    def opening(self) -> bytes:
        """Return the first `ping`."""
        return self.heartbeat()

    def heartbeat(self) -> bytes:
        """Return a `ping` with the number up to which everything has been sent."""
        return self._event("ping", self._until, wire.Ping(self._uuid))

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the events of some pieces; nothing for what this contract does not show."""
        self._until = segments[-1].until
        if len(segments) == 1:
            return segments[0].framed("streaming", self._frames)
        return b"".join([segment.framed("streaming", self._frames) for segment in segments])

    def _frames(self, segment: Segment) -> bytes:
        if segment.kind is EventKind.TEXT:
            return b"id: %d%b%b}\n\n" % (segment.until, self._delta, _encode(segment.body))
        return self._rare_frames(segment)

    def _rare_frames(self, segment: Segment) -> bytes:
        event = unpack(segment)
        until = segment.until
        match event:
            case TextDelta(text):
                return self._event("delta", until, wire.Delta(self._uuid, text))
            case ReasoningDelta() | Status() | SourceFound() | Cited():
                return b""
            case UsageReported():
                usage = wire.TokenUsage(event.total_tokens)
                return self._event("usage", until, wire.Usage(self._uuid, usage))
            case Finished():
                return self._event("done", until, wire.Done(self._uuid, "ok", self._answer_id))
            case Canceled():
                return self._event("done", until, wire.Done(self._uuid, "canceled"))
            case Failed() | Interrupted():
                return self._failure(segment, event)
            case _:
                assert_never(event)

    def _failure(self, segment: Segment, event: Failed | Interrupted) -> bytes:
        _, code = meaning(event.kind)
        error = wire.StreamError(self._uuid, code, event.message)
        return self._event("error", segment.start, error) + self._event(
            "done", segment.until, wire.Done(self._uuid, "error")
        )

    def _event(self, name: str, number: int, data: msgspec.Struct) -> bytes:
        return frame(_encode(data), event=name, id=str(number))
