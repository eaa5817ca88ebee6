"""Retrieval finds one's own memories and chunks, by any word and by meaning, and nothing else."""

import asyncio
from collections.abc import Sequence
from functools import partial

import pytest

from palaver.domain import ranking, vectors
from palaver.domain.embedders import Embedded
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.search import SearchKind
from palaver.domain.users import SYSTEM
from palaver.domain.vectors import packed
from palaver.services import folding, retrieval
from palaver.services.folding import FOLD_MAX, Folder
from palaver.services.retrieval import RetrievalService
from palaver.storage.database import Database
from tests.cast import Cast, a_cast
from tests.fakes.embedder import WordEmbedder
from tests.library import (
    DELETE_DOCUMENT,
    DELETE_MEMORY,
    EDIT_MEMORY,
    PURGE_DOCUMENT,
    Library,
)


@pytest.fixture
async def cast(db: Database) -> Cast:
    return await a_cast(db)


@pytest.fixture
def library(db: Database, cast: Cast) -> Library:
    return Library(db, cast.owner, cast.stranger)


# By words.


async def test_any_word_finds_and_rare_ones_say_more(library):
    _, (common, rare, both, _) = await library.document(
        "the cat sat on the mat",
        "the zebra sat on the chair",
        "the zebra and the cat sat on the sofa",
        "the dog sat on the floor",
    )
    await library.document(*(f"the cat number {number}" for number in range(20)))
    found = await library.chunks("the cat or the zebra", limit=30)
    assert found[:2] == [both, rare]
    assert common in found
    assert len(found) == 24, "`the` is a word as well"


async def test_a_word_that_stands_often_in_a_short_text_says_more(library):
    filler = " ".join(f"w{number}" for number in range(300))
    _, (long, short) = await library.document(f"apple {filler}", "apple apple pie")
    assert await library.chunks("apple") == [short, long]


async def test_the_title_and_the_heading_belong_to_a_chunk(library):
    _, (chunk,) = await library.document("Turn it off.", title="Router manual", heading="Reset")
    assert await library.chunks("how does a router reset") == [chunk]


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("Resetting a password", "how do I reset passwords"),
        ("Deletion of an account", "delete my accounts"),
        ("Die Kündigung des Vertrages", "Wie kann ich Verträge kündigen?"),
        ("Сообщения удаляются через год", "как удалить сообщение"),
        ("المكتبة مغلقة يوم الجمعة", "متى تفتح مكتبة المدينة؟"),
        ("كَتَبَ رسالة طويلة", "من كتب الرسالة"),
        ("他每天早上喝绿茶。", "哪里可以喝茶"),
        ("東京の天気は晴れです", "天気予報"),
        ("ร้านอาหารเปิดทุกวัน", "ร้านนี้เปิดกี่โมง"),
        ("안녕하세요 여러분", "여러분 안녕"),
        ("Über die Straße gehen", "uber strasse"),
        ("def snake_case(): pass", "what is snake_case"),
    ],
)
async def test_a_question_finds_what_is_worded_otherwise(library, text, question):
    _, (chunk,) = await library.document(text)
    await library.document("zzz qqq", "12345")
    assert await library.chunks(question) == [chunk]


async def test_the_word_itself_comes_before_its_forms(library):
    _, (form, word) = await library.document("resets happen at night", "reset happens at night")
    assert await library.chunks("reset") == [word, form]


async def test_words_are_asked_for_however_many_there_are(library):
    _, (chunk, _) = await library.document("a needle here", "hay")
    assert await library.chunks(" ".join(f"hay{n}" for n in range(3_000)) + " needle") == []
    assert await library.chunks("needle " + " ".join(f"hay{n}" for n in range(3_000))) == [chunk]


@pytest.mark.parametrize("question", ["", " ", "?!", '"', "\ud800", "🙂", "a\0b", "~", "~reset"])
async def test_nothing_that_is_asked_is_syntax(library, question):
    await library.document("something else entirely")
    assert await library.chunks(question) == []


async def test_nobody_finds_what_is_somebody_elses(library):
    await library.document("my secret plan")
    await library.memory("my secret wish")
    for text in ("secret", "my", "plan wish"):
        assert await library.chunks(text, by=library.stranger) == []
        assert await library.memories(text, by=library.stranger) == []


