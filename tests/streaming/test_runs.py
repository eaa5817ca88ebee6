import asyncio

import pytest

from palaver.domain.events import EventKind, Segment, TextDelta
from palaver.domain.log import Claimed
from palaver.kit.clock import system_clock
from palaver.streaming.run import CancelRequested, Lost, Run
from palaver.streaming.runs import Runs
from palaver.streaming.segments import BeyondTheEnd
from tests.fakes.logs import MemoryLog
from tests.streaming.helpers import finish, read_all, say, start, text, until


def take_over(runs: Runs, log: MemoryLog, opened: list[Run]) -> None:
    """Let claimed runs be opened as a service would."""

    async def on_claim(claimed: Claimed) -> None:
        already = await runs.logged(claimed.generation_id)
        opened.append(
            runs.open(
                claimed.generation_id,
                worker=claimed.worker,
                attempt=claimed.attempt,
                already=already,
            )
        )

    runs.on_claim = on_claim


async def test_a_dead_workers_run_is_taken_over_from_where_the_log_ends(
    runs: Runs, log: MemoryLog
) -> None:
    dead = await log.enlist(lease_microseconds=1)
    log.start(7, dead)
    log.append(7, [])
    other = Runs(log, clock=system_clock, is_alone=False, watch_interval_seconds=60)
    await other.start()
    log.generations[7].worker = other.worker
    there = other.open(7, worker=other.worker)
    say(there, "Once upon ")
    await until(lambda: there.channel.until == 10)
    reading = asyncio.ensure_future(read_all(await runs.follow(7)))

    opened: list[Run] = []
    take_over(runs, log, opened)
    log.gate.clear()
    log.expired.add(other.worker)
    await until(lambda: opened)
    log.gate.set()
    run = opened[0]
    assert (run.text, run.attempt, run.position) == ("Once upon ", 2, 10)
    say(run, "a time")
    await until(lambda: run.channel.until == 16)
    await finish(run, log)
    assert text(await reading) == "Once upon a time"
    await other.close()


async def test_a_worker_whose_own_lease_is_old_judges_nobody(log: MemoryLog) -> None:
    now = [system_clock()]
    runs = Runs(log, clock=lambda: now[0], is_alone=False, watch_interval_seconds=0.005)
    await runs.start()
    await until(lambda: log.burials)
    now[0] += 10_000_000
    before = log.burials
    await runs._watch.look()
    assert log.burials == before
    await runs.close()


async def test_a_worker_alone_declares_nobody_dead(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True, watch_interval_seconds=0.005)
    await runs.start()
    log.expired.add(runs.worker)
    await asyncio.sleep(0.03)
    assert log.burials == 0
    log.expired.clear()
    await runs.close()


async def test_a_queued_run_is_claimed_and_its_waiting_reader_served(
    runs: Runs, log: MemoryLog
) -> None:
    log.start(3, None)
    reading = asyncio.ensure_future(read_all(await runs.follow(3)))
    await asyncio.sleep(0.01)
    opened: list[Run] = []
    take_over(runs, log, opened)
    log.generations[3].state, log.generations[3].worker = "queued", None
    await until(lambda: opened)
    assert runs._tailer.find(3) is None  # its channel is the run's own now
    say(opened[0], "now")
    await finish(opened[0], log)
    assert text(await reading) == "now"


