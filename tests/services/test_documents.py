"""Documents: kept whole or not at all, of their owner alone, within caps, and gone when deleted."""

import asyncio
import io
import os
import stat
from pathlib import Path

import msgspec
import pytest

from palaver.domain.documents import DOCX, HTML, MARKDOWN, PDF, PLAIN, DocumentCaps, NewDocument
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound
from palaver.domain.users import SYSTEM
from palaver.services import documents as documents_module
from palaver.services import sweeping
from palaver.services.documents import TEXT_MAX
from palaver.storage import chunks as chunks_module
from palaver.storage.database import Database
from tests.cast import a_cast
from tests.fakes.clock import StillClock
from tests.services.library import Library, a_file

TALE = "Sourdough rises slowly.\n\nPlums ripen in August.\n"


@pytest.fixture
async def library(db: Database, tmp_path: Path) -> Library:
    clock = StillClock()
    return Library(db, tmp_path, await a_cast(db, clock=clock), clock)


async def refused(library: Library, kind: ErrorKind, content: str = "x") -> DomainError:
    with pytest.raises(DomainError) as caught:
        await library.given(content)
    assert caught.value.kind is kind
    return caught.value


async def test_a_document_is_kept_as_it_was_given(library: Library) -> None:
    given = await library.given(TALE, name="tales/plums.md", metadata={"source": "manual"})
    assert (given.title, given.mime_type) == ("plums.md", MARKDOWN)
    assert given.size_bytes == len(TALE)
    assert given.metadata == '{"source":"manual"}'
    assert (given.status, given.progress, given.error) == ("pending", 0, None)
    found, path = await library.documents.file(library.owner, given.uuid)
    assert found == given
    assert path.read_text() == TALE
    assert await library.documents.list(library.owner) == [given]


async def test_files_are_their_owners_alone_on_the_disk_as_well(library: Library) -> None:
    given = await library.given(TALE)
    path = library.files.path(given.uuid)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert library.stored() == [path]
    for name in ("../../x", "", given.uuid.upper(), f"{given.uuid}/x"):
        with pytest.raises(ValueError, match="names no file"):
            library.files.path(name)


async def test_nobody_else_finds_anything(library: Library) -> None:
    given = await library.read(TALE)
    documents, stranger = library.documents, library.stranger
    assert await documents.list(stranger) == []
    assert (await documents.list_by_cursor(stranger)).items == []
    for attempt in (
        documents.get(stranger, given.uuid),
        documents.text(stranger, given.uuid),
        documents.file(stranger, given.uuid),
        documents.reingest(stranger, given.uuid),
        documents.delete(stranger, given.uuid),
    ):
        with pytest.raises(NotFound):
            await attempt
    async with library.db.read() as tx:
        assert len(await tx.chunks.found([1], owner_id=library.owner.owner_id)) == 1
        assert await tx.chunks.found([1], owner_id=stranger.owner_id) == []
    assert (await documents.get(library.owner, given.uuid)).status == "ready"


async def test_text_is_read_back_to_the_code_point(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunks_module, "PIECE_LENGTH", 7)
    text = "Äpfel 😀 und Birnen, " * 3
    given = await library.read(text)
    for start, end in ((0, 3), (5, 9), (6, 7), (7, 14), (13, 30), (0, 500), (60, 60), (400, 500)):
        span = await library.documents.text(library.owner, given.uuid, start=start, end=end)
        assert span.text == text[start:end]
        assert (span.length, span.end - span.start) == (len(text), len(span.text))


async def test_text_comes_in_bounded_pieces(library: Library) -> None:
    given = await library.read("x " * TEXT_MAX)
    span = await library.documents.text(library.owner, given.uuid, start=5)
    assert (span.start, span.end, span.length) == (5, TEXT_MAX + 5, 2 * TEXT_MAX)
    with pytest.raises(InvalidInput, match="at least `start`"):
        await library.documents.text(library.owner, given.uuid, start=9, end=3)


async def test_there_is_no_text_before_it_was_read(library: Library) -> None:
    given = await library.given("broken")
    for reason in ("has not been read", "is broken"):
        with pytest.raises(DomainError, match=reason) as caught:
            await library.documents.text(library.owner, given.uuid)
        assert caught.value.kind is ErrorKind.CONFLICT
        await library.read_all()


