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
            self.session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0), auto_decompress=False
            )
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        if scope["method"] == "GET":
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})
            return
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-type", b"text/event-stream")],
            }
        )
        async with self.session.post(self.upstream, data=body) as response:
            buffer = b""
            async for data in response.content.iter_any():
                buffer += data
                *frames, buffer = buffer.split(b"\n\n")
                out = b""
                for frame in frames:
                    if frame == b"data: [DONE]":
                        continue
                    chunk = decode(frame[6:])
                    for choice in chunk.choices:
                        if choice.delta.content:
                            data = encode(
                                {"generation_id": GENERATION, "delta": choice.delta.content}
                            )
                            out += b"event: delta\ndata: %b\n\n" % data
                if out:
                    await send({"type": "http.response.body", "body": out, "more_body": True})
        await send({"type": "http.response.body", "body": b"event: done\ndata: {}\n\n"})


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
