"""Drives runs: asks the provider, feeds the log, and brings the record to its end.

A run belongs to us, not to the request that started it: a reader may leave and come back.
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final

from msgspec.structs import replace

from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.domain.events import (
    Canceled,
    Cited,
    Ending,
    Event,
    EventKind,
    Failed,
    Finished,
    FinishReason,
    Interrupted,
    Segment,
    SourceFound,
    UsageReported,
    unpack,
)
from palaver.domain.generations import Generation
from palaver.domain.log import Claimed, Refused
from palaver.domain.models import Model, ModelType
from palaver.domain.tokens import estimate_tokens
from palaver.domain.users import SYSTEM
from palaver.kit.clock import Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.services.answering import UNSTORABLE, Answerer, LiveRun, failed
from palaver.services.asking import Asker
from palaver.services.findings import Findings
from palaver.services.gathering import Gatherer
from palaver.services.models import ModelService, ResolvedModel
from palaver.services.prompts import Prompt, build_prompt
from palaver.services.settlement import Output, finish, usage_of
from palaver.storage.database import Database, DatabaseError
from palaver.storage.tx import Tx
from palaver.streaming.followers import Follower
from palaver.streaming.run import CancelRequested, Lost
from palaver.streaming.runs import Runs

log = logging.getLogger(__name__)

CANCEL_WAIT_SECONDS: Final = 2.0
FINISH_RETRY_SECONDS: Final = 0.25
FINISH_TRIES: Final = 60
MAX_ATTEMPTS: Final = 20
"""A run that ends no worker's life, and is never finished, is not taken over for ever."""


