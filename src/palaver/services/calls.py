"""Calls of a provider that no conversation keeps: a title, a completion without a chat.

They are held and settled in the ledger as runs are, whatever becomes of them.
"""

import asyncio
import itertools
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from types import TracebackType
from typing import Final, Self

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import (
    Finished,
    ReasoningDelta,
    SourceFound,
    Status,
    TextDelta,
    UsageReported,
)
from palaver.domain.generations import Options
from palaver.domain.providers import CompletionEvent
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageKind
from palaver.domain.users import Actor
from palaver.kit.clock import SECOND, Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.asking import Asker, Notice, Preliminary
from palaver.services.ledger import Grant, Work, grant, reserve, settle
from palaver.services.prompts import Prompt, under_cap
from palaver.storage.database import CommitFailed, Database, DatabaseError
from palaver.storage.tx import Tx

log = logging.getLogger(__name__)

LEASE: Final = 30 * SECOND
"""A call whose process died holds its worst case no longer than this and a sweep."""
RENEW_SECONDS: Final = 10.0
_ANY: Final = Options()
SETTLE_RETRY_SECONDS: Final = 0.25
SETTLE_TRIES: Final = 20
"""So often a call is tried to be settled at this pace, and before a server that stops gives up."""
SETTLE_LATE_SECONDS: Final = 2.0
SETTLE_WAIT_SECONDS: Final = 5.0
"""So long an ending waits for its call to be settled; then that is the ledger's business alone."""


