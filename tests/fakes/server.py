"""What the simulated providers share: a server that does as it is told, over real sockets.

It records each request, and when the client's end of its connection was closed. What an answer
looks like on the wire is the matter of each protocol's own module.
"""

import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, ClassVar, Self, cast

from palaver.kit.tasks import Tasks
from tests.fakes.scripts import HUGE_BYTES, Failure, Script


class Seen:
    """A request that came, and what has become of its connection."""

    def __init__(
        self, number: int, method: str, path: str, headers: dict[str, str], body: bytes
    ) -> None:
        self.number = number
        self.method = method
        self.path = path
        self.headers = headers
        self.body: Any = json.loads(body) if body else None
        self.received_at = time.monotonic()
        self.deltas_sent = 0
        self.is_answered = False  # to the end, as scripted
        self.closed_at: float | None = None  # when the client closed its end, else None
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Note that the client has closed its end of the connection."""
        if self.closed_at is None:
            self.closed_at = time.monotonic()
            self._closed.set()

    async def closed(self, *, within_seconds: float = 10) -> float:
        """Wait until the client has closed its end; return the instant, on the monotonic clock."""
        async with asyncio.timeout(within_seconds):
            await self._closed.wait()
        assert self.closed_at is not None
        return self.closed_at


class Server:
    """A simulated provider, on a loopback port of its own."""

    answering: ClassVar[type["Answer"]]  # how this protocol answers

    def __init__(self, *, port: int = 0, default: Script | None = None) -> None:
        self.port = port
        self.default = default or Script()
        self.by_model: dict[str, Script] = {}
        self.requests: list[Seen] = []
        self.connections = 0  # accepted so far
        self.gate = asyncio.Event()  # answers wait until it is set
        self.gate.set()
        self._plan: deque[Script] = deque()
        self._open: set[Connection] = set()
        self._tasks = Tasks()
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()

    @property
    def base_url(self) -> str:
        """Return the address as the vendor's own client takes it."""
        return f"http://127.0.0.1:{self.port}"

    def plan(self, *scripts: Script) -> None:
        """Say what becomes of the next requests, in order; then `by_model` and `default` rule."""
        self._plan.extend(scripts)

    async def request(self, number: int = 1, *, within_seconds: float = 10) -> Seen:
        """Wait for the `number`th request (the first is 1)."""
        async with asyncio.timeout(within_seconds):
            while len(self.requests) < number:
                self._arrived.clear()
                await self._arrived.wait()
        return self.requests[number - 1]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._tasks.cancel()
        for connection in tuple(self._open):
            connection.transport.abort()
        await self._server.wait_closed()
        await asyncio.sleep(0)

    def next_planned(self) -> Script | None:
        """Return what was planned for the next request, if anything was."""
        return self._plan.popleft() if self._plan else None

    def script_for(self, seen: Seen) -> Script:
        """Return what becomes of a completion."""
        if (planned := self.next_planned()) is not None:
            return planned
        model = seen.body.get("model") if isinstance(seen.body, dict) else None
        return self.by_model.get(str(model), self.default)


