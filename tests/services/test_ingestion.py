"""Ingestion: everything that was given is read or visibly failed, in turn, whatever dies meanwhile."""

import asyncio
import contextlib
from pathlib import Path

import pytest

from palaver.domain.documents import TRIES_MAX, UNREADABLE, DocumentStatus
from palaver.domain.errors import DomainError, ErrorKind
from palaver.domain.users import SYSTEM
from palaver.jobs.ingest_documents import ingest_documents
from palaver.jobs.loops import Loops
from palaver.kit.clock import SECOND
from palaver.services import ingestion as ingestion_module
from palaver.services.ingestion import LEASE, LOST
from palaver.storage import chunks as chunks_module
from palaver.storage.database import Database
from palaver.storage.statements import Engine
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.http import settled
from tests.services.library import Library

BIG = "x" * (1 << 20) + "y"


@pytest.fixture
async def library(db: Database, tmp_path: Path) -> Library:
    clock = StillClock()
    return Library(db, tmp_path, await a_cast(db, clock=clock), clock)


def another(library: Library) -> Library:
    """Return the same library as another worker has it."""
    return Library(library.db, library.folder, library.cast, library.clock)


async def status(library: Library, uuid: str) -> tuple[DocumentStatus, str | None]:
    document = await library.documents.get(library.owner, uuid)
    return document.status, document.error


@contextlib.asynccontextmanager
async def reading(library: Library):
    """Read in a task that waits in the middle; it is cut off at the end."""
    library.extractor.may_go.clear()
    task = asyncio.ensure_future(library.ingestion.ingest_next(SYSTEM, library.any))
    await library.until_begun()
    try:
        yield task
    finally:
        library.extractor.may_go.set()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_document_that_was_read_has_its_text_and_its_chunks(library: Library) -> None:
    text = "\n\n".join(
        f"Paragraph {number}. " + "Words and more words. " * 20 for number in range(40)
    )
    given = await library.given(text)
    library.clock.move(seconds=1)
    await library.read_all()
    found = await library.documents.get(library.owner, given.uuid)
    assert (found.status, found.error, found.progress) == ("ready", None, 1)
    assert (found.embedded, found.embedder, found.has_vectors) == (0, None, False)
    assert found.updated_at > given.updated_at
    async with library.db.read() as tx:
        ids = list(range(found.chunks, 0, -1))
        chunks = await tx.chunks.found(ids, owner_id=library.owner.owner_id)
    assert found.chunks == len(chunks) > 5
    assert [chunk.id for chunk in chunks] == ids
    assert all(text[chunk.start : chunk.end] == chunk.text for chunk in chunks)
    assert {(chunk.document_uuid, chunk.title) for chunk in chunks} == {(given.uuid, "notes.txt")}
    assert [chunk.number for chunk in chunks] == list(range(found.chunks))[::-1]
    assert all(chunk.text_tokens > 0 for chunk in chunks)
    assert library.extractor.seen == ["text/plain"]
    assert await library.count("search_pending") == 0


async def test_chunks_are_not_found_before_all_of_them_are(library: Library) -> None:
    await library.given("One. Two.")
    async with reading(library), library.db.read() as tx:
        assert await tx.chunks.found([1], owner_id=library.owner.owner_id) == []


async def test_a_file_that_cannot_be_read_fails_with_the_reason(library: Library) -> None:
    given = await library.read("broken")
    assert (given.status, given.error) == ("failed", "This file is broken.")
    assert not await library.ingestion.ingest_next(SYSTEM, library.any)


async def test_a_lost_file_fails(library: Library) -> None:
    given = await library.given("x")
    await library.files.remove(given.uuid)
    await library.read_all()
    assert await status(library, given.uuid) == ("failed", LOST)


async def test_a_failure_of_ours_is_tried_again_and_then_given_up(library: Library) -> None:
    given = await library.given("x")
    library.extractor.trouble.extend([OSError("no process"), DomainError("x", kind=ErrorKind.BUSY)])
    await library.read_all()
    assert await status(library, given.uuid) == ("pending", None)
    for _ in range(2):
        library.clock.move(seconds=30)
        await library.read_all()
    assert (await status(library, given.uuid))[0] == "ready"
    other = await library.given("y")
    library.extractor.trouble.extend(RuntimeError("bug") for _ in range(TRIES_MAX))
    for _ in range(TRIES_MAX):
        assert (await status(library, other.uuid))[0] == "pending"
        await library.read_all()
        library.clock.move(seconds=30)
    assert await status(library, other.uuid) == ("failed", UNREADABLE)


