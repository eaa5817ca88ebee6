"""One answer on its way: read from the connection, and turned into events.

An adapter brings an `Interpreter`, which knows what its protocol's events mean; the rest is alike.
"""

import json
import re
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.events import FinishReason
from palaver.domain.providers import CompletionEvent, ProviderSettings
from palaver.kit.sse import EventTooLarge, Splitter
from palaver.providers.transport import PassingError, Reply

T = TypeVar("T")

MOST_TOKENS: Final = 2**31 - 1

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Of an answer that is not streamed, JSON and all."""
TAIL_SECONDS: Final = 5.0
"""How long usage and end mark may take once the model has come to its end."""
_MAX_STRAY_BYTES: Final = 64 * 1024
_BARE_ERROR: Final = re.compile(rb'^\[?\s*(\{\s*"error".*)', re.MULTILINE | re.DOTALL)


class WrongShape(ValueError):
    """What came is not what this protocol has at this place."""


class ErrorSent(Exception):
    """The provider told of an error in the middle of its answer."""

    def __init__(self, error: object) -> None:
        super().__init__(error)
        self.error = error


class Interpreter(Protocol):
    """Turns the data of one answer's events, or all of it at once, into ours.

    `reason` is why it ended, None as long as that was not said; `is_done` tells whether the
    stream's own end mark came.
    """

    reason: FinishReason | None
    is_done: bool

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data. Raises `WrongShape`, `ErrorSent`."""

    def ending(self) -> list[CompletionEvent]:
        """Return what closes the answer: usage, where it was given, and the reason.

        Raises `ErrorSent` where what seemed an end is none.
        """


class Answer:
    """Reads one completion, streamed or not, to its end."""

    __slots__ = (
        "_failure",
        "_has_begun",
        "_has_ended",
        "_interpreter",
        "_is_whole",
        "_reply",
        "_saw_events",
        "_sent",
        "_settings",
        "_splitter",
        "_stray",
    )

    def __init__(
        self,
        settings: ProviderSettings,
        reply: Reply,
        interpreter: Interpreter,
        *,
        sent: Callable[[object], ProviderError],
    ) -> None:
        """Take an answer whose head is here; `sent` words an error that comes in its middle."""
        self._settings = settings
        self._reply = reply
        self._splitter = Splitter()
        self._interpreter = interpreter
        self._sent = sent
        self._is_whole = reply.media_type == "application/json"
        self._failure: ProviderError | None = None  # told once all that came before it is
        self._has_begun = False
        self._has_ended = False
        self._saw_events = False
        self._stray = b""  # what came since the last event, which may be an error without a frame

    async def read(self) -> list[CompletionEvent]:
        """Return the next events, at least one; an empty list after the end.

        Raises `ProviderError`, which may be repeated only before the first event.
        """
        if self._has_begun:
            self._reply.heard(self._limit_seconds())
        try:
            if self._failure is not None:
                raise self._failure
            while not self._has_ended:
                events = await (self._read_whole() if self._is_whole else self._read_some())
                if events:
                    self._has_begun = True
                    return events
        except PassingError as error:
            if self._has_begun:
                # Nobody may ask anew: a part of this answer has been seen.
                raise ProviderError(error.message, kind=error.kind) from error
            raise
        return []

    def close(self) -> None:
        """Close the connection at once, unless the answer has ended."""
        self._reply.close()

    def _limit_seconds(self) -> float:
        limit = self._settings.idle_timeout_seconds
        return limit if self._interpreter.reason is None else min(limit, TAIL_SECONDS)

    async def _read_some(self) -> list[CompletionEvent]:
        """Return what the next bytes hold: often nothing, but for the last ones."""
        interpreter = self._interpreter
        was_going_on = interpreter.reason is None
        try:
            chunk = await self._reply.read()
        except ProviderError:
            if was_going_on:
                raise
            chunk = b""  # the answer itself is complete
        events: list[CompletionEvent] = []
        try:
            self._interpret(chunk, events)
            if interpreter.is_done or not chunk:
                await self._end()
                events += self._ending()
        except ProviderError as error:
            if not events:
                raise
            self._failure = error
        if was_going_on and interpreter.reason is not None:
            self._reply.heard(self._limit_seconds())
        return events

    def _interpret(self, chunk: bytes, events: list[CompletionEvent]) -> None:
        """Add what a chunk holds to `events`; an empty one is the end of the stream."""
        try:
            datas = self._splitter.feed(chunk) if chunk else self._splitter.end()
            self._stray = chunk if datas else (self._stray + chunk)[-_MAX_STRAY_BYTES:]
            for data in datas:
                self._saw_events = True
                events += self._interpreter.take(data)
        except ErrorSent as error:
            raise self._sent(error.error) from error
        except EventTooLarge as error:
            raise ProviderError(f"{self._settings.name} sent an event without end.") from error
        except WrongShape as error:
            # At the end it is an event that was cut in the middle: `_end` says so.
            if chunk:
                raise self._unreadable() from error

    async def _end(self) -> None:
        interpreter = self._interpreter
        if not interpreter.is_done and interpreter.reason is None:
            # Google gives its framing up when it fails, and sends the error's JSON as it is.
            if bare := _BARE_ERROR.search(self._stray):
                raise self._sent(bare[1].rstrip(b"]\r\n ,"))
            if self._saw_events:
                raise PassingError(f"{self._settings.name} broke off in the middle of its answer.")
            raise self._unreadable()
        await self._reply.drain()
        self._has_ended = True

    def _ending(self) -> list[CompletionEvent]:
        try:
            return self._interpreter.ending()
        except ErrorSent as error:
            raise self._sent(error.error) from error

    async def _read_whole(self) -> list[CompletionEvent]:
        """Return all of an answer that comes as one JSON document."""
        self._reply.heard(self._settings.whole_timeout_seconds)
        body = await self._reply.whole(max_bytes=MAX_ANSWER_BYTES)
        if len(body) >= MAX_ANSWER_BYTES:
            raise ProviderError(f"{self._settings.name} sent an answer without end.")
        try:
            events = self._interpreter.take(body)
        except ErrorSent as error:
            raise self._sent(error.error) from error
        except WrongShape as error:
            raise self._unreadable() from error
        if not events and self._interpreter.reason is None:
            raise self._unreadable()
        self._has_ended = True
        try:
            events += self._ending()
        except ProviderError as error:
            if not events:
                raise
            self._failure = error
        return events

    def _unreadable(self) -> ProviderError:
        if self._reply.media_type == "text/html":
            return ProviderError(
                f"{self._settings.name} answered with a web page: is its base URL right?"
            )
        return ProviderError(f"What {self._settings.name} sent cannot be read as an answer.")


def decode_leniently(data: bytes, shape: type[T]) -> T:
    """Decode what is no strict JSON: halves of surrogate pairs, bytes that are no UTF-8.

    A server that cuts its text at UTF-16 units, or its tokens at bytes, sends such. Raises
    `WrongShape`.
    """
    try:
        return msgspec.convert(json.loads(data.decode("utf-8", "replace")), shape)
    except (ValueError, RecursionError) as error:
        raise WrongShape(str(error)) from error


def token_count(tokens: int | None) -> int:
    """Return a provider's figure as one that can be stored; what is none counts as 0."""
    return min(max(tokens or 0, 0), MOST_TOKENS)