async def test_a_wrong_owner_in_the_queue_puts_nothing_into_his_index(library):
    memory = await library.memory("mine alone")
    async with library.db.transaction() as tx:
        await tx.search.enqueue(
            owner_id=library.stranger.owner_id, kind=SearchKind.MEMORY, ref=memory
        )
    assert await library.memories("alone", by=library.stranger) == []
    assert await library.memories("alone") == [memory]


async def test_memories_and_chunks_are_searched_apart(library):
    memory = await library.memory("likes tea")
    _, (chunk,) = await library.document("tea comes from China")
    assert await library.memories("tea") == [memory]
    assert await library.chunks("tea") == [chunk]


async def test_what_is_deleted_is_gone_at_once_and_leaves_nothing(library):
    document, chunks = await library.document("gone with the wind", "and more wind")
    memory = await library.memory("the wind is cold")
    assert len(await library.chunks("wind")) == 2
    async with library.db.transaction() as tx:
        await tx._connection.run(DELETE_DOCUMENT, id=document)
    assert await library.chunks("wind") == [], "before any fold"
    async with library.db.transaction() as tx:
        await tx.search.remove(SearchKind.CHUNK, chunks)
        await tx._connection.run(PURGE_DOCUMENT, id=document)
    await library.change(DELETE_MEMORY, kind=SearchKind.MEMORY, refs=[memory], id=memory)
    assert await library.memories("wind") == []
    while await Folder(library.db).fold():
        pass
    for table in ("search_postings", "search_entries", "search_pending"):
        assert await library.rows(table) == 0, table


async def test_what_is_removed_while_it_is_folded_leaves_nothing(library, monkeypatch):
    document, chunks = await library.document("here today", "gone tomorrow")
    cut = folding._texts

    async def removing(*args):
        found = await cut(*args)
        async with library.db.transaction() as tx:
            await tx._connection.run(PURGE_DOCUMENT, id=document)
            await tx.search.remove(SearchKind.CHUNK, chunks)
        return found

    monkeypatch.setattr(folding, "_texts", removing)
    await Folder(library.db).fold()
    for table in ("search_postings", "search_entries", "search_pending"):
        assert await library.rows(table) == 0, table


async def test_a_document_is_found_once_it_is_ready(library):
    await library.document("unfinished business", status="pending")
    assert await library.chunks("business") == []


async def test_what_was_changed_is_found_by_its_new_words_alone(library):
    memory = await library.memory("lives in Rome")
    assert await library.memories("Rome") == [memory]
    await library.change(
        EDIT_MEMORY, kind=SearchKind.MEMORY, refs=[memory], id=memory, text="lives in Oslo"
    )
    assert await library.memories("Rome") == []
    assert await library.memories("Oslo") == [memory]


async def test_the_best_are_found_among_many_that_are_gone(library):
    document, _ = await library.document(*("apple pie" for _ in range(250)))
    _, (alive,) = await library.document("an apple a day keeps the doctor away " * 5)
    await Folder(library.db).fold_own(library.owner.owner_id, [SearchKind.CHUNK])
    async with library.db.transaction() as tx:
        await tx._connection.run(DELETE_DOCUMENT, id=document)
    assert await library.chunks("apple") == [alive]


async def test_a_long_document_is_folded_in_pieces(library):
    texts = [f"chapter {number} {'lorem ipsum dolor sit amet ' * 20}" for number in range(FOLD_MAX)]
    _, chunks = await library.document(*texts, *texts[:9])
    await Folder(library.db).fold_own(library.owner.owner_id, [SearchKind.CHUNK])
    assert await library.rows("search_pending") == 0
    assert chunks[63] in await library.chunks("chapter 63", limit=2)


async def test_folds_at_the_same_time_leave_the_newest_text(library):
    memory = await library.memory("Zero")
    folds = []
    for number in range(12):
        await library.change(
            EDIT_MEMORY, kind=SearchKind.MEMORY, refs=[memory], id=memory, text=f"Text {number}"
        )
        await library.document(f"document {number}", f"more of {number}")
        folds += [asyncio.ensure_future(Folder(library.db).fold()) for _ in range(2)]
    await asyncio.gather(*folds)
    assert await library.memories("11") == [memory]
    assert await library.memories("zero 1 2 3 4 5 6 7 8 9 10") == []
    assert len(await library.chunks("document more", limit=30)) == 24