async def test_a_file_that_takes_its_readers_with_it_is_given_up(library: Library) -> None:
    given = await library.given("x")
    for _ in range(TRIES_MAX):
        async with library.db.transaction() as tx:
            at = library.clock()
            assert await tx.readings.claim(max_bytes=1 << 40, at=at, until=at + LEASE)
        library.clock.move(microseconds=LEASE)
    await library.read_all()
    assert await status(library, given.uuid) == ("failed", UNREADABLE)
    assert library.extractor.order == []


async def test_what_a_dead_worker_read_is_read_by_another(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "BATCH", 1)
    text = "\n\n".join("Words and more words. " * 60 for _ in range(6))
    given = await library.given(text)
    died = 0

    async def dies(self, *args, **values):
        nonlocal died
        died += 1
        if died == 4:
            raise asyncio.CancelledError
        return await add(self, *args, **values)

    # It dies in the middle of its chunks, without a word.
    add = chunks_module.ChunkStore.add
    with monkeypatch.context() as patch:
        patch.setattr(chunks_module.ChunkStore, "add", dies)
        await library.ingestion.ingest_next(SYSTEM, library.any)
    assert await library.count("chunks") == 3
    assert (await library.documents.get(library.owner, given.uuid)).progress > 0
    other = another(library)
    assert not await other.ingestion.ingest_next(SYSTEM, other.any)
    library.clock.move(microseconds=LEASE)
    await other.read_all()
    found = await library.documents.get(library.owner, given.uuid)
    assert found.status == "ready"
    assert found.chunks == await library.count("chunks") > 3
    assert (await library.documents.text(library.owner, given.uuid)).text == text


async def test_a_process_that_is_alone_goes_on_at_once_after_a_crash(library: Library) -> None:
    given = await library.given("x")
    async with library.db.transaction() as tx:
        at = library.clock()
        await tx.readings.claim(max_bytes=1 << 40, at=at, until=at + LEASE)
    other = another(library)
    await other.ingestion.begin(SYSTEM)
    await other.read_all()
    is_alone = library.db.engine is Engine.SQLITE
    assert (await status(library, given.uuid))[0] == ("ready" if is_alone else "pending")


async def test_a_reader_that_is_stopped_gives_its_document_back(library: Library) -> None:
    given = await library.given("x")
    async with reading(library):
        pass
    other = another(library)
    await other.read_all()
    assert (await status(library, given.uuid))[0] == "ready"
    assert await library.count("documents", "tries = 1") == 1  # being stopped is no try


async def test_a_reader_that_comes_back_late_changes_nothing(library: Library) -> None:
    given = await library.given("first")
    async with reading(library) as late:
        library.clock.move(microseconds=LEASE)
        other = another(library)
        await other.read_all()
        assert (await status(library, given.uuid))[0] == "ready"
        library.extractor.may_go.set()
        await late
    assert await library.count("chunks") == await library.count("document_texts") == 1
    assert (await status(library, given.uuid))[0] == "ready"


async def test_a_long_reading_keeps_its_lease_and_tells_its_progress(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion_module, "RENEW_SECONDS", 0.01)
    given = await library.given("x")
    async with reading(library):

        async def has_moved() -> bool:
            found = await library.documents.get(library.owner, given.uuid)
            return found.progress > 0

        await settled(has_moved)
        found = await library.documents.get(library.owner, given.uuid)
        assert found.progress == pytest.approx(0.35)
        library.clock.move(microseconds=LEASE - SECOND)
        until = f"leased_until > {library.clock() + LEASE - SECOND}"

        async def is_renewed() -> bool:
            return await library.count("documents", until) == 1

        await settled(is_renewed)
        assert not await library.ingestion.ingest_next(SYSTEM, library.any)


async def test_what_is_deleted_while_it_is_read_ends_quietly(
    library: Library, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ingestion_module, "RENEW_SECONDS", 0.01)
    given = await library.given("x")
    async with reading(library) as task:
        await library.documents.delete(library.owner, given.uuid)
        async with asyncio.timeout(10):
            assert await task
    await library.given("y")
    async with reading(library) as task:
        (other,) = await library.documents.list(library.owner)
        await library.documents.delete(library.owner, other.uuid)
        await library.purge_all()
        library.extractor.may_go.set()
        assert await task
    assert await library.count("chunks") == await library.count("documents") == 0
    assert library.stored() == []
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_one_user_with_many_files_does_not_starve_another(library: Library) -> None:
    for number in range(6):
        await library.given(f"owner {number}")
    for number in range(2):
        await library.given(f"stranger {number}", by=library.stranger)
        await library.given(f"admin {number}", by=library.cast.admin)
    while await library.ingestion.ingest_next(SYSTEM, library.any):
        library.clock.move(seconds=1)
    assert library.extractor.order == [
        "owner 0",
        "stranger 0",
        "admin 0",
        "owner 1",
        "stranger 1",
        "admin 1",
        *(f"owner {number}" for number in range(2, 6)),
    ]