class CallService:
    """Opens calls."""

    def __init__(self, db: Database, asker: Asker, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.asker = asker
        self.clock = clock
        self.tasks = Tasks()
        self.is_closing = False
        self.on_failed: Callable[[str, ErrorKind], None] | None = None
        self.on_settled: Callable[[str, UsageReported | None], None] | None = None

    async def close(self) -> None:
        """Wait until what has ended is settled; nothing is opened any more."""
        self.is_closing = True
        await self.tasks.wait()

    async def open(
        self,
        actor: Actor,
        prompt: Prompt,
        *,
        kind: UsageKind = UsageKind.ANSWER,
        options: Options = _ANY,
        least_tokens: int = 1,
        conversation_id: int | None = None,
    ) -> "ProviderCall":
        """Hold a call's worst case and return it, ready to be entered. Raises `QuotaExceeded`."""
        at = self.clock()
        model = prompt.resolved.model
        work = Work(
            owner_id=actor.owner_id, model=model.name, kind=kind, conversation_id=conversation_id
        )
        call: ProviderCall | None = None
        try:
            async with self.db.transaction() as tx:
                granted = await grant(
                    tx,
                    actor.owner_id,
                    model,
                    kind=kind,
                    prompt_tokens=prompt.reserved_prompt_tokens,
                    max_tokens=prompt.max_tokens,
                    least_tokens=least_tokens,
                    at=at,
                )
                reservation_id = await reserve(tx, granted, expires_at=at + LEASE)
                call = ProviderCall(self, prompt, options, work, granted, reservation_id)
        except BaseException:
            # Who is cancelled while a transaction commits does not know whether it did.
            if call is not None:
                call.abandon()
            raise
        return call


class ProviderCall:
    """One call under way: `async with await calls.open(…) as call`, then `next` until None.

    Leaving the block closes the provider's socket and settles the call, also when it failed or the
    caller was cancelled; what was produced is paid, a failure before the first event is free. Who
    does not come to enter it has to `abandon` it.
    """

    def __init__(
        self,
        calls: CallService,
        prompt: Prompt,
        options: Options,
        work: Work,
        granted: Grant,
        reservation_id: int,
    ) -> None:
        self.finished: Finished | None = None
        self.usage: UsageReported | None = None  # the truth as it was settled, at the end
        self._calls = calls
        self._work = work
        self._granted = granted
        self._reservation_id = reservation_id
        self._text: list[str] = []
        self._reasoning: list[str] = []
        self._was_asked = False
        self._notice = ""  # what the answer begins with of ours
        self._has_failed = False
        self._prompt = under_cap(prompt, granted.max_tokens)
        self._events = self._ask(options)
        self._renewal: asyncio.Task[None] | None = None
        self._settling: asyncio.Task[None] | None = None

    @property
    def text(self) -> str:
        """Return the answer so far."""
        return "".join(self._text)

    @property
    def _said(self) -> str:
        return self.text.removeprefix(self._notice)

    @property
    def reasoning(self) -> str:
        """Return the reasoning so far."""
        return "".join(self._reasoning)

    @property
    def prompt(self) -> Prompt:
        """Return what is sent: all of it once the provider has been asked."""
        return self._prompt

    async def __aenter__(self) -> Self:
        self._renewal = self._calls.tasks.start(self._renew(), name="renew a reservation")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            await self._events.aclose()
        finally:
            # Not even a caller who is cancelled leaves without paying.
            self._settling = self._calls.tasks.start(self._settle(), name="settle a call")
            await asyncio.wait([self._settling], timeout=SETTLE_WAIT_SECONDS)

    def abandon(self) -> None:
        """Give back what is held for a call that nobody will enter; harmless for any other."""
        if self._renewal is None and self._settling is None:
            self._settling = self._calls.tasks.start(self._settle(), name="settle a call")

    async def next(self) -> TextDelta | ReasoningDelta | SourceFound | Status | None:
        """Return what is found and said next, None at the end. Raises `ProviderError`."""
        try:
            async for event in self._events:
                match event:
                    case TextDelta():
                        self._text.append(event.text)
                        return event
                    case ReasoningDelta():
                        self._reasoning.append(event.text)
                        return event
                    case SourceFound() | Status():
                        return event
                    case UsageReported():
                        self.usage = event
                    case Finished():
                        self.finished = event
                        return None
        except ProviderError as error:
            self._has_failed = True
            if self._calls.on_failed is not None:
                self._calls.on_failed(self._work.model, error.kind)
            raise
        return None

    async def _ask(self, options: Options) -> AsyncGenerator[CompletionEvent, None]:
        told: list[Preliminary] = []
        request, self._prompt = await self._calls.asker.prepare(
            self._work.owner_id, self._prompt, options, tell=told.append
        )
        for each in told:
            if isinstance(each, Notice):
                self._notice = each.text
                yield TextDelta(each.text)
            else:
                yield each
        self._was_asked = True
        async with aclosing(self._prompt.resolved.provider.complete(request)) as events:
            async for event in events:
                yield event

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            try:
                async with self._calls.db.transaction() as tx:
                    await self._hold_on(tx)
            except DatabaseError:
                log.warning("a reservation could not be renewed", exc_info=True)

    async def _settle(self) -> None:
        if self.usage is None and not self._owes_nothing:
            cap = self._granted.max_tokens
            reasoning_tokens = min(estimate_tokens(self.reasoning), cap)
            self.usage = UsageReported(
                prompt_tokens=self._prompt.prompt_tokens,
                completion_tokens=min(estimate_tokens(self._said) + reasoning_tokens, cap),
                reasoning_tokens=reasoning_tokens,
                is_estimate=True,
            )
        try:
            await self._insist()
            if self._calls.on_settled is not None:
                self._calls.on_settled(self._work.model, self.usage)
        finally:
            if self._renewal is not None:  # until then what is owed stays held
                self._renewal.cancel()

    async def _insist(self) -> None:
        """Settle, however long the database refuses: what is not settled would be free."""
        owner_id = self._work.owner_id
        pause_seconds = SETTLE_RETRY_SECONDS
        may_be_done = False
        for tries in itertools.count(1):
            try:
                await self._write(may_be_done=may_be_done)
            except DatabaseError as error:
                log.warning("a call cannot be settled yet", exc_info=tries == 1)
                may_be_done |= isinstance(error, CommitFailed)
            else:
                return
            if tries == SETTLE_TRIES:
                log.error("a call of user %s is not settled: it stays held, and is tried", owner_id)
                pause_seconds = SETTLE_LATE_SECONDS
            if tries >= SETTLE_TRIES and self._calls.is_closing:
                log.error("the server ends before a call of user %s could be settled", owner_id)
                return
            await asyncio.sleep(pause_seconds)

    async def _write(self, *, may_be_done: bool) -> None:
        async with self._calls.db.transaction() as tx:
            if may_be_done:  # a commit may come through and its answer may not
                await tx.users.lock_usage(self._work.owner_id)
                if not await self._hold_on(tx):
                    return
            await settle(
                tx,
                self._work,
                self._granted.terms,
                self.usage,
                reservation_id=self._reservation_id,
                started_at=self._granted.at,
                at=self._calls.clock(),
            )

    async def _hold_on(self, tx: Tx) -> bool:
        """Renew the reservation, and tell whether it is there."""
        return await tx.usage.renew(self._reservation_id, expires_at=self._calls.clock() + LEASE)

    @property
    def _owes_nothing(self) -> bool:
        if not self._was_asked:
            return True
        return self._has_failed and not self._said and not self._reasoning
