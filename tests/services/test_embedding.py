"""Everything gets its vector in time, whatever fails, and everybody pays for their own."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from palaver.domain.embedders import Embedded
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.memories import NewMemory
from palaver.domain.models import Model, ModelProfile
from palaver.domain.search import SearchKind
from palaver.domain.usage import UsageKind
from palaver.domain.users import SYSTEM, Actor
from palaver.services import embedding as module
from palaver.services.embedding import IDLE_SECONDS, NEVER_SECONDS, EmbeddingService
from palaver.services.folding import Folder
from palaver.services.memories import MemoryService
from palaver.services.retrieval import NO_EMBEDDER, NOT_YET, RetrievalService
from palaver.storage.database import Database
from palaver.storage.statements import Engine, Statement
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.fakes.embedder import WordEmbedder
from tests.services.library import Library
from tests.services.test_ledger import limit

LONG = "word " * 2_000


class Picky(WordEmbedder):
    """Takes no batch with a text that it does not like, as servers with a small context do."""

    def __init__(self, *, most: int = 1 << 30, hates: str = "\0") -> None:
        super().__init__("fake/picky")
        self.most = most
        self.hates = hates

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        if any(len(text) > self.most or self.hates in text for text in texts):
            raise ProviderError("This is too long, or otherwise bad.")
        return await super().embed(texts, is_query=is_query)


@pytest.fixture
async def library(db: Database, tmp_path: Path) -> Library:
    clock = StillClock()
    return Library(db, tmp_path, await a_cast(db, clock=clock), clock)


def embedding_of(library: Library, embedder: WordEmbedder | None = None) -> EmbeddingService:
    return EmbeddingService(library.db, embedder or WordEmbedder(), clock=library.clock)


async def embed_all(embedding: EmbeddingService) -> None:
    while (pause := await embedding.embed_some(SYSTEM)) == 0:
        pass
    assert pause in (IDLE_SECONDS, NEVER_SECONDS)


async def embed_and_close(library: Library, embedder: WordEmbedder | None) -> None:
    """Run a worker until nothing is left, and end it."""
    embedding = EmbeddingService(library.db, embedder, clock=library.clock)
    await embed_all(embedding)
    await embedding.close()


async def a_memory(library: Library, text: str, *, by: Actor | None = None) -> None:
    memories = MemoryService(library.db, RetrievalService(library.db), clock=library.clock)
    await memories.create(by or library.owner, NewMemory(content=text))
    while await Folder(library.db).fold():
        pass


async def lines(library: Library, of: Actor | None = None) -> list[tuple[str, int, int | None]]:
    async with library.db.read() as tx:
        entries = await tx.usage.list(owner_id=(of or library.owner).owner_id)
    assert all(entry.kind is UsageKind.EMBEDDING for entry in entries)
    return [(entry.model, entry.prompt_tokens, entry.cost_micro_usd) for entry in entries]


async def priced(library: Library, name: str, *, price: int) -> None:
    async with library.db.transaction() as tx:
        await tx.models.insert(Model(0, name, name, ModelProfile(), 1, None, 0, prompt_price=price))


async def test_chunks_and_memories_are_found_by_meaning_once_they_are_embedded(
    library: Library,
) -> None:
    embedder = WordEmbedder(means={"feline": "cat"})
    document = await library.read("The cat sleeps.")
    await a_memory(library, "Has a cat.")
    assert document.embedded == 0
    assert not document.has_vectors
    finder = RetrievalService(library.db, embedder, embedding_seconds=5)
    owner_id = library.owner.owner_id
    assert (await finder.find(owner_id, "feline", kind=SearchKind.CHUNK, limit=5)).note == NOT_YET
    await embed_all(embedding_of(library, embedder))
    for kind in (SearchKind.CHUNK, SearchKind.MEMORY):
        found = await finder.find(owner_id, "feline", kind=kind, limit=5)
        assert [(hit.text_rank, hit.vector_rank) for hit in found.hits] == [(None, 1)]
        assert found.note is None
        nothing = await finder.find(library.stranger.owner_id, "feline", kind=kind, limit=5)
        assert not nothing.hits


async def test_a_document_tells_how_much_of_it_is_embedded(library: Library, monkeypatch) -> None:
    monkeypatch.setattr(module, "BATCH", 2)
    document = await library.read("\n\n".join("lorem ipsum " * 80 for _ in range(9)))
    assert document.chunks > 3
    embedding = embedding_of(library)
    assert await embedding.embed_some(SYSTEM) == 0
    part = await library.documents.get(library.owner, document.uuid)
    assert (part.embedded, part.embedder, part.has_vectors) == (2, "fake/words", False)
    await embed_all(embedding)
    whole = await library.documents.get(library.owner, document.uuid)
    assert (whole.embedded, whole.has_vectors) == (document.chunks, True)
    assert whole.updated_at == document.updated_at, "its owner has changed nothing"


async def test_chunks_that_were_embedded_before_their_document_was_ready_are_counted(
    library: Library,
) -> None:
    document = await library.read("The cat sleeps.")
    await embed_all(embedding_of(library))
    async with library.db.transaction() as tx:
        await tx._connection.run(Statement("update documents set embedded = 0, embedder = null"))
    await embed_all(embedding_of(library))
    found = await library.documents.get(library.owner, document.uuid)
    assert (found.embedded, found.embedder) == (1, "fake/words")


async def test_another_embedder_does_all_anew_and_none_keeps_what_there_is(
    library: Library,
) -> None:
    document = await library.read("The cat sleeps.")
    await embed_and_close(library, WordEmbedder())
    other = WordEmbedder("fake/other", dimensions=64)
    await embed_and_close(library, other)
    found = await library.documents.get(library.owner, document.uuid)
    assert (found.embedded, found.embedder) == (1, "fake/other")
    assert await library.count("vectors") == 1
    assert await library.count("vector_bits") == 1
    await embed_and_close(library, None)
    found = await library.documents.get(library.owner, document.uuid)
    assert (found.embedded, found.embedder, found.has_vectors) == (0, None, False)
    retrieved = await RetrievalService(library.db).find(
        library.owner.owner_id, "cat", kind=SearchKind.CHUNK, limit=5
    )
    assert retrieved.note == NO_EMBEDDER
    asked = len(other.asked)
    await embed_and_close(library, other)
    found = await library.documents.get(library.owner, document.uuid)
    assert (found.embedded, found.embedder) == (1, "fake/other")
    assert len(other.asked) == asked, "what is kept is not embedded again"


async def test_nobodys_many_texts_hold_up_another_ones_few(library: Library, monkeypatch) -> None:
    monkeypatch.setattr(module, "BATCH", 4)
    await library.read("\n\n".join("lorem ipsum " * 80 for _ in range(30)))
    await library.read("Few words.", by=library.stranger)
    embedder = WordEmbedder()
    await embedding_of(library, embedder).embed_some(SYSTEM)
    assert any("Few words." in text for text in embedder.asked)


async def test_what_goes_with_a_chunk_is_its_title(library: Library) -> None:
    await library.read("It sleeps.", title="On cats")
    embedder = WordEmbedder()
    await embed_all(embedding_of(library, embedder))
    assert embedder.asked == ["On cats\n\nIt sleeps."]


@pytest.mark.parametrize("kind", [ErrorKind.PROVIDER_FAILED, ErrorKind.PROVIDER_TIMEOUT])
async def test_an_embedder_that_fails_is_left_alone_for_longer_and_longer(
    library: Library, kind: ErrorKind
) -> None:
    document = await library.read("The cat sleeps.")
    embedder = WordEmbedder()
    embedding = embedding_of(library, embedder)
    embedder.error = ProviderError("Down.", kind=kind)
    await embedding.embed_some(SYSTEM)
    pauses = [await embedding.embed_some(SYSTEM) for _ in range(3)]
    assert pauses == sorted(set(pauses))
    assert pauses[0] > 1
    embedder.error = ProviderError(
        "Full.", kind=ErrorKind.PROVIDER_OVERLOADED, retry_after_seconds=120
    )
    assert await embedding.embed_some(SYSTEM) == 120
    embedder.error = None
    await embed_all(embedding)
    assert (await library.documents.get(library.owner, document.uuid)).has_vectors


async def test_a_text_that_is_too_long_is_embedded_by_its_begin(library: Library) -> None:
    await a_memory(library, "short")
    await a_memory(library, LONG[:2_000])
    embedder = Picky(most=1_500)
    await embed_all(embedding_of(library, embedder))
    assert await library.count("vectors") == 2
    assert sorted(map(len, embedder.asked)) == [5, module.SHORT_LENGTH]


async def test_a_text_that_is_never_taken_stops_no_other_and_is_asked_once(
    library: Library,
) -> None:
    await a_memory(library, "a hated thing")
    embedder = Picky(hates="hated")
    embedding = embedding_of(library, embedder)
    await embed_all(embedding)
    assert embedder.asked == [module.PROBE], "the embedder works, so the text is at fault"
    await a_memory(library, "a loved thing")
    await embed_all(embedding)
    assert await library.count("vectors") == 1
    assert await library.count("search_entries", "space_id = 0") == 0


async def test_each_user_pays_for_their_own_texts(library: Library) -> None:
    await a_memory(library, "one two three four")
    await a_memory(library, "five", by=library.stranger)
    embedder = WordEmbedder()
    await priced(library, embedder.id, price=2_000_000)
    await embed_all(embedding_of(library, embedder))
    (mine,), (theirs,) = await lines(library), await lines(library, library.stranger)
    assert mine[1] > theirs[1] > 0
    assert mine == ("fake/words", mine[1], 2 * mine[1])
    async with library.db.read() as tx:
        assert await tx.usage.held(owner_id=library.owner.owner_id) == []


async def test_without_a_price_the_tokens_alone_are_written_down(library: Library) -> None:
    await a_memory(library, "one two three four")
    await embed_all(embedding_of(library))
    assert await lines(library) == [("fake/words", 4, None)]


async def test_whose_cost_limit_is_used_up_is_passed_over_for_a_while(library: Library) -> None:
    await a_memory(library, "one two three four")
    embedder = WordEmbedder()
    await priced(library, embedder.id, price=1_000_000_000)
    await limit(library.db, max_cost_micro_usd=1)
    embedding = embedding_of(library, embedder)
    await embed_all(embedding)
    assert (embedder.asked, await lines(library)) == ([], [])
    await limit(library.db, max_cost_micro_usd=1_000_000)
    await embed_all(embedding)
    assert embedder.asked == []
    library.clock.move(seconds=120)
    await embed_all(embedding)
    assert len(embedder.asked) == 1


async def test_what_was_held_for_an_embedder_that_fails_is_given_back(library: Library) -> None:
    await a_memory(library, "one two three four")
    embedder = WordEmbedder()
    embedder.error = ProviderError("Down.", kind=ErrorKind.PROVIDER_UNREACHABLE)
    await priced(library, embedder.id, price=2_000_000)
    assert await embedding_of(library, embedder).embed_some(SYSTEM) > 1
    assert await lines(library) == []
    async with library.db.read() as tx:
        assert await tx.usage.held(owner_id=library.owner.owner_id) == []


async def test_a_question_is_paid_beside_its_answer(library: Library) -> None:
    await a_memory(library, "one two three four")
    embedder = WordEmbedder()
    embedding = embedding_of(library, embedder)
    await embed_all(embedding)
    finder = RetrievalService(library.db, embedder, embedding_seconds=5)
    finder.on_embedded = embedding.costs.charge_question
    await finder.find(library.owner.owner_id, "two words", kind=SearchKind.MEMORY, limit=5)
    await finder.find(library.owner.owner_id, "two words", kind=SearchKind.CHUNK, limit=5)
    await finder.find(library.owner.owner_id, "two words", kind=SearchKind.MEMORY, limit=5)
    await finder.find(library.stranger.owner_id, "two words", kind=SearchKind.MEMORY, limit=5)
    await embedding.close()
    assert [tokens for _, tokens, _ in await lines(library)] == [4, 2], "once, and by who asked"


async def test_of_several_workers_one_embeds_and_another_goes_on_when_it_ends(
    library: Library,
) -> None:
    if library.db.engine is Engine.SQLITE:
        pytest.skip("there is one worker")
    first, second = WordEmbedder(), WordEmbedder()
    workers = [embedding_of(library, embedder) for embedder in (first, second)]
    await a_memory(library, "one")
    await embed_all(workers[0])
    await a_memory(library, "two")
    await embed_all(workers[1])
    assert (first.asked, second.asked) == (["one"], [])
    await workers[0].close()
    await embed_all(workers[1])
    assert (first.asked, second.asked) == (["one"], ["two"])
    await a_memory(library, "three")
    library.clock.move(seconds=600)  # the second has died
    third = WordEmbedder()
    await embed_all(embedding_of(library, third))
    assert third.asked == ["three"]
