"""One answer on its way: read from the connection, and turned into events."""

from typing import Final

from palaver.domain.errors import ProviderError
from palaver.domain.providers import CompletionEvent, ProviderSettings
from palaver.kit.sse import EventTooLarge, Splitter
from palaver.providers.openai import refusals
from palaver.providers.openai.wire import ErrorSent, Interpreter, WrongShape
from palaver.providers.transport import PassingError, Reply

MAX_ANSWER_BYTES: Final = 32 * 1024 * 1024
"""Of an answer that is not streamed, JSON and all."""
TAIL_SECONDS: Final = 5.0
"""How long usage and end mark may take once the model has come to its end."""


class Answer:
    """Reads one completion, streamed or not, to its end."""

    __slots__ = (
        "_failure",
        "_has_begun",
        "_has_ended",
        "_interpreter",
        "_is_whole",
        "_model",
        "_reply",
        "_saw_events",
        "_settings",
        "_splitter",
    )

    def __init__(self, settings: ProviderSettings, reply: Reply, *, model: str) -> None:
        self._settings = settings
        self._model = model
        self._reply = reply
        self._splitter = Splitter()
        self._interpreter = Interpreter()
        self._is_whole = reply.media_type == "application/json"
        self._failure: ProviderError | None = None  # told once all that came before it is
        self._has_begun = False
        self._has_ended = False
        self._saw_events = False

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
                events += await self._end()
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
            for data in self._splitter.feed(chunk) if chunk else self._splitter.end():
                self._saw_events = True
                events += self._interpreter.take(data)
        except ErrorSent as error:
            raise self._sent(error) from error
        except EventTooLarge as error:
            raise ProviderError(f"{self._settings.name} sent an event without end.") from error
        except WrongShape as error:
            # At the end it is an event that was cut in the middle: `_end` says so.
            if chunk:
                raise self._unreadable() from error

    async def _end(self) -> list[CompletionEvent]:
        interpreter = self._interpreter
        if not interpreter.is_done and interpreter.reason is None:
            if self._saw_events:
                raise PassingError(f"{self._settings.name} broke off in the middle of its answer.")
            raise self._unreadable()
        await self._reply.drain()
        self._has_ended = True
        return interpreter.ending()

    async def _read_whole(self) -> list[CompletionEvent]:
        """Return all of an answer that comes as one JSON document."""
        self._reply.heard(self._settings.whole_timeout_seconds)
        body = await self._reply.whole(max_bytes=MAX_ANSWER_BYTES)
        if len(body) >= MAX_ANSWER_BYTES:
            raise ProviderError(f"{self._settings.name} sent an answer without end.")
        try:
            events = self._interpreter.take(body)
        except ErrorSent as error:
            raise self._sent(error) from error
        except WrongShape as error:
            raise self._unreadable() from error
        if not events and self._interpreter.reason is None:
            raise self._unreadable()
        self._has_ended = True
        return events + self._interpreter.ending()

    def _sent(self, sent: ErrorSent) -> ProviderError:
        refusal = refusals.parse(sent.error)
        status = refusals.status_of(refusal)
        return refusals.failure(self._settings, status, refusal, model=self._model)

    def _unreadable(self) -> ProviderError:
        if self._reply.media_type == "text/html":
            return ProviderError(
                f"{self._settings.name} answered with a web page: is its base URL right?"
            )
        return ProviderError(f"What {self._settings.name} sent cannot be read as an answer.")
