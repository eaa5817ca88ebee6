"""A provider that does as it is told: OpenAI's wire format over real sockets, and every failure.

In tests: `async with Upstream() as upstream: upstream.plan(Script(…)); provider at upstream.base_url`.
By hand: `python -m tests.fakes.upstream --port 9999`, then name one of `MODELS` as the model, such as
`slow` or `reset`. It records each request, and when the client's end of its connection was closed.
"""

import argparse
import asyncio
import json
import socket
import struct
import time
from collections import deque
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from itertools import islice
from typing import Any, Self, cast

from palaver.kit.tasks import Tasks
from tests.fakes.scripts import COUNTED, HUGE_BYTES, MODELS, Failure, Script, error


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


class Upstream:
    """The simulator: a server on a loopback port of its own."""

    def __init__(self, *, port: int = 0, default: Script | None = None) -> None:
        self.port = port
        self.default = default or Script()
        self.by_model: dict[str, Script] = {}
        self.models: list[dict[str, Any]] = [{"id": "sim", "object": "model", "owned_by": "sim"}]
        self.requests: list[Seen] = []
        self.connections = 0  # accepted so far
        self.gate = asyncio.Event()  # answers wait until it is set
        self.gate.set()
        self._plan: deque[Script] = deque()
        self._open: set[_Connection] = set()
        self._tasks = Tasks()
        self._server: asyncio.Server | None = None
        self._arrived = asyncio.Event()

    @property
    def base_url(self) -> str:
        """Return the address as an OpenAI client takes it."""
        return f"http://127.0.0.1:{self.port}/v1"

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
        self._server = await loop.create_server(lambda: _Connection(self), "127.0.0.1", self.port)
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

    def _script(self, seen: Seen) -> Script:
        if self._plan:
            return self._plan.popleft()
        model = seen.body.get("model") if isinstance(seen.body, dict) else None
        return self.by_model.get(str(model), self.default)


class _Connection(asyncio.Protocol):
    """One client: takes its requests one after the other."""

    transport: asyncio.Transport

    def __init__(self, upstream: Upstream) -> None:
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
            await _Answer(self, seen).send()
        except ConnectionError:
            return
        seen.is_answered = True
        self.last, self.seen = seen, None
        self.data_received(b"")  # the next request may be here already


_DRIPS = {
    Failure.STALL: b"",
    Failure.DRIP: b": keep-alive\n\n",
    Failure.EMPTY: b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n',
}