async def test_who_was_served_longest_ago_goes_first(library: Library) -> None:
    await library.read("owner 0")
    library.clock.move(seconds=1)
    await library.given("owner 1")
    await library.given("stranger 0", by=library.stranger)
    await library.read_all()
    assert library.extractor.order == ["owner 0", "stranger 0", "owner 1"]


async def test_a_big_file_delays_no_small_one(library: Library) -> None:
    await library.given(BIG)
    async with reading(library):
        await library.given(BIG, by=library.stranger)
        small = await library.given("small", by=library.stranger)
        library.extractor.may_go.set()
        assert await library.ingestion.ingest_next(SYSTEM, library.small)
        assert (await library.documents.get(library.stranger, small.uuid)).status == "ready"
        assert not await library.ingestion.ingest_next(SYSTEM, library.small)


async def test_several_workers_share_what_waits(library: Library) -> None:
    for number in range(12):
        await library.given(f"{number}", by=[library.owner, library.stranger][number % 2])
    workers = [library, *(another(library) for _ in range(3))]

    async def none_waits() -> bool:
        return await library.count("documents", "status = 'pending'") == 0

    async with contextlib.AsyncExitStack() as stack:
        for worker in workers:
            loops = Loops()
            loops.start(ingest_documents(worker.ingestion, worker.any), name="read")
            stack.push_async_callback(loops.close)
            worker.ingestion.lanes.tell()
        await settled(none_waits)
    read = [name for worker in workers for name in worker.extractor.order]
    assert sorted(read, key=int) == [f"{number}" for number in range(12)]
    assert await library.count("documents", "status = 'ready'") == 12


async def test_an_upload_wakes_its_reader_at_once(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("palaver.jobs.ingest_documents.LOOK_SECONDS", 600.0)
    loops = Loops()
    for lane in library.ingestion.lanes:
        loops.start(ingest_documents(library.ingestion, lane), name=lane.name)
    for _ in range(3):
        given = await library.given("x")

        async def is_ready(uuid: str = given.uuid) -> bool:
            return (await status(library, uuid))[0] == "ready"

        await settled(is_ready)
    await loops.close()


async def test_a_document_is_read_again_from_its_file(library: Library) -> None:
    given = await library.read("first")
    library.files.path(given.uuid).write_text("second\n\nand more")
    again = await library.documents.reingest(library.owner, given.uuid)
    assert (again.status, again.progress) == ("pending", 0)
    assert await library.documents.reingest(library.owner, given.uuid) == again
    await library.read_all()
    assert (await library.documents.text(library.owner, given.uuid)).text == "second\n\nand more"
    assert await library.count("chunks") == await library.count("document_texts") == 1


async def test_one_that_failed_can_be_read_again(library: Library) -> None:
    given = await library.read("broken")
    library.files.path(given.uuid).write_text("mended")
    await library.documents.reingest(library.owner, given.uuid)
    await library.read_all()
    assert await status(library, given.uuid) == ("ready", None)


async def test_one_that_fails_the_second_time_holds_nothing_any_more(library: Library) -> None:
    given = await library.read("first")
    library.files.path(given.uuid).write_text("broken")
    await library.documents.reingest(library.owner, given.uuid)
    await library.read_all()
    found = await library.documents.get(library.owner, given.uuid)
    assert (found.status, found.chunks) == ("failed", 0)
    assert await library.count("chunks") == await library.count("document_texts") == 0


async def test_an_idle_lane_costs_one_look(library: Library) -> None:
    await library.read("x")
    with pytest.MonkeyPatch.context() as patch:
        kind = type(library.db)
        patch.setattr(kind, "transaction", lambda self: pytest.fail("nothing is to be written"))
        assert not await library.ingestion.ingest_next(SYSTEM, library.any)


async def test_reading_is_not_for_everybody(library: Library) -> None:
    with pytest.raises(DomainError):
        await library.ingestion.ingest_next(library.owner, library.any)
