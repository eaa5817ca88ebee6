"""The tailer: shows here what other workers log, to those who follow their runs here."""

import asyncio
import logging
from itertools import islice
from typing import Final

from palaver.domain.events import Segment
from palaver.domain.log import GenerationLog
from palaver.kit.bell import Bell
from palaver.streaming.channel import NEWEST_MAX, Channel
from palaver.streaming.segments import stitch

log = logging.getLogger(__name__)

RUNS_MAX: Final = 500
"""Most runs of one query."""

APART_SECONDS: Final = 0.005
"""Least time between two queries, however often it is woken: notifications come with each flush."""

FAILED_SECONDS: Final = 0.5


class Tailer:
    """Reads on in the log for all followed runs in one query, while there are any.

    It looks when it is woken, and every so often by itself: rarely while `is_told` says that
    whoever logs something will wake it.
    """

    def __init__(
        self, log: GenerationLog, *, interval_seconds: float, told_interval_seconds: float
    ) -> None:
        self.is_told = False
        self._log = log
        self._interval_seconds = interval_seconds
        self._told_interval_seconds = told_interval_seconds
        self._bell = Bell()
        self._channels: dict[int, Channel] = {}
        self._is_closed = False

    def find(self, generation_id: int) -> Channel | None:
        """Return the channel of a run that is followed here."""
        return self._channels.get(generation_id)

    def open(self, generation_id: int, *, at: int) -> Channel:
        """Return the channel of a run, a new one beginning at `at`."""
        channel = self._channels.get(generation_id)
        if channel is None:
            channel = Channel(generation_id, base=at, keeps_all=False)
            self._add(channel)
        self._bell.ring()
        return channel

    def _add(self, channel: Channel) -> None:
        if self._is_closed:
            channel.cut()  # nobody would ever wake its followers, and the server waits for them
        else:
            self._channels[channel.generation_id] = channel

    def adopt(self, channel: Channel) -> None:
        """Go on with the channel of a run that this worker has lost."""
        channel.forsake()
        self._add(channel)
        self._bell.ring()

    def give(self, generation_id: int) -> Channel | None:
        """Hand over the channel of a run that this worker now drives itself."""
        return self._channels.pop(generation_id, None)

    def wake(self) -> None:
        """Look at once: somebody has said that there is more."""
        if self._channels:
            self._bell.ring()

    def close(self) -> None:
        """End all streams here, those that are still to come included."""
        self._is_closed = True
        while self._channels:
            self._channels.popitem()[1].cut()

    async def run(self) -> None:
        """Tail for ever."""
        while True:
            pause = APART_SECONDS
            interval = self._told_interval_seconds if self.is_told else self._interval_seconds
            await self._bell.wait(interval if self._channels else None)
            try:
                await self._look()
            except Exception:
                log.warning("could not read on in the log", exc_info=True)
                pause = FAILED_SECONDS
            await asyncio.sleep(pause)

    async def _look(self) -> None:
        for channel in tuple(self._channels.values()):
            if not channel.followers:
                del self._channels[channel.generation_id]
        followed = list(self._channels.values())
        for first in range(0, len(followed), RUNS_MAX):
            await self._read(list(islice(followed, first, first + RUNS_MAX)))

    async def _read(self, channels: list[Channel]) -> None:
        positions = [(channel.generation_id, channel.until) for channel in channels]
        rows = await self._log.tail(positions, limit=NEWEST_MAX)
        found: dict[int, list[Segment]] = {}
        for generation_id, segment in rows:
            found.setdefault(generation_id, []).append(segment)
        for channel in channels:
            segments = found.get(channel.generation_id)
            # While the query was under way, this worker may have taken the run over.
            if segments is None or self._channels.get(channel.generation_id) is not channel:
                continue
            channel.publish(stitch(segments, channel.until))
            if channel.is_final:
                del self._channels[channel.generation_id]
            elif len(segments) == NEWEST_MAX:
                self._bell.ring()
