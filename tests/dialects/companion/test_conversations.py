"""The chapters "Conversations" and "List Messages"."""

import re

from tests.contracts import shape
from tests.dialects.companion.helpers import (
    EXAMPLES,
    MISSING,
    NOWHERE,
    a_conversation,
    messages_of,
    problems,
    saying,
)
from tests.http import MovableClock, Visitor

PATH = "/api/v1/conversations/"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
WRONG_TITLES: list[tuple[object, str]] = [
    ("", "string_too_short"),
    (" \n", "string_too_short"),
    ("x" * 501, "string_too_long"),
    (7, "string_type"),
    (["x"], "string_type"),
    ("a\0b", "value_error"),
]
WRONG_PAGES: list[tuple[str, list[tuple[list[str], str]]]] = [
    ("?skip=-1", [(["query", "skip"], "greater_than_equal")]),
    ("?limit=0", [(["query", "limit"], "greater_than_equal")]),
    ("?limit=9223372036854775808", [(["query", "limit"], "less_than_equal")]),
    (
        "?skip=x&limit=1.5",
        [(["query", "skip"], "int_parsing"), (["query", "limit"], "int_parsing")],
    ),
    ("?limit=", [(["query", "limit"], "int_parsing")]),
    ("?limit=1%00", [(["query", "limit"], "value_error")]),
]


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{PATH}{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_a_conversation_is_created_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Create Conversation"]
    answer = await owner.post(PATH, example.request)
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    assert answer.json["title"] == example.response["title"]
    assert UUID.fullmatch(answer.json["id"])


async def test_times_are_utc_with_microseconds(owner: Visitor) -> None:
    answer = await owner.post(PATH, {})
    assert TIME.fullmatch(answer.json["created_at"])
    assert TIME.fullmatch(answer.json["updated_at"])


async def test_without_a_title_the_default_is_shown(owner: Visitor) -> None:
    for body in (None, {}, {"title": None}, {"unknown": 1}):
        answer = await owner.post(PATH, body)
        assert answer.status == 201
        assert answer.json["title"] == "New Conversation"


async def test_a_title_that_is_none_is_refused(owner: Visitor) -> None:
    for title, type_ in WRONG_TITLES:
        assert problems(await owner.post(PATH, {"title": title})) == [(["body", "title"], type_)]


async def test_malformed_json_is_refused(owner: Visitor) -> None:
    for content in (b"{", b'{"title": }', b"\xff", b"[" * 100_000, b"nul"):
        assert problems(await owner.post(PATH, content=content)) == [(["body"], "json_invalid")]


async def test_a_body_that_is_no_object_is_refused(owner: Visitor) -> None:
    answer = await owner.post(PATH, content=b"[]")
    assert problems(answer) == [(["body"], "model_attributes_type")]


async def test_conversations_are_listed_as_documented(owner: Visitor) -> None:
    await a_conversation(owner, title="First Conversation")
    answer = await owner.get(PATH)
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["List Conversations"].response)


async def test_both_slash_forms_answer(owner: Visitor) -> None:
    id = await a_conversation(owner)
    assert (await owner.get(PATH.rstrip("/"))).json == (await owner.get(PATH)).json
    assert (await owner.get(f"{PATH}{id}/messages/")).status == 200


async def test_the_list_has_the_newest_first_in_pages(owner: Visitor, clock: MovableClock) -> None:
    for title in ("a", "b", "c"):
        await a_conversation(owner, title=title)
        clock.move(seconds=1)
    assert await titles(owner) == ["c", "b", "a"]
    assert await titles(owner, "?skip=1") == ["b", "a"]
    assert await titles(owner, "?limit=1") == ["c"]
    assert await titles(owner, "?skip=2&limit=5000") == ["a"]
    assert await titles(owner, "?skip=9223372036854775807") == []


async def test_a_page_that_is_none_is_refused(owner: Visitor) -> None:
    for query, expected in WRONG_PAGES:
        assert problems(await owner.get(f"{PATH}{query}")) == expected


async def test_nobody_sees_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    id = await a_conversation(owner, title="mine")
    assert await titles(stranger) == []
    answer = await stranger.get(f"{PATH}{id}/messages")
    assert (answer.status, answer.json) == (404, MISSING)


async def test_an_unknown_conversation_has_no_messages(owner: Visitor) -> None:
    for id in (NOWHERE, "7", "x" * 40, "%00", NOWHERE.replace("-", "")):
        answer = await owner.get(f"{PATH}{id}/messages")
        assert (answer.status, answer.json) == (404, MISSING)


async def test_messages_are_listed_as_documented(owner: Visitor) -> None:
    id = await a_conversation(owner)
    await owner.post("/api/chat", saying("Hello, world!", conversation_id=id))
    answer = await owner.get(f"{PATH}{id}/messages")
    assert answer.status == 200
    assert shape(answer.json[:1]) == shape(EXAMPLES["List Messages"].response)
    assert TIME.fullmatch(answer.json[0]["created_at"])


async def test_messages_come_oldest_first_in_pages(owner: Visitor) -> None:
    id = await a_conversation(owner)
    for text in ("one", "two"):
        await owner.post("/api/chat", saying(text, conversation_id=id))
    answer = ("assistant", "Hello, world!")
    everything = [("user", "one"), answer, ("user", "two"), answer]
    assert await messages_of(owner, id) == everything
    assert await messages_of(owner, id, "?skip=1&limit=2") == everything[1:3]


async def test_a_deleted_conversation_is_gone(owner: Visitor) -> None:
    id = await a_conversation(owner)
    number = (await owner.get("/conversations")).json[0]["id"]
    assert (await owner.delete(f"/conversations/{number}")).status == 200
    assert (await owner.get(f"{PATH}{id}/messages")).status == 404
    assert await titles(owner) == []


async def test_another_method_is_refused_with_those_that_there_are(owner: Visitor) -> None:
    answer = await owner.delete(PATH)
    assert (answer.status, answer.json) == (405, {"detail": "Method Not Allowed"})
    assert answer.headers["allow"] == "GET, POST"


async def test_a_body_that_is_too_large_is_refused(owner: Visitor) -> None:
    answer = await owner.post(PATH, content=b" " * (2 * 1024 * 1024 + 1))
    assert answer.status == 413
    assert list(answer.json) == ["detail"]
