"""What happens in a generation, as numbered facts: a closed set, ended by exactly one of four.

An event's number is a position: where it ends in the run's output, counted in code points for text
and reasoning, one for anything else. So neighbours can be merged and cut anywhere, and a reader who
has seen up to N is owed exactly what lies beyond N.
"""

import enum
from collections.abc import Callable
from typing import ClassVar, Final, TypeAlias

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.sources import Citation, Source


class EventKind(enum.IntEnum):
    """How an event is stored: `generation_events.kind`. Numbers never change their meaning."""

    TEXT = 1
    REASONING = 2
    USAGE = 3
    STATUS = 4
    SOURCE = 5
    CITED = 6
    FINISHED = 10
    FAILED = 11
    CANCELED = 12
    INTERRUPTED = 13


SPANS: Final = frozenset({EventKind.TEXT, EventKind.REASONING})
"""Kinds whose body is text: they take as many numbers as they have code points."""

FINAL: Final = frozenset(
    {EventKind.FINISHED, EventKind.FAILED, EventKind.CANCELED, EventKind.INTERRUPTED}
)


class FinishReason(enum.StrEnum):
    """Why a model stopped by itself."""

    STOP = "stop"
    LENGTH = "length"
    CONTENT_FILTER = "content_filter"
    TOOL_CALLS = "tool_calls"


class Segment(msgspec.Struct, gc=False):
    """A row of the log: it covers `(start, until]` of the run's output."""

    start: int
    until: int
    kind: EventKind
    body: str  # the text itself for SPANS, else the JSON of the event's struct below
    framed_by: str | None = None  # the contract whose `frame` is kept
    frame: bytes = b""

    def after(self, number: int) -> "Segment":
        """Return what lies beyond `number`; only spans can be cut in the middle."""
        if number <= self.start:
            return self
        return Segment(number, self.until, self.kind, self.body[number - self.start :])

    def framed(self, contract: str, encode: Callable[["Segment"], bytes]) -> bytes:
        """Return its bytes in the stream of a contract, made once for all its readers there.

        Only the newest contract's bytes are kept: the readers of one run rarely speak two. `encode`
        may depend on nothing but the segment, its run and the contract.
        """
        if self.framed_by != contract:
            self.frame = encode(self)
            self.framed_by = contract
        return self.frame


class TextDelta(msgspec.Struct, frozen=True, gc=False):
    """More of the answer."""

    text: str


class ReasoningDelta(msgspec.Struct, frozen=True, gc=False):
    """More of what the model thinks before it answers."""

    text: str


class UsageReported(msgspec.Struct, frozen=True, gc=False):
    """What the run has used, in the provider's tokens (or our estimate where it gave no figure)."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0  # part of completion_tokens
    cached_tokens: int = 0  # part of prompt_tokens
    cost_micro_usd: int | None = None  # the provider's own figure, where it gives one
    is_estimate: bool = False

    @property
    def total_tokens(self) -> int:
        """Return prompt and completion together."""
        return self.prompt_tokens + self.completion_tokens


class Status(msgspec.Struct, frozen=True, gc=False):
    """What the run is busy with, as a short phrase: "searching …"."""

    text: str


class SourceFound(msgspec.Struct, frozen=True, gc=False):
    """A passage that was found for this answer."""

    source: Source


class Cited(msgspec.Struct, frozen=True, gc=False):
    """What the answer cites, once it is complete."""

    citations: tuple[Citation, ...]


class Finished(msgspec.Struct, frozen=True, gc=False):
    """The model came to its end."""

    reason: FinishReason


class Failed(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The provider, or we, could not go on."""

    error: str  # the value of an `ErrorKind`
    message: str
    retry_after_seconds: int | None = None  # by the provider's word

    @property
    def kind(self) -> ErrorKind:
        """Return the kind of failure; one that we do not know is ours."""
        try:
            return ErrorKind(self.error)
        except ValueError:
            return ErrorKind.INTERNAL


class Canceled(msgspec.Struct, frozen=True, gc=False):
    """Somebody stopped the run."""


class Interrupted(msgspec.Struct, frozen=True, gc=False):
    """The worker died, and nobody could go on from there: a failure without a cause."""

    kind: ClassVar[ErrorKind] = ErrorKind.INTERRUPTED
    message: ClassVar[str] = "The server stopped in the middle of this answer."


def failure_of(ending: Failed | Interrupted) -> ProviderError:
    """Return why a run has failed, for whoever waited for it."""
    retry = ending.retry_after_seconds if isinstance(ending, Failed) else None
    return ProviderError(ending.message, kind=ending.kind, retry_after_seconds=retry)


Ending: TypeAlias = Finished | Failed | Canceled | Interrupted
Event: TypeAlias = (
    TextDelta | ReasoningDelta | UsageReported | Status | SourceFound | Cited | Ending
)

_STRUCTS: Final[dict[EventKind, type[Event]]] = {
    EventKind.USAGE: UsageReported,
    EventKind.STATUS: Status,
    EventKind.SOURCE: SourceFound,
    EventKind.CITED: Cited,
    EventKind.FINISHED: Finished,
    EventKind.FAILED: Failed,
    EventKind.CANCELED: Canceled,
    EventKind.INTERRUPTED: Interrupted,
}
_KINDS: Final[dict[type[Event], EventKind]] = {
    TextDelta: EventKind.TEXT,
    ReasoningDelta: EventKind.REASONING,
    **{struct: kind for kind, struct in _STRUCTS.items()},
}
_DECODERS: Final = {kind: msgspec.json.Decoder(struct) for kind, struct in _STRUCTS.items()}


def pack(event: Event) -> tuple[EventKind, str]:
    """Return an event as the log keeps it: kind and body."""
    kind = _KINDS[type(event)]
    if isinstance(event, (TextDelta, ReasoningDelta)):  # 0.1 µs; as a union it is built each time
        return kind, event.text
    return kind, msgspec.json.encode(event).decode()


def unpack(segment: Segment) -> Event:
    """Return the event of a segment: the reverse of `pack`."""
    if segment.kind is EventKind.TEXT:
        return TextDelta(segment.body)
    if segment.kind is EventKind.REASONING:
        return ReasoningDelta(segment.body)
    return _DECODERS[segment.kind].decode(segment.body)


def length(kind: EventKind, body: str) -> int:
    """Return how many numbers an event takes."""
    return len(body) if kind in SPANS else 1
