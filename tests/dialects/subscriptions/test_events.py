"""The live answer of a session: `GET /api/chat-sessions/{id}/events/`."""

import asyncio

import pytest

from tests.dialects.subscriptions.helpers import (
    ANSWER,
    NOWHERE,
    SESSIONS,
    a_session,
    asked,
    assert_error,
    following,
    messages_of,
    names_of,
    sent,
    text_of,
)
from tests.fakes.scripts import Script, error
from tests.fakes.upstream import Upstream
from tests.http import Event, Palaver, Visitor, settled

SLOW = Script(words=tuple(f" word{at}" for at in range(60)), delay_seconds=0.02)


async def the_run(visitor: Visitor, id: int, query: str = "", **headers: str) -> list[Event]:
    """Follow one run to its end."""
    async with following(visitor, id, query, **headers) as events:
        return await events.all()


async def is_waited_for(palaver: Palaver, id: int) -> None:
    """Wait until somebody waits for the next run of a session."""

    async def is_so() -> bool:
        return id in palaver.services.live.waiting.conversation_ids

    await settled(is_so)


async def test_an_answer_is_followed_from_its_beginning_to_its_end(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = SLOW
    id = await a_session(owner, title="A walk")
    await sent(owner, id, "Hello")
    events = await the_run(owner, id)
    assert names_of(events) == ["ping", "delta", "usage", "done"]
    assert text_of(events) == "".join(SLOW.words)
    assert len({event.data["generation_id"] for event in events}) == 1
    numbers = [event.number for event in events]
    assert numbers == sorted(numbers)
    assert numbers[0] == 0
    _, reply = await messages_of(owner, id)
    assert reply["content"] == text_of(events)
    assert events[-1].data["status"] == "ok"
    assert events[-1].data["message_id"] == reply["message_id"]


async def test_the_frames_are_those_of_streaming_but_for_the_answer_s_id(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "Hello")
    here = await the_run(owner, id)
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        there = await events.all()
    assert here[:-1] == there[:-1]
    assert here[-1].data.keys() == there[-1].data.keys()
    assert here[-1]._replace(data=None) == there[-1]._replace(data=None)


async def test_an_answer_that_has_ended_is_replayed(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "Hello")
    assert text_of(await the_run(owner, id)) == ANSWER
    assert text_of(await the_run(owner, id)) == ANSWER


async def test_who_comes_before_the_first_message_waits_for_its_answer(
    owner: Visitor, palaver: Palaver
) -> None:
    id = await a_session(owner, title="A walk")
    async with following(owner, id) as events:
        first_line = await events.response.content.readuntil(b"\n\n")
        assert first_line.startswith(b":")
        await is_waited_for(palaver, id)
        await sent(owner, id, "Hello")
        run = await events.all()
    assert names_of(run) == ["ping", "delta", "usage", "done"]
    assert text_of(run) == ANSWER


async def test_who_has_seen_the_end_waits_for_the_next_answer(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    end = (await the_run(owner, id))[-1]
    async with following(owner, id, Last_Event_ID=str(end.id)) as events:
        await events.response.content.readuntil(b"\n\n")
        await is_waited_for(palaver, id)
        upstream.plan(Script(words=("Two", ".")))
        await sent(owner, id, "two")
        run = await events.all()
    assert text_of(run) == "Two."
    assert run[0].data["generation_id"] != end.data["generation_id"]


async def test_who_has_seen_the_end_gets_the_next_answer_that_has_begun_since(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    end = (await the_run(owner, id))[-1]
    upstream.plan(SLOW)
    await sent(owner, id, "two")
    run = await the_run(owner, id, Last_Event_ID=str(end.id))
    assert text_of(run) == "".join(SLOW.words)


async def test_who_was_cut_off_gets_exactly_what_is_missing(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = SLOW
    id = await a_session(owner, title="A walk")
    await sent(owner, id, "Hello")
    seen: list[Event] = []
    async with following(owner, id) as events:
        async for event in events:
            seen.append(event)
            if len(seen) == 12:
                break
    rest = await the_run(owner, id, Last_Event_ID=str(seen[-1].id))
    assert rest[0].name == "ping"
    assert rest[0].id == seen[-1].id
    assert text_of(seen) + text_of(rest) == "".join(SLOW.words)
    same = await the_run(owner, id, f"?after={seen[-1].id}")
    assert text_of(same) == text_of(rest)


async def test_the_header_counts_more_than_the_url(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "Hello")
    run = await the_run(owner, id, "?after=2", Last_Event_ID="7")
    assert text_of(run) == ANSWER[7:]


async def test_a_number_beyond_the_newest_run_is_that_of_a_former_one(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    upstream.plan(Script(words=("Short",)))
    await asked(owner, id, "two")
    run = await the_run(owner, id, Last_Event_ID="5000")
    assert text_of(run) == "Short"


@pytest.mark.parametrize("number", ["x", "-1", "1.5", "9" * 19, "9" * 40])
async def test_an_id_that_no_event_has_is_refused(owner: Visitor, number: str) -> None:
    id = await a_session(owner)
    path = f"{SESSIONS}{id}/events/"
    answer = await owner.get(path, headers={"Last-Event-ID": number})
    assert_error(answer, 400, "Invalid input")
    assert_error(await owner.get(f"{path}?after={number}"), 400, "Invalid input")


async def test_a_failure_is_told_before_the_end(owner: Visitor, upstream: Upstream) -> None:
    upstream.default = error(500, "No.")
    id = await a_session(owner, title="A walk")
    await sent(owner, id, "Hello")
    events = await the_run(owner, id)
    assert names_of(events) == ["ping", "error", "done"]
    assert list(events[1].data) == ["generation_id", "code", "message"]
    assert events[1].data["code"] == "PROVIDER_ERROR"
    assert events[2].data["status"] == "error"


async def test_an_edit_is_followed_as_any_answer(owner: Visitor, upstream: Upstream) -> None:
    id = await a_session(owner, title="A walk")
    message = await asked(owner, id, "one")
    upstream.plan(SLOW)
    path = f"{SESSIONS}{id}/messages/{message['message_id']}/edit/"
    await owner.post(path, {"content": "two"})
    assert text_of(await the_run(owner, id)) == "".join(SLOW.words)


async def test_several_readers_see_the_same(owner: Visitor, palaver: Palaver) -> None:
    id = await a_session(owner, title="A walk")
    async with following(owner, id) as one, following(owner, id) as two:
        for events in (one, two):
            await events.response.content.readuntil(b"\n\n")
        await is_waited_for(palaver, id)
        await sent(owner, id, "Hello")
        first, second = await asyncio.gather(one.all(), two.all())
    assert first == second
    assert text_of(first) == ANSWER


async def test_who_leaves_is_waited_for_no_more(owner: Visitor, palaver: Palaver) -> None:
    id = await a_session(owner)
    async with following(owner, id):
        await is_waited_for(palaver, id)

    async def is_gone() -> bool:
        return not palaver.services.live.waiting.conversation_ids

    await settled(is_gone)


async def test_the_streams_of_those_who_wait_end_with_the_server(
    owner: Visitor, palaver: Palaver
) -> None:
    id = await a_session(owner)
    async with following(owner, id) as events:
        await is_waited_for(palaver, id)
        palaver.services.live.waiting.close()
        await events.response.content.read()
    async with following(owner, id) as events:
        await events.response.content.read()


async def test_nobody_follows_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    id = await a_session(owner)
    for visitor, key in ((stranger, id), (owner, NOWHERE), (owner, "x")):
        answer = await visitor.get(f"{SESSIONS}{key}/events/")
        assert_error(answer, 404, "Not found", "Chat session not found.")
    assert_error(await owner.post(f"{SESSIONS}{id}/events/"), 405, "Method not allowed")


async def test_head_tells_what_it_is_and_does_not_wait(owner: Visitor, palaver: Palaver) -> None:
    id = await a_session(owner)
    answer = await owner.request("HEAD", f"{SESSIONS}{id}/events/")
    assert (answer.status, answer.content) == (200, b"")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert list(palaver.services.live.waiting.conversation_ids) == []