@pytest.mark.parametrize("visited", [15_000, 10])
async def test_memories_of_a_type_are_found_behind_those_of_others(library, monkeypatch, visited):
    monkeypatch.setattr(ranking, "VISITED_MAX", visited)  # all words are common, or none
    monkeypatch.setattr(ranking, "CANDIDATES_MAX", 20)
    monkeypatch.setattr(retrieval, "CANDIDATES_MAX", 20)
    monkeypatch.setattr(retrieval, "RANKED_MAX", 20)
    for number in range(130):
        await library.memory(f"green tea, {number}")
    few = [await library.memory(f"green tea and much else, {n}", type="other") for n in range(3)]
    await library.memory("green tea", type="other", owner=library.stranger)
    owner_id = library.owner.owner_id
    await Folder(library.db).fold_own(owner_id, [SearchKind.MEMORY])
    find = partial(library.words.find, owner_id, "green tea", kind=SearchKind.MEMORY)
    assert {hit.ref for hit in (await find(limit=9, type="other")).hits} == set(few)
    assert (await find(limit=9, type="none")).hits == []
    assert len((await find(limit=9)).hits) == 9
    assert len((await find(limit=500)).hits) == 133


# By meaning.


@pytest.fixture
def garden(library: Library) -> Library:
    library.embedder.means = {"automobile": "car", "physician": "doctor"}
    return library


async def test_what_means_the_same_is_found_and_ranks_are_fused(garden):
    texts = ["my car is red", "my doctor is kind", "the automobile industry"]
    _, ids = await garden.document(*texts)
    await Folder(garden.db).fold()
    assert await garden.embed(SearchKind.CHUNK, dict(zip(ids, texts, strict=True))) == 3
    found = await garden.find("automobile")
    assert found.note is None
    best, second, *_ = found.hits
    assert (best.ref, best.text_rank, best.vector_rank) == (ids[2], 1, 1)
    assert best.score == pytest.approx(1)
    assert second.ref == ids[0], "a car is an automobile"
    assert second.text_rank is None
    assert second.vector_rank == 2
    assert (await garden.find("automobile", limit=1)).hits == [best]
    assert (await garden.find("automobile", by=garden.stranger)).hits == []


async def test_memories_of_a_type_are_near_behind_those_of_others(garden, monkeypatch):
    monkeypatch.setattr(vectors, "_MULTIPLIED", 0)  # 100 are looked at
    texts = {await garden.memory("a red car"): "a red car" for _ in range(120)}
    few = [await garden.memory("an automobile or two", type="other") for _ in range(2)]
    texts |= dict.fromkeys(few, "an automobile or two")
    await Folder(garden.db).fold_own(garden.owner.owner_id, [SearchKind.MEMORY])
    while await garden.embed(SearchKind.MEMORY, texts):
        pass
    find = partial(garden.meaning.find, garden.owner.owner_id, kind=SearchKind.MEMORY)
    found = await find("my vehicle, red car", limit=5, type="other")
    assert {hit.ref for hit in found.hits if hit.vector_rank} == set(few)
    found = await find("a red car", limit=500)
    assert sum(hit.vector_rank is not None for hit in found.hits) == 122
    found = await find("car", limit=5, type="none")
    assert (found.hits, found.note) == ([], None)


async def test_nobody_is_near_to_what_is_somebody_elses(garden):
    _, (mine,) = await garden.document("a red car")
    _, (theirs,) = await garden.document("a red car", owner=garden.stranger)
    await Folder(garden.db).fold()
    await garden.embed(SearchKind.CHUNK, {mine: "a red car", theirs: "a red car"})
    assert [hit.ref for hit in (await garden.find("red car")).hits] == [mine]
    found = await garden.find("red car", by=garden.stranger)
    assert [hit.ref for hit in found.hits] == [theirs]


async def test_what_is_deleted_or_changed_has_no_vector(garden):
    document, chunks = await garden.document("a red car", "a blue car")
    await Folder(garden.db).fold()
    await garden.embed(SearchKind.CHUNK, dict.fromkeys(chunks, "a red car"))
    memory = await garden.memory("drives a car")
    await Folder(garden.db).fold()
    await garden.embed(SearchKind.MEMORY, {memory: "drives a car"})
    assert await garden.rows("vectors") == await garden.rows("vector_bits") == 3
    async with garden.db.transaction() as tx:
        await tx._connection.run(DELETE_DOCUMENT, id=document)
        await tx.search.remove(SearchKind.CHUNK, chunks)
    assert (await garden.find("automobile")).hits == []
    await garden.change(EDIT_MEMORY, kind=SearchKind.MEMORY, refs=[memory], id=memory, text="walks")
    while await Folder(garden.db).fold():
        pass
    assert await garden.rows("vectors") == await garden.rows("vector_bits") == 0
    async with garden.db.read() as tx:
        missing = await tx.vectors.missing(SearchKind.MEMORY, space=garden.embedder.id, limit=9)
    assert [text.ref for text in missing] == [memory]


