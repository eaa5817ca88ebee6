"""A provider that costs next to nothing: streams tokens at a steady pace, each with its birth time.

A token's text is the monotonic clock in seconds with six decimals and a space, so whoever reads it
on this machine knows its age. Run: python -m bench.upstream PORT
"""

import asyncio
import json
import sys
import time

import uvloop

HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNK = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":'
PREFIX = CHUNK + b'[{"index":0,"delta":{"content":"'
SUFFIX = b'"},"finish_reason":null}]}\n\n'
LAST = (
    CHUNK + b'[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n' + CHUNK + b'[],"usage":'
    b'{"prompt_tokens":10,"completion_tokens":%d,"total_tokens":%d}}\n\ndata: [DONE]\n\n'
)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


class Upstream(asyncio.Protocol):
    """One connection; answers one request after the other."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""
        self.timer: asyncio.TimerHandle | None = None

    def connection_lost(self, error: Exception | None) -> None:
        if self.timer is not None:
            self.timer.cancel()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, found, rest = self.buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = 0
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        if len(rest) < length:
            return
        body, self.buffer = rest[:length], rest[length:]
        if head.startswith(b"GET"):
            self.answer_models()
        else:
            self.begin(json.loads(body))

    def answer_models(self) -> None:
        body = b'{"object":"list","data":[{"id":"m","object":"model"}]}'
        self.transport.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b"
            % (len(body), body)
        )

    def begin(self, request: dict) -> None:
        # "tokens=60 rate=20" in the question says how much and how fast.
        words = dict(
            word.split("=", 1)
            for word in str(request["messages"][-1]["content"]).split()
            if "=" in word
        )
        self.left = self.count = int(words.get("tokens", 60))
        self.pause = 1 / float(words.get("rate", 20))
        self.transport.write(HEAD)
        self.due = asyncio.get_running_loop().time() + self.pause
        self.timer = asyncio.get_running_loop().call_at(self.due, self.tick)

    def tick(self) -> None:
        if self.left == 0:
            self.transport.write(chunk(LAST % (self.count, self.count + 10)) + b"0\r\n\r\n")
            self.timer = None
            return
        self.left -= 1
        text = b"%.6f " % time.monotonic()
        self.transport.write(chunk(PREFIX + text + SUFFIX))
        self.due += self.pause
        self.timer = asyncio.get_running_loop().call_at(self.due, self.tick)


async def main(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Upstream, "127.0.0.1", port, backlog=4096)
    print("ready", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
