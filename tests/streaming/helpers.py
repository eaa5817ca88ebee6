"""What the tests of streaming say often."""

import asyncio
from collections.abc import Callable

from palaver.domain.events import EventKind, Finished, FinishReason, Segment, TextDelta
from palaver.domain.streams import Stream
from palaver.streaming.run import Run
from palaver.streaming.runs import Runs
from tests.fakes.logs import MemoryLog

DONE = Finished(FinishReason.STOP)


def start(runs: Runs, log: MemoryLog, generation_id: int = 1) -> Run:
    log.start(generation_id, runs.worker)
    return runs.open(generation_id, worker=runs.worker)


def say(run: Run, *texts: str) -> None:
    for text in texts:
        run.feed(TextDelta(text))


async def finish(run: Run, log: MemoryLog) -> None:
    """End a run as its service does."""
    segments = await run.seal(DONE)
    generation = log.generations[run.generation_id]
    assert (generation.worker, generation.attempt) == (run.worker, run.attempt)
    log.append(run.generation_id, segments)
    generation.state = "completed"
    run.publish(segments)


async def read_all(stream: Stream) -> list[Segment]:
    """Read to the end, checking that the numbers leave no gap."""
    segments: list[Segment] = []
    at = stream.at
    while more := await stream.next():
        for segment in more:
            assert segment.start == at
            at = segment.until
        segments += more
    return segments


def text(segments: list[Segment], kind: EventKind = EventKind.TEXT) -> str:
    return "".join(segment.body for segment in segments if segment.kind is kind)


async def until(is_true: Callable[[], object]) -> None:
    """Wait for something that happens by itself; the test's time-out is the limit."""
    while not is_true():  # noqa: ASYNC110 - what we wait for knows nothing of the test
        await asyncio.sleep(0.001)