async def test_a_vector_of_a_text_that_changed_meanwhile_is_not_kept(garden):
    memory = await garden.memory("drives a car")
    await Folder(garden.db).fold()
    async with garden.db.read() as tx:
        missing = await tx.vectors.missing(SearchKind.MEMORY, space="fake/words", limit=9)
    await garden.change(EDIT_MEMORY, kind=SearchKind.MEMORY, refs=[memory], id=memory, text="walks")
    await Folder(garden.db).fold()
    vector = packed(garden.embedder.vector("drives a car"))
    async with garden.db.transaction() as tx:
        entries = [(text, vector) for text in missing]
        assert await tx.vectors.put(SearchKind.MEMORY, entries, space="fake/words") == 0
    assert await garden.rows("vectors") == 0


async def test_without_an_embedder_the_answer_says_so(library):
    await library.document("a red car")
    found = await library.words.find(library.owner.owner_id, "car", kind=SearchKind.CHUNK, limit=5)
    assert found.note == retrieval.NO_EMBEDDER
    (hit,) = found.hits
    assert (hit.score, hit.text_rank, hit.vector_rank) == (1, 1, None)


async def test_nobody_is_asked_for_a_vector_before_there_is_one_to_compare(garden):
    await garden.document("a red car")
    found = await garden.find("car")
    assert (len(found.hits), found.note) == (1, retrieval.NOT_YET)
    assert garden.embedder.asked == []


async def _one_with_a_vector(garden: Library) -> None:
    _, (chunk,) = await garden.document("a red car")
    await Folder(garden.db).fold()
    await garden.embed(SearchKind.CHUNK, {chunk: "a red car"})


async def test_a_question_that_is_embedded_late_goes_by_words(garden):
    await _one_with_a_vector(garden)
    hasty = RetrievalService(garden.db, garden.embedder, embedding_seconds=0.001)
    garden.embedder.pause_seconds = 60
    found = await hasty.find(garden.owner.owner_id, "car", kind=SearchKind.CHUNK, limit=5)
    assert (len(found.hits), found.note) == (1, retrieval.LATE)


class Awaited(WordEmbedder):
    """Answers once it is let."""

    def __init__(self) -> None:
        super().__init__()
        self.may_answer = asyncio.Event()

    async def embed(self, texts: Sequence[str], *, is_query: bool = False) -> Embedded:
        self.asked += texts
        await self.may_answer.wait()
        return Embedded(tuple(map(self.vector, texts)), tokens=3)


async def test_a_question_that_is_embedded_late_is_embedded_and_paid_for_once(garden):
    await _one_with_a_vector(garden)
    memory = await garden.memory("drives a car")
    await Folder(garden.db).fold()
    await garden.embed(SearchKind.MEMORY, {memory: "drives a car"})
    told = []

    async def charge(owner_id: int, tokens: int) -> None:
        told.append((owner_id, tokens))

    embedder = Awaited()
    hasty = RetrievalService(garden.db, embedder, embedding_seconds=0.001)
    hasty.on_embedded = charge
    find = partial(hasty.find, garden.owner.owner_id, "my automobile", limit=5)
    for kind in (SearchKind.MEMORY, SearchKind.CHUNK):
        assert (await find(kind=kind)).note == retrieval.LATE
    embedder.may_answer.set()
    while (await find(kind=SearchKind.MEMORY)).note is not None:
        pass
    assert (await find(kind=SearchKind.CHUNK)).note is None
    assert (embedder.asked, told) == (["my automobile"], [(garden.owner.owner_id, 3)])
    await hasty.close()


