"""What every route has in common: bodies, methods, slashes, strays, heads."""

import json
import re
from collections.abc import AsyncIterator

import pytest

from palaver.dialects.streaming import DIALECT
from palaver.web.binding import signature_of
from palaver.web.endpoint import JSON_MAX_BYTES, Endpoint
from tests.dialects.streaming.helpers import a_conversation, assert_error, text_of, the_answer
from tests.dialects.streaming.test_access import ids, path_of
from tests.http import Palaver, Visitor

WITH_BODY = [
    endpoint
    for endpoint in DIALECT.endpoints
    if signature_of(endpoint.handler, endpoint.path).body is not None
]
PATHS = sorted({endpoint.path for endpoint in DIALECT.endpoints})
MALFORMED = [b"{", b'{"title": }', b"\xff\xfe", b"[" * 100_000, b"nul", b'{"title": "x"}}']


@pytest.mark.parametrize("endpoint", WITH_BODY, ids=ids)
async def test_what_is_no_json_object_is_refused(admin: Visitor, endpoint: Endpoint) -> None:
    if endpoint.path == "/admin/bootstrap":  # there is an administrator: 403 comes before 400
        answer = await admin.request("POST", endpoint.path, content=b"{")
        assert_error(answer, 403, "BOOTSTRAP_DISABLED")
        return
    for content in (*MALFORMED, b"[]", b'"text"', b"7", b"null"):
        answer = await admin.request(endpoint.method, path_of(endpoint), content=content)
        assert_error(answer, 400, "VALIDATION_ERROR")
    for media_type in ("text/plain", "application/x-www-form-urlencoded", "", "multipart/x"):
        answer = await admin.request(
            endpoint.method,
            path_of(endpoint),
            content=b"{}",
            headers={"Content-Type": media_type},
        )
        assert_error(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_a_body_of_more_than_two_mebibytes_is_refused(owner: Visitor) -> None:
    id = await a_conversation(owner)
    path = f"/conversations/{id}/messages"
    envelope = len(json.dumps({"content": ""}))
    fits = "x" * (JSON_MAX_BYTES - envelope)
    assert (await owner.post(path, {"content": fits})).status == 200
    assert_error(await owner.post(path, {"content": fits + "x"}), 413, "PAYLOAD_TOO_LARGE")


async def test_a_body_that_hides_its_length_is_measured_as_it_comes(owner: Visitor) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"x" * 1024 * 1024

    headers = {
        "Content-Type": "application/json",
        "X-CSRF-Token": str(owner.cookie("csrftoken")),
    }
    url = f"{owner.base_url}/conversations"
    async with owner.session.post(url, data=chunks(), headers=headers) as response:
        assert response.status == 413
        assert (await response.json())["code"] == "PAYLOAD_TOO_LARGE"


async def test_text_that_is_no_utf_8_is_refused(owner: Visitor) -> None:
    answer = await owner.post("/conversations", content=b'{"title": "\xff"}')
    assert_error(answer, 400, "VALIDATION_ERROR")


async def test_json_may_say_its_charset(owner: Visitor) -> None:
    headers = {"Content-Type": "application/json; charset=utf-8"}
    assert (await owner.post("/conversations", {"title": "x"}, headers=headers)).status == 200


async def test_unknown_fields_are_ignored(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    answer = await owner.patch(f"/conversations/{id}", {"title": "x", "colour": "red"})
    assert answer.status == 200
    assert text_of(await the_answer(owner, id, stop=["x"], tools=None)) == "Hello, world!"


@pytest.mark.parametrize("path", PATHS)
async def test_a_method_that_a_path_has_not_is_refused_with_those_that_it_has(
    palaver: Palaver, path: str
) -> None:
    methods = {endpoint.method for endpoint in DIALECT.endpoints if endpoint.path == path}
    concrete = re.sub(r"\{[^}]+\}", "1", path)
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE"} - methods:
        answer = await palaver.visitor().request(method, concrete)
        assert_error(answer, 405, "METHOD_NOT_ALLOWED")
        assert answer.headers["allow"] == ", ".join(sorted(methods))


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_answers_at_both_slash_forms_and_never_by_a_redirect(
    admin: Visitor, path: str
) -> None:
    for endpoint in DIALECT.endpoints:
        if endpoint.path == path and endpoint.method == "GET":
            concrete = path_of(endpoint)
            plain, slashed = await admin.get(concrete), await admin.get(f"{concrete}/")
            assert plain.status == slashed.status
            assert plain.status in {200, 404}


async def test_changes_take_the_other_slash_form_too(owner: Visitor) -> None:
    id = (await owner.post("/conversations/", {})).json["id"]
    assert (await owner.post(f"/conversations/{id}/messages/", {"content": "Hi"})).status == 200
    async with owner.events(f"/conversations/{id}/stream/", {}) as events:
        assert text_of(await events.all()) == "Hello, world!"


@pytest.mark.parametrize(
    "path",
    [
        "/conversations/1/nothing",
        "/conversations/1/messages/2",
        "/conversationsx",
        "/conversations//",
        "/auth/nothing",
        "/auth/",
        "/admin/",
        "/admin/nothing",
        "/providers/sim/nothing",
        "/chat/cancel",
        "/chat/cancel/",
        "/chat/retry/1",
    ],
)
async def test_what_nobody_owns_near_our_paths_is_not_found_in_our_shape(
    palaver: Palaver, path: str
) -> None:
    assert_error(await palaver.visitor().get(path), 404, "NOT_FOUND")


async def test_every_answer_has_a_request_id_of_its_own(palaver: Palaver) -> None:
    visitor = palaver.visitor()
    seen = {
        (await visitor.get(path)).headers["x-request-id"]
        for path in ("/health", "/health", "/auth/me", "/conversations/nothing", "/nothing")
    }
    assert len(seen) == 5


async def test_a_head_is_a_get_without_its_body(owner: Visitor) -> None:
    answer = await owner.request("HEAD", "/conversations")
    assert (answer.status, answer.content) == (200, b"")


async def test_no_text_of_any_kind_is_a_500(owner: Visitor) -> None:
    for text in ("\ud800", "\U0010ffff", "'; drop table users; --", "%", "\u202e", "\x7f", "\\"):
        content = json.dumps({"title": f"x{text}"}).encode()
        answer = await owner.post("/conversations", content=content)
        assert answer.status in {200, 400}, text


async def test_a_fault_of_ours_is_a_500_that_tells_nothing(
    palaver: Palaver, owner: Visitor
) -> None:
    await palaver.house.db.close()
    answer = await owner.get("/conversations")
    assert_error(answer, 500, "INTERNAL_ERROR")
    assert answer.json["message"] == "An unexpected error occurred."


async def test_an_encoded_slash_cuts_nothing(owner: Visitor) -> None:
    id = await a_conversation(owner)
    for path in (f"/conversations/{id}%2Fmessages", f"/conversations/{id}%2f"):
        answer = await owner.get(path)
        assert_error(answer, 404, "CONVERSATION_NOT_FOUND")


async def test_a_form_may_send_the_csrf_token_as_its_field(owner: Visitor) -> None:
    form = {"headers": {"Content-Type": "application/x-www-form-urlencoded"}, "csrf": False}
    wrong = await owner.request("POST", "/auth/logout", content=b"csrf_token=no", **form)
    assert_error(wrong, 403, "CSRF_INVALID")
    content = f"csrf_token={owner.cookie('csrftoken')}".encode()
    right = await owner.request("POST", "/auth/logout", content=content, **form)
    assert right.status == 200


@pytest.mark.parametrize("query", ["limit=1.0", "limit=1e2", "before=2.0"])
async def test_a_number_is_written_out(owner: Visitor, query: str) -> None:
    assert_error(await owner.get(f"/conversations?{query}"), 400, "VALIDATION_ERROR")
