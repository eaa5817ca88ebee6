"""Messages: what is checked of one, and how it comes to hang in its conversation's tree."""

from collections.abc import Sequence

from msgspec import UNSET, UnsetType

from palaver.domain.conversations import Conversation, Message, MessageRole
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.pictures import PROMPT_MAX_BYTES, Picture, attach
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.domain.webhooks import WebhookEventKind
from palaver.services.outbox import emit
from palaver.storage.tx import Tx


def check_text(text: str, *, field: str = "content") -> None:
    """Raise `InvalidInput` for a message without words."""
    if not text.strip():
        raise InvalidInput.of(field, Fault.BLANK, "A message may not be blank.", limit=1)


async def find_made(tx: Tx, actor: Actor) -> Message | None:
    """Return the message that an earlier attempt of this request has stored."""
    if actor.repeat_key is None:
        return None
    return await tx.messages.find(actor.uuid_for("message"), owner_id=actor.owner_id)


async def append_messages(
    tx: Tx,
    actor: Actor,
    conversation: Conversation,
    turns: Sequence[tuple[MessageRole, str]],
    *,
    pictures: Sequence[Picture] = (),
    at: int,
) -> Sequence[Message]:
    """Hang messages below the active leaf, one below the other; the caller moves the leaf.

    The last one is the request's message number 0: see `find_made`. The pictures become its own;
    they are free, as `take_pictures` found.
    """
    messages: list[Message] = []
    parent_id = conversation.active_message_id
    for number, (role, text) in enumerate(turns, start=1):
        message = await tx.messages.insert(
            uuid=actor.uuid_for("message", len(turns) - number),
            conversation_id=conversation.id,
            owner_id=conversation.owner_id,
            parent_id=parent_id,
            role=role,
            text=text,
            images=attach(pictures) if number == len(turns) else None,
            at=at,
        )
        await tx.search.enqueue(
            owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=message.id
        )
        if role != "system":
            kind = WebhookEventKind.MESSAGE_CREATED
            await emit(tx, conversation.owner_id, kind, message.id, at=at)
        messages.append(message)
        parent_id = message.id
    if pictures:
        uuids = [picture.uuid for picture in pictures]
        await tx.pictures.give(uuids, message_id=messages[-1].id)
    return messages


async def take_pictures(
    tx: Tx, actor: Actor, ids: Sequence[str], *, of_message_id: int | None = None
) -> Sequence[Picture]:
    """Return the caller's pictures with these uuids, in their order, for a message to take.

    Those of a message are taken where it makes way for another. Raises `InvalidInput` for what is
    not there, or was sent with another message.
    """
    if not ids:
        return ()
    free = {
        picture.uuid: picture
        for picture in await tx.pictures.free(
            ids, owner_id=actor.owner_id, of_message_id=of_message_id
        )
    }
    if any(id not in free for id in ids):
        message = "There is no picture with this id that was not sent yet."
        raise InvalidInput.of("image_ids", Fault.NOT_ALLOWED, message)
    if sum(picture.size_bytes for picture in free.values()) > PROMPT_MAX_BYTES:
        message = f"The pictures of a message have at most {PROMPT_MAX_BYTES} bytes in all."
        raise InvalidInput.of("image_ids", Fault.TOO_LARGE, message, limit=PROMPT_MAX_BYTES)
    return [free[id] for id in ids]


async def check_parent(
    tx: Tx, actor: Actor, conversation: Conversation, uuid: str | UnsetType | None
) -> None:
    """Check that nothing is shown below the message under which somebody wants to write.

    None is the beginning of the conversation; UNSET is wherever it ends. Raises `NotFound`,
    `DomainError` (`CONFLICT`).
    """
    if uuid is UNSET:
        return
    parent_id = 0
    if uuid is not None:
        parent = await tx.messages.find(uuid, owner_id=actor.owner_id)
        if parent is None or parent.conversation_id != conversation.id:
            raise NotFound("message")
        if not parent.is_active:
            raise _gone_on()
        parent_id = parent.id
    if await tx.messages.next(conversation.id, limit=1, after=parent_id):
        raise _gone_on()


def _gone_on() -> DomainError:
    message = "This conversation has gone on since you have read it."
    return DomainError(message, kind=ErrorKind.CONFLICT)
