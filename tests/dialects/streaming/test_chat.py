"""The chapter "Chat": what a stream says, and what it does not."""

import asyncio
import json
import re

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.contracts import FOLDER, shape
from tests.dialects.streaming.helpers import (
    EXAMPLES,
    NO_GENERATION,
    NOWHERE,
    a_conversation,
    assert_error,
    names_of,
    text_of,
    the_answer,
)
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Visitor, running, settled

HELLO = "Hello, world!"
SLOW = Script(words=("a", "b", "c"), failure=Failure.STALL, after=2)


def documented_events() -> dict[str, object]:
    """Return the examples of the document's "SSE Event Format", by name."""
    text = (FOLDER / "streaming.md").read_text(encoding="utf-8")
    return {
        name: json.loads(data) for name, data in re.findall(r"event: (\w+)\ndata: (.*)\n", text)
    }


async def test_an_answer_is_streamed_as_documented(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    request = EXAMPLES["Stream Chat"].request | {"provider_id": "sim", "model": "sim"}
    events = await the_answer(owner, id, **request)
    assert names_of(events) == ["ping", "delta", "usage", "done"]
    assert text_of(events) == HELLO
    by_name = {event.name: event.data for event in events}
    documented = documented_events()
    assert shape(by_name["delta"]) == shape(documented["delta"])
    assert shape(by_name["usage"]) == shape(documented["usage"])
    assert shape(by_name["done"])[:-1] == shape(documented["done"])
    assert by_name["done"]["status"] == "ok"
    assert list(by_name["ping"]) == ["generation_id"]
    assert len({event.data["generation_id"] for event in events}) == 1
    sent = upstream.requests[0].body
    assert (sent["model"], sent["temperature"]) == ("sim", 0.7)
    assert sent["messages"] == [{"role": "user", "content": "Hello"}]


async def test_done_names_the_answer_which_is_then_a_message(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    events = await the_answer(owner, id)
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    usage = next(event for event in events if event.name == "usage").data["usage"]
    assert messages[-1]["id"] == events[-1].data["message_id"]
    assert messages[-1]["content"] == text_of(events)
    assert messages[-1]["token_usage"] == usage


async def test_every_event_has_its_number_and_numbers_only_grow(owner: Visitor) -> None:
    events = await the_answer(owner, await a_conversation(owner, "Hello"))
    numbers = [event.number for event in events]
    assert numbers[0] == 0
    assert numbers == sorted(set(numbers))
    # Text counts in code points, anything else is one.
    assert numbers[-1] == len(HELLO) + 2


async def test_no_proxy_may_keep_or_hold_back_a_stream(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    async with owner.open("POST", f"/conversations/{id}/stream", {}) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        assert response.headers["cache-control"] == "no-store"
        assert response.headers["x-accel-buffering"] == "no"
        assert response.headers["x-request-id"]
        assert "content-length" not in response.headers


async def test_what_a_model_thinks_is_not_shown_but_counts(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(reasoning=("Let me ", "think."), words=("Yes",)))
    events = await the_answer(owner, await a_conversation(owner, "Hello"))
    assert names_of(events) == ["ping", "delta", "usage", "done"]
    assert text_of(events) == "Yes"
    assert events[1].number == len("Let me think.") + 3


async def test_nothing_asked_for_is_nothing_sent(owner: Visitor, upstream: Upstream) -> None:
    await the_answer(owner, await a_conversation(owner, "Hello"))
    sent = upstream.requests[0].body
    assert "temperature" not in sent
    assert "top_p" not in sent


async def test_what_is_asked_for_reaches_the_provider(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    await the_answer(owner, id, temperature=0, top_p=1, max_tokens=17)
    sent = upstream.requests[0].body
    assert (sent["temperature"], sent["top_p"], sent["max_tokens"]) == (0, 1, 17)


async def test_the_conversation_goes_along(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "one")
    await the_answer(owner, id)
    await owner.post(f"/conversations/{id}/messages", {"content": "two"})
    await the_answer(owner, id)
    assert upstream.requests[1].body["messages"] == [
        {"role": "user", "content": "one"},
        {"role": "assistant", "content": HELLO},
        {"role": "user", "content": "two"},
    ]


async def test_a_completed_answer_is_replayed_and_not_asked_for_again(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_conversation(owner, "Hello")
    first = await the_answer(owner, id)
    again = await the_answer(owner, id)
    assert text_of(again) == text_of(first)
    assert again[-1] == first[-1]
    assert len(upstream.requests) == 1


async def test_two_streams_share_one_live_run(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(Script(words=("a", "b", "c"), delay_seconds=0.02))
    id = await a_conversation(owner, "Hello")
    one, two = await asyncio.gather(the_answer(owner, id), the_answer(owner, id))
    assert text_of(one) == text_of(two) == "abc"
    assert one[-1] == two[-1]
    assert len(upstream.requests) == 1


async def test_many_starts_at_once_are_one_run(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    streams = await asyncio.gather(*(the_answer(owner, id) for _ in range(10)))
    assert {text_of(events) for events in streams} == {HELLO}
    assert len(upstream.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        {"temperature": 2.1},
        {"temperature": -0.1},
        {"temperature": "0.7"},
        {"temperature": True},
        {"top_p": 1.1},
        {"top_p": -1},
        {"max_tokens": 0},
        {"max_tokens": 1_000_001},
        {"max_tokens": 1.5},
        {"max_tokens": "10"},
        {"max_tokens": 10**30},
        {"model": 1},
        {"provider_id": []},
        {"model": "a\0b"},
        [],
        "text",
    ],
)
async def test_options_out_of_range_are_refused_before_anything_starts(
    owner: Visitor, upstream: Upstream, body: object
) -> None:
    id = await a_conversation(owner, "Hello")
    answer = await owner.post(f"/conversations/{id}/stream", body)
    assert_error(answer, 400, "VALIDATION_ERROR")
    assert upstream.requests == []


async def test_an_unknown_provider_or_model_is_refused_with_its_own_code(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    path = f"/conversations/{id}/stream"
    assert_error(await owner.post(path, {"provider_id": "nobody"}), 400, "PROVIDER_NOT_FOUND")
    for choice in ({"provider_id": "sim", "model": "nothing"}, {"model": "sim/nothing"}):
        assert_error(await owner.post(path, choice), 400, "MODEL_NOT_FOUND")


async def test_without_a_message_there_is_nothing_to_answer(owner: Visitor) -> None:
    id = await a_conversation(owner)
    assert_error(await owner.post(f"/conversations/{id}/stream", {}), 400, "NO_USER_MESSAGE")
    retry = {"conversation_id": id}
    assert_error(await owner.post("/chat/retry", retry), 400, "NO_USER_MESSAGE")


FAILURES = [
    (error(429, "Slow down", headers={"Retry-After": "99"}), "PROVIDER_RATE_LIMITED"),
    (error(503, "Busy", headers={"Retry-After": "99"}), "PROVIDER_RATE_LIMITED"),
    (error(500, "Oops"), "PROVIDER_ERROR"),
    (error(401, "Wrong key"), "PROVIDER_ERROR"),
    (Script(failure=Failure.HANG_UP), "PROVIDER_UNREACHABLE"),
    (Script(failure=Failure.NO_HTTP), "PROVIDER_ERROR"),
    (Script(failure=Failure.MALFORMED), "PROVIDER_ERROR"),
    (Script(failure=Failure.CUT), "PROVIDER_UNREACHABLE"),
    (Script(failure=Failure.NO_DONE), "PROVIDER_ERROR"),
    (Script(failure=Failure.ERROR), "PROVIDER_ERROR"),
]


@pytest.mark.parametrize(("script", "code"), FAILURES, ids=range(len(FAILURES)))
async def test_a_failure_is_an_error_event_before_done(
    owner: Visitor, upstream: Upstream, script: Script, code: str
) -> None:
    upstream.default = script
    events = await the_answer(owner, await a_conversation(owner, "Hello"))
    failure, done = events[-2:]
    assert (failure.name, done.name) == ("error", "done")
    assert list(failure.data) == ["generation_id", "code", "message"]
    assert failure.data["code"] == code
    assert failure.data["message"]
    assert done.data == {"generation_id": failure.data["generation_id"], "status": "error"}
    # One fact, two events: only the last has its number, the first repeats the one before.
    assert failure.number == done.number - 1 == events[-3].number


async def test_what_was_said_before_a_failure_is_kept(owner: Visitor, upstream: Upstream) -> None:
    upstream.default = Script(words=("a", "b", "c"), failure=Failure.CUT, after=2)
    id = await a_conversation(owner, "Hello")
    events = await the_answer(owner, id)
    assert text_of(events) == "ab"
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in messages] == ["Hello", "ab"]


async def test_a_failure_without_a_word_leaves_no_message(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = error(500, "Oops")
    id = await a_conversation(owner, "Hello")
    await the_answer(owner, id)
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["role"] for message in messages] == ["user"]


async def test_after_a_failure_a_stream_starts_anew(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    upstream.plan(error(400, "No"))
    failed = await the_answer(owner, id)
    events = await the_answer(owner, id)
    assert failed[-1].data["status"] == "error"
    assert (text_of(events), events[-1].data["status"]) == (HELLO, "ok")


async def test_a_run_goes_on_without_its_client(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(Script(words=("a", "b", "c", "d"), delay_seconds=0.02))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.until("delta")

    async def has_ended() -> bool:
        messages = (await owner.get(f"/conversations/{id}/messages")).json
        return [message["content"] for message in messages] == ["Hello", "abcd"]

    await settled(has_ended)
    assert upstream.requests[0].is_answered


async def test_a_cancel_reaches_the_providers_socket(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(SLOW)
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        seen = await events.until("delta")
        generation_id = seen[0].data["generation_id"]
        answer = await owner.post(f"/chat/cancel/{generation_id}")
        assert (answer.status, answer.json) == (200, EXAMPLES["Cancel Generation"].response)
        seen += await events.all()
    request = await upstream.request()
    await request.closed(within_seconds=1)
    assert seen[-1].name == "done"
    assert seen[-1].data == {"generation_id": generation_id, "status": "canceled"}
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in messages] == ["Hello", text_of(seen)]


async def test_before_the_first_word_a_cancel_leaves_no_message(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.SILENT))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        ping = await anext(events)
        await owner.post(f"/chat/cancel/{ping.data['generation_id']}")
        rest = await events.all()
    assert rest[-1].data["status"] == "canceled"
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["role"] for message in messages] == ["user"]


async def test_after_a_cancel_a_stream_starts_anew(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(SLOW)
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        ping = (await events.until("delta"))[0]
        await owner.post(f"/chat/cancel/{ping.data['generation_id']}")
        await events.all()
    again = await the_answer(owner, id)
    assert text_of(again) == HELLO
    assert again[0].data["generation_id"] != ping.data["generation_id"]
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in messages] == ["Hello", HELLO]


async def test_only_a_live_run_of_ones_own_can_be_canceled(
    owner: Visitor, stranger: Visitor, upstream: Upstream
) -> None:
    upstream.plan(SLOW)
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        live = (await events.until("delta"))[0].data["generation_id"]
        for unknown in (live, NO_GENERATION, "x", live[:-1]):
            answer = await stranger.post(f"/chat/cancel/{unknown}")
            assert_error(answer, 404, "GENERATION_NOT_FOUND")
        assert (await owner.post(f"/chat/cancel/{live.upper()}")).status == 200
        await events.all()
    assert_error(await owner.post(f"/chat/cancel/{live}"), 404, "GENERATION_NOT_FOUND")


async def test_a_second_cancel_of_a_live_run_succeeds(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(SLOW)
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        live = (await events.until("delta"))[0].data["generation_id"]
        answers = await asyncio.gather(*(owner.post(f"/chat/cancel/{live}") for _ in range(2)))
    # The run may have ended before the second one came.
    assert {answer.status for answer in answers} <= {200, 404}
    assert 200 in {answer.status for answer in answers}


async def test_a_retry_asks_again_beside_the_question_as_documented(
    owner: Visitor, upstream: Upstream
) -> None:
    example = EXAMPLES["Retry Chat"]
    upstream.plan(Script(words=("first",)), Script(words=("second",)))
    id = await a_conversation(owner, "Hello")
    await the_answer(owner, id)
    before = (await owner.get(f"/conversations/{id}/messages")).json
    choice = {"conversation_id": id, "provider_id": "sim", "model": "sim"}
    answer = await owner.post("/chat/retry", example.request | choice)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["message_id"] != before[0]["id"]
    assert text_of(await the_answer(owner, id)) == "second"
    after = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in after] == ["Hello", "second"]
    assert after[0]["id"] == answer.json["message_id"]
    assert len(upstream.requests) == 2
    assert upstream.requests[1].body["messages"] == [{"role": "user", "content": "Hello"}]


async def test_a_retry_ends_what_still_runs(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(SLOW, Script(words=("second",)))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        seen = await events.until("delta")
        assert (await owner.post("/chat/retry", {"conversation_id": id})).status == 200
        seen += await events.all()
    assert seen[-1].data["status"] == "canceled"
    await upstream.requests[0].closed(within_seconds=1)
    again = await the_answer(owner, id)
    assert text_of(again) == "second"
    assert again[0].data["generation_id"] != seen[0].data["generation_id"]


@pytest.mark.parametrize("id", [None, "1", 1.5, True, 10**30])
async def test_a_retry_wants_the_integer_id_of_a_conversation(owner: Visitor, id: object) -> None:
    answer = await owner.post("/chat/retry", {"conversation_id": id})
    assert_error(answer, 400, "VALIDATION_ERROR")
    assert_error(await owner.post("/chat/retry", {}), 400, "VALIDATION_ERROR")


async def test_a_retry_in_a_foreign_conversation_is_not_found(
    owner: Visitor, stranger: Visitor
) -> None:
    theirs = await a_conversation(owner, "Hello")
    for id in (theirs, NOWHERE, -1):
        answer = await stranger.post("/chat/retry", {"conversation_id": id})
        assert_error(answer, 404, "CONVERSATION_NOT_FOUND")


async def test_a_delete_ends_what_still_runs(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(SLOW)
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.until("delta")
        assert (await owner.delete(f"/conversations/{id}")).status == 200
        rest = await events.all()
    assert rest[-1].data["status"] == "canceled"
    await upstream.requests[0].closed(within_seconds=1)


async def test_a_message_sent_meanwhile_is_answered_next(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("a", "b"), delay_seconds=0.05), Script(words=("second",)))
    id = await a_conversation(owner, "one")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.until("delta")
        await owner.post(f"/conversations/{id}/messages", {"content": "two"})
        await events.all()
    assert text_of(await the_answer(owner, id)) == "second"
    messages = (await owner.get(f"/conversations/{id}/messages")).json
    assert [message["content"] for message in messages] == ["one", "ab", "two", "second"]


async def test_a_provider_that_falls_silent_is_a_time_out(
    settings: Settings, upstream: Upstream
) -> None:
    provider = structs.replace(settings.providers[0], idle_timeout_seconds=0.05, retries=0)
    upstream.by_model["sim"] = Script(failure=Failure.STALL, after=1)
    async with running(structs.replace(settings, providers=(provider,))) as palaver:
        owner = await palaver.person("owner")
        events = await the_answer(owner, await a_conversation(owner, "Hello"))
    assert names_of(events) == ["ping", "delta", "usage", "error", "done"]
    assert events[-2].data["code"] == "PROVIDER_TIMEOUT"


async def test_text_that_no_database_holds_never_breaks_a_stream(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("fine", "no\0good")))
    events = await the_answer(owner, await a_conversation(owner, "Hello"))
    assert events[-1].name == "done"
    assert "\0" not in text_of(events)
