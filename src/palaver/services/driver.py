"""Drives runs: asks the provider, feeds the log, and brings the record to its end.

A run belongs to us, not to the request that started it: a reader may leave and come back.
"""

import asyncio
import contextlib
import logging
from collections.abc import Coroutine, Sequence
from contextlib import aclosing
from typing import Any, Final

from palaver.domain.errors import DomainError, ErrorKind, NotFound, ProviderError
from palaver.domain.events import (
    Canceled,
    Ending,
    EventKind,
    Failed,
    Finished,
    FinishReason,
    Interrupted,
    Segment,
    UsageReported,
)
from palaver.domain.generations import Generation
from palaver.domain.log import Claimed, Refused
from palaver.domain.providers import CompletionRequest, Provider, Turn
from palaver.domain.users import SYSTEM
from palaver.kit.clock import Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.models import ModelService, ResolvedModel
from palaver.services.prompts import Prompt, prompt_for
from palaver.services.settlement import Output, finish, settle
from palaver.storage.database import Database, DatabaseError
from palaver.streaming.run import CancelRequested, Lost, Run
from palaver.streaming.runs import Runs

log = logging.getLogger(__name__)

CANCEL_WAIT_SECONDS: Final = 2.0
FINISH_RETRY_SECONDS: Final = 0.25
FINISH_TRIES: Final = 60


class Live:
    """A run of this worker: its record, its channel, and the task that drives it."""

    __slots__ = ("earlier_calls", "generation", "run", "task")

    def __init__(self, generation: Generation, run: Run) -> None:
        self.generation = generation
        self.run = run
        self.earlier_calls = 0  # requests to the provider that died with their worker
        self.task: asyncio.Task[None] | None = None


