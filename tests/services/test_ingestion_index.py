"""What is read is in the index as a whole, and what is not read to its end leaves nothing there."""

import asyncio
from pathlib import Path

import pytest

from palaver.domain import ranking
from palaver.domain.search import SearchKind
from palaver.domain.users import SYSTEM
from palaver.services import ingestion as ingestion_module
from palaver.services.ingestion import LEASE
from palaver.storage.database import Database
from palaver.storage.postings import PostingStore
from palaver.storage.statements import Statement
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.services.library import Library

PROSE = "\n\n".join(f"Paragraph {number}. " + "Words and more words. " * 60 for number in range(6))


@pytest.fixture
async def library(db: Database, tmp_path: Path) -> Library:
    clock = StillClock()
    return Library(db, tmp_path, await a_cast(db, clock=clock), clock)


async def index_of(library: Library) -> dict[tuple[int, str], int]:
    """Return what each chunk is found by, and what that is worth."""
    statement = Statement("select term, part, postings from search_postings", _posted)
    found = {}
    async with library.db.read() as tx:
        for term, part, block in await tx._connection.all(statement):
            places, worths = ranking._opened(block)
            assert list(places) == sorted(set(places))
            for place, worth in zip(places, worths, strict=True):
                found[part << ranking.PART_BITS | place, term] = worth
    return found


def _posted(term: str, part: int, postings: bytes) -> tuple[str, int, bytes]:
    return term, part, postings


async def test_what_a_dead_worker_has_put_into_the_index_is_taken_out(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "TERMS", 5)
    await library.read(PROSE, title="Notes")
    before = await index_of(library)
    given = await library.given(PROSE, title="Notes")
    await _die_in_the_index(library)
    assert (await index_of(library)).keys() > before.keys()
    library.clock.move(microseconds=LEASE)
    await library.another().read_all()
    assert (await library.documents.get(library.owner, given.uuid)).status == "ready"
    while await library.search.fold(SYSTEM):
        pass
    after = await index_of(library)
    assert {term for _, term in after} == {term for _, term in before}
    refs = {ref for ref, _ in after}
    assert len(refs) == await library.count("chunks") == await library.texts()
    # Nor is anything of a document left that is deleted while its words are written.
    lost = await library.given(PROSE)
    await _die_in_the_index(library)
    for uuid in (given.uuid, lost.uuid):
        await library.documents.delete(library.owner, uuid)
    await library.purge_all()
    while await library.search.fold(SYSTEM):
        pass
    assert await index_of(library) == before


async def _die_in_the_index(library: Library) -> None:
    added = 0

    async def dies(self, *args, **values):
        nonlocal added
        added += 1
        if added == 3:
            raise asyncio.CancelledError
        return await add(self, *args, **values)

    add = PostingStore.add
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostingStore, "add", dies)
        await library.ingestion.ingest_next(SYSTEM, library.any)


async def test_a_fold_finds_nothing_to_change_in_the_index_of_a_document(library: Library) -> None:
    await library.read(f"# Apples\n\n{PROSE}", title="Größe 漢字")
    before = await index_of(library)
    assert len(before) > 50
    async with library.db.transaction() as tx:
        await tx.postings.enqueue(SearchKind.CHUNK, [ref for ref, _ in before])
    while await library.search.fold(SYSTEM):
        pass
    assert await index_of(library) == before


async def test_documents_of_one_owner_are_put_into_the_index_at_the_same_time(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "TERMS", 3)
    monkeypatch.setattr(ingestion_module, "BATCH", 1)
    for number in range(4):
        await library.given(f"{number} {PROSE}")
    workers = [library.another() for _ in range(4)]
    await asyncio.gather(*(each.ingestion.ingest_next(SYSTEM, each.any) for each in workers))
    chunks = await library.count("chunks")
    assert await library.texts() == chunks
    index = await index_of(library)
    assert {ref for ref, term in index if term == "words"} == set(range(1, chunks + 1))
