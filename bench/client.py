"""The load: many connections on one core, as cheap as Python allows."""

import asyncio
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field

BIRTH = re.compile(rb"(\d+\.\d{6}) ")


def request(
    method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
) -> bytes:
    """Return a whole HTTP/1.1 request."""
    lines = [f"{method} {path} HTTP/1.1", "host: bench"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if body or method != "GET":
        lines += [f"content-length: {len(body)}", "content-type: application/json"]
    return "\r\n".join([*lines, "", ""]).encode() + body


class Client(asyncio.Protocol):
    """One connection that sends a request as soon as the former is answered."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.waiter: asyncio.Future[tuple[int, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def connection_lost(self, error: Exception | None) -> None:
        if self.waiter is not None and not self.waiter.done():
            self.waiter.set_exception(ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        head = bytes(self.buffer[:end])
        at = head.lower().find(b"content-length:")
        length = int(
            head[at + 15 : (head.find(b"\r\n", at) if head.find(b"\r\n", at) > 0 else None)]
        )
        if len(self.buffer) < end + 4 + length:
            return
        body = bytes(self.buffer[end + 4 : end + 4 + length])
        del self.buffer[: end + 4 + length]
        waiter, self.waiter = self.waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result((int(head[9:12]), body))

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send one request, return status and body."""
        self.waiter = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self.waiter


async def connect(port: int) -> Client:
    """Open a connection to loopback."""
    _, client = await asyncio.get_running_loop().create_connection(Client, "127.0.0.1", port)
    return client


@dataclass
class Load:
    """What a run of requests came to."""

    count: int
    seconds: float
    errors: int
    latencies_ms: list[float]

    @property
    def rate(self) -> float:
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        return percentile(self.latencies_ms, share)


def percentile(values: list[float], share: float) -> float:
    """Return the value below which `share` of them lie."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else 0.0


async def hammer(port: int, make: Callable[[int], bytes], *, clients: int, seconds: float) -> Load:
    """Send requests from so many connections for so long; `make` gets the connection's number."""
    connections = [await connect(port) for _ in range(clients)]
    latencies: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def one(number: int, client: Client) -> None:
        nonlocal errors
        while (begun := time.perf_counter()) < end:
            status, _ = await client.ask(make(number))
            latencies.append((time.perf_counter() - begun) * 1000)
            errors += status >= 300

    begun = time.perf_counter()
    await asyncio.gather(*(one(i, client) for i, client in enumerate(connections)))
    elapsed = time.perf_counter() - begun
    for client in connections:
        client.transport.close()
    return Load(len(latencies), elapsed, errors, latencies)


@dataclass
class Reading:
    """What one streamed answer came to."""

    ages_ms: list[float] = field(default_factory=list)
    first_ms: float = 0.0  # from the request to the first delta
    first_age_ms: float = 0.0  # of the first delta
    status: int = 0
    is_done: bool = False


class StreamClient(asyncio.Protocol):
    """Reads one streamed answer, and takes the age of every token."""

    def __init__(self, request: bytes, *, keep_from: float = 0.0) -> None:
        self.request = request
        self.reading = Reading()
        self.tail = b""
        self.keep_from = keep_from
        self.over: asyncio.Future[Reading] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.begun = time.monotonic()
        transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        reading = self.reading
        if not reading.status:
            reading.status = int(data[9:12])
        data = self.tail + data
        cut = data.rfind(b"\n\n")
        self.tail = data[cut:]
        for match in BIRTH.finditer(data, 0, cut if cut > 0 else 0):
            born = float(match[1])
            if not reading.first_ms:
                reading.first_ms = (now - self.begun) * 1000
                reading.first_age_ms = (now - born) * 1000
            reading.ages_ms.append((now - born) * 1000)
        if b"event: done" in data:
            reading.is_done = True
            self.finish()

    def connection_lost(self, error: Exception | None) -> None:
        self.finish()

    def finish(self) -> None:
        if not self.over.done():
            self.over.set_result(self.reading)
            self.transport.close()


async def stream(port: int, request: bytes) -> Reading:
    """Read one streamed answer to its end."""
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: StreamClient(request), "127.0.0.1", port
    )
    return await client.over
