"""Completions without a conversation: asked, relayed and paid, and nothing of them is kept.

Such an answer belongs to its reader: when the reader leaves, the provider's socket is closed.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

import msgspec

from palaver.domain.errors import ErrorKind, Fault, InvalidInput, ProviderError
from palaver.domain.events import (
    SPANS,
    Cited,
    Ending,
    Event,
    EventKind,
    Failed,
    Finished,
    FinishReason,
    Segment,
    SourceFound,
    pack,
)
from palaver.domain.generations import Options
from palaver.domain.providers import Turn
from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.kit.ids import new_uuid
from palaver.kit.tasks import Tasks
from palaver.services.calls import CallService, ProviderCall
from palaver.services.findings import Findings
from palaver.services.starting import Choice, Starter
from palaver.streaming.segments import number

log = logging.getLogger(__name__)

ROOM: Final = 64 * 1024
"""Unread code points above which the provider is not read on."""
ANSWER_MAX_LENGTH: Final = 2 * 1024 * 1024
"""Most code points of one answer."""


class RelayedAnswer(msgspec.Struct, frozen=True):
    """An answer under way: the model, and the name it was asked by, if that is another one."""

    uuid: str
    model: str
    asked_model: str | None
    options: Options
    stream: Stream


class CompletionService:
    """Asks, and keeps nothing but what was used."""

    def __init__(self, calls: CallService, starter: Starter) -> None:
        self.calls = calls
        self.starter = starter
        self._tasks = Tasks()

    async def close(self) -> None:
        """Stop what is under way; it is settled as far as it has come."""
        await self._tasks.cancel()

    async def open(self, actor: Actor, turns: Sequence[Turn], choice: Choice) -> RelayedAnswer:
        """Check and hold; the provider is asked with the first `next` of the stream.

        It counts as one message, in all limits, and fits where a run with these turns as context
        does. Raises `DomainError` as `GenerationService.send` does.
        """
        order = await self.starter.order(actor, None, choice, question=turns[-1].text)
        if order.images:
            message = "A picture is kept in a chat: name one."
            raise InvalidInput.of("chat_id", Fault.MISSING, message)
        prompt = self.starter.prompt_of(turns, order)
        call = await self.calls.open(
            actor, prompt, options=order.options, least_tokens=order.least_tokens
        )
        return RelayedAnswer(
            uuid=new_uuid(),
            model=order.resolved.model.name,
            asked_model=order.asked_model,
            options=order.options,
            stream=Relay(call, self._tasks),
        )


class Relay:
    """Reads one call as one reads a run. `close` before its end stops the call."""

    def __init__(self, call: ProviderCall, tasks: Tasks) -> None:
        self.at = 0
        self._call = call
        self._tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._unread: list[tuple[EventKind, str]] = []
        self._unread_length = 0
        self._is_over = False
        self._findings = Findings()
        self._news = asyncio.Event()
        self._was_read = asyncio.Event()

    async def next(
        self, *, silence_seconds: float | None = None, silent_since: float | None = None
    ) -> list[Segment] | None:
        """Return what has come; see `Stream`."""
        now = asyncio.get_running_loop().time()
        since = now if silent_since is None else silent_since
        if self._task is None and not self._is_over:
            self._task = self._tasks.start(self._drive(), name="completion")
            self._task.add_done_callback(self._drove)
        while not self._unread:
            if self._is_over:
                return []
            self._news.clear()
            try:
                until = None if silence_seconds is None else since + silence_seconds
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                return None
        segments = number(self._unread, self.at)
        self._unread, self._unread_length = [], 0
        self._was_read.set()
        self.at = segments[-1].until
        return segments

    def close(self) -> None:
        """Leave: what is not over stops, and what was never read is given back."""
        self._end()
        self._unread.clear()
        if self._task is None:
            self._call.abandon()
        else:
            self._task.cancel()

    async def _drive(self) -> None:
        ending = await self._ask()
        self._findings.read(self._call.prompt)
        if citations := await self._findings.cited(self._call.text):
            self._put(Cited(citations))
        if self._call.usage is not None:
            self._put(self._call.usage)
        self._put(ending)

    def _drove(self, _: "asyncio.Task[None]") -> None:
        """See to what `_drive` cannot: a task that is cancelled at once never takes a step."""
        self._call.abandon()
        self._end()

    async def _ask(self) -> Ending:
        """Relay the answer; the call is settled when this returns."""
        try:
            async with self._call as call:
                while (event := await call.next()) is not None:
                    if isinstance(event, SourceFound):
                        self._findings.add(event.source)
                    if not self._put(event):
                        return Finished(FinishReason.LENGTH)
                    while self._unread_length > ROOM:
                        self._was_read.clear()
                        await self._was_read.wait()
                return call.finished or Failed(ErrorKind.PROVIDER_FAILED, "The answer was cut off.")
        except ProviderError as error:
            return Failed(error.kind, error.message, error.retry_after_seconds)
        except Exception:
            log.exception("a completion failed")
            return Failed(ErrorKind.INTERNAL, "An unexpected error occurred.")

    def _put(self, event: Event) -> bool:
        """Take an event for the reader; False where it would make the answer too long."""
        kind, body = pack(event)
        if kind in SPANS and self.at + self._unread_length + len(body) > ANSWER_MAX_LENGTH:
            return False
        if body:
            self._unread.append((kind, body))
            self._unread_length += len(body)
            self._news.set()
        return True

    def _end(self) -> None:
        self._is_over = True
        self._news.set()
