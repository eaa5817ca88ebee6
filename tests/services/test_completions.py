"""Completions without a chat: relayed, stopped with their reader, and paid in every ending."""

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, ProviderError
from palaver.domain.events import (
    Event,
    Failed,
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
    unpack,
)
from palaver.domain.generations import Options
from palaver.domain.models import ModelProfile
from palaver.domain.plans import PlanChange
from palaver.domain.providers import Turn
from palaver.domain.users import SYSTEM, Actor
from palaver.services import completions
from palaver.services.plans import PlanService
from palaver.services.starting import Choice
from tests.fakes.provider import HOLD, words
from tests.services.conftest import ASKED, Desk, read

USAGE = UsageReported(prompt_tokens=30, completion_tokens=12)


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def test_an_answer_is_relayed_and_counts_as_one_message(desk: Desk) -> None:
    thought = ReasoningDelta("Hm.")
    desk.talk.provider.scripts = [[thought, *words("Hel", "lo", usage=USAGE)]]
    events = await read(await desk.ask())
    assert said(events) == "Hello"
    assert events[0] == thought
    assert events[-2:] == [USAGE, Finished(FinishReason.STOP)]
    (entry,) = await desk.entries()
    assert (entry.messages, entry.prompt_tokens, entry.completion_tokens) == (1, 30, 12)
    assert (entry.conversation_id, entry.generation_id) == (None, None)
    (request,) = desk.talk.provider.requests
    assert request.turns == ASKED


