"""What an answer rests on: memories and passages in its prompt, pages of the web, citations."""

import asyncio
import re
from collections.abc import Sequence

import pytest

from palaver.domain.documents import Chunk
from palaver.domain.errors import InvalidInput, NotFound, ProviderError
from palaver.domain.events import Cited, Event, Failed, SourceFound, Status, unpack
from palaver.domain.generations import Generation, Options
from palaver.domain.memories import NewMemory
from palaver.domain.models import ModelProfile
from palaver.domain.passages import parse_passages
from palaver.domain.providers import CompletionRequest, Turn
from palaver.domain.search import SearchKind
from palaver.domain.sources import SourceKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageKind
from palaver.domain.users import Actor
from palaver.domain.web import WebHit
from palaver.kit.clock import system_clock
from palaver.kit.ids import new_uuid
from palaver.services.calls import CallService
from palaver.services.completions import CompletionService
from palaver.services.memories import MemoryService
from palaver.services.options import OptionService
from palaver.services.retrieval import RetrievalService
from palaver.services.sources import SourceService
from palaver.services.starting import Choice, Starter
from palaver.storage.database import Database
from palaver.storage.statements import Statement
from tests.cast import a_cast
from tests.fakes.provider import HOLD, ScriptedProvider, words
from tests.services.conftest import Talk, a_worker
from tests.services.test_generations import asked, read, text_of

LEAVE = "Everybody has thirty days of leave a year. Ask your lead first."
RAG = Choice(options=Options(use_rag=True))
WEB = Choice(options=Options(use_web_grounding=True))
_READY = Statement("update documents set status = 'ready' where id = :id")


class Engine:
    """A search engine that finds what a test says, or fails."""

    name = "Fake"

    def __init__(
        self, *hits: WebHit, error: ProviderError | None = None, hangs: bool = False
    ) -> None:
        self.hits = hits
        self.error = error
        self.hangs = hangs
        self.asked = asyncio.Event()

    async def search(self, query: str, *, limit: int) -> Sequence[WebHit]:
        self.asked.set()
        if self.hangs:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.hits[:limit]

    async def close(self) -> None:
        pass


async def a_document(db: Database, actor: Actor, title: str, *texts: str) -> str:
    """Store a document that is ready, its chunks one behind the other; return its uuid."""
    chunks, start = [], 0
    for number, text in enumerate(texts):
        paragraphs = [start + match.end() for match in re.finditer("\n\n", text)]
        chunk = Chunk(number, start, start + len(text), number + 1, None, text, tuple(paragraphs))
        chunks.append((chunk, estimate_tokens(text)))
        start += len(text) + 2
    async with db.transaction() as tx:
        document = await tx.documents.insert(
            uuid=new_uuid(),
            owner_id=actor.owner_id,
            title=title,
            content_type="text/plain",
            size_bytes=start,
            metadata=None,
            at=1,
        )
        assert document is not None
        ids = await tx.chunks.add(document.id, owner_id=actor.owner_id, chunks=chunks)
        await tx._connection.run(_READY, id=document.id)
        await tx.search.enqueue_all(owner_id=actor.owner_id, kind=SearchKind.CHUNK, refs=ids)
    return document.uuid


async def a_memory(db: Database, actor: Actor, content: str) -> str:
    """Store a memory; return its uuid."""
    shown = await MemoryService(db, RetrievalService(db)).create(actor, NewMemory(content=content))
    return shown.memory.uuid


def told(request: CompletionRequest) -> list[str]:
    """Return the texts of the passages that a provider was told."""
    system = [turn.text for turn in request.turns if turn.role == "system"]
    return [passage.text for text in system for passage in parse_passages(text)]


async def answered(talk: Talk, question: str, choice: Choice) -> tuple[Generation, list[Event]]:
    """Ask, and read the answer."""
    generation = await talk.generations.answer(talk.owner, await asked(talk, question), choice)
    return generation, await read(talk, generation.uuid)


