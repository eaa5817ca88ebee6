"""A run as events: `ping`, `delta`, `usage`, `done`, `error`, as the `streaming` contract has them.

Every event of a run has an `id:`, the number up to which its reader has seen the run. Of several
events that tell one fact only the last carries that fact's number, so whoever comes back misses
none of them. Before a run has begun there is nothing to tell but that the line is open: comments.
"""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from palaver.dialects.subscriptions import wire
from palaver.domain.errors import ErrorKind
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
from palaver.kit.sse import frame
from palaver.services.live import LiveStream, Running

_encode: Final = msgspec.json.Encoder().encode
_SILENCE: Final = b": \n\n"
_CODES: Final = {
    ErrorKind.PROVIDER_OVERLOADED: "PROVIDER_RATE_LIMITED",
    ErrorKind.PROVIDER_FAILED: "PROVIDER_ERROR",
    ErrorKind.INTERNAL: "INTERNAL_ERROR",
}
"""The codes of failures whose kinds have other names."""


class SessionFrames:
    """One reader's frames of a session: of the run that goes on, or that it waits for."""

    def __init__(self, stream: LiveStream) -> None:
        self._stream = stream
        self._run: RunFrames | None = None

    def opening(self) -> bytes:
        """Return the first `ping`, or that there is nothing yet."""
        if (running := self._stream.running) is None:
            return _SILENCE
        self._run = RunFrames(running, after=self._stream.at)
        return self._run.heartbeat()

    def heartbeat(self) -> bytes:
        """Return a `ping` with the number up to which everything has been sent."""
        return _SILENCE if self._run is None else self._run.heartbeat()

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the events of some pieces; those of a run that has just begun open with `ping`."""
        if self._run is not None:
            return self._run.encode(segments)
        running = self._stream.running
        assert running is not None  # noqa: S101  # pieces come of a run
        self._run = RunFrames(running, after=segments[0].start)
        return self._run.heartbeat() + self._run.encode(segments)


class RunFrames:
    """One reader's frames of one run; the bytes of a piece are made once for all its readers."""

    def __init__(self, running: Running, *, after: int) -> None:
        self._uuid = running.generation.uuid
        self._answer_uuid = running.answer_uuid
        self._until = after
        # A `wire.Delta` is what readers get all the time: only number and text are made anew.
        self._delta = b'\nevent: delta\ndata: {"generation_id":%b,"delta":' % _encode(self._uuid)

    def heartbeat(self) -> bytes:
        """Return a `ping`."""
        return self._event("ping", self._until, wire.Ping(self._uuid))

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the events of some pieces; nothing for what this contract does not show."""
        self._until = segments[-1].until
        return b"".join([segment.framed("subscriptions", self._frames) for segment in segments])

    def _frames(self, segment: Segment) -> bytes:
        if segment.kind is EventKind.TEXT:
            return b"id: %d%b%b}\n\n" % (segment.until, self._delta, _encode(segment.body))
        event = unpack(segment)
        until = segment.until
        match event:
            case ReasoningDelta() | Status() | SourceFound() | Cited() | TextDelta():
                # text was told already
                return b""
            case UsageReported():
                usage = wire.TokenUsage(event.total_tokens)
                return self._event("usage", until, wire.Usage(self._uuid, usage))
            case Finished():
                return self._event("done", until, wire.Done(self._uuid, "ok", self._answer_uuid))
            case Canceled():
                return self._event("done", until, wire.Done(self._uuid, "canceled"))
            case Failed() | Interrupted():
                code = _CODES.get(event.kind, event.kind.name)
                error = wire.StreamError(self._uuid, code, event.message)
                return self._event("error", segment.start, error) + self._event(
                    "done", until, wire.Done(self._uuid, "error")
                )
            case _:
                assert_never(event)

    def _event(self, name: str, number: int, data: msgspec.Struct) -> bytes:
        return frame(_encode(data), event=name, id=str(number))
