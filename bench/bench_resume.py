"""How soon does a reader who comes back get the next missed event?

Unit: milliseconds from the request to the first missed bytes, 100 reconnects to live runs.
Run: python -m bench.run resume
"""

import asyncio
import tempfile
import time
from pathlib import Path

from bench.bench_streams import RATE, _asks
from bench.client import percentile, stream
from bench.rows import Row
from bench.stage import palaver, postgresql, register, run, upstream


def resume(*, on: str, quick: bool = False) -> list[Row]:
    """Measure reconnects with `Last-Event-ID` while answers are being written."""
    count = 10 if quick else 100
    with tempfile.TemporaryDirectory() as folder, upstream() as upstream_port:
        if on == "SQLite":
            return [_on(Path(folder), None, on, upstream_port, count)]
        with postgresql() as url:
            return [_on(Path(folder), url, on, upstream_port, count)]


def _on(folder: Path, url: str | None, on: str, upstream_port: int, count: int) -> Row:
    with palaver(folder, upstream_port=upstream_port, database_url=url) as server:
        users = [register(server.port, f"reader{index}") for index in range(10)]
        asks = _asks(server, users, count, f"tokens=100 rate={RATE}")

        async def measure() -> list[float]:
            running = [asyncio.ensure_future(stream(server.port, ask)) for ask in asks]
            await asyncio.sleep(1.5)
            times = []
            for ask in asks:
                again = ask.replace(b"host: bench", b"host: bench\r\nlast-event-id: 1", 1)
                times.append(await _first(server.port, again))
            for task in running:
                task.cancel()
            return times

        times = run(measure())
    worst = percentile(times, 0.99)
    return Row(
        f"{count} reconnects: the next missed event",
        on,
        f"p50 {percentile(times, 0.5):.1f} ms, p99 {worst:.1f} ms",
        "≤ 50 ms",
        worst <= 50,
    )


async def _first(port: int, ask: bytes) -> float:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    begun = time.perf_counter()
    writer.write(ask)
    await reader.readuntil(b"event: delta")
    elapsed = (time.perf_counter() - begun) * 1000
    writer.close()
    return elapsed
