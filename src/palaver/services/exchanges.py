"""Exchanges: questions with their answers, listed in pages, and deleted as one."""

from typing import Final

from palaver.domain.errors import NotFound
from palaver.domain.exchanges import Exchange, Transcript
from palaver.domain.paging import Page, page_number
from palaver.domain.search import SearchKind
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.services.conversations import get_conversation, lock_conversation
from palaver.services.driver import Driver
from palaver.storage.database import Database
from palaver.storage.tx import Tx

NEWEST_MAX: Final = 200
NEWEST_OF_EACH_MAX: Final = 50


class ExchangeService:
    """One's own conversations as pairs; a key is a conversation's integer id or uuid.

    Pages are numbered from 1 on, None is the last one, and one that there is not is `NotFound`.
    """

    def __init__(self, db: Database, driver: Driver, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.driver = driver
        self.clock = clock

    async def list_transcripts(
        self, actor: Actor, *, page: int | None, size: int
    ) -> Page[Transcript]:
        """Return a page of one's conversations, newest first, each with its newest exchanges.

        As many statements for any size. Raises `NotFound`.
        """
        async with self.db.read(snapshot=True) as tx:
            total = await tx.conversations.count(owner_id=actor.owner_id)
            number = page_number(page, total=total, size=size)
            conversations = await tx.conversations.list(
                owner_id=actor.owner_id, limit=size, offset=(number - 1) * size
            )
            exchanges = await tx.exchanges.newest_of_each(
                [conversation.id for conversation in conversations], most=NEWEST_OF_EACH_MAX
            )
        transcripts = [Transcript(each, exchanges[each.id]) for each in conversations]
        return Page(transcripts, total, number, size)

    async def transcript(self, actor: Actor, key: int | str) -> Transcript:
        """Return a conversation with its newest 200 exchanges, oldest first. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            exchanges = await tx.exchanges.newest_of_each([conversation.id], most=NEWEST_MAX)
        return Transcript(conversation, exchanges[conversation.id])

    async def list(
        self, actor: Actor, key: int | str, *, page: int | None, size: int
    ) -> Page[Exchange]:
        """Return a page of a conversation's exchanges, oldest first. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            total = await tx.exchanges.count(conversation.id)
            number = page_number(page, total=total, size=size)
            exchanges = await tx.exchanges.list(
                conversation.id, limit=size, offset=(number - 1) * size
            )
        return Page(exchanges, total, number, size)

    async def get(self, actor: Actor, key: int | str, id: int) -> Exchange:
        """Return one exchange by its user message's id. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            return await _get(tx, id, conversation_id=conversation.id)

    async def delete(self, actor: Actor, key: int | str, id: int) -> None:
        """Hide question and answer at once, and stop what still answers it; what follows stays.

        A job removes the content. Raises `NotFound`.
        """
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, key)
            await _get(tx, id, conversation_id=conversation.id)
            at = self.clock()
            run = await tx.generations.newest_of_message(id)
            is_live = run is not None and await tx.generations.request_cancel(run.id, at=at)
            for hidden in await tx.exchanges.delete(id, at=at):
                await tx.search.enqueue(
                    owner_id=conversation.owner_id, kind=SearchKind.MESSAGE, ref=hidden
                )
        if run is not None and is_live:
            await self.driver.cancel([run.id])


async def _get(tx: Tx, id: int, *, conversation_id: int) -> Exchange:
    exchange = await tx.exchanges.find(id, conversation_id=conversation_id)
    if exchange is None:
        raise NotFound("exchange")
    return exchange