class Driver:
    """The runs that this worker holds: launched, cancelled, taken over, finished."""

    def __init__(
        self,
        db: Database,
        runs: Runs,
        models: ModelService,
        gatherer: Gatherer,
        asker: Asker,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.runs = runs
        self.models = models
        self.gatherer = gatherer
        self.asker = asker
        self.answerer = Answerer(asker)
        self.clock = clock
        self.on_ended: Callable[[str, Ending, UsageReported | None], None] | None = None
        self._live: dict[int, LiveRun] = {}
        self._tasks = Tasks()

    def place(self) -> int | None:
        """Return the worker under which a run can start now; None: it goes into the queue."""
        return self.runs.worker if self.runs.room > 0 else None

    async def follow(self, generation_id: int, *, after: int) -> Follower:
        """Return a reader of a live run, whoever drives it. Raises `BeyondTheEnd`."""
        return await self.runs.follow(generation_id, after=after)

    def launch(self, generation: Generation, prompt: Prompt) -> None:
        """Begin a run whose record is durable; returns at once.

        A queued one is left to whichever worker claims it, and so is one whose worker, this one,
        was declared dead in between.
        """
        if (live := self._open(generation)) is not None:
            self._start(live, self._ask(live, prompt))

    async def halt(self, conversation_id: int) -> None:
        """Cancel and settle whatever runs in a conversation."""
        async with self.db.transaction() as tx:
            live = await request_cancels(tx, conversation_id, at=self.clock())
        await self.cancel(live)

    async def cancel(self, generation_ids: Sequence[int]) -> None:
        """Stop runs of this worker whose cancellation is stored, and wait until they have ended.

        A run of another worker is stopped by that worker, which finds the request by itself.
        """
        ending = []
        for id in generation_ids:
            live = self._live.get(id)
            if live is not None and live.task is not None:
                live.run.stop(CancelRequested())
                ending.append(live.task)
        if ending:
            await asyncio.wait(ending, timeout=CANCEL_WAIT_SECONDS)

    async def take_over(self, claimed: Claimed) -> None:
        """Go on with a run whose worker is gone: anew, from where it stands, or not at all."""
        logged = await self.runs.logged(claimed.generation_id)
        async with self.db.read() as tx:
            generation = await tx.generations.get(claimed.generation_id)
        if generation is None or (live := self._open(generation, already=logged)) is None:
            return
        live.findings = Findings(
            event.source for segment in logged if isinstance(event := unpack(segment), SourceFound)
        )
        if generation.attempt > MAX_ATTEMPTS:
            self._start(live, self._conclude(live, GIVEN_UP, None))
        elif generation.cancel_requested_at is not None:
            self._start(live, self._conclude(live, Canceled(), None))
        elif not _can_go_on(logged, live.findings):
            self._start(live, self._conclude(live, Interrupted(), None))
        else:
            self._start(live, self._resume(live))

    async def close(self) -> None:
        """Leave every run as it stands: whoever comes next takes it over."""
        await self._tasks.cancel()

    async def wait(self) -> None:
        """Wait until every run of this worker has ended."""
        await self._tasks.wait()

    def _open(self, generation: Generation, *, already: Sequence[Segment] = ()) -> LiveRun | None:
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
        return LiveRun(generation, run)

    def _start(self, live: LiveRun, work: Coroutine[Any, Any, None]) -> None:
        id = live.generation.id
        self._live[id] = live
        live.task = self._tasks.start(self._drive(live, work), name=f"generation {id}")

    async def _drive(self, live: LiveRun, work: Coroutine[Any, Any, None]) -> None:
        """See a run through to its end, or give it up: then a worker takes it over in a while."""
        try:
            await work
        except Lost:
            pass  # it belongs to another worker: there is nothing left to do
        except Exception:
            log.exception("generation %s is given up", live.generation.uuid)
            live.run.leave()
        finally:
            if self._live.get(live.generation.id) is live:
                del self._live[live.generation.id]

    async def _resume(self, live: LiveRun) -> None:
        """Ask again: for the whole, or for the rest where the model goes on from a beginning."""
        generation = live.generation
        try:
            resolved = await self.models.stored(SYSTEM, generation.model)
            if live.run.position and not _can_be_asked_again(live, resolved.model):
                await self._conclude(live, Interrupted(), None)
                return
            prompt = await self._prompt_again(generation, resolved)
        except DatabaseError:
            raise  # it passes; the run is taken over once more
        except DomainError as error:
            await self._conclude(live, failed(error), None)
            return
        # All attempts together say no more than was reserved.
        room = prompt.max_tokens - estimate_tokens(live.run.text)
        if room < 1:
            await self._conclude(live, Finished(FinishReason.LENGTH), None)
            return
        prompt = replace(prompt, max_tokens=room)
        live.earlier_calls = live.generation.attempt - 1
        await self._ask(live, prompt, beginning=live.run.text)

    async def _prompt_again(self, generation: Generation, resolved: ResolvedModel) -> Prompt:
        recipe = generation.recipe
        found = await self.gatherer.again(generation.owner_id, recipe.sources)
        async with self.db.read(snapshot=True) as tx:
            conversation = await tx.conversations.find(
                generation.conversation_id, owner_id=generation.owner_id
            )
            question = await tx.messages.get(generation.message_id)
            if conversation is None or question is None:
                raise NotFound("conversation")
            # Beside the same cap, so that it is the same prompt; the limits' cut comes after.
            prompt = await build_prompt(
                tx,
                conversation,
                question,
                resolved=resolved,
                max_tokens=recipe.cap or recipe.max_tokens,
                found=found,
                cites=recipe.cites,
                room_tokens=recipe.room_tokens,
                context=recipe.context,
            )
        return replace(
            prompt,
            max_tokens=min(prompt.max_tokens, recipe.max_tokens),
            thinking_tokens=recipe.thinking_tokens,
            searches_web=recipe.searches_web,
            # What was deleted since keeps its number: nothing else may be cited by it.
            next_number=max((each.index for each in recipe.sources), default=0) + 1,
        )

    async def _ask(self, live: LiveRun, prompt: Prompt, *, beginning: str = "") -> None:
        """Ask the provider, for what follows on the beginning of an answer where there is one."""
        ending = await self.answerer.answer(live, prompt, beginning)
        # What the provider counts of such a rest is not what the whole answer has used.
        await self._conclude(live, ending, None if beginning else live.usage)

    async def _conclude(
        self, live: LiveRun, ending: Ending, reported: UsageReported | None
    ) -> None:
        """Make the end true in the database, then show it."""
        run = live.run
        await live.findings.recall(self.gatherer, live.generation.owner_id)
        citations = await live.findings.cited(run.text)
        for _ in range(FINISH_TRIES):
            said = run.text.removeprefix(live.notice)
            usage = None
            if live.was_asked or live.generation.attempt > 1:
                usage = usage_of(
                    live.generation,
                    ending,
                    reported,
                    said,
                    run.reasoning,
                    prompt_tokens=live.prompt_tokens,
                )
            last: list[Event] = [Cited(citations)] if citations else []
            last += [ending] if usage is None else [usage, ending]
            try:
                unlogged = await run.seal(*last)
                output = Output(
                    outline=run.outline,
                    unlogged=unlogged,
                    text=run.text,
                    reasoning=run.reasoning,
                    citations=citations,
                    picture=live.picture,
                    is_empty=not said,
                )
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
                    if self.on_ended is not None:
                        self.on_ended(live.generation.model, ending, usage)
                    return
                break
        run.leave()


def _can_be_asked_again(live: LiveRun, model: Model) -> bool:
    """Tell whether a run that has said something can go on: no picture is paid for twice."""
    if live.run.text:
        return model.profile.continues
    return model.model_type is not ModelType.IMAGE


def _can_go_on(logged: Sequence[Segment], findings: Findings) -> bool:
    """Tell whether what is logged of a run is all that its next attempt needs to know of it.

    What it was busy with may be said again, as long as nothing came of it.
    """
    kinds = {segment.kind for segment in logged}
    allowed = {EventKind.TEXT, EventKind.SOURCE}
    if EventKind.TEXT not in kinds:
        allowed.add(EventKind.STATUS)
    return kinds <= allowed and not findings.has_pages


GIVEN_UP: Final = Failed(ErrorKind.INTERNAL, "This answer could not be finished.")


async def request_cancels(
    tx: Tx, conversation_id: int, *, from_message_id: int = 0, at: int
) -> list[int]:
    """Ask for an end of whatever runs in a conversation; return the runs, for `Driver.cancel`.

    With a message only of what answers it, or anything below it.
    """
    live = [
        run.id
        for run in await tx.generations.live_of_conversation(conversation_id)
        if run.message_id >= from_message_id
    ]
    for id in live:
        await tx.generations.request_cancel(id, at=at)
    return live
