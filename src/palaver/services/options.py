"""Options of a conversation: how its answers are made, whichever contract asks for them."""

from msgspec.structs import replace

from palaver.domain.generations import Options
from palaver.domain.thinking import LEAST_ANSWER_TOKENS, check_thinking
from palaver.domain.users import Actor
from palaver.services.asking import Asker
from palaver.services.conversations import get_conversation, lock_conversation
from palaver.services.models import ModelService
from palaver.storage.database import Database


class OptionService:
    """The flags of one's own conversations; None is left to the server."""

    def __init__(self, db: Database, models: ModelService, asker: Asker) -> None:
        self.db = db
        self.models = models
        self.asker = asker

    async def get(self, actor: Actor, key: int | str) -> Options:
        """Return the flags of a conversation. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            conversation = await get_conversation(tx, actor, key)
            return (await tx.conversations.manner(conversation.id)).options

    async def change(
        self, actor: Actor, key: int | str, changes: dict[str, bool | None]
    ) -> Options:
        """Change flags by their names in `Options`, and return all of them.

        Raises `NotFound`; `InvalidInput` for what the conversation's model, or this server, cannot
        do.
        """
        async with self.db.read() as tx:
            conversation = await get_conversation(tx, actor, key)
        if changes.get("use_extended_thinking") or changes.get("use_web_grounding"):
            resolved = await self.models.choose(actor, conversation_model=conversation.model)
            profile = resolved.model.profile
            if changes.get("use_extended_thinking"):
                check_thinking(resolved.model, max_tokens=LEAST_ANSWER_TOKENS)
            if changes.get("use_web_grounding"):
                self.asker.grounding.require(model_searches=profile.searches)
        async with self.db.transaction() as tx:
            conversation = await lock_conversation(tx, actor, conversation.id)
            manner = await tx.conversations.manner(conversation.id)
            options = replace(manner.options, **changes)
            await tx.conversations.set_options(conversation.id, options)
        return options
