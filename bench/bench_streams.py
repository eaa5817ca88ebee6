"""What does it add to a token to be stored before it is shown?

Unit: milliseconds of age at the reader beyond the relay floor's, CPU microseconds a token, KiB a
live stream. Data: 500 readers at 20 tokens a second each, through one process on one core; the
upstream and the readers share the other. Run: python -m bench.run streams
"""

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench.client import Reading, percentile, request, stream
from bench.rows import Row
from bench.stage import (
    Server,
    User,
    call,
    free_port,
    palaver,
    postgresql,
    register,
    run,
    started,
    upstream,
)

STREAMS = 500
TOKENS = 160
RATE = 20
USERS = 50
ROUNDS = 5


def streams(*, on: str, quick: bool = False) -> Iterator[Row]:
    """Measure 500 live streams, one alone, and 500 starts within a second."""
    count, tokens, rounds = (20, 60, 1) if quick else (STREAMS, TOKENS, ROUNDS)
    with tempfile.TemporaryDirectory() as folder, upstream() as upstream_port:
        if on == "SQLite":
            yield from _on(Path(folder), None, on, upstream_port, count, tokens, rounds)
        else:
            with postgresql() as url:
                yield from _on(Path(folder), url, on, upstream_port, count, tokens, rounds)


class Run:
    """The figures of one round."""

    def __init__(self, readings: list[Reading], tokens: int, *, cpu_us: float = 0.0) -> None:
        ages = [age for reading in readings for age in reading.ages_ms]
        self.p50 = percentile(ages, 0.5)
        self.p99 = percentile(ages, 0.99)
        self.cpu_us = cpu_us
        self.lost = len(readings) * tokens - len(ages)
        self.failed = sum(not reading.is_done for reading in readings)


