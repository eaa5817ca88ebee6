"""The HTTP server: uvicorn, with the signals and the order of stopping in our own hands."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from typing import Final, TypeAlias

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

HEAD_MAX_BYTES: Final = 64 * 1024
"""Most of a request before its body; a little more passes, as much as comes at once."""

HEAD_SECONDS: Final = 30.0
"""How long a request may take until its body begins."""

BODY_SECONDS: Final = 20.0
"""How often it is looked whether a body still comes."""

BODY_BYTES: Final = 10_000
"""What must have come of a body since the last look: 500 bytes a second."""

WRITE_SECONDS: Final = 60.0
"""After so long in which nothing of what waits for a client could be sent, it counts as gone."""

STREAMS_END_SECONDS: Final = 5
"""How long answers that are being written may take to end once the server stops."""


WRITE_NOW: Final = "palaver.write_now"
"""An extension of ASGI: how to write a piece of the body without a turn of the event loop."""

WriteNow: TypeAlias = Callable[[bytes], bool]
"""Writes a piece; False, and nothing was written, where `send` would have to wait."""


class _Server(uvicorn.Server):
    """Leaves the signals alone: uvicorn would wait for open streams before it tells us anything."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class Connection(HttpToolsProtocol):
    """Bounds what clients may take: uvicorn would gather a head, and wait for them, for ever."""

    _head_bytes = 0
    _is_in_head = True
    _has_ended = False  # whether the end of a request lay in the bytes that have just come
    _head_timer: asyncio.TimerHandle | None = None
    _body_bytes = 0  # what has come since the last look
    _body_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin, and wait for the first request."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Come to the end."""
        self._stop_timer()
        self._stop_body_timer()
        self._stop_write_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has come."""
        self._has_ended = False
        super().data_received(data)
        if not self._is_in_head:
            self._body_bytes += len(data)
            if self._body_timer is None:  # most bodies come with their head
                self._start_body_timer()
            return
        # What lies behind the end of a request is no more than has come at once.
        if self._has_ended:
            return
        self._head_bytes += len(data)
        if self._head_bytes > HEAD_MAX_BYTES:
            self._refuse(b"431 Request Header Fields Too Large")
        elif self._head_timer is None:
            self._start_timer()

    def on_headers_complete(self) -> None:
        """Serve the request whose head has come."""
        self._is_in_head = False
        self._head_bytes = 0
        self._stop_timer()
        super().on_headers_complete()
        # To uvicorn's types, an extension is a dictionary.
        self.scope["extensions"] = {WRITE_NOW: partial(_write_now, self.cycle)}  # type: ignore[dict-item]

    def on_message_complete(self) -> None:
        """Go on with what comes behind the body."""
        self._is_in_head = True
        self._has_ended = True
        self._stop_body_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Wait for a client that does not read as fast as it is answered, but not for ever."""
        super().pause_writing()
        self._stop_write_timer()
        self._await_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Go on: the client has read what was waiting for it."""
        self._stop_write_timer()
        super().resume_writing()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._be_late)

    def _be_late(self) -> None:
        if self._is_answering:
            # Whoever waits for an answer may have begun the next request, or sent a stray line end.
            self._start_timer()
        else:
            self._refuse(b"408 Request Timeout")

    @property
    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _start_body_timer(self) -> None:
        self._body_timer = self.loop.call_later(BODY_SECONDS, self._look_at_body)

    def _look_at_body(self) -> None:
        if self.flow.read_paused:
            # It is we who are slow. What we do not read until the next look is no fault either.
            self._body_bytes = BODY_BYTES
        elif self._body_bytes < BODY_BYTES:
            self._refuse(b"408 Request Timeout")
            return
        else:
            self._body_bytes = 0
        self._start_body_timer()

    def _stop_body_timer(self) -> None:
        self._body_bytes = 0
        if self._body_timer is not None:
            self._body_timer.cancel()
            self._body_timer = None

    def _await_reading(self, waiting_bytes: int) -> None:
        self._write_timer = self.loop.call_later(
            WRITE_SECONDS, self._look_at_reading, waiting_bytes
        )

    def _look_at_reading(self, waiting_bytes: int) -> None:
        left_bytes = self.transport.get_write_buffer_size()
        if left_bytes < waiting_bytes:
            self._await_reading(left_bytes)
        else:
            self.transport.abort()

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _refuse(self, status: bytes) -> None:
        if self.transport.is_closing():
            return
        # A body is late while the answer waits for it; one that has begun is cut off.
        if not self._is_answering or not (self._is_in_head or self.cycle.response_started):
            head = b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
            self.transport.write(head % status)
        self.transport.close()


def _write_now(cycle: RequestResponseCycle, piece: bytes) -> bool:
    """Do what `send` does with a piece of a body whose length is not known."""
    if cycle.flow.write_paused or not cycle.chunked_encoding or cycle.response_complete:
        return False
    if not cycle.disconnected:
        cycle.transport.write(b"%x\r\n%b\r\n" % (len(piece), piece))
    return True


def configuration(app: ASGIApp, *, trusted_proxies: tuple[str, ...]) -> uvicorn.Config:
    """Return how we have uvicorn serve."""
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        loop="none",
        http=Connection,
        ws="none",
        proxy_headers=bool(trusted_proxies),
        forwarded_allow_ips=list(trusted_proxies),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STREAMS_END_SECONDS,
        backlog=2048,
    )


async def serve(
    app: ASGIApp,
    *,
    host: str,
    port: int,
    trusted_proxies: tuple[str, ...],
    on_ready: Callable[[str], None],
    before_stop: Callable[[], Awaitable[None]],
) -> None:
    """Serve until SIGTERM or SIGINT; a second one stops without waiting.

    `on_ready` gets the address; `before_stop` ends what streams before connections are closed.
    Raises `OSError` when the address cannot be had.
    """
    config = configuration(app, trusted_proxies=trusted_proxies)
    server = _Server(config)
    listener = _listen(host, port)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            server.force_exit = True
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)
    async with asyncio.TaskGroup() as group:
        serving = group.create_task(server.serve(sockets=[listener]))
        stopping = group.create_task(stop.wait())
        on_ready(_address(listener))
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        await before_stop()
        server.should_exit = True


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio switches Nagle's algorithm off only where it is told that this is TCP; with it, each
    # second write of an answer waits 40 ms for the client's acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)  # the standard library's face
    return listener


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if host in {"0.0.0.0", "::"}:  # noqa: S104  # compared, not bound
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
