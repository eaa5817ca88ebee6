"""The chapter "Chat Sessions": read its messages, send one, edit one."""

import asyncio

import pytest

from tests.contracts import shape
from tests.dialects.subscriptions.helpers import (
    ANSWER,
    EXAMPLES,
    NO_MESSAGE,
    SESSIONS,
    TIME,
    UUID,
    a_session,
    asked,
    assert_error,
    following,
    messages_of,
    said,
    sent,
    the_session,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Answer, MovableClock, Visitor, settled

SLOW = Script(words=tuple(f" word{at}" for at in range(200)), delay_seconds=0.02)
WRONG_TEXTS: list[object] = ["", " \n\t", 7, None, ["x"], "a\0b"]


async def edit(visitor: Visitor, id: int, message_id: str, content: object = "Better") -> Answer:
    path = f"{SESSIONS}{id}/messages/{message_id}/edit/"
    return await visitor.post(path, {"content": content})


async def test_a_message_is_sent_as_documented(owner: Visitor, upstream: Upstream) -> None:
    example = EXAMPLES["Send Message to Session"]
    upstream.default = SLOW
    id = await a_session(owner, title="A walk")
    answer = await owner.post(f"{SESSIONS}{id}/send/", example.request)
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    message = answer.json["user_message"]
    assert UUID.fullmatch(message["message_id"])
    assert TIME.fullmatch(message["created_at"])
    assert message["message_type"] == "user"
    assert message["content"] == example.request["message"]
    assert message["tokens_count"] > 0
    assert await messages_of(owner, id) == [message]  # the answer is still being written


async def test_messages_are_listed_as_documented(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    message = await asked(owner, id, "Hello, how are you?")
    answer = await owner.get(f"{SESSIONS}{id}/messages/")
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Get Session Messages"].response)
    question, reply = answer.json["messages"]
    assert question == message
    assert (reply["message_type"], reply["content"]) == ("assistant", ANSWER)
    assert reply["tokens_count"] == 4  # as the simulator counts: a delta is a token


async def test_an_empty_session_has_no_messages(owner: Visitor) -> None:
    assert await messages_of(owner, await a_session(owner)) == []


async def test_messages_come_oldest_first_in_pages(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    for text in ("one", "two", "three"):
        await asked(owner, id, text)
    every = await messages_of(owner, id)
    texts = [message["content"] for message in every]
    assert texts == ["one", ANSWER, "two", ANSWER, "three", ANSWER]
    assert await messages_of(owner, id, "?limit=2") == every[4:]
    before = every[4]["message_id"]
    assert await messages_of(owner, id, f"?before={before}") == every[:4]
    assert await messages_of(owner, id, f"?before={before.upper()}&limit=3") == every[1:4]
    assert await messages_of(owner, id, f"?before={NO_MESSAGE}") == []


async def test_a_message_of_another_session_is_no_place_to_read_on_from(owner: Visitor) -> None:
    here, there = await a_session(owner, title="here"), await a_session(owner, title="there")
    await asked(owner, here, "one")
    message = await asked(owner, there, "two")
    assert await messages_of(owner, here, f"?before={message['message_id']}") == []


@pytest.mark.parametrize("query", ["limit=0", "limit=x", "before=7", "before=x", "before="])
async def test_a_page_that_is_none_is_refused(owner: Visitor, query: str) -> None:
    id = await a_session(owner)
    assert_error(await owner.get(f"{SESSIONS}{id}/messages/?{query}"), 400, "Invalid input")


@pytest.mark.parametrize("body", [{}, *({"message": text} for text in WRONG_TEXTS)])
async def test_a_message_without_words_is_refused(
    owner: Visitor, upstream: Upstream, body: object
) -> None:
    id = await a_session(owner)
    answer = await owner.post(f"{SESSIONS}{id}/send/", body)
    assert_error(answer, 400, "Invalid input")
    assert answer.json["detail"].startswith("message: ")
    assert await messages_of(owner, id) == []
    assert not upstream.requests


async def test_a_message_that_is_too_long_for_the_model_is_refused(owner: Visitor) -> None:
    id = await a_session(owner)
    answer = await owner.post(f"{SESSIONS}{id}/send/", {"message": "word " * 300_000})
    assert_error(answer, 400, "Invalid input")
    assert answer.json["detail"].startswith("message: This message is too long for the model")
    assert await messages_of(owner, id) == []


async def test_nobody_reads_or_writes_in_what_belongs_to_another(
    owner: Visitor, stranger: Visitor
) -> None:
    id = await a_session(owner, title="Mine")
    message = await asked(owner, id, "Hello")
    own = await a_session(stranger, title="Theirs")
    before = await messages_of(owner, id)
    for answer in (
        await stranger.get(f"{SESSIONS}{id}/messages/"),
        await stranger.post(f"{SESSIONS}{id}/send/", {"message": "Hi"}),
        await edit(stranger, id, message["message_id"]),
    ):
        assert_error(answer, 404, "Not found", "Chat session not found.")
    answer = await edit(stranger, own, message["message_id"])
    assert_error(answer, 404, "Not found", "Message not found.")
    assert await messages_of(owner, id) == before


async def test_an_answer_that_fails_before_a_word_is_not_shown(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = error(500, "No.")
    id = await a_session(owner, title="A walk")
    await sent(owner, id, "Hello")
    async with following(owner, id) as events:
        assert (await events.all())[-1].data["status"] == "error"
    assert await said(owner, id) == [("user", "Hello")]


async def test_what_an_answer_had_said_when_it_failed_stays(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = Script(failure=Failure.CUT, after=2)
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "Hello")
    assert await said(owner, id) == [("user", "Hello"), ("assistant", "Hello,")]


async def test_a_message_is_edited_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Edit Message"]
    id = await a_session(owner, title="A walk")
    first = await asked(owner, id, "one")
    await asked(owner, id, "two")
    _, *later = [message["message_id"] for message in await messages_of(owner, id)]
    answer = await edit(owner, id, first["message_id"], **example.request)
    assert answer.status == 200
    assert list(answer.json) == list(example.response)
    assert answer.json == {"success": True, "disabled_message_ids": later}


async def test_an_edited_message_keeps_its_id_and_is_answered_anew(
    owner: Visitor, clock: MovableClock
) -> None:
    id = await a_session(owner, title="A walk")
    first = await asked(owner, id, "one")
    await asked(owner, id, "two")
    clock.move(seconds=60)
    await edit(owner, id, first["message_id"], "One, better")

    async def is_answered() -> bool:
        return len(await messages_of(owner, id)) == 2

    await settled(is_answered)
    question, reply = await messages_of(owner, id)
    assert question["message_id"] == first["message_id"]
    assert question["content"] == "One, better"
    assert question["created_at"] == first["created_at"]
    assert TIME.fullmatch(question["edited_at"])
    assert question["edited_at"] > question["created_at"]
    assert question["disabled"] is False
    assert (reply["content"], reply["edited_at"]) == (ANSWER, None)


async def test_an_edit_of_what_is_being_answered_stops_that_answer(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(SLOW)
    id = await a_session(owner, title="A walk")
    message = await sent(owner, id, "one")
    async with following(owner, id) as events:
        await events.until("delta")
        answer = await edit(owner, id, message["message_id"], "two")
        assert answer.status == 200
        assert (await events.all())[-1].data["status"] == "canceled"
    await (await upstream.request(1)).closed()

    async def is_answered() -> bool:
        return await said(owner, id) == [("user", "two"), ("assistant", ANSWER)]

    await settled(is_answered)
    assert len(answer.json["disabled_message_ids"]) == 1  # what the first answer had said


@pytest.mark.parametrize("content", WRONG_TEXTS)
async def test_an_edit_without_words_changes_nothing(owner: Visitor, content: object) -> None:
    id = await a_session(owner, title="A walk")
    message = await asked(owner, id, "one")
    before = await messages_of(owner, id)
    answer = await edit(owner, id, message["message_id"], content)
    assert_error(answer, 400, "Invalid input")
    assert answer.json["detail"].startswith("content: ")
    assert await messages_of(owner, id) == before


async def test_only_user_messages_of_the_session_can_be_edited(owner: Visitor) -> None:
    id, other = await a_session(owner, title="here"), await a_session(owner, title="there")
    await asked(owner, id, "one")
    elsewhere = await asked(owner, other, "two")
    _, reply = await messages_of(owner, id)
    before = await messages_of(owner, id)
    for message_id in (reply["message_id"], elsewhere["message_id"], NO_MESSAGE, "7", "x" * 36):
        answer = await edit(owner, id, message_id)
        assert_error(answer, 404, "Not found", "Message not found.")
    assert await messages_of(owner, id) == before


async def test_what_left_the_session_can_not_be_edited(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    first = await asked(owner, id, "one")
    second = await asked(owner, id, "two")
    await edit(owner, id, first["message_id"], "One, better")
    assert_error(await edit(owner, id, second["message_id"]), 404, "Not found")


async def test_sending_bumps_the_session(owner: Visitor, clock: MovableClock) -> None:
    id = await a_session(owner, title="A walk")
    before = (await the_session(owner, id))["updated_at"]
    clock.move(seconds=60)
    await asked(owner, id, "one")
    assert (await the_session(owner, id))["updated_at"] > before


async def test_a_repeated_send_says_it_once(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    key = {"Idempotency-Key": "once"}
    path, body = f"{SESSIONS}{id}/send/", {"message": "Hello"}
    first = await owner.post(path, body, headers=key)
    again = await owner.post(path, body, headers=key)
    assert (again.status, again.json) == (201, first.json)
    other = await owner.post(path, {"message": "Else"}, headers=key)
    assert_error(other, 400, "Idempotency key reused")
    assert [text for role, text in await said(owner, id) if role == "user"] == ["Hello"]


async def test_many_who_send_at_once_are_all_heard(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    await asyncio.gather(*(sent(owner, id, f"{at}") for at in range(8)))

    async def are_answered() -> bool:
        return len(await messages_of(owner, id)) == 16

    await settled(are_answered)
    texts = {text for role, text in await said(owner, id) if role == "user"}
    assert texts == {f"{at}" for at in range(8)}
