"""What is on record of runs: looked up for the verbs of `services/generations.py`."""

from collections.abc import Sequence

import msgspec

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import DomainError, ErrorKind, NotFound
from palaver.domain.generations import Generation
from palaver.domain.streams import Stream
from palaver.domain.users import Actor
from palaver.services.conversations import get_conversation
from palaver.services.messages import find_made
from palaver.services.settlement import replayed
from palaver.storage.tx import Tx
from palaver.streaming.followers import Replay


class Edit(msgspec.Struct, frozen=True):
    """What an edit has made: the message anew, what left the active branch, and the run."""

    message: Message
    disabled: Sequence[str]  # uuids, oldest first
    generation: Generation


async def get_record(tx: Tx, actor: Actor, uuid: str) -> Generation:
    """Return the caller's run. Raises `NotFound`."""
    generation = await tx.generations.find(uuid, owner_id=actor.owner_id)
    if generation is None:
        raise NotFound("generation")
    return generation


async def edited_before(tx: Tx, actor: Actor, question: Message) -> Edit | None:
    """Return what an earlier attempt of this edit has begun, which did not live to say so."""
    former = await find_made(tx, actor)
    generation = await tx.generations.newest_of_message(question.id)
    if former is None or generation is None:
        return None
    disabled = await tx.messages.between(
        question.conversation_id, after_id=former.id, before_id=question.id
    )
    return Edit(question, disabled, generation)


async def get_question(tx: Tx, actor: Actor, conversation: Conversation, uuid: str) -> Message:
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


async def made_before(tx: Tx, actor: Actor) -> tuple[Conversation, Message, Generation] | None:
    """Return what an earlier attempt of this request has begun, which did not live to say so."""
    question = await find_made(tx, actor)
    if question is None:
        return None
    generation = await tx.generations.newest_of_message(question.id)
    if generation is None:
        return None
    conversation = await get_conversation(tx, actor, question.conversation_id)
    return conversation, question, generation


async def newest_run(tx: Tx, conversation: Conversation) -> tuple[Message, Generation | None]:
    """Return the newest user message and its latest run.

    Raises `DomainError` (`NO_USER_MESSAGE`).
    """
    question = await tx.messages.newest_question(conversation.id)
    if question is None:
        raise DomainError(
            "This conversation has no user message yet.", kind=ErrorKind.NO_USER_MESSAGE
        )
    return question, await tx.generations.newest_of_message(question.id)


async def replay(tx: Tx, generation: Generation, *, after: int) -> Stream:
    """Return a reader of a run that is over. Raises `BeyondTheEnd`."""
    answer = await tx.messages.get(generation.answer_id)
    reasoning = await tx.messages.reasoning(generation.answer_id)
    segments = replayed(
        generation.outline or "[]",
        text="" if answer is None else answer.text,
        reasoning=reasoning,
    )
    return Replay(segments, after=after)
