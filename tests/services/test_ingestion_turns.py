"""Ingestion beside hostile files: whoever sends them waits for them, and nobody else."""

import asyncio
from pathlib import Path

from palaver.domain.users import SYSTEM
from palaver.outbound.extractor import build
from palaver.services.ingestion import Lane
from palaver.storage.database import Database
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.services.library import Library

HOSTILE = b"<div>" * 90_000 + b"hello" + b"</div>" * 75_000


async def test_a_note_does_not_wait_for_all_the_hostile_files_of_somebody_else(
    db: Database, tmp_path: Path
) -> None:
    clock = StillClock()
    library = Library(db, tmp_path, await a_cast(db, clock=clock), clock)
    library.ingestion.extractor = build()
    for _ in range(6):
        await library.given(HOSTILE, name="page.html", declared="text/html")
    note = await library.given("Plums ripen in August.", by=library.stranger)
    clock.move(seconds=1)

    async def read(lane: Lane) -> None:
        while await library.ingestion.ingest_next(SYSTEM, lane):
            clock.move(seconds=1)
            if (await library.documents.get(library.stranger, note.uuid)).status == "ready":
                return

    await asyncio.gather(*map(read, library.ingestion.lanes))
    assert await library.count("documents", "status = 'ready'") == 1
    assert await library.count("documents", "status = 'pending'") >= 2
    assert await library.count("documents", "error like '%never closed%'") >= 1
