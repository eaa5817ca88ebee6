"""The chapter "Conversations"."""

import re

import pytest

from tests.contracts import shape
from tests.dialects.streaming.helpers import (
    EXAMPLES,
    NOWHERE,
    a_conversation,
    assert_error,
    the_answer,
)
from tests.http import MovableClock, Palaver, Visitor

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}")


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"/conversations{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_a_conversation_is_created_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Create Conversation"]
    answer = await owner.post("/conversations", example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["title"] == example.response["title"]


async def test_times_have_microseconds_and_no_offset(owner: Visitor) -> None:
    answer = await owner.post("/conversations", {})
    assert TIME.fullmatch(answer.json["created_at"])
    assert TIME.fullmatch(answer.json["updated_at"])


@pytest.mark.parametrize("body", [None, {}, {"title": None}])
async def test_without_a_title_a_conversation_shows_the_default(
    owner: Visitor, body: object
) -> None:
    answer = await owner.post("/conversations", body)
    assert answer.json["title"] == "New Conversation"


@pytest.mark.parametrize("title", ["", "  \t", "x" * 501, 7, True, ["x"], "a\0b"])
async def test_a_title_that_is_none_is_refused_at_creation(owner: Visitor, title: object) -> None:
    assert_error(await owner.post("/conversations", {"title": title}), 400, "VALIDATION_ERROR")


async def test_a_title_may_have_500_characters_of_any_script(owner: Visitor) -> None:
    title = "😀" * 500
    answer = await owner.post("/conversations", {"title": title})
    assert answer.json["title"] == title


async def test_conversations_are_listed_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["List Conversations"].response
    await a_conversation(owner, title=example[0]["title"])
    answer = await owner.get("/conversations")
    assert answer.status == 200
    assert shape(answer.json) == shape(example)


async def test_the_list_has_what_was_changed_last_first(
    owner: Visitor, clock: MovableClock
) -> None:
    ids = [await a_conversation(owner, title=title) for title in ("a", "b", "c")]
    clock.move(seconds=1)
    await owner.post(f"/conversations/{ids[1]}/messages", {"content": "Hello"})
    clock.move(seconds=1)
    await owner.patch(f"/conversations/{ids[0]}", {"title": "a2"})
    assert await titles(owner) == ["a2", "b", "c"]


async def test_an_answer_brings_its_conversation_to_the_top(
    owner: Visitor, clock: MovableClock
) -> None:
    id = await a_conversation(owner, "Hello", title="asked")
    clock.move(seconds=1)
    await a_conversation(owner, title="other")
    clock.move(seconds=1)
    await the_answer(owner, id)
    assert await titles(owner) == ["asked", "other"]


async def test_nobody_lists_what_belongs_to_somebody_else(
    owner: Visitor, stranger: Visitor
) -> None:
    await a_conversation(owner)
    assert (await stranger.get("/conversations")).json == []


async def test_a_search_finds_titles_as_they_are_shown_in_any_case_and_script(
    owner: Visitor,
) -> None:
    for title in (None, "Straße nach Kyjiw", "100% ÄPFEL", "под_ключ"):
        await a_conversation(owner, title=title)
    assert await titles(owner, "?q=NEW%20conv") == ["New Conversation"]
    assert await titles(owner, "?q=STRASSE") == ["Straße nach Kyjiw"]
    assert await titles(owner, "?q=%C3%A4pfel") == ["100% ÄPFEL"]
    assert await titles(owner, "?q=0%25") == ["100% ÄPFEL"]
    assert await titles(owner, "?q=%D0%9F%D0%9E%D0%94_") == ["под_ключ"]
    assert await titles(owner, "?q=%") == ["100% ÄPFEL"]
    assert await titles(owner, "?q=nothing") == []
    assert len(await titles(owner, "?q=")) == 4


async def test_before_and_limit_give_every_conversation_once(owner: Visitor) -> None:
    ids = [await a_conversation(owner, title=f"t{number}") for number in range(5)]
    seen: list[int] = []
    query = "?limit=2"
    while page := (await owner.get(f"/conversations{query}")).json:
        assert len(page) <= 2
        seen += [item["id"] for item in page]
        query = f"?limit=2&before={seen[-1]}"
    assert seen == ids[::-1]


async def test_pages_of_a_search_follow_each_other(owner: Visitor) -> None:
    ids = [await a_conversation(owner, title=f"x{number}") for number in range(3)]
    await a_conversation(owner, title="y")
    answer = await owner.get(f"/conversations?q=X&before={ids[2]}&limit=1")
    assert [item["id"] for item in answer.json] == [ids[1]]


async def test_what_comes_before_nothing_is_nothing(owner: Visitor, stranger: Visitor) -> None:
    theirs = await a_conversation(stranger)
    await a_conversation(owner)
    for before in (NOWHERE, theirs):
        assert (await owner.get(f"/conversations?before={before}")).json == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "limit=",
        "limit=99999999999999999999",
        "before=x",
        "before=-1",
        "before=9223372036854775808",
        "q=%00",
    ],
)
async def test_a_query_that_makes_no_sense_is_refused(owner: Visitor, query: str) -> None:
    assert_error(await owner.get(f"/conversations?{query}"), 400, "VALIDATION_ERROR")