async def test_nothing_but_the_usage_is_stored(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello")]
    await read(await desk.ask())
    assert await desk.talk.conversations.list(desk.talk.owner) == []


async def test_without_a_figure_the_usage_is_estimated(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello")]
    *_, usage, _ = await read(await desk.ask())
    assert isinstance(usage, UsageReported)
    (entry,) = await desk.entries()
    assert entry.is_estimate
    assert entry.prompt_tokens + entry.completion_tokens == usage.total_tokens


async def test_the_provider_is_asked_only_when_somebody_reads(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello")]
    stream = await desk.ask()
    await asyncio.sleep(0)
    assert not desk.talk.provider.requests
    stream.close()
    assert await stream.next() == []


async def test_a_reader_who_leaves_stops_the_answer_and_pays_for_what_came(desk: Desk) -> None:
    desk.talk.provider.scripts = [[TextDelta("Hello"), HOLD, *words("never")]]
    stream = await desk.ask()
    segments = await stream.next()
    assert segments is not None
    assert [segment.body for segment in segments] == ["Hello"]
    await desk.talk.provider.held.wait()
    stream.close()
    stream.close()
    assert await stream.next() == []
    await desk.completions.close()
    assert desk.talk.provider.closed_early == 1
    (entry,) = await desk.entries()
    assert (entry.messages, entry.is_estimate) == (1, 1)
    assert entry.completion_tokens > 0


async def test_who_leaves_before_reading_owes_nothing_and_holds_nothing(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello")]
    unread, gone, stopped = [await desk.ask() for _ in range(3)]
    unread.close()
    waiting = [asyncio.ensure_future(stream.next()) for stream in (gone, stopped)]
    await asyncio.sleep(0)  # both have begun to wait, and neither call a step of its own
    gone.close()
    await desk.completions.close()
    assert await asyncio.gather(*waiting) == [[], []]
    assert await desk.entries() == []
    assert desk.talk.provider.requests == []


async def test_who_is_cancelled_while_asking_holds_nothing(desk: Desk) -> None:
    desk.talk.provider.scripts = [words("Hello")]
    was_opened = False
    steps = 0
    while not was_opened:  # cancelled at every step of the way, that of the commit among them
        asking = asyncio.ensure_future(desk.ask())
        for _ in range(steps):
            await asyncio.sleep(0)
        was_opened = asking.done()
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            (await asking).close()
        steps += 1
    assert await desk.entries() == []


async def test_a_server_that_stops_settles_what_is_under_way(desk: Desk) -> None:
    desk.talk.provider.scripts = [[TextDelta("Hello"), HOLD]]
    stream = await desk.ask()
    await stream.next()
    await desk.talk.provider.held.wait()
    await desk.completions.close()
    assert len(await desk.entries()) == 1


async def test_a_failure_is_an_event_and_free_before_the_first_word(desk: Desk) -> None:
    failure = ProviderError("No.", kind=ErrorKind.PROVIDER_OVERLOADED)
    desk.talk.provider.scripts = [[failure], [TextDelta("Hello"), failure]]
    assert await read(await desk.ask()) == [Failed(ErrorKind.PROVIDER_OVERLOADED, "No.")]
    assert await desk.entries() == []
    *_, last = await read(await desk.ask())
    assert last == Failed(ErrorKind.PROVIDER_OVERLOADED, "No.")
    assert len(await desk.entries()) == 1


async def test_an_answer_that_is_cut_off_has_failed(desk: Desk) -> None:
    desk.talk.provider.scripts = [[TextDelta("Hel")]]
    *_, last = await read(await desk.ask())
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.PROVIDER_FAILED


async def test_an_adapter_that_breaks_is_our_failure(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.talk.provider.scripts = [[TextDelta("Hel"), RuntimeError("broken")]]
    *_, last = await read(await desk.ask())
    assert isinstance(last, Failed)
    assert last.kind is ErrorKind.INTERNAL
    assert "a completion failed" in caplog.text


async def test_silence_is_told(desk: Desk) -> None:
    desk.talk.provider.scripts = [[HOLD, *words("Hello")]]
    stream = await desk.ask()
    assert await stream.next(silence_seconds=0.001) is None
    assert await stream.next(silence_seconds=10, silent_since=0.0) is None
    desk.talk.provider.go.set()
    assert said(await read(stream)) == "Hello"


async def test_a_slow_reader_slows_the_provider(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "ROOM", 10)
    desk.talk.provider.scripts = [[HOLD, TextDelta("x" * 11), *words("y")]]
    stream = await desk.ask()
    assert await stream.next(silence_seconds=0.001) is None
    desk.talk.provider.go.set()
    for _ in range(100):
        await asyncio.sleep(0)
    segments = await stream.next()
    assert segments is not None
    assert [segment.body for segment in segments] == ["x" * 11]
    assert said([unpack(segment) for segment in await stream.next() or []]) == "y"


async def test_an_answer_without_an_end_is_ended(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completions, "ANSWER_MAX_LENGTH", 10)
    desk.talk.provider.scripts = [[*(TextDelta("abcd") for _ in range(9)), *words("y")]]
    events = await read(await desk.ask())
    assert said(events) == "abcdabcd"
    assert events[-1] == Finished(FinishReason.LENGTH)
    assert len(await desk.entries()) == 1


async def test_the_cap_is_the_smallest_that_anybody_names(desk: Desk) -> None:
    desk.talk.provider.profile = ModelProfile(context_tokens=2_000, max_answer_tokens=1_500)
    desk.talk.provider.scripts = [words("Hello")]
    long = [Turn("user", "word " * 700)]
    for options, turns in ((Options(), ASKED), (Options(max_tokens=70), ASKED), (Options(), long)):
        await read(await desk.ask(choice=Choice(options=options), turns=turns))
    caps = [request.max_tokens for request in desk.talk.provider.requests]
    assert caps[:2] == [1_500, 70]
    assert caps[2] is not None
    assert 1_000 <= caps[2] < 1_500


async def test_what_is_too_long_for_the_model_is_refused(desk: Desk) -> None:
    desk.talk.provider.profile = ModelProfile(context_tokens=100)
    with pytest.raises(InvalidInput) as refused:
        await desk.ask(turns=[Turn("user", "word " * 700)])
    assert [fault.field for fault in refused.value.faults] == ["content"]
    assert await desk.entries() == []


SMALL, UNKNOWN = ModelProfile(context_tokens=2_000), ModelProfile()
FITTING = {
    "short": (ASKED, SMALL, True),
    "half of the context": ([Turn("user", "word " * 708)], SMALL, True),
    "a little more": ([Turn("user", "word " * 718)], SMALL, False),
    "where the context is unknown": ([Turn("user", "word " * 718)], UNKNOWN, True),
    "beyond any context": ([Turn("user", "word " * 200_000)], UNKNOWN, False),
    "long history": ([ASKED[0], *[Turn("user", "word " * 300)] * 9], SMALL, True),
    "long instructions": ([Turn("system", "word " * 718), ASKED[1]], SMALL, False),
}


@pytest.mark.parametrize(("turns", "profile", "fits"), FITTING.values(), ids=FITTING)
async def test_the_same_fits_with_a_conversation_and_without_or_neither(
    desk: Desk, turns: Sequence[Turn], profile: ModelProfile, *, fits: bool
) -> None:
    desk.talk.provider.profile = profile
    desk.talk.provider.scripts = [words("Hello")]
    owner, asked = desk.talk.owner, [("user", turns[-1].text)]
    with contextlib.suppress(InvalidInput):
        kept = await desk.talk.generations.send(owner, None, asked, Choice(), context=turns)
        await desk.talk.generations.wait(owner, kept[-1].uuid)
    with contextlib.suppress(InvalidInput):
        await read(await desk.ask(turns=turns))
    requests = desk.talk.provider.requests
    assert len(requests) == (2 if fits else 0)
    for request in requests:
        assert request == requests[0]
        assert request.turns[0] == turns[0]  # what comes first is told, not said
        assert request.turns[-1] == turns[-1]


async def test_an_unknown_model_is_refused(desk: Desk) -> None:
    with pytest.raises(DomainError) as refused:
        await desk.ask(choice=Choice(model="scripted/three"))
    assert refused.value.kind is ErrorKind.MODEL_NOT_FOUND


async def test_only_who_is_signed_in_asks(desk: Desk) -> None:
    with pytest.raises(DomainError):
        await desk.completions.open(Actor(), ASKED, Choice())


async def test_many_at_once_never_pass_a_limit_together(desk: Desk) -> None:
    async with desk.talk.db.read() as tx:
        (plan,) = await tx.plans.all()
    change = PlanChange(daily_max_messages=10)
    await PlanService(desk.talk.db).update(SYSTEM, plan.id, change)
    desk.talk.provider.scripts = [words("Hello")]
    opened = await asyncio.gather(*(desk.ask() for _ in range(40)), return_exceptions=True)
    streams = [one for one in opened if not isinstance(one, BaseException)]
    assert len(streams) == 10
    assert {one.kind for one in opened if isinstance(one, DomainError)} == {
        ErrorKind.QUOTA_EXCEEDED
    }
    await asyncio.gather(*(read(stream) for stream in streams))
    assert len(await desk.entries()) == 10
