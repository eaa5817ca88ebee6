"""Generations: ask, follow, cancel, ask again. What can be refused is refused before the start."""

from collections.abc import Sequence
from typing import TypeAlias

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
from palaver.domain.generations import Generation, GenerationState
from palaver.domain.providers import Turn
from palaver.domain.search import SearchKind
from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.services.conversations import (
    append_messages,
    check_text,
    create_conversation,
    find_made,
    get_conversation,
    lock_conversation,
)
from palaver.services.driver import Driver, request_cancels
from palaver.services.settlement import replayed
from palaver.services.starting import Choice, Order, Starter
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from palaver.streaming.followers import Replay
from palaver.streaming.segments import BeyondTheEnd

Key: TypeAlias = int | str
"""A conversation's integer id or uuid."""


class Edit(msgspec.Struct, frozen=True):
    """What an edit has made: the message anew, what left the active branch, and the run."""

    message: Message
    disabled: Sequence[str]  # uuids, oldest first
    generation: Generation


class GenerationService:
    """The runs of one's own conversations."""

    def __init__(
        self, db: Database, driver: Driver, starter: Starter, *, clock: Clock = system_clock
    ) -> None:
        self.db = db
        self.driver = driver
        self.starter = starter
        self.clock = clock

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
            question, newest = await _newest_run(tx, conversation)
        if newest is not None and (after is not None or _stands(newest)):
            return newest
        if after:
            raise _beyond_the_end()
        order = await self.starter.order(actor, conversation, choice, question=question.text)
        async with self.db.transaction() as tx:
            seen, conversation = conversation, await lock_conversation(tx, actor, conversation.id)
            if conversation != seen:  # whatever happens to its messages changes its row
                question, newest = await _newest_run(tx, conversation)
                if newest is not None and _stands(newest):
                    return newest
            start = await self.starter.begin(tx, conversation, question, order)
        self.starter.launch(start)
        return start.generation

    async def send(
        self,
        actor: Actor,
        key: Key | None,
        turns: Sequence[tuple[MessageRole, str]],
        choice: Choice,
        *,
        system_prompt: str | None = None,
        context: Sequence[Turn] | None = None,
    ) -> tuple[Conversation, Message, Generation]:
        """Append messages, the last one the user's, and answer it; without a key, begin with them.

        A system prompt replaces the conversation's; a context, which ends with the question, is
        sent in place of its history. Nothing is stored unless the run starts. Raises as `answer`
        does.
        """
        check_text(turns[-1][1])
        conversation: Conversation | None = None
        if key is not None:
            async with self.db.read() as tx:
                conversation = await get_conversation(tx, actor, key)
        order = await self.starter.order(actor, conversation, choice, question=turns[-1][1])
        async with self.db.transaction() as tx:
            made = await _made_before(tx, actor)
            if made is not None and not _has_failed(made[2]):
                return made
            if made is None:
                conversation, question = await self._ask(
                    tx, actor, conversation, turns, system_prompt=system_prompt
                )
            else:
                # The repeat of a request whose answer failed asks the same message again.
                conversation = await lock_conversation(tx, actor, made[0].id)
                question = made[1]
                newest, generation = await _newest_run(tx, conversation)
                if newest.id != question.id:  # others have spoken since: it is said once more
                    conversation, question = await self._ask(
                        tx,
                        replace(actor, repeat_key=None),
                        conversation,
                        turns,
                        system_prompt=system_prompt,
                    )
                elif generation is None or not _has_failed(generation):
                    return made
            start = await self.starter.begin(tx, conversation, question, order, context=context)
        self.starter.launch(start)
        return conversation, question, start.generation

    async def _ask(
        self,
        tx: Tx,
        actor: Actor,
        conversation: Conversation | None,
        turns: Sequence[tuple[MessageRole, str]],
        *,
        system_prompt: str | None,
    ) -> tuple[Conversation, Message]:
        """Append messages to a conversation, or begin one with them; return it, and the last."""
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
        return replace(conversation, active_message_id=messages[-1].id), messages[-1]

    async def retry(self, actor: Actor, key: Key, choice: Choice) -> tuple[Message, Generation]:
        """Ask the newest user message again, as a sibling of it; what runs there is cancelled.

        Raises as `answer` does.
        """
        async with self.db.read(snapshot=True) as tx:
            if (made := await _made_before(tx, actor)) is not None:
                return made[1:]
            conversation = await get_conversation(tx, actor, key)
            question, _ = await _newest_run(tx, conversation)
        order = await self.starter.order(actor, conversation, choice, question=question.text)
        await self._make_way(actor, conversation, question, order)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            # Somebody may have started another meanwhile; under the lock nobody can.
            question, _ = await _newest_run(tx, conversation)
            late = await request_cancels(
                tx, conversation.id, from_message_id=question.id, at=self.clock()
            )
            sibling = await self._sibling(
                tx, conversation, question, uuid=actor.uuid_for("message")
            )
            start = await self.starter.begin(tx, conversation, sibling, order)
        self.starter.launch(start)
        await self.driver.cancel(late)
        return sibling, start.generation

    async def edit(self, actor: Actor, key: Key, uuid: str, *, text: str) -> Edit:
        """Ask a shown user message with another text, and answer it anew.

        The new version takes over the uuid, the former one gets a fresh one and leaves the active
        branch with all that followed; what runs there is cancelled. Raises as `answer` does,
        `NotFound` also for what is no user message of this conversation.
        """
        check_text(text)
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            question = await _question(tx, actor, conversation, uuid)
            if (made := await _edited_before(tx, actor, question)) is not None:
                return made
        order = await self.starter.order(actor, conversation, Choice(), question=text)
        await self._make_way(actor, conversation, question, order)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            question = await _question(tx, actor, conversation, uuid)
            late = await request_cancels(
                tx, conversation.id, from_message_id=question.id, at=self.clock()
            )
            disabled = await tx.messages.later(conversation.id, after_id=question.id)
            # A repeat of this request finds the former version under this uuid.
            await tx.messages.renumber(question.id, uuid=actor.uuid_for("message"))
            sibling = await self._sibling(tx, conversation, question, uuid=uuid, text=text)
            start = await self.starter.begin(tx, conversation, sibling, order)
        self.starter.launch(start)
        await self.driver.cancel(late)
        return Edit(sibling, disabled, start.generation)

    async def _make_way(
        self,
        actor: Actor,
        conversation: Conversation,
        question: Message,
        order: Order,
    ) -> None:
        """End what a question has running, unless what is to take its place would be refused."""
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            live = await self.starter.make_way(tx, conversation, question, order)
        await self.driver.cancel(live)

    async def follow(
        self, actor: Actor, uuid: str, *, after: int = 0, begun: Generation | None = None
    ) -> Stream:
        """Return the reader of a run from the number `after` on, whether it is live or over.

        `begun` is the caller's record of it, if that is at hand: a live one is not read again.
        Raises `NotFound`, `InvalidInput` for a number above its log.
        """
        try:
            if begun is not None and begun.state.is_live and begun.owner_id == actor.owner_id:
                return await self.driver.follow(begun.id, after=after)
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

    async def _sibling(
        self,
        tx: Tx,
        conversation: Conversation,
        question: Message,
        *,
        uuid: str,
        text: str | None = None,
    ) -> Message:
        """Put a question, with a new text or as it is, beside its former version.

        That leaves the active branch.
        """
        at = self.clock()
        await tx.messages.leave_branch(conversation.id, after_id=question.id - 1)
        sibling = await tx.messages.insert(
            uuid=uuid,
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=question.parent_id,
            role="user",
            text=question.text if text is None else text,
            edited_at=question.edited_at if text is None else at,
            at=at if text is None else question.created_at,
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


def _has_failed(generation: Generation) -> bool:
    """Tell whether a run ended without an answer that anybody wanted to end."""
    return generation.state in {GenerationState.FAILED, GenerationState.INTERRUPTED}


def _beyond_the_end() -> InvalidInput:
    message = "This number lies beyond what has been sent."
    return InvalidInput.of("after", Fault.TOO_LARGE, message, place="query")


async def _get(tx: Tx, actor: Actor, uuid: str) -> Generation:
    generation = await tx.generations.find(uuid, owner_id=actor.owner_id)
    if generation is None:
        raise NotFound("generation")
    return generation


async def _edited_before(tx: Tx, actor: Actor, question: Message) -> Edit | None:
    """Return what an earlier attempt of this edit has begun, which did not live to say so."""
    former = await find_made(tx, actor)
    generation = await tx.generations.newest_of_message(question.id)
    if former is None or generation is None:
        return None
    disabled = await tx.messages.between(
        question.conversation_id, after_id=former.id, before_id=question.id
    )
    return Edit(question, disabled, generation)


async def _question(tx: Tx, actor: Actor, conversation: Conversation, uuid: str) -> Message:
    """Return a user message that this conversation shows. Raises `NotFound`."""
    message = await tx.messages.find(uuid, owner_id=actor.owner_id)
    if (
        message is None
        or message.conversation_id != conversation.id
        or message.role != "user"
        or not message.is_active
    ):
        raise NotFound("message")
    return message


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
