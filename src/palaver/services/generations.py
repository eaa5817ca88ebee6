"""Generations: ask, follow, cancel, ask again. What can be refused is refused before the start."""

from collections.abc import Sequence
from functools import partial
from typing import TypeAlias

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from palaver.domain.conversations import Conversation, Message, MessageRole
from palaver.domain.errors import (
    DomainError,
    ErrorKind,
    Fault,
    InvalidInput,
    NotFound,
)
from palaver.domain.events import FINAL, Event, Failed, Interrupted, failure_of, unpack
from palaver.domain.generations import Generation, GenerationState
from palaver.domain.pictures import check_ids
from palaver.domain.providers import Turn
from palaver.domain.search import SearchKind
from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.kit.clock import Clock, system_clock
from palaver.services.conversations import (
    create_conversation,
    get_conversation,
    lock_conversation,
)
from palaver.services.driver import Driver, request_cancels
from palaver.services.messages import append_messages, check_parent, check_text, take_pictures
from palaver.services.outbox import emit
from palaver.services.records import (
    Edit,
    edited_before,
    get_question,
    get_record,
    made_before,
    newest_run,
    replay,
)
from palaver.services.starting import Choice, Order, Starter
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from palaver.streaming.segments import BeyondTheEnd

Key: TypeAlias = int | str
"""A conversation's integer id or uuid."""


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
            return await get_record(tx, actor, uuid)

    async def answer_of(self, actor: Actor, uuid: str) -> tuple[Conversation, Message]:
        """Return where a run writes: its conversation and its answer, as far as that stands.

        Raises `NotFound`.
        """
        async with self.db.read(snapshot=True) as tx:
            generation = await get_record(tx, actor, uuid)
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
        while True:
            async with self.db.read(snapshot=True) as tx:
                conversation = await get_conversation(tx, actor, key)
                question, newest = await newest_run(tx, conversation)
            if newest is not None and (after is not None or _stands(newest)):
                return newest
            if after:
                raise _beyond_the_end()
            order = await self.starter.order(actor, conversation, choice, question=question.text)
            async with self.db.transaction() as tx:
                seen = conversation
                conversation = await lock_conversation(tx, actor, conversation.id)
                if conversation != seen:  # whatever happens to its messages changes its row
                    latest, newest = await newest_run(tx, conversation)
                    if newest is not None and _stands(newest):
                        return newest
                    if latest.id != question.id:
                        continue  # what was found is for another question
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
        parent_id: str | UnsetType | None = UNSET,
        image_ids: Sequence[str] = (),
    ) -> tuple[Conversation, Message, Generation]:
        """Append messages, the last one the user's, and answer it; without a key, begin with them.

        A system prompt replaces the conversation's; a context, which ends with the question, is
        sent in place of its history. The parent is the message below which it is to stand, and has
        to be the end of the conversation (see `check_parent`); pictures go with the last message.
        Nothing is stored unless the run starts. Raises as `answer` does, `DomainError` (`CONFLICT`)
        where the conversation has gone on.
        """
        check_text(turns[-1][1])
        check_ids(image_ids)
        conversation: Conversation | None = None
        if key is not None:
            async with self.db.read() as tx:
                conversation = await get_conversation(tx, actor, key)
        order = await self.starter.order(actor, conversation, choice, question=turns[-1][1])
        if image_ids:
            order.require_sight()
        ask = partial(self._ask, turns=turns, system_prompt=system_prompt, image_ids=image_ids)
        async with self.db.transaction() as tx:
            made = await made_before(tx, actor)
            if made is not None and not _has_failed(made[2]):
                return made
            if made is None:
                conversation, question = await ask(tx, actor, conversation, parent_id=parent_id)
            else:
                # The repeat of a request whose answer failed asks the same message again.
                conversation = await lock_conversation(tx, actor, made[0].id)
                question = made[1]
                newest, generation = await newest_run(tx, conversation)
                if newest.id != question.id:  # others have spoken since: it is said once more
                    again = replace(actor, repeat_key=None)
                    conversation, question = await ask(tx, again, conversation, former=question)
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
        *,
        turns: Sequence[tuple[MessageRole, str]],
        system_prompt: str | None,
        image_ids: Sequence[str],
        parent_id: str | UnsetType | None = UNSET,
        former: Message | None = None,
    ) -> tuple[Conversation, Message]:
        """Append messages to a conversation, or begin one with them; return it, and the last.

        What a former message said may be said again, with its pictures.
        """
        at = self.clock()
        if conversation is None:
            conversation = await create_conversation(
                tx, actor, title=None, system_prompt=system_prompt, model=None, at=at
            )
        else:
            conversation = await lock_conversation(tx, actor, conversation.id)
            await check_parent(tx, actor, conversation, parent_id)
            if system_prompt is not None:
                await tx.conversations.instruct(conversation.id, system_prompt=system_prompt)
                conversation = replace(conversation, system_prompt=system_prompt)
        of_message_id = None if former is None else former.id
        pictures = await take_pictures(tx, actor, image_ids, of_message_id=of_message_id)
        messages = await append_messages(tx, actor, conversation, turns, pictures=pictures, at=at)
        return replace(conversation, active_message_id=messages[-1].id), messages[-1]

    async def retry(
        self, actor: Actor, key: Key, choice: Choice, *, uuid: str | None = None
    ) -> tuple[Message, Generation]:
        """Ask the newest user message again, as a sibling of it; what runs there is cancelled.

        Raises as `answer` does, `DomainError` (`CONFLICT`) where it is not the one with this uuid.
        """
        async with self.db.read(snapshot=True) as tx:
            if (made := await made_before(tx, actor)) is not None:
                return made[1:]
            conversation = await get_conversation(tx, actor, key)
            question, _ = await newest_run(tx, conversation)
        if uuid not in (None, question.uuid):
            message = "This conversation has gone on since: only its newest message is asked again."
            raise DomainError(message, kind=ErrorKind.CONFLICT)
        while True:
            order = await self.starter.order(actor, conversation, choice, question=question.text)
            await self._make_way(actor, conversation, question, order)
            async with self.db.transaction() as tx:
                conversation = await lock_conversation(tx, actor, conversation.id)
                # Somebody may have started another meanwhile; under the lock nobody can.
                asked, (question, _) = question, await newest_run(tx, conversation)
                if question.id != asked.id:
                    continue  # what was found is for another question
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
            question = await get_question(tx, actor, conversation, uuid)
            if (made := await edited_before(tx, actor, question)) is not None:
                return made
        order = await self.starter.order(actor, conversation, Choice(), question=text)
        await self._make_way(actor, conversation, question, order)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            question = await get_question(tx, actor, conversation, uuid)
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
                generation = await get_record(tx, actor, uuid)
                if generation.outline is not None:
                    return await replay(tx, generation, after=after)
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
            raise failure_of(ending)
        async with self.db.read(snapshot=True) as tx:
            generation = await get_record(tx, actor, uuid)
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
            generation = await get_record(tx, actor, uuid)
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
            images=question.images,
            edited_at=question.edited_at if text is None else at,
            at=at if text is None else question.created_at,
        )
        await tx.search.enqueue(
            owner_id=conversation.owner_id,
            kind=SearchKind.MESSAGE,
            ref=sibling.id,
        )
        if question.images is not None:
            await tx.pictures.move(question.id, message_id=sibling.id)
        if text is not None:
            await emit(
                tx,
                conversation.owner_id,
                WebhookEventKind.MESSAGE_CREATED,
                sibling.id,
                at=at,
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