async def test_more_than_a_thousand_count_as_a_thousand_and_unknown_parameters_for_nothing(
    owner: Visitor,
) -> None:
    await a_conversation(owner)
    assert len((await owner.get("/conversations?limit=5000&colour=red")).json) == 1


async def test_a_conversation_is_shown_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Get Conversation"].response
    id = await a_conversation(owner, title=example["title"])
    answer = await owner.get(f"/conversations/{id}")
    assert answer.status == 200
    assert shape(answer.json) == shape(example)
    assert (answer.json["id"], answer.json["title"]) == (id, example["title"])


async def test_a_conversation_is_renamed_as_documented(owner: Visitor, clock: MovableClock) -> None:
    example = EXAMPLES["Rename Conversation"]
    id = await a_conversation(owner)
    before = (await owner.get(f"/conversations/{id}")).json
    clock.move(seconds=1)
    answer = await owner.patch(f"/conversations/{id}", example.request)
    assert (answer.status, answer.json) == (200, example.response)
    after = (await owner.get(f"/conversations/{id}")).json
    assert after["title"] == example.request["title"]
    assert after["created_at"] == before["created_at"]
    assert after["updated_at"] > before["updated_at"]


@pytest.mark.parametrize("body", [None, {}, {"title": None}, {"title": " "}, {"title": 1}])
async def test_a_rename_without_a_title_is_refused(owner: Visitor, body: object) -> None:
    id = await a_conversation(owner)
    assert_error(await owner.patch(f"/conversations/{id}", body), 400, "VALIDATION_ERROR")


async def test_a_conversation_is_deleted_as_documented(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    answer = await owner.delete(f"/conversations/{id}")
    assert (answer.status, answer.json) == (200, EXAMPLES["Delete Conversation"].response)
    assert (await owner.get("/conversations")).json == []
    for path in (f"/conversations/{id}", f"/conversations/{id}/messages"):
        assert_error(await owner.get(path), 404, "CONVERSATION_NOT_FOUND")
    assert_error(await owner.delete(f"/conversations/{id}"), 404, "CONVERSATION_NOT_FOUND")


async def test_what_is_not_there_and_what_is_not_yours_look_the_same(
    palaver: Palaver, owner: Visitor, stranger: Visitor
) -> None:
    theirs = await a_conversation(owner, "Hello")
    for id in (theirs, NOWHERE, "x", "-1", "1.0", "99999999999999999999", "9223372036854775808"):
        path = f"/conversations/{id}"
        answers = [
            await stranger.get(path),
            await stranger.patch(path, {"title": "Mine"}),
            await stranger.delete(path),
            await stranger.get(f"{path}/messages"),
            await stranger.post(f"{path}/messages", {"content": "Hello"}),
            await stranger.post(f"{path}/stream", {}),
        ]
        for answer in answers:
            assert_error(answer, 404, "CONVERSATION_NOT_FOUND")
            assert answer.json["message"] == "Conversation not found."
    assert (await owner.get(f"/conversations/{theirs}")).json["title"] == "New Conversation"


async def test_what_cannot_be_read_is_refused_before_the_conversation_is_looked_for(
    owner: Visitor,
) -> None:
    answer = await owner.patch(f"/conversations/{NOWHERE}", {"title": 1})
    assert_error(answer, 400, "VALIDATION_ERROR")
