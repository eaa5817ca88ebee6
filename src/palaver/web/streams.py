"""Server-sent events: a reader of a run, written to a client that may leave at any moment."""

import asyncio
from collections.abc import Sequence
from typing import Final, Protocol

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from palaver.domain.events import Segment
from palaver.domain.streams import Stream

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


class EventStream(Response):
    """The answer of an endpoint that streams: all refusals lie before it, none can follow."""

    media_type = "text/event-stream"

    def __init__(self, stream: Stream, frames: Frames, *, generation_uuid: str) -> None:
        super().__init__(
            status_code=200, headers={"cache-control": "no-store", "x-accel-buffering": "no"}
        )
        del self.headers["content-length"]
        self.generation_uuid = generation_uuid
        self._stream = stream
        self._frames = frames

    async def __call__(
        self,
        scope: Scope,  # noqa: ARG002  # ASGI's face
        receive: Receive,
        send: Send,
    ) -> None:
        """Write until the run has ended or the client has left; the run goes on without it."""
        start = {"status": self.status_code, "headers": self.raw_headers}
        await send({"type": "http.response.start", **start})
        try:
            async with asyncio.TaskGroup() as group:
                watch = group.create_task(self._leave_with(receive))
                await self._write(send)
                watch.cancel()
        finally:
            self._stream.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        now = asyncio.get_running_loop().time
        silent_since = now()
        chunk = self._frames.opening()
        while True:
            if chunk:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
                silent_since = now()  # events that this contract does not show leave it as it is
            segments = await self._stream.next(
                silence_seconds=HEARTBEAT_SECONDS, silent_since=silent_since
            )
            if segments is None:
                chunk = self._frames.heartbeat()
            elif segments:
                chunk = self._frames.encode(segments)
            else:
                return

    async def _leave_with(self, receive: Receive) -> None:
        """Close the reader when the client goes; it may say anything else meanwhile."""
        while (await receive())["type"] != "http.disconnect":
            pass
        self._stream.close()
