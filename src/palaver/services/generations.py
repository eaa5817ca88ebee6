"""Generations: ask, follow, cancel, ask again. What can be refused is refused before the start."""

from collections.abc import Sequence
from typing import Final, TypeAlias

import msgspec
from msgspec.structs import replace

from palaver.domain.conversations import Conversation, Message, MessageRole
from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    Fault,
    InvalidInput,
    NotFound,
    ProviderError,
)
from palaver.domain.events import FINAL, Event, Failed, Interrupted, unpack
from palaver.domain.generations import Generation, GenerationState, Options, Recipe
from palaver.domain.search import SearchKind
from palaver.domain.streams import Stream
from palaver.domain.usage import Reservation
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.kit.ids import new_uuid
from palaver.services.conversations import (
    append_messages,
    check_text,
    create_conversation,
    find_made,
    get_conversation,
    lock_conversation,
)
from palaver.services.driver import Driver, request_cancels
from palaver.services.models import ModelService, ResolvedModel
from palaver.services.prompts import Plan, plan_run
from palaver.services.settlement import replayed
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from palaver.streaming.followers import Replay
from palaver.streaming.segments import BeyondTheEnd

MAX_ANSWER_TOKENS: Final = 8192

Key: TypeAlias = int | str
"""A conversation's integer id or uuid."""


class Choice(msgspec.Struct, frozen=True):
    """Which model is asked, and how; what is None is left to the conversation and the server."""

    provider_id: str | None = None
    model: str | None = None
    options: Options = Options()


