"""Readers of a run: each has a place of its own, and is owed exactly what lies beyond it."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from palaver.domain.events import Segment
from palaver.domain.log import GenerationLog
from palaver.domain.streams import Take
from palaver.streaming.channel import Channel
from palaver.streaming.segments import BeyondTheEnd, clip, end_of, merge, stitch

log = logging.getLogger(__name__)

ROWS_MAX: Final = 256
"""Most rows of the log that a follower reads at once."""


class Follower:
    """Reads a run that is under way, from any place on. One task at a time may call `next`."""

    __slots__ = ("__weakref__", "_channel", "_log", "_since", "_take", "_timer", "_waiter", "at")

    def __init__(self, channel: Channel, log: GenerationLog, *, after: int) -> None:
        self.at = after
        self._channel: Channel | None = channel
        self._log = log
        self._waiter: asyncio.Future[bool] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._since = 0.0
        self._take: Take | None = None
        channel.followers.add(self)

    async def next(
        self, *, silence_seconds: float | None = None, silent_since: float | None = None
    ) -> list[Segment] | None:
        """Return what lies beyond `at`; see `Stream`, and None where `take` has said so."""
        while (channel := self._channel) is not None:
            if self.at < channel.base:
                segments = await self._read(channel)
            elif self.at < channel.until:
                segments = channel.since(self.at)
            elif channel.is_over:
                return []
            elif await self._wait(channel, silence_seconds, silent_since):
                continue
            else:
                return None
            if segments:
                self.at = segments[-1].until
            return segments
        return []

    async def _read(self, channel: Channel) -> list[Segment]:
        """Catch up from the log with what a tailing channel no longer holds."""
        try:
            rows = await self._log.read(channel.generation_id, self.at, limit=ROWS_MAX)
        except Exception:
            # A stream that has begun can only end; its reader comes back.
            log.warning("a follower could not read the log", exc_info=True)
            return []
        return merge(stitch(rows, self.at))

    async def _wait(
        self, channel: Channel, silence_seconds: float | None, silent_since: float | None
    ) -> bool:
        """Wait for a change; False after so much silence."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[bool] = loop.create_future()
        self._waiter = waiter
        channel.waiting.add(self)
        if silence_seconds is not None:
            self._since = loop.time() if silent_since is None else silent_since
            # One timer outlives many waits: a stream of tokens never touches it.
            if self._timer is None:
                ends_at = self._since + silence_seconds
                self._timer = loop.call_at(ends_at, self._look, silence_seconds)
        try:
            return await waiter
        finally:
            channel.waiting.discard(self)
            self._waiter = None

    def pass_to(self, take: Take) -> None:
        """Give `take` what comes while a `next` waits; see `PassingStream`."""
        self._take = take

    def wake(self) -> None:
        """Look at what has come: the channel calls it for those who wait."""
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        if self._take is None or not self._passed_on(self._take, waiter):
            waiter.set_result(True)

    def _passed_on(self, take: Take, waiter: asyncio.Future[bool]) -> bool:
        """Give what has come to `take`; False where the task that waits has to see to it."""
        at, channel = self.at, self._channel
        if channel is None or channel.is_final or channel.is_cut or at < channel.base:
            return False
        try:
            while at < channel.until and not waiter.done():
                segments = channel.since(at)
                if not take(segments):
                    waiter.set_result(False)
                self.at = at = segments[-1].until
        except Exception:  # noqa: BLE001  # not the publisher's: the task meets it again, and tells
            return False
        return True

    def _look(self, silence_seconds: float) -> None:
        self._timer = None
        waiter = self._waiter
        if waiter is None or waiter.done():
            return
        loop = asyncio.get_running_loop()
        rest = self._since + silence_seconds - loop.time()
        if rest > 0:
            self._timer = loop.call_later(rest, self._look, silence_seconds)
        else:
            waiter.set_result(False)

    def close(self) -> None:
        """Leave; a `next` under way returns []."""
        channel, self._channel = self._channel, None
        if channel is not None:
            channel.followers.discard(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(True)


class Replay:
    """Reads a run that has ended, from its stored segments."""

    __slots__ = ("_segments", "at")

    def __init__(self, segments: Sequence[Segment], *, after: int) -> None:
        """Raises `BeyondTheEnd`."""
        if after > end_of(segments):
            raise BeyondTheEnd(after)
        self.at = after
        self._segments = stitch(segments, after)

    async def next(
        self,
        *,
        silence_seconds: float | None = None,  # noqa: ARG002 - the face of `Stream`
        silent_since: float | None = None,  # noqa: ARG002
    ) -> list[Segment] | None:
        """Return what lies beyond `at`; see `Stream`."""
        if not self._segments:
            return []
        segments = clip(self._segments, self.at)
        self.at = segments[-1].until
        self._segments = stitch(self._segments, self.at)
        return segments

    def close(self) -> None:
        """Leave."""
        self._segments = []
