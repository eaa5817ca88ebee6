import asyncio
import random
from collections.abc import Sequence

import pytest

from palaver.domain.events import EventKind, Segment
from palaver.streaming.followers import Follower
from palaver.streaming.runs import Runs
from palaver.streaming.segments import BeyondTheEnd
from tests.fakes.logs import Landed, MemoryLog
from tests.streaming.helpers import finish, read_all, say, start, text, until


async def test_a_late_reader_gets_the_whole_and_then_what_comes(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    for _ in range(300):
        say(run, "word ")
        await run.room()
    await until(lambda: run.channel.until == 1_500)
    reads = log.reads
    follower = await runs.follow(1)
    reading = asyncio.ensure_future(read_all(follower))
    await asyncio.sleep(0.01)
    say(run, "end")
    await finish(run, log)
    assert text(await reading) == "word " * 300 + "end"
    assert log.reads == reads  # the owner never asks the log


async def test_a_reader_comes_back_for_exactly_what_it_missed(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "你好👋 world")
    await until(lambda: run.channel.until)
    follower = await runs.follow(1, after=3)
    await finish(run, log)
    assert text(await read_all(follower)) == " world"


async def test_a_number_beyond_the_end_is_refused(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    say(run, "abc")
    await until(lambda: run.channel.until == 3)
    with pytest.raises(BeyondTheEnd):
        await runs.follow(1, after=4)
    assert (await runs.follow(1, after=3)).at == 3


async def test_a_number_that_was_logged_but_not_yet_shown_here_is_waited_for(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    log.failures.append(Landed("the connection went away after the commit"))
    say(run, "abc")
    await until(lambda: log.held(1))
    assert run.channel.until == 0
    follower = await runs.follow(1, after=2)  # read at another worker, that tails the log
    assert text(await follower.next() or []) == "c"


async def test_silence_is_told_and_the_reader_goes_on(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    assert await follower.next(silence_seconds=0.01) is None
    assert await follower.next(silence_seconds=0.01) is None
    say(run, "x")
    assert text(await follower.next(silence_seconds=5) or []) == "x"
    follower.close()


async def test_silence_counts_from_what_the_reader_last_heard(runs: Runs, log: MemoryLog) -> None:
    start(runs, log)
    follower = await runs.follow(1)
    long_ago = asyncio.get_running_loop().time() - 30
    assert await follower.next(silence_seconds=30, silent_since=long_ago) is None


async def test_a_stream_without_silence_tells_none(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    for _ in range(10):
        say(run, "x")
        assert await follower.next(silence_seconds=5)
    assert follower._timer is not None
    follower.close()
    assert follower._timer is None


async def test_who_is_passed_what_comes_waits_for_the_end_alone(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    taken: list[Segment] = []

    def take(segments: Sequence[Segment]) -> bool:
        taken.extend(segments)
        return True

    follower.pass_to(take)
    reading = asyncio.ensure_future(follower.next())
    for number in range(100):
        say(run, f"{number} ")
        await until(lambda: follower.at == len(run.text))
    assert not reading.done()
    assert text(taken) == "".join(f"{number} " for number in range(100))
    await finish(run, log)
    assert [segment.kind for segment in await reading or []] == [EventKind.FINISHED]


async def test_who_cannot_take_more_is_woken_and_asks_for_the_rest(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    seen = ""

    def take(segments: Sequence[Segment]) -> bool:
        nonlocal seen
        seen += text(segments)
        return False

    follower.pass_to(take)
    for number in range(50):
        reading = asyncio.ensure_future(follower.next())
        await asyncio.sleep(0)
        say(run, f"{number} ")
        assert await reading is None
        say(run, ", ")
        await until(lambda: run.channel.until == len(run.text))
        seen += text(await follower.next() or [])
    assert seen == "".join(f"{number} , " for number in range(50))


async def test_who_fails_to_take_hurts_nobody_and_is_given_it_again(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)

    def take(segments: Sequence[Segment]) -> bool:
        raise ValueError(segments)

    follower.pass_to(take)
    reading = asyncio.ensure_future(follower.next())
    other = asyncio.ensure_future((await runs.follow(1)).next())
    await asyncio.sleep(0)
    say(run, "x")
    assert text(await reading or []) == text(await other or []) == "x"


async def test_a_reader_that_leaves_ends_its_own_wait(runs: Runs, log: MemoryLog) -> None:
    start(runs, log)
    follower = await runs.follow(1)
    waiting = asyncio.ensure_future(follower.next())
    await asyncio.sleep(0)
    follower.close()
    assert await waiting == []
    assert await follower.next() == []
    follower.close()


async def test_readers_cancelled_at_any_moment_leave_nothing_behind(
    runs: Runs, log: MemoryLog
) -> None:
    run = start(runs, log)
    rng = random.Random(1)

    async def read(follower: Follower) -> None:
        try:
            await read_all(follower)
        finally:
            follower.close()

    tasks = []
    for _ in range(200):
        follower = await runs.follow(1)
        tasks.append(asyncio.ensure_future(read(follower)))
        if rng.random() < 0.5:
            say(run, "x")
        await asyncio.sleep(rng.choice((0, 0, rng.random() / 500)))  # so that each has begun
        rng.choice(tasks).cancel()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not run.channel.waiting
    assert not run.channel.followers


async def test_a_cancelled_next_loses_nothing(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    follower = await runs.follow(1)
    rng = random.Random(2)
    said = seen = ""
    while len(said) < 300:
        said += "ab"
        say(run, "ab")
        try:
            async with asyncio.timeout(rng.random() / 300):
                seen += text(await follower.next() or [])
        except TimeoutError:
            pass
    await finish(run, log)
    assert seen + text(await read_all(follower)) == said


async def test_a_reader_who_forgets_to_leave_is_forgotten(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    await runs.follow(1)
    assert not run.channel.followers


async def test_many_readers_read_the_same(runs: Runs, log: MemoryLog) -> None:
    run = start(runs, log)
    readers = [asyncio.ensure_future(read_all(await runs.follow(1))) for _ in range(50)]
    for number in range(100):
        say(run, f"{number} ")
        if number % 7 == 0:
            await asyncio.sleep(0.001)
    await finish(run, log)
    whole = "".join(f"{number} " for number in range(100))
    for segments in await asyncio.gather(*readers):
        assert text(segments) == whole
        assert segments[-1].kind is EventKind.FINISHED