class GenerationService:
    """The runs of one's own conversations."""

    def __init__(
        self,
        db: Database,
        driver: Driver,
        models: ModelService,
        *,
        clock: Clock = system_clock,
        max_answer_tokens: int = MAX_ANSWER_TOKENS,
    ) -> None:
        self.db = db
        self.driver = driver
        self.models = models
        self.clock = clock
        self.max_answer_tokens = max_answer_tokens

    async def get(self, actor: Actor, uuid: str) -> Generation:
        """Return the record of a run. Raises `NotFound`."""
        async with self.db.read() as tx:
            return await _get(tx, actor, uuid)

    async def answer_of(self, actor: Actor, uuid: str) -> tuple[Conversation, Message]:
        """Return where a run writes: its conversation and its answer, as far as that stands.

        Raises `NotFound`.
        """
        async with self.db.read(snapshot=True) as tx:
            generation = await _get(tx, actor, uuid)
            conversation = await get_conversation(tx, actor, generation.conversation_id)
            answer = await tx.messages.get(generation.answer_id)
        if answer is None:
            raise NotFound("generation")
        return conversation, answer

    async def answer(
        self, actor: Actor, key: Key, choice: Choice, *, after: int | None = None
    ) -> Generation:
        """Answer the newest user message, once: a live or completed run of it is that run.

        With `after`, the number up to which somebody has read, the newest run of it is taken
        whatever its state; one is started only where there is none. Raises `NotFound`,
        `DomainError` (`NO_USER_MESSAGE`, `PROVIDER_NOT_FOUND`, `MODEL_NOT_FOUND`), `InvalidInput`.
        """
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            _, newest = await _newest_run(tx, conversation)
        if newest is not None and (after is not None or _stands(newest)):
            return newest
        if after:
            raise _beyond_the_end()
        resolved = await self._resolve(actor, conversation, choice)
        plan: Plan | None = None
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            question, generation = await _newest_run(tx, conversation)
            if generation is None or not _stands(generation):
                generation, plan = await self._begin(tx, conversation, question, resolved, choice)
        if plan is not None:
            self.driver.launch(generation, plan)
        return generation

    async def send(
        self,
        actor: Actor,
        key: Key | None,
        turns: Sequence[tuple[MessageRole, str]],
        choice: Choice,
        *,
        system_prompt: str | None = None,
    ) -> tuple[Conversation, Message, Generation]:
        """Append messages, the last one the user's, and answer it; without a key, begin with them.

        A system prompt replaces the conversation's. Nothing is stored unless the run starts.
        Raises as `answer` does.
        """
        check_text(turns[-1][1])
        conversation: Conversation | None = None
        if key is not None:
            async with self.db.read() as tx:
                conversation = await get_conversation(tx, actor, key)
        resolved = await self._resolve(actor, conversation, choice)
        async with self.db.transaction() as tx:
            if (made := await _made_before(tx, actor)) is not None:
                return made
            at = self.clock()
            if conversation is None:
                conversation = await create_conversation(
                    tx, actor, title=None, system_prompt=system_prompt, model=None, at=at
                )
            else:
                conversation = await lock_conversation(tx, actor, conversation.id)
                if system_prompt is not None:
                    await tx.conversations.instruct(conversation.id, system_prompt=system_prompt)
                    conversation = replace(conversation, system_prompt=system_prompt)
            messages = await append_messages(tx, actor, conversation, turns, at=at)
            question = messages[-1]
            generation, plan = await self._begin(tx, conversation, question, resolved, choice)
        self.driver.launch(generation, plan)
        return conversation, question, generation

    async def retry(self, actor: Actor, key: Key, choice: Choice) -> tuple[Message, Generation]:
        """Ask the newest user message again, as a sibling of it; what runs there is cancelled.

        Raises as `answer` does.
        """
        async with self.db.read(snapshot=True) as tx:
            if (made := await _made_before(tx, actor)) is not None:
                return made[1:]
            conversation = await get_conversation(tx, actor, key)
            await _newest_run(tx, conversation)
        resolved = await self._resolve(actor, conversation, choice)
        await self.driver.halt(conversation.id)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            # Somebody may have started another since the halt; under the lock nobody can.
            late = await request_cancels(tx, conversation.id, at=self.clock())
            question, _ = await _newest_run(tx, conversation)
            sibling = await self._sibling(tx, actor, conversation, question)
            generation, plan = await self._begin(tx, conversation, sibling, resolved, choice)
        self.driver.launch(generation, plan)
        await self.driver.cancel(late)
        return sibling, generation

    async def follow(self, actor: Actor, uuid: str, *, after: int = 0) -> Stream:
        """Return the reader of a run from the number `after` on, whether it is live or over.

        Raises `NotFound`, `InvalidInput` for a number above its log.
        """
        try:
            async with self.db.read(snapshot=True) as tx:
                generation = await _get(tx, actor, uuid)
                if generation.outline is not None:
                    return await _replay(tx, generation, after=after)
            return await self.driver.follow(generation.id, after=after)
        except BeyondTheEnd:
            raise _beyond_the_end() from None

    async def wait(self, actor: Actor, uuid: str) -> Message:
        """Wait for the end of a run and return its answer.

        Of a canceled run that is what had been said. Raises `NotFound`, `DomainError` (`CONFLICT`:
        canceled before a word), or `ProviderError` with the run's own failure, `INTERRUPTED` when a
        worker died over it.
        """
        follower = await self.follow(actor, uuid)
        ending: Event = Interrupted()  # what a stream without an end of its own comes to
        try:
            while segments := await follower.next():
                if segments[-1].kind in FINAL:
                    ending = unpack(segments[-1])
        finally:
            follower.close()
        if isinstance(ending, Failed | Interrupted):
            raise ProviderError(ending.message, kind=ending.kind)
        async with self.db.read(snapshot=True) as tx:
            generation = await _get(tx, actor, uuid)
            answer = await tx.messages.get(generation.answer_id)
        if answer is None:
            raise NotFound("generation")
        if answer.is_hidden:
            raise DomainError("This answer was canceled before a word.", kind=ErrorKind.CONFLICT)
        return answer

    async def cancel(self, actor: Actor, uuid: str) -> None:
        """Stop a live run: its upstream's socket is closed, what was produced is kept.

        A second cancel of a live run succeeds. Raises `NotFound` for one that is over.
        """
        async with self.db.transaction() as tx:
            generation = await _get(tx, actor, uuid)
            if not await tx.generations.request_cancel(generation.id, at=self.clock()):
                raise NotFound("generation")
        await self.driver.cancel([generation.id])

    async def _resolve(
        self, actor: Actor, conversation: Conversation | None, choice: Choice
    ) -> ResolvedModel:
        return await self.models.resolve(
            actor,
            provider_id=choice.provider_id,
            model=choice.model,
            conversation_model=None if conversation is None else conversation.model,
        )

    async def _begin(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        resolved: ResolvedModel,
        choice: Choice,
    ) -> tuple[Generation, Plan]:
        """Store the record, the hidden answer as the active leaf, and the reservation (last)."""
        at = self.clock()
        plan = await plan_run(
            tx,
            conversation,
            question,
            resolved=resolved,
            max_tokens=self._answer_cap(resolved, choice),
        )
        await tx.messages.leave_branch(conversation.id, after_id=question.id)
        answer = await tx.messages.insert(
            uuid=new_uuid(),
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.id,
            role="assistant",
            text="",
            model=resolved.model.name,
            is_hidden=True,
            at=at,
        )
        generation = await tx.generations.start(
            uuid=new_uuid(),
            owner_id=conversation.owner_id,
            conversation_id=conversation.id,
            message_id=question.id,
            answer_id=answer.id,
            model=resolved.model.name,
            worker=self.driver.place(),
            options=choice.options,
            recipe=Recipe(
                leaf_id=question.id, prompt_tokens=plan.prompt_tokens, max_tokens=plan.max_tokens
            ),
            at=at,
        )
        await tx.conversations.move_leaf(
            conversation.id,
            leaf_id=answer.id,
            model=resolved.model.name if choice.model else None,
            at=at,
        )
        await tx.usage.reserve(
            Reservation(
                generation_id=generation.id,
                owner_id=generation.owner_id,
                prompt_tokens=plan.reserved_prompt_tokens,
                completion_tokens=plan.max_tokens,
                created_at=at,
            )
        )
        return generation, plan

    def _answer_cap(self, resolved: ResolvedModel, choice: Choice) -> int:
        """Return the most tokens that an answer may have: of request, model and our default."""
        named = [choice.options.max_tokens, resolved.model.profile.max_answer_tokens]
        return min((cap for cap in named if cap is not None), default=self.max_answer_tokens)

    async def _sibling(
        self, tx: Tx, actor: Actor, conversation: Conversation, question: Message
    ) -> Message:
        """Put the same question beside itself; the former one leaves the active branch."""
        at = self.clock()
        await tx.messages.leave_branch(conversation.id, after_id=question.id - 1)
        sibling = await tx.messages.insert(
            uuid=actor.uuid_for("message"),
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.parent_id,
            role="user",
            text=question.text,
            at=at,
        )
        await tx.search.enqueue(
            owner_id=conversation.owner_id,
            kind=SearchKind.MESSAGE,
            ref=sibling.id,
        )
        return sibling


