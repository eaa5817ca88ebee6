"""A provider that does as it is told: OpenAI's wire format over real sockets, and every failure.

In tests: `async with Upstream() as upstream: upstream.plan(Script(…)); provider at upstream.base_url`.
By hand: `python -m tests.fakes.upstream --port 9999`, then name one of `MODELS` as the model, such as
`slow` or `reset`. It records each request, and when the client's end of its connection was closed.
"""

import argparse
import asyncio
import base64
import time
from collections.abc import Mapping
from itertools import islice
from typing import Any, ClassVar

from tests.fakes.scripts import COUNTED, MODELS, Failure, Script, error
from tests.fakes.server import Answer, Connection, Seen, Server

__all__ = ["Seen", "Upstream"]


class _ChatAnswer(Answer):
    """Sends what a script says, as OpenAI does."""

    upstream: "Upstream"
    drips: ClassVar[Mapping[Failure, bytes]] = {
        **Answer.drips,
        Failure.EMPTY: b'data: {"choices":[{"index":0,"delta":{"content":""}}]}\n\n',
    }

    def __init__(self, connection: Connection, seen: Seen) -> None:
        super().__init__(connection, seen)
        self.model: str = (seen.body or {}).get("model", "sim")

    async def send(self) -> None:
        upstream, seen = self.upstream, self.seen
        match seen.method, seen.path.partition("?")[0]:
            case "GET", "/v1/models":
                self.script = upstream.next_planned() or Script()
                if not await self.refused():
                    await self.json({"object": "list", "data": upstream.models})
            case "POST", "/v1/chat/completions":
                self.script = upstream.script_for(seen)
                await upstream.gate.wait()
                if not await self.refused():
                    await self._complete()
            case "POST", "/v1/images/generations":
                self.script = upstream.script_for(seen)
                await upstream.gate.wait()
                if not await self.refused():
                    await self._paint()
            case "GET", "/pictures/1.png":
                self.script = upstream.next_planned() or Script()
                if not await self.refused():
                    await self.whole(self.script.picture, "image/png")
            case method, path:
                self.script = error(
                    404, f"Invalid URL ({method} {path})", type="invalid_request_error"
                )
                await self.refused()

    async def _complete(self) -> None:
        script = self.script
        if script.answers_whole or not self.seen.body.get("stream"):
            await asyncio.sleep(script.delay_seconds * len(script.words))
            await self.json(self._completion())
            return
        await self.head(script.content_type or "text/event-stream; charset=utf-8")
        await self.event(self._chunk({"role": "assistant", "content": "", "refusal": None}))
        deltas = script.deltas(self.seen.number)
        for sent, delta in enumerate(
            deltas if script.failure is None else islice(deltas, script.after)
        ):
            await asyncio.sleep(script.delay_seconds)
            await self.event(self._chunk(delta))
            self.seen.deltas_sent = sent + 1
        if script.failure is not None:
            await self.fail(script.failure)
            return
        if script.finish_reason is not None:
            await self.event(self._chunk({}, script.finish_reason))
        options = self.seen.body.get("stream_options") or {}
        if options.get("include_usage") and script.usage is not None:
            await self.event({**self._chunk({}), "choices": [], "usage": self._usage()})
        if script.has_done:
            await self.event("[DONE]")
        await self.chunked(b"")

    async def _paint(self) -> None:
        script = self.script
        picture: dict[str, Any] = {"b64_json": base64.b64encode(script.picture).decode()}
        if script.picture_address is not None:
            picture = {"url": script.picture_address}
        body: dict[str, Any] = {"created": int(time.time()), "data": [picture]}
        if script.usage is not None:
            counted = len(self.seen.body["prompt"].split())
            body["usage"] = script.usage or {
                "input_tokens": counted,
                "output_tokens": 1_056,
                "total_tokens": counted + 1_056,
                "input_tokens_details": {"text_tokens": counted, "image_tokens": 0},
            }
        await self.json(body)

    async def spoil(self, failure: Failure) -> None:
        wrong = {"choices": {"delta": 7}}
        await self.event(
            wrong if failure is Failure.WRONG_SHAPE else {"error": dict(self.script.error)}
        )

    def _chunk(self, delta: Mapping[str, Any], reason: str | None = None) -> dict[str, Any]:
        choice = {"index": 0, "delta": dict(delta), "logprobs": None, "finish_reason": reason}
        frame = {**self._frame("chat.completion.chunk"), **self.script.found}
        return {**frame, "choices": [choice], "usage": None}

    def _completion(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for delta in self.script.deltas(self.seen.number):
            for name, more in delta.items():
                said[name] = said[name] + more if name in said else more
        if "image" in self.seen.body.get("modalities", ()):
            said["images"] = [{"type": "image_url", "image_url": {"url": self._picture_address()}}]
        message = {"role": "assistant", "content": None, "refusal": None, **said}
        reason = self.script.finish_reason or "stop"
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
        usage = {} if self.script.usage is None else {"usage": self._usage()}
        return {
            **self._frame("chat.completion"),
            **self.script.found,
            "choices": [choice],
            **usage,
        }

    def _picture_address(self) -> str:
        if self.script.picture_address is not None:
            return self.script.picture_address
        return f"data:image/png;base64,{base64.b64encode(self.script.picture).decode()}"

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


class Upstream(Server):
    """OpenAI's protocol."""

    answering = _ChatAnswer

    def __init__(self, *, port: int = 0, default: Script | None = None) -> None:
        super().__init__(port=port, default=default)
        self.models: list[dict[str, Any]] = [{"id": "sim", "object": "model", "owned_by": "sim"}]

    @property
    def base_url(self) -> str:
        """Return the address as an OpenAI client takes it."""
        return f"{super().base_url}/v1"


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