class Driver:
    """The runs that this worker holds: launched, cancelled, taken over, finished."""

    def __init__(
        self, db: Database, runs: Runs, models: ModelService, *, clock: Clock = system_clock
    ) -> None:
        self.db = db
        self.runs = runs
        self.models = models
        self.clock = clock
        self._live: dict[int, Live] = {}
        self._tasks = Tasks()

    def launch(self, generation: Generation, resolved: ResolvedModel, prompt: Prompt) -> None:
        """Begin a run whose record is durable; returns at once.

        A queued one is left to whichever worker claims it, and so is one whose worker, this one,
        was declared dead in between.
        """
        if (live := self._open(generation)) is not None:
            self._start(live, self._ask(live, resolved, prompt))

    async def halt(self, conversation_id: int) -> None:
        """Cancel and settle whatever runs in a conversation."""
        async with self.db.transaction() as tx:
            live = await tx.generations.live_of_conversation(conversation_id)
            for generation in live:
                await tx.generations.request_cancel(generation.id, at=self.clock())
        for generation in live:
            await self.cancel(generation.id)

    async def cancel(self, generation_id: int) -> None:
        """Stop a run of this worker whose cancellation is stored, and wait until it has ended.

        A run of another worker is stopped by that worker, which finds the request by itself.
        """
        live = self._live.get(generation_id)
        if live is None or live.task is None:
            return
        live.run.stop(CancelRequested())
        await asyncio.wait([live.task], timeout=CANCEL_WAIT_SECONDS)

    async def take_over(self, claimed: Claimed) -> None:
        """Go on with a run whose worker is gone: anew, from where it stands, or not at all."""
        logged = await self.runs.logged(claimed.generation_id)
        async with self.db.read() as tx:
            generation = await tx.generations.get(claimed.generation_id)
        if generation is None or (live := self._open(generation, already=logged)) is None:
            return
        if generation.cancel_requested_at is not None:
            self._start(live, self._conclude(live, Canceled(), None))
        elif any(segment.kind is not EventKind.TEXT for segment in logged):
            self._start(live, self._conclude(live, Interrupted(), None))
        else:
            self._start(live, self._resume(live))

    async def close(self) -> None:
        """Leave every run as it stands: whoever comes next takes it over."""
        await self._tasks.cancel()

    async def wait(self) -> None:
        """Wait until every run of this worker has ended."""
        await self._tasks.wait()

    def _open(self, generation: Generation, *, already: Sequence[Segment] = ()) -> Live | None:
        if generation.worker is None:
            return None
        try:
            run = self.runs.open(
                generation.id,
                worker=generation.worker,
                attempt=generation.attempt,
                already=already,
            )
        except Lost:
            return None
        return Live(generation, run)

    def _start(self, live: Live, work: Coroutine[Any, Any, None]) -> None:
        id = live.generation.id
        self._live[id] = live
        live.task = self._tasks.start(_unless_lost(work), name=f"generation {id}")
        live.task.add_done_callback(lambda _: self._live.pop(id, None))

    async def _resume(self, live: Live) -> None:
        """Ask again: for the whole, or for the rest where the model goes on from a beginning."""
        generation = live.generation
        try:
            resolved = await self.models.resolve(SYSTEM, name=generation.model)
            if live.run.text and not resolved.model.profile.continues:
                await self._conclude(live, Interrupted(), None)
                return
            prompt = await self._prompt_again(generation, resolved)
        except DomainError as error:
            await self._conclude(live, _failed(error), None)
            return
        live.earlier_calls = live.generation.attempt - 1
        await self._ask(live, resolved, prompt, beginning=live.run.text)

    async def _prompt_again(self, generation: Generation, resolved: ResolvedModel) -> Prompt:
        async with self.db.read(snapshot=True) as tx:
            conversation = await tx.conversations.find(
                generation.conversation_id, owner_id=generation.owner_id
            )
            question = await tx.messages.get(generation.message_id)
            if conversation is None or question is None:
                raise NotFound("conversation")
            return await prompt_for(
                tx,
                conversation,
                question,
                profile=resolved.model.profile,
                max_tokens=generation.recipe.max_tokens,
            )

    async def _ask(
        self, live: Live, resolved: ResolvedModel, prompt: Prompt, *, beginning: str = ""
    ) -> None:
        """Ask the provider, for what follows on the beginning of an answer where there is one."""
        options = live.generation.options
        begun = (Turn("assistant", beginning),) if beginning else ()
        request = CompletionRequest(
            model=resolved.model.upstream_name,
            turns=prompt.turns + begun,
            max_tokens=live.generation.recipe.max_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
        )
        ending, usage = await self._relay(live, resolved.provider, request)
        # What the provider counts of such a rest is not what the whole answer has used.
        await self._conclude(live, ending, None if beginning else usage)

    async def _relay(
        self, live: Live, provider: Provider, request: CompletionRequest
    ) -> tuple[Ending, UsageReported | None]:
        """Feed the log with what the provider says, until it ends or is stopped."""
        usage: UsageReported | None = None
        run = live.run
        try:
            async with run.guard(), aclosing(provider.complete(request)) as events:
                async for event in events:
                    if isinstance(event, UsageReported):
                        usage = event
                    elif isinstance(event, Finished):
                        return event, usage
                    else:
                        run.feed(event)
                        if run.is_full:
                            return Finished(FinishReason.LENGTH), usage
                        await run.room()
        except ProviderError as error:
            return _failed(error), usage
        except CancelRequested:
            return Canceled(), usage
        except Refused:
            return UNSTORABLE, usage
        except Lost:
            raise
        except Exception:
            log.exception("generation %s: the provider adapter failed", live.generation.uuid)
            return Failed(ErrorKind.INTERNAL.name, "An unexpected error occurred."), usage
        return Failed(ErrorKind.PROVIDER_FAILED.name, "The answer was cut off."), usage

    async def _conclude(self, live: Live, ending: Ending, reported: UsageReported | None) -> None:
        """Make the end true in the database, then show it."""
        run = live.run
        for _ in range(FINISH_TRIES):
            usage = settle(live.generation, ending, reported, run.text, run.reasoning)
            try:
                unlogged = await run.seal(*([ending] if usage is None else [usage, ending]))
                output = Output(run.outline, unlogged, run.text, run.reasoning)
                is_ours = await finish(
                    self.db,
                    live.generation,
                    ending=ending,
                    usage=usage,
                    output=output,
                    earlier_calls=live.earlier_calls,
                    at=self.clock(),
                )
            except Refused:
                run.discard()
                ending = UNSTORABLE
            except (DomainError, DatabaseError):
                log.warning("generation %s cannot end yet", live.generation.uuid, exc_info=True)
                await asyncio.sleep(FINISH_RETRY_SECONDS)
            else:
                if is_ours:
                    run.publish(unlogged)
                    return
                break
        run.leave()


UNSTORABLE: Final = Failed(
    ErrorKind.PROVIDER_FAILED.name, "The provider sent text that cannot be stored."
)


async def _unless_lost(work: Coroutine[Any, Any, None]) -> None:
    """Drive a run until it ends, or belongs to another worker: then there is nothing left to do."""
    with contextlib.suppress(Lost):
        await work


def _failed(error: DomainError) -> Failed:
    return Failed(error.kind.name, error.message)
