"""Coming back to a stream: exactly what was missed, from any number, live or over."""

import pytest

from tests.dialects.streaming.helpers import (
    a_conversation,
    assert_error,
    names_of,
    text_of,
    the_answer,
)
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Event, Visitor, settled

WORDS = ("Hé", "llo ", "😀😀", "日本", "!")
TEXT = "".join(WORDS)


async def resumed(visitor: Visitor, id: int, number: int, *, by: str = "header") -> list[Event]:
    """Return what a reader gets who has seen up to a number."""
    query = f"?after={number}" if by == "query" else ""
    headers = {"Last-Event-ID": str(number)} if by == "header" else {}
    path = f"/conversations/{id}/stream{query}"
    async with visitor.events(path, {}, headers=headers) as events:
        return await events.all()


@pytest.mark.parametrize("by", ["header", "query"])
async def test_from_every_number_of_an_ended_run_comes_exactly_the_rest(
    owner: Visitor, upstream: Upstream, by: str
) -> None:
    upstream.plan(Script(words=WORDS))
    id = await a_conversation(owner, "Hello")
    whole = await the_answer(owner, id)
    last = whole[-1].number
    assert last == len(TEXT) + 2
    for number in range(last + 1):
        events = await resumed(owner, id, number, by=by)
        ping, *rest = events
        assert (ping.name, ping.number) == ("ping", number)
        assert text_of(rest) == TEXT[number:]
        expected = ["delta"] * (number < len(TEXT)) + ["usage"] * (number <= len(TEXT))
        assert names_of(rest) == expected + ["done"] * (number < last)
    assert len(upstream.requests) == 1


async def test_from_every_number_of_a_live_run_comes_exactly_the_rest(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=(*WORDS, "never"), failure=Failure.STALL, after=len(WORDS)))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        seen = ""
        while seen != TEXT:
            event = await anext(events)
            seen += event.data.get("delta", "")
    for number in range(len(TEXT)):
        path = f"/conversations/{id}/stream?after={number}"
        async with owner.events(path, {}) as events:
            seen = TEXT[:number]
            while seen != TEXT:
                event = await anext(events)
                seen += event.data.get("delta", "")
                assert event.number == len(seen)
    assert len(upstream.requests) == 1


async def test_a_reader_who_is_cut_off_again_and_again_misses_nothing(
    owner: Visitor, upstream: Upstream
) -> None:
    words = tuple(f"w{number} " for number in range(30))
    upstream.plan(Script(words=words, delay_seconds=0.003))
    id = await a_conversation(owner, "Hello")
    text, number, done = "", 0, False
    while not done:
        headers = {"Last-Event-ID": str(number)} if number else {}
        async with owner.events(f"/conversations/{id}/stream", {}, headers=headers) as events:
            async for event in events:
                assert event.number >= number
                number = event.number
                text += event.data.get("delta", "")
                done = event.name == "done"
                if event.name == "delta":
                    break
    assert text == "".join(words)
    assert len(upstream.requests) == 1


async def test_a_failure_is_told_again_to_whoever_missed_its_last_event(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.default = Script(words=("ab", "c"), failure=Failure.CUT, after=1)
    id = await a_conversation(owner, "Hello")
    whole = await the_answer(owner, id)
    failure, done = whole[-2:]
    rest = await resumed(owner, id, failure.number)
    assert rest[1:] == [failure, done]
    assert (await resumed(owner, id, done.number))[1:] == []


async def test_with_a_number_nothing_is_started_while_there_is_a_run(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("ab", "c"), failure=Failure.STALL, after=1))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        ping = (await events.until("delta"))[0]
        await owner.post(f"/chat/cancel/{ping.data['generation_id']}")
        await events.all()
    for by in ("header", "query"):
        events_again = await resumed(owner, id, 0, by=by)
        assert events_again[-1].data["status"] == "canceled"
        assert text_of(events_again) == "ab"
    assert len(upstream.requests) == 1


async def test_the_header_is_newer_than_the_url(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    await the_answer(owner, id)
    path = f"/conversations/{id}/stream?after=1"
    async with owner.events(path, {}, headers={"Last-Event-ID": "7"}) as events:
        assert (await anext(events)).number == 7


async def test_an_empty_header_counts_as_none(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    headers = {"Last-Event-ID": ""}
    async with owner.events(f"/conversations/{id}/stream", {}, headers=headers) as events:
        assert (await events.all())[-1].data["status"] == "ok"


async def test_a_number_above_the_log_is_refused(owner: Visitor, upstream: Upstream) -> None:
    id = await a_conversation(owner, "Hello")
    last = (await the_answer(owner, id))[-1].number
    path = f"/conversations/{id}/stream"
    assert_error(await owner.post(f"{path}?after={last + 1}", {}), 400, "VALIDATION_ERROR")
    headers = {"Last-Event-ID": str(last + 1)}
    assert_error(await owner.post(path, {}, headers=headers), 400, "VALIDATION_ERROR")


async def test_a_number_above_the_log_of_a_live_run_is_refused(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("ab", "c"), failure=Failure.STALL, after=1))
    id = await a_conversation(owner, "Hello")
    path = f"/conversations/{id}/stream"
    async with owner.events(path, {}) as events:
        await events.until("delta")
        assert_error(await owner.post(f"{path}?after=3", {}), 400, "VALIDATION_ERROR")


async def test_a_number_of_no_run_is_refused_and_starts_none(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_conversation(owner, "Hello")
    answer = await owner.post(f"/conversations/{id}/stream?after=1", {})
    assert_error(answer, 400, "VALIDATION_ERROR")
    assert upstream.requests == []


async def test_after_zero_starts_where_there_is_no_run_yet(owner: Visitor) -> None:
    id = await a_conversation(owner, "Hello")
    assert text_of(await resumed(owner, id, 0, by="query")) == "Hello, world!"


@pytest.mark.parametrize("number", ["x", "-1", "1.0", "٣", "99999999999999999999", str(2**63)])
async def test_what_is_no_number_is_refused(owner: Visitor, number: str) -> None:
    id = await a_conversation(owner, "Hello")
    path = f"/conversations/{id}/stream"
    answer = await owner.post(path, {}, headers={"Last-Event-ID": number})
    assert_error(answer, 400, "VALIDATION_ERROR")
    if number.isascii():
        assert_error(await owner.post(f"{path}?after={number}", {}), 400, "VALIDATION_ERROR")


async def test_a_replay_is_made_from_the_message_once_the_run_is_over(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(words=WORDS, reasoning=("hm, ", "well")))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        await events.until("delta")

    async def is_over() -> bool:
        return len((await owner.get(f"/conversations/{id}/messages")).json) == 2

    await settled(is_over)
    events_again = await resumed(owner, id, 0)
    assert text_of(events_again) == TEXT
    assert events_again[1].number == len("hm, well") + len(TEXT)
    halfway = await resumed(owner, id, len("hm, well") + 2)
    assert text_of(halfway) == TEXT[2:]


async def test_a_long_answer_comes_in_pieces_that_no_reader_chokes_on(
    owner: Visitor, upstream: Upstream
) -> None:
    words = tuple(f"{number:04d}" + "😀" * 996 for number in range(100))
    upstream.plan(Script(words=words))
    id = await a_conversation(owner, "Hello")
    text = "".join(words)
    assert text_of(await the_answer(owner, id)) == text
    for number in (1, 16_384, 50_001, len(text) - 1):
        events = await resumed(owner, id, number)
        assert text_of(events) == text[number:]
        assert max(len(event.data.get("delta", "")) for event in events) <= 16_384
