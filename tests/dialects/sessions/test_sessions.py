"""The chapter "Chat API": sessions."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from palaver.domain.conversations import NEW_CHAT
from tests.contracts import shape
from tests.dialects.sessions.helpers import (
    BLANK,
    EXAMPLES,
    MISSING,
    NO_STRING,
    NOWHERE,
    NULL,
    REQUIRED,
    SESSIONS,
    TIME,
    UUID,
    a_session,
    said,
    wrong,
)
from tests.http import MovableClock, Palaver, Visitor
from tests.statements import counted

TOO_LONG = ["Ensure this field has no more than 255 characters."]
WRONG_TITLES: list[tuple[Any, list[str]]] = [
    ("", BLANK),
    (" \n", BLANK),
    ("x" * 256, TOO_LONG),
    (7, NO_STRING),
    (["x"], NO_STRING),
    (True, NO_STRING),
    ("a\0b", ["Null characters are not allowed."]),
]
BAD_PAGES = ("0", "-1", "2", "x", "1.5", "9" * 30, "9" * 5000, "LAST", "%C2%B2")


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{SESSIONS}{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json["results"]]


class TestCreate:
    """The chapter "Create Chat Session"."""

    async def test_it_is_created_as_documented(self, owner: Visitor) -> None:
        example = EXAMPLES["Create Chat Session"]
        answer = await owner.post(SESSIONS, example.request)
        assert answer.status == 201
        assert shape(answer.json) == shape(example.response)
        assert answer.json["title"] == example.response["title"]
        assert UUID.fullmatch(answer.json["id"])
        assert TIME.fullmatch(answer.json["created_at"])

    async def test_without_a_title_the_default_is_shown(self, owner: Visitor) -> None:
        for body in (None, {}, {"title": None}, {"unknown": 1}, {"title": f" {NEW_CHAT} "}):
            answer = await owner.post(SESSIONS, body)
            assert (answer.status, answer.json["title"]) == (201, NEW_CHAT)
        shown = (await owner.get("/conversations")).json
        assert {item["title"] for item in shown} == {"New Conversation"}

    async def test_a_title_may_have_255_characters(self, owner: Visitor) -> None:
        answer = await owner.post(SESSIONS, {"title": f"  {'é' * 255}  "})
        assert (answer.status, answer.json["title"]) == (201, "é" * 255)

    async def test_a_title_that_is_none_is_refused(self, owner: Visitor) -> None:
        for title, expected in WRONG_TITLES:
            assert wrong(await owner.post(SESSIONS, {"title": title})) == {"title": expected}
        assert await titles(owner) == []

    async def test_a_repeat_of_the_request_makes_no_second_one(self, owner: Visitor) -> None:
        key = {"Idempotency-Key": "a key"}
        first = await owner.post(SESSIONS, {"title": "Once"}, headers=key)
        again = await owner.post(SESSIONS, {"title": "Once"}, headers=key)
        assert (again.status, again.content) == (201, first.content)
        answer = await owner.post(SESSIONS, {"title": "Twice"}, headers=key)
        assert list(wrong(answer)) == ["Idempotency-Key"]
        answer = await owner.post(SESSIONS, {}, headers={"Idempotency-Key": "x" * 256})
        assert wrong(answer) == {
            "Idempotency-Key": ["Ensure this field has no more than 255 characters."]
        }
        assert await titles(owner) == ["Once"]


class TestList:
    """The chapter "List Chat Sessions"."""

    async def test_they_are_listed_as_documented(self, owner: Visitor) -> None:
        await a_session(owner, title="Chat Session")
        for path in (SESSIONS, SESSIONS.rstrip("/")):
            answer = await owner.get(path)
            assert answer.status == 200
            assert shape(answer.json) == shape(EXAMPLES["List Chat Sessions"].response)

    async def test_each_has_its_chats_and_the_last_of_them(self, owner: Visitor) -> None:
        id = await a_session(owner, "One?", "Two?")
        await a_session(owner)
        empty, full = (await owner.get(SESSIONS)).json["results"]
        assert (empty["chats"], empty["last_message"]) == ([], None)
        assert full["id"] == id
        assert [chat["message"] for chat in full["chats"]] == ["One?", "Two?"]
        assert full["last_message"] == full["chats"][-1]
        example = EXAMPLES["List Chats in Session"].response["results"]
        assert shape(full["chats"][:1]) == shape(example)

    async def test_the_newest_come_first(self, owner: Visitor, clock: MovableClock) -> None:
        ids = {}
        for title in ("a", "b", "c"):
            ids[title] = await a_session(owner, title=title)
            clock.move(seconds=1)
        await said(owner, ids["a"], "Hello")
        assert await titles(owner) == ["a", "c", "b"]

    async def test_twenty_make_a_page(self, owner: Visitor, clock: MovableClock) -> None:
        for number in range(41):
            await a_session(owner, title=str(number))
            clock.move(seconds=1)
        first = (await owner.get(SESSIONS)).json
        assert (first["count"], first["previous"]) == (41, None)
        assert first["next"] == f"{owner.base_url}{SESSIONS}?page=2"
        assert [item["title"] for item in first["results"]] == [str(at) for at in range(40, 20, -1)]
        second = (await owner.get(path_of(first["next"]))).json
        assert second["next"] == f"{owner.base_url}{SESSIONS}?page=3"
        assert second["previous"] == f"{owner.base_url}{SESSIONS}"
        third = (await owner.get(path_of(second["next"]))).json
        assert [item["title"] for item in third["results"]] == ["0"]
        assert (third["count"], third["next"]) == (41, None)
        assert third["previous"] == f"{owner.base_url}{SESSIONS}?page=2"
        assert (await owner.get(f"{SESSIONS}?page=last")).json == third

    async def test_links_keep_the_rest_of_the_address(self, owner: Visitor) -> None:
        for _ in range(41):
            await a_session(owner)
        path = SESSIONS.rstrip("/")
        answer = await owner.get(f"{path}?page=2&z=1&a=%C3%A9+%26&z=2&empty=")
        base = f"{owner.base_url}{path}?a=%C3%A9+%26&empty="
        assert answer.json["next"] == f"{base}&page=3&z=1&z=2"
        assert answer.json["previous"] == f"{base}&z=1&z=2"

    async def test_a_page_that_there_is_not_is_not_found(self, owner: Visitor) -> None:
        await a_session(owner)
        for page in BAD_PAGES:
            answer = await owner.get(f"{SESSIONS}?page={page}")
            assert (answer.status, answer.json) == (404, {"detail": "Invalid page."})
        assert len(await titles(owner, "?page=")) == 1
        answer = await owner.get(f"{SESSIONS}?page=%00")
        assert wrong(answer) == {"page": ["Null characters are not allowed."]}

    async def test_an_empty_list_has_one_page(self, owner: Visitor) -> None:
        empty = {"count": 0, "next": None, "previous": None, "results": []}
        for query in ("", "?page=1", "?page=last"):
            assert (await owner.get(f"{SESSIONS}{query}")).json == empty

    async def test_nobody_sees_what_belongs_to_another(
        self, owner: Visitor, stranger: Visitor
    ) -> None:
        await a_session(owner, "Hello")
        assert (await stranger.get(SESSIONS)).json["count"] == 0

    async def test_it_takes_as_many_statements_for_any_number(self, owner: Visitor) -> None:
        with counted() as statements:
            few = statements.of(await owner.get(SESSIONS))
            for _ in range(5):
                await a_session(owner, "One?", "Two?")
            many = statements.of(await owner.get(SESSIONS))
        assert many == few
        assert len(many) == 4  # who calls, how many, which, and what was said in them


def path_of(address: str) -> str:
    parts = urlsplit(address)
    return f"{parts.path}?{parts.query}"


class TestOne:
    """The chapter "Get Specific Session", and what the document leaves out."""

    async def test_it_is_shown_as_documented(self, owner: Visitor) -> None:
        id = await a_session(owner, title="Chat Session")
        for path in (f"{SESSIONS}{id}/", f"{SESSIONS}{id}", f"{SESSIONS}{id.upper()}/"):
            answer = await owner.get(path)
            assert answer.status == 200
            assert shape(answer.json) == shape(EXAMPLES["Get Specific Session"].response)
            assert answer.json["id"] == id

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    async def test_it_is_renamed(self, owner: Visitor, method: str) -> None:
        id = await a_session(owner, "Hello", title="Before")
        answer = await owner.request(method, f"{SESSIONS}{id}/", {"title": " After ", "id": "x"})
        assert (answer.status, answer.json["title"]) == (200, "After")
        assert [chat["message"] for chat in answer.json["chats"]] == ["Hello"]
        assert answer.json == (await owner.get(f"{SESSIONS}{id}/")).json
        answer = await owner.request(method, f"{SESSIONS}{id}", {"title": NEW_CHAT})
        assert answer.json["title"] == NEW_CHAT
        assert (await owner.get("/conversations")).json[0]["title"] == "New Conversation"

    @pytest.mark.parametrize("method", ["PUT", "PATCH"])
    async def test_a_title_that_is_none_is_refused(self, owner: Visitor, method: str) -> None:
        id = await a_session(owner, title="Before")
        for title, expected in [*WRONG_TITLES, (None, NULL)]:
            answer = await owner.request(method, f"{SESSIONS}{id}/", {"title": title})
            assert wrong(answer) == {"title": expected}
        assert wrong(await owner.request(method, f"{SESSIONS}{id}/", {})) == {"title": REQUIRED}
        assert await titles(owner) == ["Before"]

    async def test_it_is_deleted_for_good(self, owner: Visitor) -> None:
        id = await a_session(owner, "Hello")
        answer = await owner.delete(f"{SESSIONS}{id}/")
        assert (answer.status, answer.content) == (204, b"")
        assert "content-type" not in answer.headers
        for path in (f"{SESSIONS}{id}/", f"{SESSIONS}{id}/chats/"):
            answer = await owner.get(path)
            assert (answer.status, answer.json) == (404, MISSING)
        assert (await owner.delete(f"{SESSIONS}{id}/")).status == 404
        assert await titles(owner) == []

    async def test_one_of_nobody_or_another_is_not_found(
        self, owner: Visitor, stranger: Visitor
    ) -> None:
        id = await a_session(owner, title="mine")
        calls: list[tuple[str, Any]] = [
            ("GET", None),
            ("PUT", {"title": "yours"}),
            ("PATCH", {"title": "yours"}),
            ("DELETE", None),
        ]
        keys = (NOWHERE, "7", "x" * 40, "%00", NOWHERE.replace("-", ""))
        for visitor, key in ((stranger, id), *((owner, key) for key in keys)):
            for method, body in calls:
                answer = await visitor.request(method, f"{SESSIONS}{key}/", body)
                assert (answer.status, answer.json) == (404, MISSING)
        assert await titles(owner) == ["mine"]

    async def test_what_is_wrong_is_told_before_what_is_missing(self, owner: Visitor) -> None:
        answer = await owner.request("PUT", f"{SESSIONS}{NOWHERE}/", {"title": 7})
        assert wrong(answer) == {"title": NO_STRING}


async def test_what_one_contract_does_the_others_see(owner: Visitor) -> None:
    id = await a_session(owner, "Hello", title="Before")
    listed = (await owner.get("/conversations")).json
    assert [item["title"] for item in listed] == ["Before"]
    number = listed[0]["id"]
    await owner.patch(f"/conversations/{number}", {"title": "After"})
    assert (await owner.get(f"{SESSIONS}{id}/")).json["title"] == "After"
    messages = (await owner.get(f"/api/v1/conversations/{id}/messages")).json
    assert [message["role"] for message in messages] == ["user", "assistant"]
    await owner.delete(f"/conversations/{number}")
    assert (await owner.get(f"{SESSIONS}{id}/")).status == 404


async def test_pages_are_linked_under_the_address_that_clients_see(palaver: Palaver) -> None:
    owner = await palaver.person("owner")
    for _ in range(21):
        await a_session(owner)
    answer = await owner.get(SESSIONS, headers={"Host": "chat.example.org"})
    assert answer.json["next"] == f"http://chat.example.org{SESSIONS}?page=2"
