"""The active branch as its owner sees it: messages, and what became of the runs behind them."""

from typing import Final

import msgspec

from palaver.domain.conversations import Message
from palaver.domain.cursors import LAST_ID, Stretch, parse_cursor
from palaver.domain.errors import NotFound
from palaver.domain.events import EventKind, Failed
from palaver.domain.generations import Generation, Run, ShownRun, parse_outline
from palaver.domain.users import Actor
from palaver.services.conversations import get_conversation
from palaver.storage.database import Database

PAGE: Final = 50
PAGE_MAX: Final = 200

_failed: Final = msgspec.json.Decoder(Failed).decode


class ShownMessage(msgspec.Struct, frozen=True):
    """A message, the one before it, and its run.

    The run of a question is the newest that answers it, that of an answer the one that wrote it.
    """

    message: Message
    parent_uuid: str | None
    run: Run | None


class BranchService:
    """One's own conversations as they are read; a key is an integer id or a uuid."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def page(
        self, actor: Actor, key: int | str, *, cursor: str | None = None, limit: int = PAGE
    ) -> Stretch[ShownMessage]:
        """Return the end of the branch, or what stands before the cursor; oldest first.

        At most 200 a page. Raises `NotFound`, `InvalidInput`.
        """
        before, limit = parse_cursor(cursor, first=LAST_ID), min(limit, PAGE_MAX)
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            found = await tx.messages.newest(conversation.id, limit=limit + 1, before=before)
            runs = await tx.generations.of_messages([message.id for message in found])
        # The newest of a question's comes last.
        of_message = {run.message_id: run for run in runs} | {run.answer_id: run for run in runs}
        parents = [None, *(message.uuid for message in found)]
        shown = [
            ShownMessage(message, parent, of_message.get(message.id))
            for message, parent in zip(found, parents, strict=False)
        ]
        if len(shown) <= limit:
            return Stretch(shown, None)
        return Stretch(shown[1:], str(shown[1].message.id))

    async def sent(
        self, actor: Actor, message: Message, generation: Generation
    ) -> tuple[ShownMessage, ShownRun]:
        """Return what somebody has just said, and the run that answers it. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            before = await tx.messages.newest(message.conversation_id, limit=1, before=message.id)
            run = await tx.generations.shown(generation.uuid, owner_id=actor.owner_id)
        if run is None:
            raise NotFound("generation")
        of_message = Run(
            run.uuid, run.state, generation.message_id, generation.answer_id, run.outline
        )
        return ShownMessage(message, before[0].uuid if before else None, of_message), run

    async def run(self, actor: Actor, uuid: str) -> ShownRun:
        """Return a run. Raises `NotFound`."""
        async with self.db.read() as tx:
            run = await tx.generations.shown(uuid, owner_id=actor.owner_id)
        if run is None:
            raise NotFound("generation")
        return run


def failure_of(outline: str | None) -> Failed | None:
    """Return how a run failed, None for one that did not."""
    items = parse_outline(outline)
    if not items or items[-1].kind is not EventKind.FAILED or items[-1].body is None:
        return None
    return _failed(items[-1].body)


def has_sources(run: Run | None) -> bool:
    """Tell whether something was found for the answer of a run that is over."""
    if run is None:
        return False
    return any(item.kind is EventKind.SOURCE for item in parse_outline(run.outline))