async def test_an_answer_rests_on_ones_own_documents_and_cites_exact_spans(talk: Talk) -> None:
    document = await a_document(talk.db, talk.owner, "Handbook", "Welcome.", LEAVE)
    await a_document(talk.db, talk.stranger, "Secrets", LEAVE.replace("thirty", "ninety"))
    talk.provider.scripts = [words("You have thirty days of leave [1]. No more.")]
    generation, events = await answered(talk, "How many days of leave have I?", RAG)
    assert told(talk.provider.requests[0]) == [LEAVE]
    (cited,) = next(event.citations for event in events if isinstance(event, Cited))
    assert (cited.kind, cited.id, cited.title) == (SourceKind.DOCUMENT, document, "Handbook")
    assert cited.quote == "Everybody has thirty days of leave a year."
    assert (cited.start, cited.end, cited.page) == (10, 10 + len(cited.quote), 2)
    async with talk.db.read() as tx:
        answer = await tx.messages.get(generation.answer_id)
    assert answer is not None
    found = await SourceService(talk.db).of_answer(talk.owner, answer.uuid)
    assert found.citations == [cited]
    (source,) = found.sources
    assert (source.reason.text_rank, source.index) == (1, 1)
    assert source.reason.note is not None
    with pytest.raises(NotFound):
        await SourceService(talk.db).of_answer(talk.stranger, answer.uuid)


async def test_what_was_deleted_is_quoted_nowhere_any_more(talk: Talk) -> None:
    await a_document(talk.db, talk.owner, "Handbook", LEAVE)
    memory = await a_memory(talk.db, talk.owner, "Likes leave.")
    talk.provider.scripts = [words("You have thirty days of leave [2] and like it [1].")]
    generation, _ = await answered(talk, "How many days of leave have I?", RAG)
    async with talk.db.read() as tx:
        answer = await tx.messages.get(generation.answer_id)
    assert answer is not None
    await MemoryService(talk.db, RetrievalService(talk.db)).delete(talk.owner, memory)
    found = await SourceService(talk.db).of_answer(talk.owner, answer.uuid)
    assert found.gone == {1}
    assert [(source.index, source.title) for source in found.sources] == [(1, ""), (2, "Handbook")]
    assert found.citations[0].quote == ""
    assert "thirty days" in found.citations[1].quote


async def test_nothing_is_retrieved_unless_that_is_asked_for(talk: Talk) -> None:
    await a_document(talk.db, talk.owner, "Handbook", LEAVE)
    talk.provider.scripts = [words("Hm.")]
    _, events = await answered(talk, "How many days of leave?", Choice())
    assert told(talk.provider.requests[0]) == []
    assert not any(isinstance(event, SourceFound | Cited) for event in events)


async def test_a_conversations_option_stands_where_a_request_says_nothing(talk: Talk) -> None:
    await a_document(talk.db, talk.owner, "Handbook", LEAVE)
    talk.provider.scripts = [words("Hm.")]
    options = OptionService(talk.db, talk.models, talk.driver.asker)
    conversation = await asked(talk, "How many days of leave?")
    await options.change(talk.owner, conversation, {"use_rag": True})
    await read(talk, (await talk.generations.answer(talk.owner, conversation, Choice())).uuid)
    off = Choice(options=Options(use_rag=False))
    _, generation = await talk.generations.retry(talk.owner, conversation, off)
    await read(talk, generation.uuid)
    assert [bool(told(request)) for request in talk.provider.requests] == [True, False]


def reminded(request: CompletionRequest) -> list[str]:
    """Return what a provider was told to remember, where nothing is to be cited."""
    told = "\n".join(turn.text for turn in request.turns if turn.role == "system")
    return re.findall(r"^- (.+)$", told, re.MULTILINE)


