"""The chapter "Chat API": the chats of a session."""

import asyncio
from typing import Any

import pytest

from palaver.storage.statements import Statement
from palaver.storage.tx import connection_of
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
    a_session,
    chats_of,
    said,
    wrong,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, settled

ONE_AN_HOUR: Statement[None] = Statement(
    "update plans set hourly_max_messages = 1 where is_default = 1"
)
ANSWER = "Hello, world!"
WRONG: list[tuple[Any, list[str]]] = [
    ({}, REQUIRED),
    ({"message": None}, NULL),
    ({"message": ""}, BLANK),
    ({"message": " \n\t"}, BLANK),
    ({"message": 7}, NO_STRING),
    ({"message": {"text": "x"}}, NO_STRING),
    ({"message": "a\0b"}, ["Null characters are not allowed."]),
]


class TestCreate:
    """The chapter "Create Chat in Session"."""

    async def test_an_answer_is_given_as_documented(self, owner: Visitor) -> None:
        example = EXAMPLES["Create Chat in Session"]
        id = await a_session(owner)
        answer = await owner.post(f"{SESSIONS}{id}/chats/", example.request)
        assert answer.status == 201
        assert shape(answer.json) == shape(example.response)
        assert answer.json["message"] == example.request["message"]
        assert answer.json["response"] == ANSWER
        assert TIME.fullmatch(answer.json["created_at"])
        listed = (await owner.get(f"{SESSIONS}{id}/chats/")).json["results"]
        assert listed == [answer.json]

    async def test_what_was_said_before_goes_along(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        await a_session(owner, "One?", " Two?\n")
        turns = (await upstream.request(2)).body["messages"]
        told = [(turn["role"], turn["content"]) for turn in turns if turn["role"] != "system"]
        assert told == [("user", "One?"), ("assistant", ANSWER), ("user", " Two?\n")]

    async def test_a_message_that_is_none_is_refused(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_session(owner)
        for body, expected in WRONG:
            answer = await owner.post(f"{SESSIONS}{id}/chats/", body)
            assert wrong(answer) == {"message": expected}
        assert await chats_of(owner, id) == []
        assert not upstream.requests

    async def test_a_session_of_nobody_or_another_is_not_found(
        self, owner: Visitor, stranger: Visitor, upstream: Upstream
    ) -> None:
        id = await a_session(owner)
        for visitor, key in ((stranger, id), (owner, NOWHERE), (owner, "7")):
            answer = await visitor.post(f"{SESSIONS}{key}/chats/", {"message": "Hello"})
            assert (answer.status, answer.json) == (404, MISSING)
        answer = await owner.post(f"{SESSIONS}{NOWHERE}/chats/", {"message": ""})
        assert wrong(answer) == {"message": BLANK}
        assert not upstream.requests

    @pytest.mark.parametrize(
        ("script", "tries", "status"),
        [
            (error(500, "No."), 3, 502),
            (error(401, "No."), 1, 502),
            (error(429, "No.", headers={"Retry-After": "7"}), 1, 503),
            (error(529, "No."), 3, 503),
            (Script(failure=Failure.HANG_UP), 3, 502),
            (Script(failure=Failure.CUT), 1, 502),
        ],
    )
    async def test_a_failure_of_the_provider_keeps_the_message(
        self, owner: Visitor, upstream: Upstream, script: Script, tries: int, status: int
    ) -> None:
        id = await a_session(owner)
        upstream.plan(*[script] * tries)
        answer = await owner.post(f"{SESSIONS}{id}/chats/", {"message": "Hello"})
        assert answer.status == status
        assert list(answer.json) == ["detail"]
        if status == 503:
            assert int(answer.headers["retry-after"]) > 0
        ((message, response),) = await chats_of(owner, id)
        assert message == "Hello"
        # What was said before the provider fell silent is an answer.
        assert response == (None if script.failure is not Failure.CUT else "Hello,")
        await said(owner, id, "Again")
        assert (await chats_of(owner, id))[1:] == [("Again", ANSWER)]

    async def test_a_limit_of_the_plan_refuses_and_keeps_nothing(
        self, palaver: Palaver, owner: Visitor, upstream: Upstream
    ) -> None:
        async with palaver.house.db.transaction() as tx:
            await connection_of(tx).run(ONE_AN_HOUR)
        id = await a_session(owner, "One?")
        answer = await owner.post(f"{SESSIONS}{id}/chats/", {"message": "Two?"})
        assert (answer.status, list(answer.json)) == (429, ["detail"])
        assert 0 < int(answer.headers["retry-after"]) <= 3900
        assert await chats_of(owner, id) == [("One?", ANSWER)]
        assert len(upstream.requests) == 1

    async def test_who_leaves_finds_the_answer_later(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_session(owner)
        upstream.plan(Script(delay_seconds=0.05))
        leaving = asyncio.ensure_future(owner.post(f"{SESSIONS}{id}/chats/", {"message": "Hello"}))
        await upstream.request(1)
        leaving.cancel()

        async def is_answered() -> bool:
            return await chats_of(owner, id) == [("Hello", ANSWER)]

        await settled(is_answered)

    async def test_a_repeat_of_the_request_asks_nobody_twice(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_session(owner)
        key = {"Idempotency-Key": "a key"}
        path, body = f"{SESSIONS}{id}/chats/", {"message": "Hello"}
        first = await owner.post(path, body, headers=key)
        again = await owner.post(path, body, headers=key)
        assert (again.status, again.content) == (201, first.content)
        assert len(upstream.requests) == 1
        answer = await owner.post(path, {"message": "Goodbye"}, headers=key)
        assert list(wrong(answer)) == ["Idempotency-Key"]


class TestList:
    """The chapter "List Chats in Session"."""

    async def test_they_are_listed_as_documented(self, owner: Visitor) -> None:
        id = await a_session(owner, "Hello")
        for path in (f"{SESSIONS}{id}/chats/", f"{SESSIONS}{id}/chats"):
            answer = await owner.get(path)
            assert answer.status == 200
            assert shape(answer.json) == shape(EXAMPLES["List Chats in Session"].response)

    async def test_twenty_make_a_page_oldest_first(self, owner: Visitor) -> None:
        id = await a_session(owner)
        number = (await owner.get("/conversations")).json[0]["id"]
        for at in range(21):
            await owner.post(f"/conversations/{number}/messages", {"content": str(at)})
        path = f"{SESSIONS}{id}/chats/"
        first = (await owner.get(path)).json
        assert [chat["message"] for chat in first["results"]] == [str(at) for at in range(20)]
        assert {chat["response"] for chat in first["results"]} == {None}
        assert (first["count"], first["previous"]) == (21, None)
        assert first["next"] == f"{owner.base_url}{path}?page=2"
        second = (await owner.get(f"{path}?page=2")).json
        assert [chat["message"] for chat in second["results"]] == ["20"]
        assert (second["next"], second["previous"]) == (None, f"{owner.base_url}{path}")
        assert (await owner.get(f"{path}?page=last")).json == second
        answer = await owner.get(f"{path}?page=3")
        assert (answer.status, answer.json) == (404, {"detail": "Invalid page."})

    async def test_those_of_nobody_or_another_are_not_found(
        self, owner: Visitor, stranger: Visitor
    ) -> None:
        id = await a_session(owner, "Hello")
        for visitor, key in ((stranger, id), (owner, NOWHERE), (owner, "7")):
            answer = await visitor.get(f"{SESSIONS}{key}/chats/")
            assert (answer.status, answer.json) == (404, MISSING)


class TestOne:
    """The chapter "Get Specific Chat", and deleting one."""

    async def test_it_is_shown_as_documented(self, owner: Visitor) -> None:
        id = await a_session(owner)
        chat = await said(owner, id, "Hello")
        for path in (f"{SESSIONS}{id}/chats/{chat['id']}/", f"{SESSIONS}{id}/chats/{chat['id']}"):
            answer = await owner.get(path)
            assert (answer.status, answer.json) == (200, chat)
            assert shape(answer.json) == shape(EXAMPLES["Get Specific Chat"].response)

    async def test_one_that_is_not_of_this_session_is_not_found(
        self, owner: Visitor, stranger: Visitor
    ) -> None:
        id, other = await a_session(owner), await a_session(owner)
        theirs = await a_session(stranger)
        chat = (await said(owner, id, "Hello"))["id"]
        wanted = [
            (stranger, id, chat),
            (stranger, theirs, chat),
            (owner, other, chat),
            (owner, NOWHERE, chat),
            (owner, id, chat + 1),  # the answer's number
            *((owner, id, key) for key in ("x", "-1", "1.0", 2**63, "%00", NOWHERE)),
        ]
        for method in ("GET", "DELETE"):
            for visitor, session, key in wanted:
                answer = await visitor.request(method, f"{SESSIONS}{session}/chats/{key}/")
                assert (answer.status, answer.json) == (404, MISSING), key
        assert await chats_of(owner, id) == [("Hello", ANSWER)]

    async def test_deleting_hides_both_and_what_follows_stays(self, owner: Visitor) -> None:
        id = await a_session(owner, "One?")
        chat = (await said(owner, id, "Two?"))["id"]
        await said(owner, id, "Three?")
        path = f"{SESSIONS}{id}/chats/{chat}/"
        answer = await owner.delete(path)
        assert (answer.status, answer.content) == (204, b"")
        assert (await owner.get(path)).status == 404
        assert (await owner.delete(path)).status == 404
        assert await chats_of(owner, id) == [("One?", ANSWER), ("Three?", ANSWER)]
        messages = (await owner.get(f"/api/v1/conversations/{id}/messages")).json
        shown = [message["content"] for message in messages]
        assert shown == ["One?", ANSWER, "Three?", ANSWER]

    async def test_deleting_stops_what_still_answers(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_session(owner)
        upstream.plan(Script(failure=Failure.STALL, after=0))
        asking = asyncio.ensure_future(owner.post(f"{SESSIONS}{id}/chats/", {"message": "Hello"}))
        request = await upstream.request(1)
        chat = (await owner.get(f"{SESSIONS}{id}/chats/")).json["results"][0]
        assert (chat["message"], chat["response"]) == ("Hello", None)
        assert (await owner.delete(f"{SESSIONS}{id}/chats/{chat['id']}/")).status == 204
        await request.closed(within_seconds=1)
        answer = await asking
        assert (answer.status, list(answer.json)) == (409, ["detail"])
        assert await chats_of(owner, id) == []
