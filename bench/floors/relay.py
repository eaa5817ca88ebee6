"""The floor of a relay: parses the upstream's deltas, frames them anew, stores nothing.

Run: python -m bench.floors.relay PORT UPSTREAM_PORT
"""

import sys

import aiohttp
import msgspec
import uvicorn


class Delta(msgspec.Struct):
    content: str | None = None


class Choice(msgspec.Struct):
    delta: Delta = msgspec.field(default_factory=Delta)


class Chunk(msgspec.Struct):
    choices: list[Choice]


decode = msgspec.json.Decoder(Chunk).decode
encode = msgspec.json.Encoder().encode
GENERATION = "0190c2a4-0000-7000-8000-000000000000"


class Relay:
    def __init__(self, upstream: str) -> None:
        self.upstream = upstream
        self.session: aiohttp.ClientSession | None = None

    async def __call__(self, scope, receive, send) -> None:
        if self.session is None:
            connector = aiohttp.TCPConnector(limit=0)
            self.session = aiohttp.ClientSession(connector=connector, auto_decompress=False)
        body = b""
        while (message := await receive()).get("more_body"):
            body += message["body"]
        body += message["body"]
        headers = [(b"content-type", b"text/event-stream")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if scope["method"] == "POST":
            await self.relay(body, send)
        await send({"type": "http.response.body", "body": b"event: done\ndata: {}\n\n"})

    async def relay(self, body, send) -> None:
        async with self.session.post(self.upstream, data=body) as response:
            buffer = b""
            async for data in response.content.iter_any():
                buffer += data
                *frames, buffer = buffer.split(b"\n\n")
                out = b"".join([framed(frame) for frame in frames])
                if out:
                    await send({"type": "http.response.body", "body": out, "more_body": True})


def framed(frame: bytes) -> bytes:
    if frame == b"data: [DONE]":
        return b""
    choices = decode(frame[6:]).choices
    if not choices or not choices[0].delta.content:
        return b""
    data = encode({"generation_id": GENERATION, "delta": choices[0].delta.content})
    return b"event: delta\ndata: %b\n\n" % data


if __name__ == "__main__":
    app = Relay(f"http://127.0.0.1:{sys.argv[2]}/v1/chat/completions")
    uvicorn.run(
        app,
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        backlog=4096,
    )