def _stands(generation: Generation) -> bool:
    """Tell whether a run is the answer, or is about to be: then it is not started again."""
    return generation.state.is_live or generation.state is GenerationState.COMPLETED


def _beyond_the_end() -> InvalidInput:
    message = "This number lies beyond what has been sent."
    return InvalidInput.of("after", Fault.TOO_LARGE, message, place="query")


async def _get(tx: Tx, actor: Actor, uuid: str) -> Generation:
    generation = await tx.generations.find(uuid, owner_id=actor.owner_id)
    if generation is None:
        raise NotFound("generation")
    return generation


async def _made_before(tx: Tx, actor: Actor) -> tuple[Conversation, Message, Generation] | None:
    """Return what an earlier attempt of this request has begun, which did not live to say so."""
    question = await find_made(tx, actor)
    if question is None:
        return None
    generation = await tx.generations.newest_of_message(question.id)
    if generation is None:
        return None
    conversation = await get_conversation(tx, actor, question.conversation_id)
    return conversation, question, generation


async def _newest_run(tx: Tx, conversation: Conversation) -> tuple[Message, Generation | None]:
    """Return the newest user message and its latest run.

    Raises `DomainError` (`NO_USER_MESSAGE`).
    """
    question = await tx.messages.newest_question(conversation.id)
    if question is None:
        raise DomainError(
            "This conversation has no user message yet.", kind=ErrorKind.NO_USER_MESSAGE
        )
    return question, await tx.generations.newest_of_message(question.id)


async def _replay(tx: Tx, generation: Generation, *, after: int) -> Stream:
    answer = await tx.messages.get(generation.answer_id)
    reasoning = await tx.messages.reasoning(generation.answer_id)
    segments = replayed(
        generation.outline or "[]",
        text="" if answer is None else answer.text,
        reasoning=reasoning,
    )
    return Replay(segments, after=after)