async def test_questions_that_wait_for_an_embedder_are_so_many_and_end_with_the_house(
    garden, monkeypatch
):
    monkeypatch.setattr(retrieval, "ASKED_MAX", 2)
    await _one_with_a_vector(garden)
    embedder = Awaited()
    hasty = RetrievalService(garden.db, embedder, embedding_seconds=0.001)
    for number in range(4):
        found = await hasty.find(
            garden.owner.owner_id, f"car {number}", kind=SearchKind.CHUNK, limit=5
        )
        assert (len(found.hits), found.note) == (1, retrieval.LATE)
    assert embedder.asked == ["car 0", "car 1"]
    await hasty.close()


@pytest.mark.parametrize(
    "error",
    [
        ProviderError("It is down.", kind=ErrorKind.PROVIDER_FAILED),
        ValueError("no vector"),
    ],
)
async def test_a_broken_embedder_costs_the_vectors_and_no_more(garden, error):
    await _one_with_a_vector(garden)
    garden.embedder.error = error
    found = await garden.find("car")
    assert (len(found.hits), found.note) == (1, retrieval.BROKEN)
    garden.embedder.error = None
    assert (await garden.find("car")).note is None, "the next one tries again"


async def test_an_embedded_question_is_told_to_whoever_charges(garden):
    await _one_with_a_vector(garden)
    told = []

    async def charge(owner_id: int, tokens: int) -> None:
        told.append((owner_id, tokens))

    garden.meaning.on_embedded = charge
    await garden.find("where is the car")
    assert told == [(garden.owner.owner_id, 4)]


async def test_another_embedder_begins_anew_and_the_former_vectors_go(garden):
    await _one_with_a_vector(garden)
    former, garden.embedder = garden.embedder, WordEmbedder("fake/other", dimensions=24)
    garden.meaning = RetrievalService(garden.db, garden.embedder, embedding_seconds=5)
    assert (await garden.find("car")).note == retrieval.NOT_YET
    async with garden.db.read() as tx:
        assert len(await tx.vectors.missing(SearchKind.CHUNK, space="fake/other", limit=9)) == 1
    assert await garden.words.purge(SYSTEM) == 0, "without an embedder they stay"
    assert await garden.meaning.purge(SYSTEM) == 1
    assert await garden.meaning.purge(SYSTEM) == 0
    assert await garden.rows("vectors") == await garden.rows("vector_bits") == 0
    chunks = {hit.ref: "a red car" for hit in (await garden.find("car")).hits}
    assert await garden.embed(SearchKind.CHUNK, chunks) == 1
    assert (await garden.find("car")).note is None
    old = RetrievalService(garden.db, former, embedding_seconds=5)
    found = await old.find(garden.owner.owner_id, "car", kind=SearchKind.CHUNK, limit=5)
    assert found.note == retrieval.NOT_YET


async def test_a_new_vector_takes_the_place_of_that_of_another_space(garden):
    await _one_with_a_vector(garden)
    (chunk,) = [hit.ref for hit in (await garden.find("car")).hits]
    garden.embedder = WordEmbedder("fake/other", dimensions=24)
    assert await garden.embed(SearchKind.CHUNK, {chunk: "a red car"}) == 1
    assert await garden.rows("vectors") == await garden.rows("vector_bits") == 1


async def test_what_lacks_a_vector_is_shared_out_among_its_owners(garden):
    _, many = await garden.document(*(f"number {number}" for number in range(40)))
    _, (few,) = await garden.document("a red car", owner=garden.stranger)
    await Folder(garden.db).fold()
    async with garden.db.read() as tx:
        missing = await tx.vectors.missing(SearchKind.CHUNK, space="fake/words", limit=8)
    refs = [text.ref for text in missing]
    assert few in refs
    assert len(refs) == 5, "a share each"
    assert set(refs) - {few} < set(many)


def test_a_place_by_words_counts_as_far_as_the_words_go():
    exact = retrieval.fused(SearchKind.CHUNK, {1: 0.6, 2: 0.1}, [2, 3, 4, 5, 6, 7, 1])
    assert exact[0].ref == 1, "what has the words is not outvoted by what is alike"
    vague = retrieval.fused(SearchKind.CHUNK, {1: 0.05, 2: 0.04}, [3, 4, 5, 1])
    assert vague[0].ref == 3, "a word in common does not outvote what is meant"
    assert all(0 < hit.score <= 1 for hit in (*exact, *vague))
    assert retrieval.fused(SearchKind.CHUNK, {1: 0.05}, None)[0].score == 1
    assert retrieval.fused(SearchKind.CHUNK, {}, [1])[0].score == 1
