"""A server of `/v1/embeddings` as OpenAI documents it, which can be told to fail."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class EmbeddingsServer:
    """Answers with numbers from a hash of each text; `script` holds answers that go before."""

    dimensions: int = 4
    script: list[web.Response] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def start(self) -> None:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def close(self) -> None:
        await self._runner.cleanup()

    def numbers(self, text: str) -> list[float]:
        return [byte + 1.0 for byte in hashlib.sha256(text.encode()).digest()[: self.dimensions]]

    async def _answer(self, request: web.Request) -> web.Response:
        given = await request.json()
        self.asked.append(given)
        self.keys.append(request.headers.get("Authorization"))
        self.paths.append(request.path)
        if self.script:
            return self.script.pop(0)
        items = [
            {"object": "embedding", "index": index, "embedding": self.numbers(text)}
            for index, text in enumerate(given["input"])
        ]
        items.reverse()  # the index counts, not the place
        usage = {"prompt_tokens": 3 * len(items), "total_tokens": 3 * len(items)}
        answer = {"object": "list", "data": items, "model": given["model"], "usage": usage}
        return web.Response(text=json.dumps(answer), content_type="application/json")