def _on(
    folder: Path,
    url: str | None,
    on: str,
    upstream_port: int,
    count: int,
    tokens: int,
    rounds: int,
) -> Iterator[Row]:
    floor_port = free_port()
    floor = started(["-m", "bench.floors.relay", str(floor_port), str(upstream_port)], floor_port)
    with floor as below, palaver(folder, upstream_port=upstream_port, database_url=url) as server:
        users = [register(server.port, f"reader{index}") for index in range(min(USERS, count))]
        yield from _many(server, below, users, on, count, tokens, rounds)
        yield from _one(server, below, users, on, tokens // 4, rounds)
        yield _starts(server, users, on, count)


def _asks(server: Server, users: list[User], count: int, words: str) -> list[bytes]:
    """Make a conversation with a question for each stream; return the requests that stream."""
    asks = []
    for index in range(count):
        user = users[index % len(users)]
        conversation, _ = call(server.port, "POST", "/conversations", {}, user.headers)
        path = f"/conversations/{conversation['id']}"
        call(server.port, "POST", f"{path}/messages", {"content": words}, user.headers)
        body = json.dumps({"provider_id": "lmstudio", "model": "m"}).encode()
        asks.append(request("POST", f"{path}/stream", user.headers, body))
    return asks


def _floor_asks(count: int, words: str) -> list[bytes]:
    body = json.dumps({"messages": [{"role": "user", "content": words}]}).encode()
    return [request("POST", "/", None, body)] * count


async def _read(server: Server, asks: list[bytes], *, over_seconds: float) -> list[Reading]:
    """Open all streams evenly over some seconds, read each to its end."""

    async def one(index: int, ask: bytes) -> Reading:
        await asyncio.sleep(index * over_seconds / len(asks))
        return await stream(server.port, ask)

    return await asyncio.gather(*(one(index, ask) for index, ask in enumerate(asks)))


def _round(server: Server, asks: list[bytes], tokens: int) -> tuple[Run, float]:
    """Read all streams; return the figures, and the memory before the end, in MiB.

    CPU is taken while all of them stream: from half a second after the last start to half a second
    before the first end.
    """
    memory = cpu_us = 0.0

    async def read() -> list[Reading]:
        nonlocal memory, cpu_us
        reading = asyncio.ensure_future(_read(server, asks, over_seconds=1.0))
        await asyncio.sleep(1.5)
        before, begun = server.cpu_seconds, time.monotonic()
        await asyncio.sleep(tokens / RATE - 2.0)
        used, elapsed = server.cpu_seconds - before, time.monotonic() - begun
        cpu_us = used * 1e6 / (len(asks) * RATE * elapsed)
        memory = server.pss_mib
        return await reading

    readings = run(read())
    return Run(readings, tokens, cpu_us=cpu_us), memory


def _many(
    server: Server,
    below: Server,
    users: list[User],
    on: str,
    count: int,
    tokens: int,
    rounds: int,
) -> list[Row]:
    words = f"tokens={tokens} rate={RATE}"
    _round(below, _floor_asks(20, "tokens=60 rate=20"), 60)
    _round(server, _asks(server, users, 20, "tokens=60 rate=20"), 60)
    idle_ours, idle_floor = server.pss_mib, below.pss_mib
    ours, floors, memory = [], [], []
    for _ in range(rounds):
        floor, floor_memory = _round(below, _floor_asks(count, words), tokens)
        mine, my_memory = _round(server, _asks(server, users, count, words), tokens)
        ours.append(mine)
        floors.append(floor)
        memory.append(((my_memory - idle_ours) - (floor_memory - idle_floor)) * 1024 / count)
    p50 = statistics.median(a.p50 - b.p50 for a, b in zip(ours, floors, strict=True))
    p99 = statistics.median(a.p99 - b.p99 for a, b in zip(ours, floors, strict=True))
    ratio = statistics.median(a.cpu_us / b.cpu_us for a, b in zip(ours, floors, strict=True))
    cpu = statistics.median(a.cpu_us for a in ours)
    floor_cpu = statistics.median(b.cpu_us for b in floors)
    lost = sum(a.lost for a in ours)
    failed = sum(a.failed for a in ours)
    more = memory[0]
    return [
        Row(
            f"{count} streams at {RATE} tokens/s: tokens lost, streams failed",
            on,
            f"{lost} lost, {failed} failed",
            "0",
            lost == 0 and failed == 0,
        ),
        Row(
            f"{count} streams: added latency of a token",
            on,
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms",
            "p50 ≤ 5, p99 ≤ 15 ms",
            p50 <= 5 and p99 <= 15,
        ),
        Row(
            f"{count} streams: server CPU a token, starts and ends left out",
            on,
            f"{cpu:.0f} µs against {floor_cpu:.0f} ({ratio:.2f} times)",
            "≤ 1.5 times",
            ratio <= 1.5,
        ),
        Row(
            f"{count} streams: memory a live stream over the floor's (first round)",
            on,
            f"{more:.0f} KiB",
            "≤ 40 KiB",
            more <= 40,
        ),
    ]


def _one(
    server: Server, below: Server, users: list[User], on: str, tokens: int, rounds: int
) -> list[Row]:
    words = f"tokens={tokens} rate={RATE}"
    added = []
    for _ in range(rounds):
        floor = Run(run(_read(below, _floor_asks(1, words), over_seconds=0)), tokens)
        mine = Run(run(_read(server, _asks(server, users, 1, words), over_seconds=0)), tokens)
        added.append(mine.p50 - floor.p50)
    p50 = statistics.median(added)
    return [
        Row("one stream: added latency of a token", on, f"p50 {p50:.1f} ms", "≤ 3 ms", p50 <= 3)
    ]


def _starts(server: Server, users: list[User], on: str, count: int) -> Row:
    asks = _asks(server, users, count, f"tokens=20 rate={RATE}")
    readings = run(_read(server, asks, over_seconds=1.0))
    errors = sum(reading.status != 200 or not reading.is_done for reading in readings)
    # The upstream's own first token comes a pause after it was asked.
    own_ms = 1000 / RATE
    p99 = percentile([reading.first_ms - own_ms for reading in readings], 0.99)
    return Row(
        f"{count} streams started within a second by {len(users)} users: first delta, beyond the "
        "upstream's own",
        on,
        f"p99 {p99:.0f} ms, {errors} errors",
        "p99 < 150 ms, 0 errors",
        p99 < 150 and errors == 0,
    )
