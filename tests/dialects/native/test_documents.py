"""The chapter "Documents"."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest

from palaver.config import Settings
from tests.contracts import shape
from tests.dialects.native.helpers import EXAMPLES, all_of, assert_error
from tests.dialects.uploads import multipart, upload
from tests.http import Palaver, Visitor, settled

DOCUMENTS = "/api/palaver/documents"
EXAMPLE = EXAMPLES["Add Document"]
NOWHERES = ("01890a5d-ac96-774b-bcce-b302099a8057", "7", "x")
HTML = b"<h1>Plums</h1><script>alert(1)</script><p>They ripen in August.</p>"


async def read(visitor: Visitor, id: str) -> Any:
    """Return a document once it is ready or failed."""
    found: Any = None

    async def is_over() -> bool:
        nonlocal found
        found = (await visitor.get(f"{DOCUMENTS}/{id}")).json
        return found["status"] != "pending"

    await settled(is_over)
    return found


async def a_document(visitor: Visitor, file: bytes = b"Once.", **more: Any) -> Any:
    """Return a document that was read."""
    answer = await upload(visitor, DOCUMENTS, multipart(file, **more))
    assert answer.status == 201, answer
    return await read(visitor, answer.json["id"])


async def test_a_text_is_kept_and_read_as_documented(owner: Visitor) -> None:
    answer = await owner.post(DOCUMENTS, EXAMPLE.request)
    assert answer.status == 201
    assert shape(answer.json) == shape(EXAMPLE.response)
    for name in EXAMPLE.response:
        if name not in {"id", "created_at", "updated_at"}:
            assert answer.json[name] == EXAMPLE.response[name], name
    found = await read(owner, answer.json["id"])
    assert (found["status"], found["progress"], found["search"]) == ("ready", 1, "text")
    assert found["chunks"] >= 1
    listed = (await owner.get(DOCUMENTS)).json
    assert shape(listed) == shape(EXAMPLES["List Documents"].response)
    assert listed["items"] == [found]


async def test_the_text_around_a_citation_is_shown(owner: Visitor) -> None:
    answer = await owner.post(DOCUMENTS, EXAMPLE.request)
    id = (await read(owner, answer.json["id"]))["id"]
    example = EXAMPLES["Read Document"].response
    query = f"?start={example['start']}&end={example['end']}"
    assert (await owner.get(f"{DOCUMENTS}/{id}/text{query}")).json == example
    whole = (await owner.get(f"{DOCUMENTS}/{id}/text")).json
    assert whole["text"] == EXAMPLE.request["content"]
    for query, field in (
        ("start=-1", "start"),
        ("end=x", "end"),
        (f"start={2**63}", "start"),
        ("start=1.5", "start"),
        ("start=8&end=5", "end"),
    ):
        answer = await owner.get(f"{DOCUMENTS}/{id}/text?{query}")
        assert_error(answer, 400, "INVALID_INPUT", field)
    beyond = (await owner.get(f"{DOCUMENTS}/{id}/text?start={2**62 - 2}&end={2**62 - 1}")).json
    assert (beyond["start"], beyond["end"], beyond["text"]) == (31, 31, "")


async def test_what_cannot_be_read_says_why(owner: Visitor) -> None:
    document = await a_document(owner, b"%PDF-1.7\nno pages", name="x.pdf")
    assert (document["status"], document["chunks"]) == ("failed", 0)
    assert document["error"]
    answer = await owner.get(f"{DOCUMENTS}/{document['id']}/text")
    assert_error(answer, 409, "CONFLICT")
    assert answer.json["message"] == document["error"]


async def test_a_file_comes_back_as_it_was_given_and_runs_nowhere(owner: Visitor) -> None:
    document = await a_document(owner, HTML, name="x.html", declared="text/html", title='Plüm "s/')
    path = f"{DOCUMENTS}/{document['id']}/file"
    answer = await owner.get(path)
    assert (answer.status, answer.content) == (200, HTML)
    headers = answer.headers
    assert headers["content-type"] == "application/octet-stream"
    name = quote("Plüm  s")
    assert headers["content-disposition"] == f"attachment; filename*=utf-8''{name}.html"
    assert headers["x-content-type-options"] == "nosniff"
    assert "private" in headers["cache-control"]
    answer = await owner.get(path, headers={"Range": "bytes=1-2"})
    assert (answer.status, answer.content) == (206, b"h1")


async def test_scripts_and_their_like_are_no_text(owner: Visitor) -> None:
    document = await a_document(owner, HTML, name="x.html", declared="text/html")
    text = (await owner.get(f"{DOCUMENTS}/{document['id']}/text")).json["text"]
    assert "ripen in August" in text
    assert "alert" not in text


async def test_a_document_is_read_again(owner: Visitor) -> None:
    document = await a_document(owner)
    answer = await owner.post(f"{DOCUMENTS}/{document['id']}/reingest")
    assert (answer.status, answer.json["status"]) == (200, "pending")
    again = await read(owner, document["id"])
    assert again | {"updated_at": ""} == document | {"updated_at": ""}


async def test_lists_are_read_on_by_a_cursor(owner: Visitor) -> None:
    made = [await a_document(owner, title=f"{number}") for number in range(3)]
    assert await all_of(owner, DOCUMENTS, limit=2) == made[::-1]
    assert_error(await owner.get(f"{DOCUMENTS}?cursor=x"), 400, "INVALID_INPUT", "cursor")
    assert_error(await owner.get(f"{DOCUMENTS}?limit=0"), 400, "INVALID_INPUT", "limit")


async def test_a_deleted_document_is_gone_and_so_is_its_file(
    palaver: Palaver, owner: Visitor, settings: Settings
) -> None:
    document = await a_document(owner)
    folder = settings.data_dir / "documents"
    assert [path.name for path in folder.rglob("*") if path.is_file()] == [document["id"]]
    answer = await owner.delete(f"{DOCUMENTS}/{document['id']}")
    assert (answer.status, answer.content) == (204, b"")
    for path in ("", "/text", "/file"):
        assert_error(await owner.get(f"{DOCUMENTS}/{document['id']}{path}"), 404, "NOT_FOUND")

    async def is_empty() -> bool:
        return not [path for path in folder.rglob("*") if path.is_file()]

    await settled(is_empty)


async def test_what_belongs_to_somebody_else_is_not_there(
    owner: Visitor, stranger: Visitor
) -> None:
    document = await a_document(owner)
    assert (await stranger.get(DOCUMENTS)).json == {"items": [], "next": None}
    for id in (document["id"], *NOWHERES):
        for answer in (
            await stranger.get(f"{DOCUMENTS}/{id}"),
            await stranger.get(f"{DOCUMENTS}/{id}/text"),
            await stranger.get(f"{DOCUMENTS}/{id}/file"),
            await stranger.post(f"{DOCUMENTS}/{id}/reingest"),
            await stranger.delete(f"{DOCUMENTS}/{id}"),
        ):
            assert_error(answer, 404, "NOT_FOUND")
    assert (await owner.get(f"{DOCUMENTS}/{document['id']}")).json == document


async def test_what_is_wrong_is_named(owner: Visitor) -> None:
    answer = await owner.post(DOCUMENTS, {"title": "", "content": " "})
    assert_error(answer, 400, "INVALID_INPUT", "title", "content")
    answer = await upload(owner, DOCUMENTS, multipart(b"", metadata="{"))
    assert_error(answer, 400, "INVALID_INPUT", "metadata")
    answer = await upload(owner, DOCUMENTS, multipart(b"\0", name="x.bin", declared=None))
    assert_error(answer, 415, "UNSUPPORTED_MEDIA_TYPE")
    answer = await owner.post(DOCUMENTS, {"title": "x", "content": "x" * (33 << 20)})
    assert_error(answer, 413, "PAYLOAD_TOO_LARGE")


async def test_nobody_gets_in_without_signing_in(palaver: Palaver) -> None:
    nobody = palaver.visitor()
    assert_error(await nobody.get(DOCUMENTS), 401, "UNAUTHENTICATED")
    assert_error(await upload(nobody, DOCUMENTS, multipart(b"x")), 401, "UNAUTHENTICATED")


class TestCaps:
    """With room for ten bytes."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, documents_bytes_per_user=10)

    async def test_only_so_much_is_kept(self, owner: Visitor) -> None:
        await a_document(owner, b"1234567")
        answer = await upload(owner, DOCUMENTS, multipart(b"1234"))
        assert_error(answer, 429, "QUOTA_EXCEEDED")
        assert int(answer.headers["retry-after"]) > 0
        await a_document(owner, b"123")
