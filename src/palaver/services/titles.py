"""Automatic titles: asked of the model that has answered, once; kept if there is none by then."""

import asyncio
from typing import Final

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import QuotaExceeded
from palaver.domain.events import TextDelta
from palaver.domain.search import SearchKind
from palaver.domain.titles import title_of, title_request
from palaver.domain.usage import UsageKind
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.kit.text import fold
from palaver.services.calls import CallService
from palaver.services.models import DEMO, ModelService, ResolvedModel
from palaver.services.prompts import prompt_of
from palaver.storage.database import Database

FIRST_MESSAGES: Final = 20  # among these are the first question and its answer
TITLE_TOKENS: Final = 40
THINKING_TOKENS: Final = 2_000  # what a model that thinks may need besides
TOKEN_MAX_LENGTH: Final = 25
"""Code points that a token has at most: whoever says more does not mind the cap, and is left."""
TIMEOUT_SECONDS: Final = 60.0


class TitleService:
    """Gives titles to conversations that want one."""

    def __init__(
        self,
        db: Database,
        models: ModelService,
        calls: CallService,
        *,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.models = models
        self.calls = calls
        self.clock = clock

    async def write(self, actor: Actor, conversation_id: int, *, is_again: bool = False) -> None:
        """Ask for a title where one is wanted, and was not asked for yet, unless `is_again`.

        A limit that leaves no room leaves the conversation untitled, for good. Raises
        `DomainError` where the model cannot be asked, `TimeoutError`.
        """
        actor.require_admin()
        async with self.db.transaction() as tx:
            conversation = await tx.conversations.ask_title(conversation_id, is_again=is_again)
            if conversation is None:
                return
            messages = await tx.messages.list(conversation.id, limit=FIRST_MESSAGES)
        question = next((each for each in messages if each.role == "user"), None)
        answer = next((each for each in messages if each.role == "assistant" and each.model), None)
        if question is None or answer is None:
            return
        title = await self._ask(conversation, question, answer)
        if title is not None:
            await self._keep(conversation, title)

    async def _ask(
        self, conversation: Conversation, question: Message, answer: Message
    ) -> str | None:
        assert answer.model is not None  # noqa: S101  # the caller has looked
        owner = Actor(user_id=conversation.owner_id)
        resolved = await self.models.stored(owner, answer.model)
        if resolved.provider.id == DEMO:
            return title_of(question.text)  # it has no understanding: the question's own words
        turns = [title_request(question.text, answer.text)]
        prompt = prompt_of(turns, resolved=resolved, max_tokens=_tokens(resolved))
        try:
            call = await self.calls.open(
                owner, prompt, kind=UsageKind.TITLE, conversation_id=conversation.id
            )
        except QuotaExceeded:
            return None
        async with asyncio.timeout(TIMEOUT_SECONDS), call:
            room = TOKEN_MAX_LENGTH * prompt.max_tokens
            while room > 0 and (event := await call.next()) is not None:
                if isinstance(event, TextDelta):
                    room -= len(event.text)
        return title_of(call.text)

    async def _keep(self, conversation: Conversation, title: str) -> None:
        """Store a title, unless somebody was faster."""
        async with self.db.transaction() as tx:
            owner_id = await tx.conversations.entitle(
                conversation.id, title=title, title_key=fold(title), at=self.clock()
            )
            if owner_id is not None:
                await tx.search.enqueue(
                    owner_id=owner_id, kind=SearchKind.TITLE, ref=conversation.id
                )


def _tokens(resolved: ResolvedModel) -> int:
    thinks = resolved.model.profile.thinks
    most = resolved.model.profile.max_answer_tokens
    wanted = TITLE_TOKENS + (THINKING_TOKENS if thinks else 0)
    return wanted if most is None else min(wanted, most)
