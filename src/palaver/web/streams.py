"""Server-sent events: a reader of a run, written to a client that may leave at any moment."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Final, Protocol, TypeAlias

from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.domain.events import FINAL, EventKind, Segment
from palaver.domain.streams import PassingStream, Stream
from palaver.web.server import WRITE_NOW, WriteNow

HEARTBEAT_SECONDS: Final = 15.0
"""After so much silence a contract's heartbeat is sent: proxies close what says nothing."""


class Frames(Protocol):
    """How one contract writes one run, frame by frame."""

    def opening(self) -> bytes:
        """Return what is sent before the first event."""

    def encode(self, segments: Sequence[Segment]) -> bytes:
        """Return the frames of some events."""

    def heartbeat(self) -> bytes:
        """Return what is sent after a silence."""


Keep: TypeAlias = Callable[[bytes | None], Awaitable[None]]
"""Given all that a stream has sent, None where that is no finished answer."""


class EventStream(Response):
    """The answer of an endpoint that streams: all refusals lie before it, none can follow.

    `generation_uuid` is None where no generation outlives it; then somebody may `keep` its bytes.
    """

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, frames: Frames, *, generation_uuid: str | None) -> None:
        super().__init__(
            status_code=200, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]
        self.generation_uuid = generation_uuid
        self.keep: Keep | None = None
        self.stream = stream
        self._frames = frames
        self._sent: list[bytes] = []
        self._last: EventKind | None = None
        self._now = asyncio.get_running_loop().time  # looked up once: tokens ask for it
        self._silent_since = 0.0
        self._late = b""  # what the client was too slow for

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write until the run has ended or the client has left; the run goes on without it."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            if scope["method"] != "HEAD":  # an answer without a body does not wait for one
                await self._relay(scope, receive, send)
        finally:
            self.stream.close()
            if self.keep is not None:
                is_whole = self._last is EventKind.FINISHED
                await self.keep(b"".join(self._sent) if is_whole else None)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _relay(self, scope: Scope, receive: Receive, send: Send) -> None:
        write_now = scope.get("extensions", {}).get(WRITE_NOW)
        if write_now is not None and isinstance(self.stream, PassingStream):
            self.stream.pass_to(partial(self._take, write_now))
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_leave_with(self.stream, receive))
            await self._write(send)
            watch.cancel()

    async def _write(self, send: Send) -> None:
        now = self._now
        chunk = self._frames.opening()
        self._silent_since = now()
        while True:
            if chunk:
                self._note(chunk)
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                self._silent_since = now()  # the client may have been slow
            segments = await self.stream.next(
                silence_seconds=HEARTBEAT_SECONDS, silent_since=self._silent_since
            )
            if segments:
                chunk = self._frames.encode(segments)
                self._last = segments[-1].kind
            elif segments is not None:
                return
            elif self._late:
                chunk, self._late = self._late, b""
            else:  # a silence, unless something was written without this task
                is_silent = self._silent_since + HEARTBEAT_SECONDS <= now()
                chunk = self._frames.heartbeat() if is_silent else b""

    def _take(self, write_now: WriteNow, segments: Sequence[Segment]) -> bool:
        """Write without waking the task, which would double the cost; see `PassingStream`."""
        chunk = self._frames.encode(segments)
        self._last = segments[-1].kind
        if chunk:
            if not write_now(chunk):
                self._late = chunk
                return False
            self._note(chunk)
        return True

    def _note(self, chunk: bytes) -> None:
        self._silent_since = self._now()
        if self.keep is not None:
            self._sent.append(chunk)


async def read_all(stream: Stream, receive: Receive) -> list[Segment]:
    """Read a stream to its end for a client that waits. Raises `ClientDisconnect` if it leaves."""
    segments: list[Segment] = []
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(_leave_with(stream, receive))
            while more := await stream.next():
                segments += more
            watch.cancel()
    finally:
        stream.close()
    if not segments or segments[-1].kind not in FINAL:
        raise ClientDisconnect
    return segments


async def _leave_with(stream: Stream, receive: Receive) -> None:
    """Close the reader when the client goes; it may say anything else meanwhile."""
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.close()
