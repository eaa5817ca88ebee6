"""Conversations for tests, made as people make them; the services here start no generation."""

from collections.abc import Sequence
from pathlib import Path

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import ProviderError
from palaver.domain.users import Actor
from palaver.domain.web import Page, WebSearch
from palaver.kit.clock import Clock, system_clock
from palaver.services.asking import Asker
from palaver.services.conversations import ConversationService
from palaver.services.driver import Driver
from palaver.services.gathering import Gatherer
from palaver.services.grounding import GroundingService
from palaver.services.memories import MemoryService
from palaver.services.models import ModelService
from palaver.services.pictures import PictureService
from palaver.services.retrieval import RetrievalService
from palaver.storage.database import Database
from palaver.storage.files import Files
from palaver.storage.log import DatabaseLog
from palaver.streaming.runs import Runs
from tests.fakes.extractor import PlainExtractor


def driver_over(
    db: Database,
    runs: Runs,
    models: ModelService,
    *,
    clock: Clock = system_clock,
    search: WebSearch | None = None,
    files: Files | None = None,
) -> Driver:
    """Return what drives runs, with all that they are told: one's own things, and the web.

    Of the web nothing can be read: an answer has what the search engine says. Pictures need files.
    """
    retrieval = RetrievalService(db)
    gatherer = Gatherer(db, MemoryService(db, retrieval, clock=clock), retrieval)
    grounding = GroundingService(db, search, NoPages(), clock=clock)
    pictures = PictureService(db, files or Files(Path()), PlainExtractor(), clock=clock)
    return Driver(db, runs, models, gatherer, Asker(grounding, pictures), clock=clock)


class NoPages:
    """A web that is away."""

    async def fetch(self, url: str) -> Page:
        raise ProviderError(f"{url} cannot be reached.")

    async def close(self) -> None:
        pass


def conversations_over(db: Database, *, clock: Clock = system_clock) -> ConversationService:
    """Return the verbs of conversations, over runs that never begin."""
    runs = Runs(DatabaseLog(db), clock=clock, is_alone=True)
    driver = driver_over(db, runs, ModelService(db, {}, clock=clock), clock=clock)
    return ConversationService(db, driver, clock=clock)


async def a_talk(
    conversations: ConversationService,
    owner: Actor,
    *texts: str,
    title: str | None = None,
) -> tuple[Conversation, Sequence[Message]]:
    """Return a new conversation with these user messages."""
    conversation = await conversations.create(owner, title=title)
    messages = [await conversations.append(owner, conversation.id, text=text) for text in texts]
    return conversation, messages
