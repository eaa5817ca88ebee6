import asyncio

import pytest

from palaver.domain.errors import ErrorKind
from palaver.domain.events import Canceled, EventKind, Failed, ReasoningDelta, Status, TextDelta
from palaver.domain.log import Claimed, Refused
from palaver.streaming.run import (
    ANSWER_MAX_BYTES,
    PIECE_BYTES,
    ROOM_BYTES,
    CancelRequested,
    Lost,
)
from palaver.streaming.runs import Runs
from tests.fakes.logs import MemoryLog
from tests.streaming.helpers import DONE, finish, read_all, say, start, text, until


async def test_nothing_is_shown_before_it_is_logged(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    log.gate.clear()
    say(run, "hel", "lo")
    await asyncio.sleep(0.02)
    assert run.channel.until == 0
    log.gate.set()
    await until(lambda: run.channel.until == 5)
    assert text(log.held(1)) == "hello"


async def test_a_whole_run_is_logged_shown_and_ended(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    run.feed(ReasoningDelta("hm"))
    say(run, "Good ", "day")
    run.feed(Status("searching"))
    await until(lambda: run.channel.until == 11)
    say(run, "!")
    await finish(run, log)

    segments = await read_all(follower)
    assert text(segments) == "Good day!"
    assert text(segments, EventKind.REASONING) == "hm"
    assert segments[-1].kind is EventKind.FINISHED
    assert text(log.held(1)) == "Good day!"
    assert runs.get(1) is None
    assert len(runs) == 0


async def test_the_whole_output_is_known_before_it_is_logged(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "a")
    await until(lambda: run.channel.until == 1)
    log.gate.clear()
    say(run, "b")
    await asyncio.sleep(0.01)
    say(run, "c")
    assert run.text == "abc"
    log.gate.set()
    run.feed(ReasoningDelta("r"))
    await run.seal(DONE)
    assert (run.text, run.reasoning) == ("abc", "r")
    assert [(item.kind, item.until) for item in run.outline] == [
        (EventKind.TEXT, 3),
        (EventKind.REASONING, 4),
        (EventKind.FINISHED, 5),
    ]


async def test_sealing_waits_for_a_flush_in_flight_and_leaves_the_rest_to_the_caller(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    log.gate.clear()
    say(run, "in flight")
    await asyncio.sleep(0.01)
    say(run, ", pending")
    sealing = asyncio.ensure_future(run.seal(DONE))
    await asyncio.sleep(0.01)
    assert not sealing.done()
    log.gate.set()
    segments = await sealing
    assert (segments[0].start, segments[0].body) == (9, ", pending")
    await asyncio.sleep(0.02)
    assert text(log.held(1)) == "in flight"


async def test_a_seal_can_be_repeated_with_another_end(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "text")
    await until(lambda: run.channel.until == 4)
    say(run, "more")
    first = await run.seal(DONE)
    second = await run.seal(Canceled())
    assert first[:-1] == second[:-1]
    assert second[-1].kind is EventKind.CANCELED


async def test_a_cancelled_seal_gives_the_run_back_to_the_flusher(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    log.gate.clear()
    say(run, "one ")
    await asyncio.sleep(0.01)
    say(run, "two")
    sealing = asyncio.ensure_future(run.seal(DONE))
    await asyncio.sleep(0.01)
    sealing.cancel()
    log.gate.set()
    await until(lambda: run.channel.until == 7)


async def test_empty_deltas_are_nothing(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    run.feed(TextDelta(""))
    assert [piece.start for piece in await run.seal(DONE)] == [0]


async def test_a_run_waits_for_room_and_goes_on(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    log.gate.clear()
    say(run, "x" * (ROOM_BYTES + 1))
    waiting = asyncio.ensure_future(run.room())
    await asyncio.sleep(0.02)
    assert not waiting.done()
    log.gate.set()
    await waiting
    assert run.channel.until == ROOM_BYTES + 1


async def test_an_answer_ends_at_the_cap_in_the_middle_of_no_character(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    for _ in range(9):
        if not run.is_full:
            say(run, "好" * (ANSWER_MAX_BYTES // 24))
            await run.room()
    assert run.is_full
    say(run, "a")  # though it would fit into the rest
    size = len(run.text.encode())
    assert ANSWER_MAX_BYTES - 1024 < size <= ANSWER_MAX_BYTES
    assert set(run.text) == {"好"}
    await finish(run, log)
    assert log.held(1)[-1].kind is EventKind.FINISHED


async def test_after_the_cap_not_even_what_would_fit_is_taken(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "x" * (ANSWER_MAX_BYTES - PIECE_BYTES - 2), "好", "a")
    assert run.is_full
    assert run.text.endswith("xx")


async def test_tiny_pieces_count_what_they_cost(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    for _ in range(ANSWER_MAX_BYTES // 250):
        run.feed(TextDelta("t"))
        run.feed(ReasoningDelta("r"))
        await run.room()
    assert run.is_full


async def test_a_stop_cancels_the_guarded_body_and_is_raised(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    cleaned = []

    async def drive() -> None:
        try:
            async with run.guard():
                try:
                    await asyncio.sleep(30)
                finally:
                    cleaned.append("socket")
        except CancelRequested:
            cleaned.append("told")

    task = asyncio.ensure_future(drive())
    await asyncio.sleep(0)
    assert runs.cancel(1)
    await task
    assert cleaned == ["socket", "told"]
    assert task.cancelling() == 0


async def test_a_stop_explains_whatever_the_body_makes_of_it(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)

    async def drive() -> None:
        async with run.guard():
            try:
                await asyncio.sleep(30)
            except asyncio.CancelledError:
                raise ConnectionError("socket closed") from None

    task = asyncio.ensure_future(drive())
    await asyncio.sleep(0)
    run.stop(CancelRequested())
    with pytest.raises(CancelRequested):
        await task


async def test_a_body_that_stops_its_own_run_is_told_by_its_next_step(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    tidied = False
    with pytest.raises(CancelRequested):
        async with run.guard():
            runs.cancel(1)
            await asyncio.sleep(0)
            tidied = True  # cleaning up is not disturbed
            run.feed(TextDelta("more"))
    assert tidied


async def test_a_cancellation_from_outside_stays_one(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)

    async def drive() -> None:
        async with run.guard():
            await asyncio.sleep(30)

    task = asyncio.ensure_future(drive())
    await asyncio.sleep(0)
    task.cancel()
    run.stop(CancelRequested())
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_stop_before_the_guard_is_raised_by_it(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    runs.cancel(1)
    with pytest.raises(CancelRequested):
        async with run.guard():
            pytest.fail("the body ran")


async def test_a_stopped_run_takes_no_more_but_can_be_ended(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "so far")
    runs.cancel(1)
    with pytest.raises(CancelRequested):
        run.feed(TextDelta("more"))
    with pytest.raises(CancelRequested):
        await run.room()
    segments = await run.seal(Canceled())
    assert text(segments) == "so far"


async def test_text_that_cannot_be_stored_fails_its_run_alone(runs: Runs, log: MemoryLog) -> None:
    live = [start(runs, log, number) for number in range(1, 8)]
    log.gate.clear()
    say(live[0], "first")
    await asyncio.sleep(0.01)
    for run in live:
        say(run, "bad\0" if run.generation_id == 5 else "good")
    culprit = live[4]
    waiting = asyncio.ensure_future(asyncio.sleep(30))

    async def drive() -> None:
        async with culprit.guard():
            await waiting

    driving = asyncio.ensure_future(drive())
    await asyncio.sleep(0)
    log.gate.set()
    with pytest.raises(Refused):
        await driving
    with pytest.raises(Refused):
        culprit.feed(TextDelta("more"))
    await until(lambda: all(run.channel.until for run in live if run is not culprit))

    segments = await culprit.seal(Failed(ErrorKind.PROVIDER_FAILED, "unstorable"))
    assert [piece.start for piece in segments] == [0]
    log.append(5, segments)
    culprit.publish(segments)
    assert (culprit.text, runs.get(5)) == ("", None)
    for run in live:
        if run is not culprit:
            await finish(run, log)


async def test_a_refusal_during_the_seal_is_told_once(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "good ")
    await until(lambda: run.channel.until == 5)
    log.gate.clear()
    say(run, "\0")
    await asyncio.sleep(0.01)
    sealing = asyncio.ensure_future(run.seal(DONE))
    await asyncio.sleep(0)
    log.gate.set()
    with pytest.raises(Refused):
        await sealing
    segments = await run.seal(Failed(ErrorKind.PROVIDER_FAILED, "unstorable"))
    assert [piece.start for piece in segments] == [5]
    assert run.text == "good "


async def test_what_the_finishing_transaction_refused_can_be_dropped(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    say(run, "good")
    await until(lambda: run.channel.until == 4)
    run._is_sealing = True  # as if the last text came right before the seal
    say(run, "\0")
    await run.seal(DONE)
    run.discard()
    segments = await run.seal(Failed(ErrorKind.PROVIDER_FAILED, "unstorable"))
    assert [(piece.start, piece.kind) for piece in segments] == [(4, EventKind.FAILED)]


async def test_a_lost_run_cannot_be_sealed(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    runs.cancel(1)
    run.lose(Lost("gone"))
    with pytest.raises(Lost):
        await run.seal(DONE)


async def test_a_run_that_was_given_up_is_taken_over_again(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    say(run, "half")
    assert await follower.next()
    run.leave()
    claims: list[Claimed] = []

    async def on_claim(claimed: Claimed) -> None:
        claims.append(claimed)

    runs.on_claim = on_claim
    await runs._watch.sweep()
    assert log.generations[1].state == "running"  # once is not enough: it may be opened just now
    await runs._watch.sweep()
    await until(lambda: claims)
    again = runs.open(1, worker=runs.worker, attempt=2, already=await runs.logged(1))
    say(again, ", whole")
    await finish(again, log)
    assert text(await read_all(follower)) == ", whole"


async def test_a_run_is_not_handed_on_while_rows_of_it_may_still_land(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    log.gate.clear()
    say(run, "late")
    await asyncio.sleep(0.01)
    run.leave()
    for _ in range(3):
        await runs._watch.sweep()
    assert log.generations[1].state == "running"
    log.gate.set()
    await until(lambda: log.held(1))
    for _ in range(2):
        await runs._watch.sweep()
    await until(lambda: log.generations[1].attempt == 2)


async def test_who_follows_a_run_that_ended_under_another_attempt_sees_its_end(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    log.append(1, await run.seal(DONE))  # the commit landed, and its answer was lost
    log.generations[1].state = "completed"
    run.leave()
    assert (await read_all(follower))[-1].kind is EventKind.FINISHED
