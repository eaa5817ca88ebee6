"""Folding of much at once: each block is written once, and whoever dies leaves nothing behind."""

import asyncio

import pytest

from palaver.domain.search import SearchKind
from palaver.services import folding
from palaver.services.folding import Folder
from palaver.storage.database import Database
from tests.cast import a_cast
from tests.library import PURGE_DOCUMENT, Library


@pytest.fixture
async def library(db: Database) -> Library:
    cast = await a_cast(db)
    return Library(db, cast.owner, cast.stranger)


async def test_many_that_are_gone_are_taken_out_together(library, monkeypatch):
    monkeypatch.setattr(folding, "STRETCH", 2)
    _, (first,) = await library.document("the wind is cold")
    document, chunks = await library.document(*(f"wind and rain {number}" for number in range(80)))
    _, (last,) = await library.document("the wind is warm")
    while await Folder(library.db).fold():
        pass
    async with library.db.transaction() as tx:
        await tx._connection.run(PURGE_DOCUMENT, id=document)
        await tx.search.remove(SearchKind.CHUNK, chunks)
    # Whoever takes them out may die at any point, and others do the same meanwhile.

    async def dies(*args):
        raise ConnectionResetError

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "_end", dies)
        with pytest.raises(ConnectionResetError):
            await Folder(library.db).fold()
    assert await library.rows("search_pending") == len(chunks)
    await asyncio.gather(*(Folder(library.db).fold() for _ in range(3)))
    assert await library.rows("search_pending") == 0
    assert await library.rows("search_entries") == 2
    assert await library.chunks("wind") == [last, first]
    async with library.db.read() as tx:
        texts, counts = await tx.postings.counts(
            SearchKind.CHUNK, ["wind", "rain", "79"], owner_id=library.owner.owner_id
        )
    assert (texts, counts) == (2, {"wind": 2})
