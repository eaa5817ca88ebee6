import asyncio

import pytest

from palaver.domain.events import TextDelta
from palaver.domain.log import Fenced
from palaver.kit.clock import system_clock
from palaver.streaming.flusher import Unwritable
from palaver.streaming.run import Lost
from palaver.streaming.runs import Runs
from tests.fakes.logs import Landed, MemoryLog
from tests.streaming.helpers import finish, read_all, say, start, text, until


async def test_what_all_runs_gathered_goes_out_in_one_transaction(
    runs: Runs, log: MemoryLog
) -> None:
    live = [start(runs, log, number) for number in range(20)]
    await asyncio.sleep(0.01)
    log.gate.clear()
    for run in live:
        say(run, "a")
    await asyncio.sleep(0.01)
    for run in live:
        say(run, "b", "c")
    before = len(log.flushes)
    log.gate.set()
    await until(lambda: all(run.channel.until == 3 for run in live))
    assert (20, 20) in log.flushes[before:]
    assert [row.body for row in log.held(3)][-1] == "bc"


@pytest.mark.parametrize("failure", [OSError("disk full"), Landed("connection lost")])
async def test_the_same_rows_are_repeated_when_the_outcome_is_unknown(
    runs: Runs, log: MemoryLog, failure: Exception
) -> None:
    run = start(runs, log)
    log.failures.extend([failure, failure])
    say(run, "one ")
    await until(lambda: not log.failures or log.held(1))
    say(run, "two")
    await until(lambda: run.channel.until == 7)
    assert text(log.held(1)) == "one two"


async def test_a_worker_declared_dead_leaves_its_runs_and_goes_on_as_a_new_one(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    say(run, "logged")
    await until(lambda: run.channel.until == 6)
    former = runs.worker
    log.failures.append(Fenced())
    say(run, ", lost")
    with pytest.raises(Lost):
        async with run.guard():
            await asyncio.sleep(30)
    await until(lambda: runs.worker > former)
    assert former in log.dead
    assert text(log.held(1)) == "logged"
    assert runs.get(1) is None
    with pytest.raises(Lost):
        run.feed(TextDelta("more"))
    with pytest.raises(Lost):
        runs.open(1, worker=former)

    other = start(runs, log, 2)
    say(other, "fine")
    await until(lambda: other.channel.until == 4)


async def test_readers_of_a_lost_run_follow_it_to_its_new_owner(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    reading = asyncio.ensure_future(read_all(follower))
    say(run, "here, ")
    await until(lambda: run.channel.until == 6)
    log.failures.append(Fenced())
    say(run, "lost")
    await until(lambda: runs.get(1) is None)
    # Another worker takes it over …
    others = Runs(log, clock=system_clock, is_alone=False, watch_interval_seconds=60)
    await others.start()
    log.generations[1].worker = others.worker
    there = others.open(1, worker=others.worker, attempt=2, already=await others.logged(1))
    say(there, "there, ")
    await until(lambda: follower.at == 13)
    # … and loses it to the first again.
    await others.close()
    log.generations[1].state, log.generations[1].worker = "running", runs.worker
    log.generations[1].attempt = 3
    again = runs.open(1, worker=runs.worker, attempt=3, already=await runs.logged(1))
    say(again, "here")
    await finish(again, log)
    assert text(await reading) == "here, there, here"


async def test_runs_and_streams_end_when_nothing_can_be_written_for_too_long(
    log: MemoryLog,
) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True, patience_seconds=0.1)
    await runs.start()
    run = start(runs, log)
    follower = await runs.follow(1)
    say(run, "shown")
    assert text(await follower.next() or []) == "shown"
    log.gate.clear()
    say(run, "never shown")
    with pytest.raises(Unwritable):
        async with run.guard():
            await asyncio.sleep(30)
    assert await follower.next() == []
    former = runs.worker
    log.gate.set()
    await until(lambda: runs.worker > former)
    assert text(log.held(1)) == "shown"
    assert log.generations[1].state == "queued"
    await runs.close()


async def test_one_flush_that_hangs_holds_nobody_for_ever(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True, patience_seconds=0.05)
    await runs.start()
    run = start(runs, log)
    log.gate.clear()
    say(run, "x")
    sealing = asyncio.ensure_future(run.seal())
    with pytest.raises(Unwritable):
        await asyncio.gather(sealing, run.seal())
    await runs.close()


async def test_patience_is_for_writing_and_not_for_silence(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True, patience_seconds=0.03)
    await runs.start()
    run = start(runs, log)
    say(run, "a")
    await until(lambda: run.channel.until == 1)
    await asyncio.sleep(0.1)
    assert runs.get(1) is run
    say(run, "b")
    await until(lambda: run.channel.until == 2)
    await runs.close()


async def test_an_idle_worker_renews_its_lease_unless_it_is_alone(log: MemoryLog) -> None:
    several = Runs(log, clock=system_clock, is_alone=False, lease_seconds=0.04)
    await several.start()
    await until(lambda: len(log.flushes) >= 3)
    assert set(log.flushes) == {(0, 0)}
    await several.close()

    log.flushes.clear()
    alone = Runs(log, clock=system_clock, is_alone=True, lease_seconds=0.04)
    await alone.start()
    await asyncio.sleep(0.1)
    assert log.flushes == []
    await alone.close()


async def test_the_end_of_a_run_costs_no_empty_flush(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True)
    await runs.start()
    run = start(runs, log)
    say(run, "all")
    await finish(run, log)
    await asyncio.sleep(0.02)
    assert log.flushes == []
    await runs.close()