async def test_memories_go_into_every_prompt_of_their_owner(talk: Talk) -> None:
    await a_memory(talk.db, talk.owner, "Likes tea.")
    await a_memory(talk.db, talk.stranger, "Likes coffee.")
    talk.provider.scripts = [words("Tea it is.")]
    await answered(talk, "What shall I drink?", Choice())
    assert reminded(talk.provider.requests[0]) == ["Likes tea."]


async def test_memories_are_cited_only_where_an_answer_is_to_cite(talk: Talk) -> None:
    await a_memory(talk.db, talk.owner, "Likes tea.")
    talk.provider.scripts = [words("Tea it is [1].")]
    _, plain = await answered(talk, "What shall I drink?", Choice())
    assert not any(isinstance(event, Cited) for event in plain)
    assert told(talk.provider.requests[0]) == []
    _, cited = await answered(talk, "What shall I drink?", RAG)
    assert told(talk.provider.requests[1]) == ["Likes tea."]
    (citation,) = next(event.citations for event in cited if isinstance(event, Cited))
    assert (citation.kind, citation.quote) == (SourceKind.MEMORY, "Likes tea.")


async def test_a_memory_that_was_deleted_is_in_no_later_prompt(talk: Talk) -> None:
    uuid = await a_memory(talk.db, talk.owner, "Likes tea.")
    talk.provider.scripts = [words("Tea.")]
    await answered(talk, "What shall I drink?", Choice())
    await MemoryService(talk.db, RetrievalService(talk.db)).delete(talk.owner, uuid)
    await answered(talk, "What shall I drink?", Choice())
    assert [reminded(request) for request in talk.provider.requests] == [["Likes tea."], []]


async def test_a_takeover_sends_the_same_passages_under_the_same_numbers(db: Database) -> None:
    cast = await a_cast(db)
    await a_document(db, cast.owner, "Handbook", LEAVE)
    gone = await a_memory(db, cast.owner, "Likes tea.")
    async with a_worker(db, cast, ScriptedProvider([[HOLD]]), is_alone=False) as first:
        conversation = await asked(first, "How many days of leave?")
        generation = await first.generations.answer(first.owner, conversation, RAG)
        await first.provider.held.wait()
        await MemoryService(db, RetrievalService(db)).delete(cast.owner, gone)
        await a_document(db, cast.owner, "Leave", "Days of leave, days of leave, leave, leave!")
    second_provider = ScriptedProvider([words("Thirty days of leave [2].")])
    async with a_worker(db, cast, second_provider, is_alone=False) as second:
        events = await read(second, generation.uuid)
    assert text_of(events) == "Thirty days of leave [2]."
    assert told(second_provider.requests[0]) == [LEAVE]
    indexes = [event.source.index for event in events if isinstance(event, SourceFound)]
    assert indexes == [1, 2]
    (cited,) = next(event.citations for event in events if isinstance(event, Cited))
    assert (cited.index, cited.quote) == (2, "Everybody has thirty days of leave a year.")


async def test_a_citation_names_the_page_on_which_its_quote_begins(talk: Talk) -> None:
    pages = ("Everything of the company.", "Leave is thirty days.", "Lunch is at noon.")
    await a_document(talk.db, talk.owner, "Handbook", "\n\n".join(pages))
    talk.provider.scripts = [words("Your leave is thirty days [1].")]
    _, events = await answered(talk, "How many days of leave have I?", RAG)
    (cited,) = next(event.citations for event in events if isinstance(event, Cited))
    assert (cited.quote, cited.page) == (pages[1], 2)
    (source,) = (event.source for event in events if isinstance(event, SourceFound))
    assert (source.page, len(source.page_starts)) == (1, 2)


async def test_pages_of_the_web_are_told_and_cited(db: Database) -> None:
    hit = WebHit("https://ulm.example/", "Ulm", "The tower of Ulm is 161 metres tall.")
    provider = ScriptedProvider([words("It is 161 metres tall [1].")])
    async with a_worker(db, await a_cast(db), provider, search=Engine(hit)) as talk:
        _, events = await answered(talk, "How tall is the tower of Ulm?", WEB)
    assert told(provider.requests[0]) == [hit.snippet]
    assert not provider.requests[0].searches_web
    assert any(isinstance(event, Status) for event in events)
    (cited,) = next(event.citations for event in events if isinstance(event, Cited))
    assert (cited.kind, cited.url, cited.quote) == (SourceKind.WEB, hit.url, hit.snippet)