async def test_what_is_deleted_is_gone_at_once_and_then_for_good(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(documents_module, "CHUNKS_MAX", 1)
    monkeypatch.setattr(documents_module, "PIECES_MAX", 1)
    kept = await library.read("Kept.")
    indexed = await library.count("search_index")
    gone = await library.read("\n\n".join(f"{TALE * 30}" for _ in range(3)))
    assert gone.chunks > 2
    await library.documents.delete(library.owner, gone.uuid)
    assert await library.documents.list(library.owner) == [kept]
    with pytest.raises(NotFound):
        await library.documents.delete(library.owner, gone.uuid)
    async with library.db.read() as tx:
        ids = list(range(1, 20))
        found = await tx.chunks.found(ids, owner_id=library.owner.owner_id)
    assert [chunk.document_uuid for chunk in found] == [kept.uuid]
    await library.purge_all()
    assert await library.count("documents") == await library.count("document_texts") == 1
    assert await library.count("chunks") == 1
    assert await library.count("search_index") == indexed
    assert library.stored() == [library.files.path(kept.uuid)]
    assert await library.documents.purge(SYSTEM, gone.id)


async def test_what_is_not_deleted_is_not_purged(library: Library) -> None:
    given = await library.read(TALE)
    assert await library.documents.purge(SYSTEM, given.id)
    assert (await library.documents.text(library.owner, given.uuid)).text == TALE
    with pytest.raises(DomainError):
        await library.documents.purge(library.owner, given.id)


async def test_deleting_an_account_takes_its_documents_along(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await library.read(TALE)
    async with library.db.transaction() as tx:
        statement = chunks_module.Statement("delete from users where id = :id")
        await tx._connection.run(statement, id=library.owner.owner_id)
    for table in ("documents", "document_texts", "chunks", "document_turns"):
        assert await library.count(table) == 0
    assert await library.documents.sweep(SYSTEM) == 0
    monkeypatch.setattr(sweeping, "STRAY_SECONDS", -1)
    assert await library.documents.sweep(SYSTEM) == 1
    assert library.stored() == []


async def test_files_that_no_document_knows_are_swept_once_they_are_old(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = await library.given(TALE)
    path = library.files.path(given.uuid)
    for name in (f".{given.uuid}.abc", "01890a5d"):
        path.with_name(name).write_text("x")
    assert await library.documents.sweep(SYSTEM) == 0
    monkeypatch.setattr(sweeping, "STRAY_SECONDS", -1)
    assert await library.documents.sweep(SYSTEM) == 2
    assert library.stored() == [path]


async def test_files_from_before_the_database_was_made_are_left_alone(
    library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    stray = library.files.path((await library.given(TALE)).uuid).with_name("another's")
    stray.write_text("x")
    os.utime(stray, (1, 1))
    monkeypatch.setattr(sweeping, "STRAY_SECONDS", -1)
    assert await library.documents.sweep(SYSTEM) == 0
    assert stray in library.stored()


async def test_only_so_many_documents_are_kept(library: Library) -> None:
    library.documents.caps = DocumentCaps(documents=2)
    first = await library.given("one")
    await library.given("two")
    error = await refused(library, ErrorKind.QUOTA_EXCEEDED)
    assert "2 is the most" in error.message
    assert error.retry_after_seconds
    assert len(library.stored()) == 2
    await library.given("three", by=library.stranger)
    await library.documents.delete(library.owner, first.uuid)
    await library.given("three")


async def test_only_so_many_bytes_are_kept(library: Library) -> None:
    library.documents.caps = DocumentCaps(size_bytes=10)
    await library.given("1234567")
    await refused(library, ErrorKind.QUOTA_EXCEEDED, "1234")
    await library.given("123")
    await refused(library, ErrorKind.QUOTA_EXCEEDED, "1")


async def test_uploads_at_once_never_pass_the_cap_together(library: Library) -> None:
    library.documents.caps = DocumentCaps(documents=3)
    results = await asyncio.gather(
        *(library.given(f"number {number}") for number in range(9)), return_exceptions=True
    )
    refusals = [result for result in results if isinstance(result, DomainError)]
    assert [error.kind for error in refusals] == [ErrorKind.QUOTA_EXCEEDED] * 6
    assert await library.count("documents") == 3
    assert len(library.stored()) == 3


async def test_a_repeated_request_finds_what_the_first_has_made(library: Library) -> None:
    library.documents.caps = DocumentCaps(documents=1)
    actor = msgspec.structs.replace(library.owner, repeat_key="1/x")
    first = await library.given(TALE, by=actor)
    assert await library.given(TALE, by=actor) == first
    await library.documents.delete(actor, first.uuid)
    with pytest.raises(NotFound):
        await library.given(TALE, by=actor)


async def test_lists_are_newest_first_and_go_on_where_they_stopped(library: Library) -> None:
    titles = []
    for number in range(5):
        titles.insert(0, (await library.given(f"{number}", title=f"Title {number}")).title)
        library.clock.move(microseconds=number % 2)
    listed = await library.documents.list(library.owner)
    assert [document.title for document in listed] == titles
    assert await library.documents.list(library.owner, limit=2, offset=3) == listed[3:]
    seen, cursor = [], None
    while True:
        page = await library.documents.list_by_cursor(library.owner, cursor=cursor, limit=2)
        seen += page.items
        if (cursor := page.next) is None:
            break
        if len(seen) == 2:  # what goes meanwhile takes no others along
            await library.documents.delete(library.owner, seen[-1].uuid)
    assert seen == listed
    for nonsense in ("x", "", "1", "1-", "1-x", f"1-{'9' * 19}", "-1-1", "\u0661-\u0661"):
        with pytest.raises(InvalidInput):
            await library.documents.list_by_cursor(library.owner, cursor=nonsense)


async def test_a_file_that_is_lost_is_not_found(library: Library) -> None:
    given = await library.given(TALE)
    await library.files.remove(given.uuid)
    with pytest.raises(NotFound):
        await library.documents.file(library.owner, given.uuid)


@pytest.mark.parametrize(
    ("content", "name", "declared", "type_"),
    [
        (b"x", "x.txt", "text/plain", PLAIN),
        (b"x", "x", "", PLAIN),
        (b"x", "x.md", "application/octet-stream", MARKDOWN),
        (b"x", "x.md", "text/plain", MARKDOWN),
        (b"x", "X.MARKDOWN", "text/x-markdown", MARKDOWN),
        (b"x", "x.htm", "", HTML),
        (b"x", "x", "text/HTML; charset=UTF-8", HTML),
        (b"a,b", "x.csv", "text/csv", PLAIN),
        (b"%PDF-1.7", "x.txt", "text/plain", PDF),
        (b"\n%PDF-1.7", "x.docx", DOCX, PDF),
        (b"%PDF-1.7", "x.png", "image/png", PDF),
        (b"PK\3\4", "x.docx", "application/octet-stream", DOCX),
        (b"PK\3\4", "x.docx", "application/zip", DOCX),
        (b"\xff\xfex\0", "x.txt", "text/plain", PLAIN),
        (b"PK\3\4\0", "x.zip", "application/zip", None),
        (b"x", "x.png", "image/png", None),
        (b"\x89PNG\0", "x.txt", "text/plain", None),
        (b"{\\rtf", "x.rtf", "text/rtf", None),
        (b"x", "x.exe", "", None),
        (b"x", "x.doc", "application/msword", None),
    ],
)
def test_what_a_file_is_is_told_by_what_it_holds_and_is_called(
    content: bytes, name: str, declared: str, type_: str | None
) -> None:
    if type_ is None:
        with pytest.raises(DomainError) as caught:
            a_file(content, name, declared=declared)
        assert caught.value.kind is ErrorKind.UNSUPPORTED_MEDIA_TYPE
    else:
        found = a_file(content, name, declared=declared)
        assert found.content_type.partition(";")[0] == type_


def test_a_charset_is_kept_where_it_says_something() -> None:
    assert a_file(b"x", declared="text/plain; Charset=ISO-8859-1").content_type == (
        "text/plain; charset=iso-8859-1"
    )
    assert a_file(b"%PDF-", declared="text/plain; charset=utf-8").content_type == PDF
    given = NewDocument.of_text("é", title="x", mime_type="text/html", metadata=None)
    assert given.content_type == "text/html; charset=utf-8"
    assert given.content.read() == "é".encode()


def test_everything_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(InvalidInput) as caught:
        NewDocument.of_text(
            " ", title="\n", mime_type=PLAIN, metadata={"a": [2**64], "b": "x" * 20_000}
        )
    assert [fault.field for fault in caught.value.faults] == [
        "title",
        "content",
        "metadata.a.0",
        "metadata",
    ]
    with pytest.raises(InvalidInput) as caught:
        a_file(b"", title="x" * 501)
    assert [fault.field for fault in caught.value.faults] == ["title", "file"]


def test_a_document_is_no_larger_than_it_may_be() -> None:
    for size, kind in ((32 << 20, None), ((32 << 20) + 1, ErrorKind.PAYLOAD_TOO_LARGE)):
        content = io.BytesIO(b"x")
        given = {"name": "x.txt", "declared": "", "title": None, "metadata": None}
        if kind is None:
            NewDocument.of_file(content, size_bytes=size, **given)
        else:
            with pytest.raises(DomainError) as caught:
                NewDocument.of_file(content, size_bytes=size, **given)
            assert caught.value.kind is kind


def test_titles_of_files_are_names() -> None:
    for name, title in (
        ("C:\\Users\\a\\Tale.pdf", "Tale.pdf"),
        ("../../etc/passwd", "passwd"),
        ("", "Untitled"),
        ("a\nb\x07.txt", "ab.txt"),
        ("x" * 600, "x" * 500),
    ):
        assert a_file(b"x", name, declared="text/plain").title == title


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("Tale.txt", "Tale.txt"),
        ("Tale", "Tale.txt"),
        ("../../a\\b:c", "a b c.txt"),
        ("...", "Untitled.txt"),
    ],
)
async def test_a_file_is_taken_out_under_one_name(db, tmp_path, title: str, name: str) -> None:
    library = Library(db, tmp_path, await a_cast(db), StillClock())
    assert (await library.given("x", title=title)).file_name == name
