"""A run as the `companion` contract's events: `content` …, then `done` or `error`."""

from collections.abc import Sequence
from typing import Final, assert_never

import msgspec

from palaver.dialects.companion import wire
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

_encode: Final = msgspec.json.Encoder().encode
_HEARTBEAT: Final = b": \n\n"
_CODES: Final = {
    ErrorKind.PROVIDER_TIMEOUT: "provider_timeout",
    ErrorKind.PROVIDER_OVERLOADED: "unavailable",
    ErrorKind.INTERRUPTED: "unavailable",
    ErrorKind.INTERNAL: "internal_error",
}


class ChatFrames:
    """One reader's frames of one run, from its beginning."""

    def __init__(self, *, conversation_id: str, message_id: str) -> None:
        self._conversation_id = conversation_id
        self._message_id = message_id
        self._texts: list[str] = []

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
        if segment.kind is EventKind.TEXT:
            self._texts.append(segment.body)
            return segment.framed("companion", _content)
        event = unpack(segment)
        match event:
            case (
                TextDelta()
                | ReasoningDelta()
                | Status()
                | SourceFound()
                | Cited()
                | UsageReported()
            ):
                return b""
            case Finished() | Canceled():
                text = "".join(self._texts)
                return _event(wire.Done(text, self._message_id, self._conversation_id))
            case Failed() | Interrupted():
                code = _CODES.get(event.kind, "provider_error")
                return _event(wire.Failure(code, event.message))
            case _:
                assert_never(event)


def _content(segment: Segment) -> bytes:
    return b'data: {"type":"content","text":%b}\n\n' % _encode(segment.body)


def _event(data: msgspec.Struct) -> bytes:
    return frame(_encode(data))