async def test_a_search_that_fails_is_told_of_and_the_answer_goes_on(db: Database) -> None:
    provider = ScriptedProvider([words("From memory: 161.")])
    engine = Engine(error=ProviderError("Fake cannot be reached."))
    async with a_worker(db, await a_cast(db), provider, search=engine) as talk:
        _, events = await answered(talk, "How tall is the tower of Ulm?", WEB)
    assert text_of(events) == (
        "*The web could not be searched: Fake cannot be reached.*\n\nFrom memory: 161."
    )


async def charged(talk: Talk) -> list[tuple[UsageKind, int]]:
    """Return the lines of the ledger with their tokens, once nothing is held any more."""
    async with talk.db.read() as tx:
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
        entries = await tx.usage.list(owner_id=talk.owner.owner_id)
    return [(entry.kind, entry.prompt_tokens + entry.completion_tokens) for entry in entries]


async def test_our_own_sentence_costs_nothing(db: Database) -> None:
    provider = ScriptedProvider([[ProviderError("Down as well.")]])
    engine = Engine(error=ProviderError("Fake cannot be reached."))
    async with a_worker(db, await a_cast(db), provider, search=engine) as talk:
        generation, events = await answered(talk, "How tall is the tower of Ulm?", WEB)
        assert isinstance(events[-1], Failed)
        assert [kind for kind, _ in await charged(talk)] == []
        conversation = generation.conversation_id
        assert len(await talk.conversations.messages(talk.owner, conversation)) == 1


async def test_who_stops_during_the_search_pays_for_no_prompt(db: Database) -> None:
    engine = Engine(hangs=True)
    async with a_worker(db, await a_cast(db), ScriptedProvider(), search=engine) as talk:
        conversation = await asked(talk, "How tall is the tower of Ulm?")
        generation = await talk.generations.answer(talk.owner, conversation, WEB)
        await engine.asked.wait()
        await talk.generations.cancel(talk.owner, generation.uuid)
        await read(talk, generation.uuid)
        assert UsageKind.ANSWER not in dict(await charged(talk))


async def test_a_search_that_died_with_its_worker_is_made_again(db: Database) -> None:
    cast = await a_cast(db)
    engine = Engine(hangs=True)
    async with a_worker(db, cast, ScriptedProvider(), is_alone=False, search=engine) as first:
        conversation = await asked(first, "How tall is the tower of Ulm?")
        generation = await first.generations.answer(first.owner, conversation, WEB)
        stream = await first.generations.follow(first.owner, generation.uuid)
        await stream.next()  # "Searching …" is in the log
    hit = WebHit("https://ulm.example/", "Ulm", "The tower of Ulm is 161 metres tall.")
    provider = ScriptedProvider([words("161 metres [1].")])
    async with a_worker(db, cast, provider, is_alone=False, search=Engine(hit)) as second:
        events = await read(second, generation.uuid)
    assert text_of(events) == "161 metres [1]."
    assert any(isinstance(event, Cited) for event in events)


