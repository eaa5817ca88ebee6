"""What does the machinery of running generations cost a token, and how long does a token wait?

Unit: CPU µs a token (flusher, channel, one follower a run; feeding included, idle loop taken off),
and milliseconds from `feed` to the follower, median and 99th percentile.
Data: runs of 5-letter tokens at 20 a second each; the log is kept in memory, so that what is
measured is ours; with `--sqlite`, in a database file, durably.
Run: python -m bench.bench_streaming --runs 1 50 200 500 --seconds 5 [--sqlite]
Last (2026-11-21, 5168e35, two cores shared with a busy machine): 500 runs, memory 10.1 µs, p50 1.3,
p99 4.1 ms; SQLite 15.1 µs, p50 4.8, p99 34 ms. 200 runs: 21 µs, 1.0, 3.8; 40 µs, 2.5, 11.
"""

import argparse
import asyncio
import contextlib
import resource
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import uvloop

from palaver.domain.events import EventKind, TextDelta
from palaver.domain.log import GenerationLog
from palaver.kit.clock import system_clock
from palaver.storage.log import DatabaseLog
from palaver.storage.migrate import migrate
from palaver.storage.opening import open_database
from palaver.streaming.followers import Follower
from palaver.streaming.run import Run
from palaver.streaming.runs import Runs
from tests.fakes.logs import MemoryLog

TOKENS_PER_SECOND = 20


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


async def speak(run: Run, sent: list[float], tokens: int, delay: float) -> None:
    await asyncio.sleep(delay)
    for _ in range(tokens):
        sent.append(time.perf_counter())
        run.feed(TextDelta("token"))
        await run.room()
        await asyncio.sleep(1 / TOKENS_PER_SECOND)


async def listen(follower: Follower, sent: list[float], waits: list[float], tokens: int) -> None:
    seen = 0
    while seen < tokens:
        for segment in await follower.next(silence_seconds=15) or []:
            segment.framed("bench", lambda piece: piece.body.encode())
            now = time.perf_counter()
            if segment.kind is EventKind.TEXT:
                count = len(segment.body) // 5
                waits += [now - at for at in sent[seen : seen + count]]
                seen += count
    follower.close()


async def measure(log: GenerationLog, count: int, seconds: float) -> tuple[float, float, float]:
    """Return CPU µs a token, and the median and 99th percentile of the waits in ms."""
    runs = Runs(log, clock=system_clock, is_alone=True)
    await runs.start()
    tokens = int(seconds * TOKENS_PER_SECOND)
    waits: list[float] = []
    work = []
    for number in range(1, count + 1):
        run = runs.open(number, worker=runs.worker)
        sent: list[float] = []
        follower = await runs.follow(number)
        work.append(listen(follower, sent, waits, tokens))
        work.append(speak(run, sent, tokens, number / count / TOKENS_PER_SECOND))
    before = cpu_seconds()
    await asyncio.gather(*work)
    cost = (cpu_seconds() - before) / (tokens * count)
    await runs.close()
    waits.sort()
    return cost * 1e6, waits[len(waits) // 2] * 1e3, waits[int(len(waits) * 0.99)] * 1e3


async def relay(count: int, seconds: float) -> float:
    """Return the CPU µs a token of the bench itself: feeding tasks that feed nobody."""

    class Nobody:
        def feed(self, event: TextDelta) -> None:
            del event

        async def room(self) -> None:
            return None

    tokens = int(seconds * TOKENS_PER_SECOND)
    before = cpu_seconds()
    await asyncio.gather(
        *[
            speak(Nobody(), [], tokens, number / count / TOKENS_PER_SECOND)  # type: ignore[arg-type]
            for number in range(count)
        ]
    )
    return (cpu_seconds() - before) / (tokens * count) * 1e6


@contextlib.asynccontextmanager
async def opened(*, is_sqlite: bool) -> AsyncIterator[GenerationLog]:
    """Give the log that is measured."""
    if not is_sqlite:
        yield MemoryLog()
        return
    with tempfile.TemporaryDirectory() as folder:
        db = await open_database(f"sqlite:///{Path(folder) / 'bench.db'}")
        await migrate(db)
        yield DatabaseLog(db)
        await db.close()


async def main(counts: list[int], seconds: float, *, is_sqlite: bool) -> None:
    for count in counts:
        idle = await relay(count, seconds)
        async with opened(is_sqlite=is_sqlite) as log:
            cost, median, late = await measure(log, count, seconds)
        print(
            f"{count:4} runs: {cost - idle:6.1f} µs a token (feeding tasks alone {idle:.1f});"
            f" wait p50 {median:.2f} ms, p99 {late:.2f} ms"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, nargs="+", default=[1, 50, 200, 500])
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--sqlite", action="store_true")
    given = parser.parse_args()
    uvloop.run(main(given.runs, given.seconds, is_sqlite=given.sqlite))