class Connection(asyncio.Protocol):
    """One client: takes its requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, upstream: Server) -> None:
        self.upstream = upstream
        self.buffer = b""
        self.seen: Seen | None = None  # the request that is being answered
        self.last: Seen | None = None
        self.can_write = asyncio.Event()
        self.can_write.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass
        self.upstream.connections += 1
        self.upstream._open.add(self)

    def pause_writing(self) -> None:
        self.can_write.clear()

    def resume_writing(self) -> None:
        self.can_write.set()

    def eof_received(self) -> None:
        self._gone()

    def connection_lost(self, exc: Exception | None) -> None:
        self.upstream._open.discard(self)
        self.can_write.set()
        self._gone()

    def _gone(self) -> None:
        for seen in (self.seen, self.last):
            if seen is not None:
                seen.close()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if self.seen is not None:
            return
        if self.buffer[:1] == b"\x16":  # the first byte of TLS
            self.transport.close()
            return
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lines = head.decode("latin-1").split("\r\n")
        method, path, _ = lines[0].split(" ")
        headers = {
            name.lower(): value.strip()
            for name, _, value in (line.partition(":") for line in lines[1:])
        }
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self.buffer = rest[length:]
        upstream = self.upstream
        self.seen = Seen(len(upstream.requests) + 1, method, path, headers, rest[:length])
        upstream.requests.append(self.seen)
        upstream._arrived.set()
        upstream._tasks.start(self._serve(self.seen), name=f"request {self.seen.number}")

    async def _serve(self, seen: Seen) -> None:
        try:
            await self.upstream.answering(self, seen).send()
        except ConnectionError:
            return
        seen.is_answered = True
        self.last, self.seen = seen, None
        self.data_received(b"")  # the next request may be here already


class Answer:
    """Sends what a script says; a protocol's own class says how it looks."""

    drips: ClassVar[Mapping[Failure, bytes]] = {
        Failure.STALL: b"",
        Failure.DRIP: b": keep-alive\n\n",
    }

    def __init__(self, connection: Connection, seen: Seen) -> None:
        self.transport = connection.transport
        self.connection = connection
        self.upstream = connection.upstream
        self.seen = seen
        self.script = Script()

    async def send(self) -> None:
        """Answer the request."""
        raise NotImplementedError

    async def refused(self) -> bool:
        """Do what has no answer in it; tell whether that was all."""
        script = self.script
        match script.failure:
            case Failure.HANG_UP:
                self.transport.close()
            case Failure.SILENT:
                await asyncio.Event().wait()
            case Failure.HEAD_ONLY:
                await self.head(script.content_type or "text/event-stream")
                await asyncio.Event().wait()
            case Failure.NO_HTTP:
                await self.write(b"220 smtp.example ESMTP ready\r\n")
                self.transport.close()
            case _ if script.body is not None:
                await self.whole(script.body, script.content_type or "application/json")
            case _:
                return False
        return True

    async def fail(self, failure: Failure) -> None:
        """Do what goes wrong in the middle of a stream."""
        match failure:
            case _ if failure in self.drips:
                await self._drip(self.drips[failure])
            case Failure.RESET:
                sock = self.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()
            case Failure.CUT:
                self.transport.close()
            case Failure.MALFORMED:
                await self.chunked(b'data: {"choices": [{"delta": {"content": "un\n\n')
            case Failure.WRONG_SHAPE | Failure.ERROR:
                await self.spoil(failure)
            case Failure.HUGE:
                for _ in range(HUGE_BYTES // 65_536):
                    await self.chunked(b"x" * 65_536)
            case _:
                pass
        if not self.transport.is_closing():
            await self.chunked(b"")

    async def spoil(self, failure: Failure) -> None:
        """Send an event of another shape, or the script's error as an event."""
        raise NotImplementedError

    async def _drip(self, data: bytes) -> None:
        while True:
            if data:
                await self.chunked(data)
            await asyncio.sleep(max(self.script.delay_seconds, 0.01))

    async def json(self, body: object) -> None:
        """Send a JSON document."""
        await self.whole(json.dumps(body).encode(), self.script.content_type or "application/json")

    async def whole(self, body: bytes, content_type: str) -> None:
        """Send a body whose length is told."""
        length = self.script.headers.get("Content-Length", len(body))
        await self.head(content_type, f"Content-Length: {length}")
        await self.write(body)

    async def head(self, content_type: str, length: str = "Transfer-Encoding: chunked") -> None:
        """Send the head of an answer."""
        script = self.script
        status = f"{script.status} {HTTPStatus(script.status).phrase if script.status in list(HTTPStatus) else 'Odd'}"
        more = [
            f"{name}: {value}" for name, value in script.headers.items() if name != "Content-Length"
        ]
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", length, *more, "", ""]
        await self.write("\r\n".join(lines).encode())

    async def event(self, data: object, *, name: str | None = None) -> None:
        """Send an event: JSON, or a text as it stands."""
        text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
        end = self.script.line_end
        head = f"event: {name}{end}" if name else ""
        await self.chunked(f"{head}data: {text}{end}{end}".encode())

    async def chunked(self, data: bytes) -> None:
        """Send a piece of a body without a length; an empty one ends it."""
        for piece in _pieces(data, self.script.piece_bytes):
            await self.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self.script.piece_bytes is not None:
                await asyncio.sleep(0)

    async def write(self, data: bytes) -> None:
        """Send bytes, and wait until the client has room for more."""
        if self.transport.is_closing() or self.seen.closed_at is not None:
            raise ConnectionResetError
        self.transport.write(data)
        await self.connection.can_write.wait()


def _pieces(data: bytes, size: int | None) -> Iterable[bytes]:
    if size is None or not data:
        return [data]
    return [data[at : at + size] for at in range(0, len(data), size)]
