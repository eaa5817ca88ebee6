"""The chapter "Documents"."""

import io
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import msgspec
import pytest

from palaver.config import Settings
from tests.dialects.platform.helpers import EXAMPLES, NOWHERE, TIME, UUID, assert_refused, bearing
from tests.dialects.uploads import BOUNDARY, multipart, upload
from tests.http import Answer, MovableClock, Palaver, Visitor, settled

DOCUMENTS = "/api/v1/documents"
EXAMPLE = EXAMPLES["Upload Document"].request
NOWHERES = (NOWHERE, "7", "x" * 40, "%00", NOWHERE.replace("-", ""))
FIELDS = [
    "id",
    "user_id",
    "title",
    "mime_type",
    "size_bytes",
    "metadata",
    "status",
    "error",
    "created_at",
    "updated_at",
]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give a house that may be asked often: whether a document is ready."""
    return msgspec.structs.replace(settings, rate_limit_per_minute=0, rate_limit_per_hour=0)


async def a_document(visitor: Visitor, **body: Any) -> Any:
    answer = await visitor.post(DOCUMENTS, {"title": "Tale", "content": "Once."} | body)
    assert answer.status == 200, answer
    return answer.json


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{DOCUMENTS}{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def read(visitor: Visitor, id: str) -> Any:
    """Return a document once it is ready or failed."""
    found: Any = None

    async def is_over() -> bool:
        nonlocal found
        found = (await visitor.get(f"{DOCUMENTS}/{id}")).json
        return found["status"] != "pending"

    await settled(is_over)
    return found


async def test_a_text_is_kept_as_documented(owner: Visitor) -> None:
    answer = await owner.post(DOCUMENTS, EXAMPLE)
    assert answer.status == 200
    document = answer.json
    assert list(document) == FIELDS
    assert UUID.fullmatch(document["id"])
    assert TIME.fullmatch(document["created_at"])
    assert document["user_id"] == owner.user.uuid
    for name in ("title", "mime_type", "metadata"):
        assert document[name] == EXAMPLE[name]
    assert document["size_bytes"] == len(EXAMPLE["content"])
    assert (document["status"], document["error"]) == ("pending", None)
    found = await read(owner, document["id"])
    assert found["status"] == "ready"
    assert (await owner.get(DOCUMENTS)).json == [found]


async def test_little_has_to_be_given(owner: Visitor) -> None:
    document = await a_document(owner, unknown=1)
    assert (document["mime_type"], document["metadata"]) == ("text/plain", {})


async def test_a_file_is_kept_as_it_is_sent(owner: Visitor) -> None:
    content = multipart(
        "# Ä\n".encode(), name="a/Ä.md", declared="text/markdown", metadata='{"a": {"b": [1]}}'
    )
    answer = await upload(owner, DOCUMENTS, content)
    assert answer.status == 200, answer
    assert list(answer.json) == FIELDS
    assert answer.json["title"] == "Ä.md"
    assert answer.json["mime_type"] == "text/markdown"
    assert answer.json["size_bytes"] == len("# Ä\n".encode())
    assert answer.json["metadata"] == {"a": {"b": [1]}}
    titled = await upload(owner, DOCUMENTS, multipart(b"x", title="Mine", metadata=""))
    assert (titled.json["title"], titled.json["metadata"]) == ("Mine", {})


async def test_it_works_by_a_library_that_streams_and_by_a_token(
    palaver: Palaver, owner: Visitor
) -> None:
    tokens = await palaver.visitor().post(
        "/api/v1/auth/login", {"username": "owner", "password": "a password of nobody"}
    )
    form = aiohttp.FormData()
    form.add_field("title", "Streamed")
    form.add_field(
        "file", io.BytesIO(b"x" * 3_000_000), filename="big.txt", content_type="text/plain"
    )
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            palaver.base_url + DOCUMENTS,
            data=form,
            headers=bearing(tokens.json["access_token"]),
        ) as response,
    ):
        assert response.status == 200
        assert (await response.json())["size_bytes"] == 3_000_000
    assert await titles(owner) == ["Streamed"]


async def test_what_is_wrong_with_a_text_is_named(owner: Visitor) -> None:
    wrong: list[tuple[Any, list[str]]] = [
        ({}, ["title", "content"]),
        ({"title": " ", "content": "\n"}, ["title", "content"]),
        ({"title": "x" * 501, "content": "x"}, ["title"]),
        ({"title": 7, "content": 7, "mime_type": 7, "metadata": 7}, [*EXAMPLE]),
        ({"title": "x", "content": "a\0"}, ["content"]),
        ({"title": "x", "content": "x" * 20_000_001}, ["content"]),
        ({"title": "x", "content": "x", "metadata": {"a": [2**64]}}, ["metadata.a.0"]),
        ({"title": "x", "content": "x", "metadata": {"a": "x" * 20_000}}, ["metadata"]),
        ([], ["body"]),
    ]
    for body, fields in wrong:
        assert_refused(await owner.post(DOCUMENTS, body), 400, "bad_request", details=fields)
    assert await titles(owner) == []


async def test_what_is_wrong_with_a_file_is_named(owner: Visitor) -> None:
    wrong: list[tuple[bytes, list[str]]] = [
        (multipart(None), ["file"]),
        (multipart(None, **{"file ": "x"}).replace(b"file ", b"file"), ["file"]),
        (multipart(b"x", field="other"), ["file"]),
        (multipart(b""), ["file"]),
        (multipart(b"x", title=" "), ["title"]),
        (multipart(b"x", title="a\0"), ["title"]),
        (multipart(b"x", title="x" * 501), ["title"]),
        (multipart(b"x", metadata="{"), ["metadata"]),
        (multipart(b"x", metadata="[]"), ["metadata"]),
        (multipart(b"x", metadata='{"a": "\\u0000"}'), ["metadata.a"]),
        (multipart(b"x")[:-20], ["body"]),
        (multipart(b"x", boundary="another"), ["body"]),
        (b"nonsense", ["body"]),
        (b"", ["body"]),
    ]
    for content, fields in wrong:
        answer = await upload(owner, DOCUMENTS, content)
        assert_refused(answer, 400, "bad_request", details=fields)
    for type_, field in (
        ("multipart/form-data", "body"),
        ("multipart/form-data; boundary=", "file"),
    ):
        headers = {"Content-Type": type_}
        answer = await owner.post(DOCUMENTS, content=multipart(b"x"), headers=headers)
        assert_refused(answer, 400, "bad_request", details=[field])
    answer = await owner.post(
        DOCUMENTS,
        content=multipart(b"x", title="+2AA-"),  # half of a character, in UTF-7
        headers={"Content-Type": f"multipart/form-data; charset=utf-7; boundary={BOUNDARY}"},
    )
    assert answer.status in {200, 400}
    assert len(await titles(owner)) == (answer.status == 200)


async def test_too_many_parts_are_refused(owner: Visitor) -> None:
    fields = {f"field{number}": "x" for number in range(40)}
    answer = await upload(owner, DOCUMENTS, multipart(b"x", **fields))
    assert_refused(answer, 400, "bad_request", details=["body"])


async def test_other_kinds_of_files_are_refused(owner: Visitor) -> None:
    for content in (
        multipart(b"\x89PNG\r\n\x1a\n\0", name="x.png", declared="image/png"),
        multipart(b"\x89PNG\r\n\x1a\n\0", name="x.txt", declared="text/plain"),
        multipart(b"MZ\0", name="x.exe", declared=None),
    ):
        assert_refused(await upload(owner, DOCUMENTS, content), 415, "unsupported_media_type")
    for type_ in ("application/pdf", "image/png", "", "nonsense"):
        body = EXAMPLE | {"mime_type": type_}
        assert_refused(await owner.post(DOCUMENTS, body), 415, "unsupported_media_type")
    answer = await owner.post(DOCUMENTS, content=b"x", headers={"Content-Type": "text/plain"})
    assert_refused(answer, 415, "unsupported_media_type")
    assert "multipart/form-data" in answer.json["message"]
    assert await titles(owner) == []


async def test_a_pdf_is_one_whatever_it_is_called(owner: Visitor) -> None:
    answer = await upload(owner, DOCUMENTS, multipart(b"%PDF-1.7\n", declared="text/plain"))
    assert answer.json["mime_type"] == "application/pdf"
    found = await read(owner, answer.json["id"])
    assert found["status"] == "failed"
    assert found["error"]


async def chunked(size: int) -> AsyncIterator[bytes]:
    body = multipart(b"x" * size)
    for at in range(0, len(body), 1 << 20):
        yield body[at : at + (1 << 20)]


async def test_what_is_too_large_is_refused_told_or_not(owner: Visitor) -> None:
    size = 32 * 1024 * 1024
    assert (await upload(owner, DOCUMENTS, multipart(b"x" * size))).status == 200
    too_large = await upload(owner, DOCUMENTS, multipart(b"x" * (size + 1)))
    assert_refused(too_large, 413, "payload_too_large")
    too_large = await owner.post(DOCUMENTS, EXAMPLE | {"content": "x" * (size + 1)})
    assert_refused(too_large, 413, "payload_too_large")
    # Without a length, larger than any body may be, and of no kind that is taken.
    told = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
    token = owner.cookie("csrftoken") or ""
    for type_ in (told["Content-Type"], "multipart/form-data; boundary=x", "image/png"):
        async with owner.session.post(
            owner.base_url + DOCUMENTS,
            data=chunked(size + 100_000),
            headers={"Content-Type": type_, "X-CSRF-Token": token},
        ) as response:
            assert response.status == 413
            assert (await response.json())["error"] == "payload_too_large"
    assert len(await titles(owner)) == 1


async def test_checks_come_in_their_order(palaver: Palaver, owner: Visitor) -> None:
    huge = b"x" * (33 * 1024 * 1024)
    nobody = palaver.visitor()
    assert_refused(await upload(nobody, DOCUMENTS, multipart(b"")), 401, "unauthorized")
    answer = await upload(owner, DOCUMENTS, multipart(b""), csrf=False)
    assert_refused(answer, 403, "forbidden")
    answer = await upload(owner, DOCUMENTS, multipart(huge, name="x.png", declared="image/png"))
    assert_refused(answer, 413, "payload_too_large")
    answer = await upload(
        owner, DOCUMENTS, multipart(b"", name="x.png", declared="image/png", title=" ")
    )
    assert_refused(answer, 415, "unsupported_media_type")


async def test_documents_are_listed_newest_first_in_pages(
    owner: Visitor, clock: MovableClock
) -> None:
    for title in ("a", "b", "c"):
        await read(owner, (await a_document(owner, title=title))["id"])
        clock.move(seconds=1)
    assert await titles(owner) == ["c", "b", "a"]
    assert await titles(owner, "?offset=1") == ["b", "a"]
    assert await titles(owner, "?limit=1") == ["c"]
    assert await titles(owner, "?offset=2&limit=5000") == ["a"]
    assert await titles(owner, "?offset=9223372036854775807") == []
    for query, fields in (("?offset=-1", ["offset"]), ("?limit=0", ["limit"])):
        assert_refused(await owner.get(DOCUMENTS + query), 400, "bad_request", details=fields)


async def test_a_deleted_document_is_gone_at_once(owner: Visitor) -> None:
    id = (await a_document(owner))["id"]
    answer = await owner.delete(f"{DOCUMENTS}/{id}")
    assert (answer.status, list(answer.json)) == (200, ["message"])
    for again in (await owner.delete(f"{DOCUMENTS}/{id}"), await owner.get(f"{DOCUMENTS}/{id}")):
        assert_refused(again, 404, "not_found")
    assert await titles(owner) == []


async def test_what_belongs_to_somebody_else_is_not_there(
    owner: Visitor, stranger: Visitor
) -> None:
    id = (await a_document(owner))["id"]
    assert await titles(stranger) == []
    for wrong in (id, *NOWHERES):
        assert_refused(await stranger.get(f"{DOCUMENTS}/{wrong}"), 404, "not_found")
        assert_refused(await stranger.delete(f"{DOCUMENTS}/{wrong}"), 404, "not_found")
    assert await titles(owner) == ["Tale"]


async def test_nobody_gets_in_without_signing_in(palaver: Palaver) -> None:
    nobody = palaver.visitor()
    for answer in (
        await nobody.get(DOCUMENTS),
        await nobody.post(DOCUMENTS, EXAMPLE),
        await nobody.get(f"{DOCUMENTS}/{NOWHERE}"),
        await nobody.delete(f"{DOCUMENTS}/x"),
    ):
        assert_refused(answer, 401, "unauthorized")


async def test_a_repeated_upload_is_kept_once(owner: Visitor) -> None:
    key = {"Idempotency-Key": "k"}
    first = await upload(owner, DOCUMENTS, multipart(b"x", title="a"), headers=key)
    other = multipart(b"x", title="a", boundary="other")
    again = await upload(owner, DOCUMENTS, other, boundary="other", headers=key)
    assert again.content == first.content
    for changed in (multipart(b"y", title="a"), multipart(b"x", title="b")):
        assert (await upload(owner, DOCUMENTS, changed, headers=key)).status == 400
    assert await titles(owner) == ["a"]
    texts = [await owner.post(DOCUMENTS, EXAMPLE, headers={"Idempotency-Key": "t"}) for _ in "12"]
    assert texts[0].content == texts[1].content
    assert len(await titles(owner)) == 2


class TestCaps:
    """With room for two documents."""

    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return msgspec.structs.replace(settings, documents_per_user=2)

    async def test_only_so_many_are_kept(self, owner: Visitor, stranger: Visitor) -> None:
        for title in ("a", "b"):
            await a_document(owner, title=title)
        headers = {"Idempotency-Key": "k"}
        answer = await upload(owner, DOCUMENTS, multipart(b"x"), headers=headers)
        assert_refused(answer, 429, "quota_exceeded")
        assert "2 is the most" in answer.json["message"]
        await a_document(stranger)
        (newest, _) = (await owner.get(DOCUMENTS)).json
        await owner.delete(f"{DOCUMENTS}/{newest['id']}")
        # The same request gets through once there is room.
        assert (await upload(owner, DOCUMENTS, multipart(b"x"), headers=headers)).status == 200


def of(answer: Answer) -> Any:
    return json.loads(answer.content)


async def test_both_kinds_of_bodies_are_documented(owner: Visitor) -> None:
    described = of(await owner.get("/openapi/platform.json"))
    operation = described["paths"][DOCUMENTS]["post"]
    assert list(operation["requestBody"]["content"]) == ["application/json", "multipart/form-data"]
    upload_ = described["components"]["schemas"]["DocumentUpload"]
    assert upload_["properties"]["file"] == {"type": "string", "format": "binary"}
    assert upload_["required"] == ["file"]
    assert {"413", "415", "429"} <= set(operation["responses"])