async def test_what_is_found_later_never_takes_the_number_of_what_has_gone(db: Database) -> None:
    cast = await a_cast(db)
    await a_document(db, cast.owner, "Ulm", "The tower of Ulm is tall, and old.")
    gone = await a_memory(db, cast.owner, "Has seen Ulm.")
    choice = Choice(options=Options(use_rag=True, use_web_grounding=True))
    engine = Engine(hangs=True)
    async with a_worker(db, cast, ScriptedProvider(), is_alone=False, search=engine) as first:
        conversation = await asked(first, "How tall is the tower of Ulm?")
        generation = await first.generations.answer(first.owner, conversation, choice)
        await engine.asked.wait()
    await MemoryService(db, RetrievalService(db)).delete(cast.owner, gone)
    hit = WebHit("https://ulm.example/", "Page", "The tower of Ulm is 161 metres tall.")
    provider = ScriptedProvider([words("Old [2], and 161 metres tall [3].")])
    async with a_worker(db, cast, provider, is_alone=False, search=Engine(hit)) as second:
        events = await read(second, generation.uuid)
    cited = next(event.citations for event in events if isinstance(event, Cited))
    assert [(each.index, each.kind, each.title) for each in cited] == [
        (2, SourceKind.DOCUMENT, "Ulm"),
        (3, SourceKind.WEB, "Page"),
    ]


async def test_a_question_that_comes_in_between_gets_passages_of_its_own(
    talk: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_document(talk.db, talk.owner, "Handbook", LEAVE, "The gate closes at eight.")
    talk.provider.scripts = [words("Hm.")]
    conversation = await asked(talk, "How many days of leave?")
    order = talk.generations.starter.order
    later = ["When does the gate close?"]

    async def slowly(*given: object, **more: object) -> object:
        made = await order(*given, **more)  # type: ignore[arg-type]
        if later:
            await talk.conversations.append(talk.owner, conversation, text=later.pop())
        return made

    monkeypatch.setattr(talk.generations.starter, "order", slowly)
    await read(talk, (await talk.generations.answer(talk.owner, conversation, RAG)).uuid)
    assert told(talk.provider.requests[0])[0] == "The gate closes at eight."


async def test_without_an_engine_the_models_provider_searches(db: Database) -> None:
    provider = ScriptedProvider([words("161.")], profile=ModelProfile(searches=True))
    async with a_worker(db, await a_cast(db), provider) as talk:
        await answered(talk, "How tall is the tower of Ulm?", WEB)
    assert provider.requests[0].searches_web


async def test_where_nobody_searches_nothing_is_stored(talk: Talk) -> None:
    conversation = await asked(talk)
    with pytest.raises(InvalidInput) as refused:
        await talk.generations.send(talk.owner, conversation, [("user", "Tall?")], WEB)
    assert [fault.field for fault in refused.value.faults] == ["use_web_grounding"]
    assert "PALAVER_SEARXNG_URL" in refused.value.message
    assert len(await talk.conversations.messages(talk.owner, conversation)) == 1


async def test_a_completion_without_a_conversation_rests_on_the_same(talk: Talk) -> None:
    await a_document(talk.db, talk.owner, "Handbook", LEAVE)
    await a_memory(talk.db, talk.owner, "Likes tea.")
    talk.provider.scripts = [words("Thirty days of leave [2].")]
    calls = CallService(talk.db, talk.driver.asker)
    starter = Starter(talk.driver, talk.models, clock=system_clock)
    completions = CompletionService(calls, starter)
    turns = [Turn("user", "How many days of leave?")]
    answer = await completions.open(talk.owner, turns, RAG)
    events: list[Event] = []
    while segments := await answer.stream.next():
        events += map(unpack, segments)
    await completions.close()
    await calls.close()
    assert told(talk.provider.requests[0]) == ["Likes tea.", LEAVE]
    (cited,) = next(event.citations for event in events if isinstance(event, Cited))
    assert cited.quote == "Everybody has thirty days of leave a year."


async def test_passages_never_make_a_question_too_long(db: Database) -> None:
    cast = await a_cast(db)
    await a_document(db, cast.owner, "Handbook", *["leave " * 200] * 8)
    provider = ScriptedProvider([words("Hm.")], profile=ModelProfile(context_tokens=1_200))
    async with a_worker(db, cast, provider) as talk:
        choice = Choice(options=Options(use_rag=True, max_tokens=100))
        await answered(talk, "How long is my leave? " + "Tell me. " * 120, choice)
        sent = provider.requests[0]
        assert told(sent) == []
