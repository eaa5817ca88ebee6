"""Chatbots: the personas that somebody may talk to, and their upkeep by administrators."""

from collections.abc import Iterable, Mapping

from palaver.domain.chatbots import NOBODY, Chatbot
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.storage.database import Database


class ChatbotService:
    """Chatbots. One is visible when it is active, and open to all or in the caller's plan."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def list(self, actor: Actor) -> list[Chatbot]:
        """Return the chatbots that the caller may talk to, oldest first."""
        async with self.db.read() as tx:
            return await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())

    async def get(self, actor: Actor, id: int) -> Chatbot:
        """Return a chatbot that the caller may talk to; administrators see every one.

        Raises `NotFound`.
        """
        async with self.db.read() as tx:
            if actor.is_admin:
                found = await tx.chatbots.get(id)
            else:
                visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
                found = next((chatbot for chatbot in visible if chatbot.id == id), None)
        if found is None:
            raise NotFound("chatbot")
        return found

    async def choose(self, actor: Actor, id: int | None) -> Chatbot:
        """Return the chatbot that a conversation begins with; None = the first one for text.

        Raises `InvalidInput` (`chatbot_id`: unknown or inactive), `DomainError` (`NOT_IN_PLAN`).
        """
        async with self.db.read() as tx:
            visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
            found = _first_for_text(visible) if id is None else _with_id(visible, id)
            if found is not None:
                return found
            there = None if id is None else await tx.chatbots.get(id)
        if id is not None and (there is None or not there.is_active):
            message = "There is no active chatbot with this id."
            raise InvalidInput.of("chatbot_id", Fault.NOT_ALLOWED, message)
        what = "any chatbot for text" if there is None else f"the chatbot {there.name}"
        raise DomainError(f"Your plan does not include {what}.", kind=ErrorKind.NOT_IN_PLAN)

    async def describe(
        self, actor: Actor, ids: Iterable[int | None]
    ) -> Mapping[int | None, Chatbot]:
        """Return the chatbots of conversations, whether or not they are visible (any more).

        For None, and for what is gone, it is the one that a conversation would begin with now.
        Reads at most twice, however many ids there are.
        """
        async with self.db.read() as tx:
            every = {chatbot.id: chatbot for chatbot in await tx.chatbots.all()}
            wanted = set(ids)
            if wanted <= every.keys():
                return {id: every[id] for id in wanted if id is not None}
            visible = await tx.chatbots.visible(owner_id=actor.owner_id, at=self.clock())
        default = _first_for_text(visible) or _first_for_text(list(every.values())) or NOBODY
        return {id: default if id is None else every.get(id, default) for id in wanted}


def _first_for_text(chatbots: Iterable[Chatbot]) -> Chatbot | None:
    return next((chatbot for chatbot in chatbots if chatbot.chatbot_type == "text"), None)


def _with_id(chatbots: Iterable[Chatbot], id: int) -> Chatbot | None:
    return next((chatbot for chatbot in chatbots if chatbot.id == id), None)