async def test_a_cancel_request_is_found_by_the_watch(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    log.generations[1].is_cancel_requested = True
    with pytest.raises(CancelRequested):
        async with run.guard():
            await asyncio.sleep(30)


async def test_no_more_runs_are_claimed_than_there_is_room(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True, watch_interval_seconds=0.005, max_runs=20)
    opened: list[Run] = []
    take_over(runs, log, opened)
    for number in range(30):
        log.start(number, None)
    await runs.start()
    await until(lambda: len(opened) == 20)
    assert runs.room == 0
    await asyncio.sleep(0.02)
    assert len(opened) == 20
    await finish(opened[0], log)
    await until(lambda: len(opened) == 21)
    await runs.close()


async def test_a_run_whose_start_was_never_heard_of_goes_back_into_the_queue(
    runs: Runs, log: MemoryLog
) -> None:
    start(runs, log, 1)
    log.start(2, runs.worker)  # committed, and the connection lost before the answer
    await runs._watch.sweep()
    await runs._watch.sweep()
    assert log.generations[1].worker == runs.worker
    assert log.generations[2].state in ("queued", "running")
    await until(lambda: log.generations[2].attempt == 2)


async def test_draining_waits_for_the_live_ones_and_hands_over_the_rest(
    runs: Runs, log: MemoryLog
) -> None:
    quick, slow = start(runs, log, 1), start(runs, log, 2)
    follower = await runs.follow(2)
    say(slow, "half")
    await until(lambda: slow.channel.until == 4)
    draining = asyncio.ensure_future(runs.drain(grace_seconds=0.1))
    await asyncio.sleep(0.01)
    assert runs.room == 0
    say(quick, "done")
    await finish(quick, log)
    with pytest.raises(Lost):
        async with slow.guard():
            await asyncio.sleep(30)
    await draining
    assert log.generations[1].state == "completed"
    assert log.generations[2].state == "queued"
    assert text(await read_all(follower)) == "half"
    assert runs.worker == 0
    with pytest.raises(Lost):
        slow.feed(TextDelta("more"))


async def test_draining_ends_as_soon_as_nothing_runs(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    draining = asyncio.ensure_future(runs.drain(grace_seconds=30))
    await asyncio.sleep(0)
    await finish(run, log)
    await draining


async def test_who_reads_while_the_worker_drains_does_not_hold_it_up(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log, 1)
    draining = asyncio.ensure_future(runs.drain(grace_seconds=30))
    await asyncio.sleep(0)
    log.start(2, None)  # no room: another worker will take it
    early = asyncio.ensure_future((await runs.follow(2)).next())
    await finish(run, log)
    await draining
    assert await early == []
    late = await runs.follow(2)
    assert await late.next() == []


async def test_nothing_of_a_closed_worker_lands_later(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=False)
    await runs.start()
    run = start(runs, log)
    log.gate.clear()
    say(run, "late")
    await asyncio.sleep(0.01)
    await runs.close()
    log.gate.set()
    await asyncio.sleep(0.01)
    assert log.held(1) == []
    assert log.generations[1].state == "queued"


async def test_a_worker_closes_though_the_database_is_gone(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=False)
    await runs.start()
    follower = await runs.follow(5)

    async def gone(worker: int) -> None:
        raise ConnectionError

    log.retire = gone  # type: ignore[method-assign]
    await runs.close()
    assert await follower.next() == []


async def test_who_comes_after_the_end_is_not_kept_waiting(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=False)
    await runs.start()
    await runs.close()
    follower = await runs.follow(1)
    assert await follower.next() == []


async def test_a_claim_under_way_does_not_outlive_its_worker(log: MemoryLog) -> None:
    runs = Runs(log, clock=system_clock, is_alone=True)
    ends: list[str] = []

    async def on_claim(claimed: Claimed) -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ends.append("cancelled")

    runs.on_claim = on_claim
    log.start(1, None)
    await runs.start()
    await until(lambda: 1 in runs)
    await runs.close()
    assert ends == ["cancelled"]
    assert log.generations[1].state == "queued"


class SlowLog(MemoryLog):
    """Answers readers only when told."""

    def __init__(self) -> None:
        super().__init__()
        self.readers = asyncio.Event()
        self.asked = 0

    async def read(self, generation_id: int, after: int, *, limit: int) -> list[Segment]:
        rows = await super().read(generation_id, after, limit=limit)
        self.asked += 1
        await self.readers.wait()
        return rows


async def test_a_run_that_is_opened_while_the_log_is_asked_for_it_is_followed_here() -> None:
    log = SlowLog()
    runs = Runs(log, clock=system_clock, is_alone=True)
    await runs.start()
    log.start(1, runs.worker)
    log.append(1, [Segment(0, 3, EventKind.TEXT, "abc")])
    following = asyncio.ensure_future(runs.follow(1, after=2))
    await until(lambda: log.asked)
    run = runs.open(1, worker=runs.worker, already=log.held(1))
    log.readers.set()
    follower = await following
    assert list(run.channel.followers) == [follower]
    assert text(await follower.next() or []) == "c"
    await runs.close()


async def test_a_run_that_is_opened_while_it_is_tailed_shows_nothing_twice() -> None:
    log = SlowLog()
    runs = Runs(log, clock=system_clock, is_alone=False)
    await runs.start()
    log.start(1, runs.worker)
    log.append(1, [Segment(0, 3, EventKind.TEXT, "abc")])
    follower = await runs.follow(1)
    await until(lambda: log.asked)
    run = runs.open(1, worker=runs.worker, already=log.held(1))
    log.readers.set()
    await asyncio.sleep(0.01)
    assert run.channel.until == 3
    await finish(run, log)
    assert text(await read_all(follower)) == "abc"
    assert run.text == "abc"
    await runs.close()


async def test_a_run_is_open_once(runs: Runs, log: MemoryLog) -> None:
    start(runs, log)
    with pytest.raises(ValueError, match="already open"):
        runs.open(1, worker=runs.worker)


async def test_another_workers_run_is_followed_in_its_log(runs: Runs, log: MemoryLog) -> None:
    other = Runs(log, clock=system_clock, is_alone=False)
    await other.start()
    run = start(other, log)
    for number in range(300):
        say(run, f"{number} ")
        await asyncio.sleep(0)
    await until(lambda: run.channel.until > 1_000)
    first = await runs.follow(1, after=1_000)
    reading = asyncio.ensure_future(read_all(first))
    await until(lambda: first.at > 1_000)
    second = await runs.follow(1)
    third = await runs.follow(1, after=run.channel.until)
    with pytest.raises(BeyondTheEnd):
        await runs.follow(1, after=100_000)
    readings = [asyncio.ensure_future(read_all(follower)) for follower in (second, third)]
    say(run, "end")
    await finish(run, log)

    whole = "".join(f"{number} " for number in range(300)) + "end"
    assert text(await reading) == whole[1_000:]
    assert text(await readings[0]) == whole
    assert text(await readings[1]) == "end"
    await until(lambda: runs._tailer.find(1) is None)
    await other.close()


async def test_a_run_that_nobody_follows_is_not_tailed(runs: Runs, log: MemoryLog) -> None:
    log.start(1, 99)
    follower = await runs.follow(1)
    assert runs._tailer.find(1)
    follower.close()
    await until(lambda: runs._tailer.find(1) is None)


async def test_a_slow_reader_of_a_tailed_run_reads_the_log_itself(
    runs: Runs, log: MemoryLog
) -> None:
    other = Runs(log, clock=system_clock, is_alone=False, flush_interval_seconds=0)
    await other.start()
    run = start(other, log)
    follower = await runs.follow(1)
    for number in range(400):
        say(run, f"{number} ")
        until_now = run.channel.until
        await until(lambda at=until_now: run.channel.until > at)  # type: ignore[misc]
    await until(lambda: runs._tailer.find(1).until == run.channel.until)  # type: ignore[union-attr]
    assert runs._tailer.find(1).base > 0  # type: ignore[union-attr]
    amid = await runs.follow(1, after=1)  # in the middle of a row
    await finish(run, log)
    whole = "".join(f"{number} " for number in range(400))
    assert text(await read_all(follower)) == whole
    assert text(await read_all(amid)) == whole[1:]
    await other.close()