class _Answer:
    """Sends what a script says."""

    def __init__(self, connection: _Connection, seen: Seen) -> None:
        self.transport = connection.transport
        self.connection = connection
        self.seen = seen
        self.script = Script()
        self.model: str = (seen.body or {}).get("model", "sim")

    async def send(self) -> None:
        upstream, seen = self.connection.upstream, self.seen
        match seen.method, seen.path.partition("?")[0]:
            case "GET", "/v1/models":
                models = upstream.models
                self.script = upstream._plan.popleft() if upstream._plan else Script()
                if not await self._refuse():
                    await self._json({"object": "list", "data": models})
            case "POST", "/v1/chat/completions":
                self.script = upstream._script(seen)
                await upstream.gate.wait()
                if not await self._refuse():
                    await self._complete()
            case method, path:
                self.script = error(
                    404, f"Invalid URL ({method} {path})", type="invalid_request_error"
                )
                await self._refuse()

    async def _refuse(self) -> bool:
        """Do what has no answer in it; tell whether that was all."""
        script = self.script
        match script.failure:
            case Failure.HANG_UP:
                self.transport.close()
            case Failure.SILENT:
                await asyncio.Event().wait()
            case Failure.HEAD_ONLY:
                await self._head(script.content_type or "text/event-stream")
                await asyncio.Event().wait()
            case Failure.NO_HTTP:
                await self._write(b"220 smtp.example ESMTP ready\r\n")
                self.transport.close()
            case _ if script.body is not None:
                await self._whole(script.body, script.content_type or "application/json")
            case _:
                return False
        return True

    async def _complete(self) -> None:
        script = self.script
        if script.answers_whole or not self.seen.body.get("stream"):
            await asyncio.sleep(script.delay_seconds * len(script.words))
            await self._json(self._completion())
            return
        await self._head(script.content_type or "text/event-stream; charset=utf-8")
        await self._event(self._chunk({"role": "assistant", "content": "", "refusal": None}))
        deltas = script.deltas(self.seen.number)
        for sent, delta in enumerate(
            deltas if script.failure is None else islice(deltas, script.after)
        ):
            await asyncio.sleep(script.delay_seconds)
            await self._event(self._chunk(delta))
            self.seen.deltas_sent = sent + 1
        if script.failure is not None:
            await self._fail(script.failure)
            return
        if script.finish_reason is not None:
            await self._event(self._chunk({}, script.finish_reason))
        options = self.seen.body.get("stream_options") or {}
        if options.get("include_usage") and script.usage is not None:
            await self._event({**self._chunk({}), "choices": [], "usage": self._usage()})
        if script.has_done:
            await self._event("[DONE]")
        await self._chunked(b"")

    async def _fail(self, failure: Failure) -> None:
        match failure:
            case Failure.STALL | Failure.DRIP | Failure.EMPTY:
                await self._drip(_DRIPS[failure])
            case Failure.RESET:
                sock = self.transport.get_extra_info("socket")
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.transport.abort()
            case Failure.CUT:
                self.transport.close()
            case Failure.MALFORMED:
                await self._chunked(b'data: {"choices": [{"delta": {"content": "un\n\n')
            case Failure.WRONG_SHAPE:
                await self._event({"choices": {"delta": 7}})
            case Failure.ERROR:
                await self._event({"error": dict(self.script.error)})
            case Failure.HUGE:
                for _ in range(HUGE_BYTES // 65_536):
                    await self._chunked(b"x" * 65_536)
            case _:
                pass
        if not self.transport.is_closing():
            await self._chunked(b"")

    async def _drip(self, data: bytes) -> None:
        while True:
            if data:
                await self._chunked(data)
            await asyncio.sleep(max(self.script.delay_seconds, 0.01))

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        return {**self._frame("chat.completion.chunk"), "choices": [choice], "usage": None}

    def _completion(self) -> dict[str, Any]:
        texts: dict[str, str] = {}
        for delta in self.script.deltas(self.seen.number):
            for name, text in delta.items():
                texts[name] = texts.get(name, "") + text
        message = {"role": "assistant", "content": None, "refusal": None, **texts}
        reason = self.script.finish_reason or "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        usage = {} if self.script.usage is None else {"usage": self._usage()}
        return {**self._frame("chat.completion"), "choices": [choice], **usage}

    def _frame(self, object_: str) -> dict[str, Any]:
        id = f"chatcmpl-{self.seen.number:08d}"
        return {
            "id": id,
            "object": object_,
            "created": int(time.time()),
            "model": self.model,
            "system_fingerprint": None,
        }

    def _usage(self) -> Mapping[str, Any]:
        if self.script.usage is not COUNTED:
            return self.script.usage or {}
        prompt = sum(len(str(m.get("content")).split()) for m in self.seen.body["messages"])
        completion = len(self.script.words) + len(self.script.reasoning)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": len(self.script.reasoning)},
        }

    async def _json(self, body: object) -> None:
        await self._whole(json.dumps(body).encode(), self.script.content_type or "application/json")

    async def _whole(self, body: bytes, content_type: str) -> None:
        length = self.script.headers.get("Content-Length", len(body))
        await self._head(content_type, f"Content-Length: {length}")
        await self._write(body)

    async def _head(self, content_type: str, length: str = "Transfer-Encoding: chunked") -> None:
        script = self.script
        status = f"{script.status} {HTTPStatus(script.status).phrase if script.status in list(HTTPStatus) else 'Odd'}"
        more = [
            f"{name}: {value}" for name, value in script.headers.items() if name != "Content-Length"
        ]
        lines = [f"HTTP/1.1 {status}", f"Content-Type: {content_type}", length, *more, "", ""]
        await self._write("\r\n".join(lines).encode())

    async def _event(self, data: object) -> None:
        text = data if isinstance(data, str) else json.dumps(data, separators=(",", ":"))
        end = self.script.line_end
        await self._chunked(f"data: {text}{end}{end}".encode())

    async def _chunked(self, data: bytes) -> None:
        for piece in _pieces(data, self.script.piece_bytes):
            await self._write(b"%x\r\n%b\r\n" % (len(piece), piece))
            if self.script.piece_bytes is not None:
                await asyncio.sleep(0)

    async def _write(self, data: bytes) -> None:
        if self.transport.is_closing() or self.seen.closed_at is not None:
            raise ConnectionResetError
        self.transport.write(data)
        await self.connection.can_write.wait()


def _pieces(data: bytes, size: int | None) -> Iterable[bytes]:
    if size is None or not data:
        return [data]
    return [data[at : at + size] for at in range(0, len(data), size)]


async def _serve(port: int) -> None:
    async with Upstream(port=port) as upstream:
        upstream.by_model.update(MODELS)
        upstream.models = [{"id": name, "object": "model", "owned_by": "sim"} for name in MODELS]
        print(f"{upstream.base_url}: {', '.join(MODELS)}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9999)
    asyncio.run(_serve(parser.parse_args().port))
