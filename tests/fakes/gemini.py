"""A provider that does as it is told: Gemini's wire format over real sockets, and every failure.

In tests: `async with Gemini() as gemini: gemini.plan(Script(…)); provider at gemini.base_url`.
By hand: `python -m tests.fakes.gemini --port 9998`, then name one of `MODELS` as the model, such as
`slow` or `reset`; `grounded` searches. It records each request.
"""

import argparse
import asyncio
import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from tests.fakes.scripts import COUNTED, MODELS, Failure, Script
from tests.fakes.server import Answer, Seen, Server

FLASH: dict[str, Any] = {
    "name": "models/gemini-2.5-flash",
    "version": "001",
    "displayName": "Gemini 2.5 Flash",
    "description": "Stable version of Gemini 2.5 Flash",
    "inputTokenLimit": 1_048_576,
    "outputTokenLimit": 65_536,
    "supportedGenerationMethods": ["generateContent", "countTokens", "batchGenerateContent"],
    "temperature": 1,
    "topP": 0.95,
    "topK": 64,
    "maxTemperature": 2,
    "thinking": True,
}
_REASONS = {"stop": "STOP", "length": "MAX_TOKENS"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_FIELDS = frozenset({"contents", "systemInstruction", "generationConfig", "tools"})
_VERB = re.compile(
    r"/v1(?:beta)?/(models|tunedModels)/([^/:]+):(streamGenerateContent|generateContent)"
)


@dataclass(frozen=True)
class GeminiScript(Script):
    """What only Gemini does."""

    grounding: Mapping[int, Mapping[str, Any]] | None = None  # metadata by the delta it comes with
    blocked: str | None = None  # the prompt, for this reason
    image: bytes | None = None
    says: str | None = None  # why it ended, in words


def error_body(
    status: int, message: str, *, name: str | None = None, details: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """Return an error as Google words it."""
    body = {"code": status, "message": message, "status": name or _STATUSES.get(status, "UNKNOWN")}
    return {"error": {**body, **({"details": list(details)} if details else {})}}


def refusal(status: int, message: str, **more: Any) -> Script:
    """Return the script of a refusal."""
    headers = more.pop("headers", {})
    body = json.dumps(error_body(status, message, **more), indent=2).encode()
    return Script(status=status, headers=headers, body=body)


def reason(word: str) -> dict[str, Any]:
    """Return the detail that names the cause of a refusal."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": word,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }


def retry_in(delay: str) -> dict[str, Any]:
    """Return the detail that names a pause, such as "34.07s"."""
    return {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay}


def grounding(
    pages: Sequence[tuple[str, str]], supports: Sequence[tuple[int, int, str, Sequence[int]]] = ()
) -> dict[str, Any]:
    """Return metadata: pages as (address, title), supports as (start, end, text, places)."""
    return {
        "webSearchQueries": ["how are you"],
        "searchEntryPoint": {"renderedContent": "<style></style><div></div>"},
        "groundingChunks": [{"web": {"uri": uri, "title": title}} for uri, title in pages],
        "groundingSupports": [
            {
                "segment": {**({"startIndex": start} if start else {}), "endIndex": end, "text": text},
                "groundingChunkIndices": list(places),
            }
            for start, end, text, places in supports
        ],
    }  # fmt: skip


class _GeminiAnswer(Answer):
    """Sends what a script says, as Google does."""

    upstream: "Gemini"
    drips: ClassVar[Mapping[Failure, bytes]] = {
        **Answer.drips,
        Failure.EMPTY: b'data: {"candidates":[{"content":{"parts":[{"text":""}],"role":"model"},"index":0}]}\n\n',
    }

    async def send(self) -> None:
        upstream, seen = self.upstream, self.seen
        path = urlsplit(seen.path).path
        if seen.method == "GET" and path in ("/v1/models", "/v1beta/models"):
            self.script = upstream.next_planned() or Script()
            if not await self.refused():
                await self.json(self._models())
        elif seen.method == "POST" and (verb := _VERB.fullmatch(path)):
            self.script = upstream.script_for(seen)
            await upstream.gate.wait()
            if unknown := seen.body.keys() - _FIELDS:
                message = f'Invalid JSON payload received. Unknown name "{min(unknown)}": Cannot find field.'
                self.script = refusal(400, message)
            if not await self.refused():
                await self._generate(is_streamed=verb[3] != "generateContent")
        else:
            self.script = Script(status=404, body=b"<html>404</html>", content_type="text/html")
            await self.refused()

    def _models(self) -> dict[str, Any]:
        query = parse_qs(urlsplit(self.seen.path).query)
        start = int(query.get("pageToken", ["0"])[0])
        end = start + self.upstream.page_size
        models = self.upstream.models
        more = {"nextPageToken": str(end)} if end < len(models) else {}
        return {"models": models[start:end], **more}

    async def _generate(self, *, is_streamed: bool) -> None:
        script = self.script
        chunks = self._chunks()
        if script.answers_whole or not is_streamed:
            await asyncio.sleep(script.delay_seconds * len(script.words))
            await self.json(_together(chunks))
            return
        await self.head(script.content_type or "text/event-stream")
        deltas = chunks[:-1] if script.failure is None else islice(chunks[:-1], script.after)
        for sent, chunk in enumerate(deltas):
            await asyncio.sleep(script.delay_seconds)
            await self.event(chunk)
            self.seen.deltas_sent = sent + 1
        if script.failure is not None:
            await self.fail(script.failure)
            return
        await self.event(chunks[-1])
        await self.chunked(b"")

    async def spoil(self, failure: Failure) -> None:
        wrong = {"candidates": {"content": 7}}
        given = dict(self.script.error)
        body = given if "status" in given else {"code": 500, "status": "INTERNAL", **given}
        await self.event(wrong if failure is Failure.WRONG_SHAPE else {"error": body})

    def _chunks(self) -> list[dict[str, Any]]:
        """Return what is sent, in order: the last one holds the end."""
        script = self.script
        if isinstance(script, GeminiScript) and script.blocked:
            feedback = {"promptFeedback": {"blockReason": script.blocked}}
            return [{**feedback, **self._frame(0, 0)}]
        parts: list[dict[str, Any]] = [{"text": text, "thought": True} for text in script.reasoning]
        tag = f" {self.seen.number}." if script.is_varied else ""
        parts += [{"text": f"{tag}{at}{w}" if tag else w} for at, w in enumerate(script.words)]
        known = script if isinstance(script, GeminiScript) else GeminiScript()
        if known.image is not None:
            data = base64.b64encode(known.image).decode()
            parts.append({"inlineData": {"mimeType": "image/png", "data": data}})
        last: dict[str, Any] = {"content": {"parts": [{"text": ""}], "role": "model"}, "index": 0}
        if script.finish_reason is not None:
            last["finishReason"] = _REASONS.get(script.finish_reason, script.finish_reason)
        if known.says:
            last["finishMessage"] = known.says
        candidates = [
            *({"content": {"parts": [part], "role": "model"}, "index": 0} for part in parts),
            last,
        ]
        for at, metadata in (known.grounding or {}).items():
            candidates[at]["groundingMetadata"] = metadata
        thoughts = len(script.reasoning)
        return [
            {
                "candidates": [candidate],
                **self._frame(
                    max(min(at + 1, len(parts)) - thoughts, 0), min(at + 1, thoughts)
                ),
            }
            for at, candidate in enumerate(candidates)
        ]  # fmt: skip

    def _frame(self, completion: int, thoughts: int) -> dict[str, Any]:
        frame = {"modelVersion": self.upstream.model_of(self.seen), "responseId": "r-1"}
        if self.script.usage is None:
            return frame
        if self.script.usage is not COUNTED:
            return {"usageMetadata": self.script.usage, **frame}
        texts = [
            part.get("text", "")
            for content in [*self.seen.body["contents"], self.seen.body.get("systemInstruction")]
            if content
            for part in content["parts"]
        ]
        prompt = sum(len(text.split()) for text in texts)
        counted = {
            "promptTokenCount": prompt,
            "candidatesTokenCount": completion,
            "totalTokenCount": prompt + completion + thoughts,
            **({"thoughtsTokenCount": thoughts} if thoughts else {}),
        }
        return {"usageMetadata": counted, **frame}


def _together(chunks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return one answer that holds what the chunks do."""
    whole = dict(chunks[-1])
    if "candidates" not in whole:
        return whole
    parts: list[dict[str, Any]] = []
    candidate = dict(whole["candidates"][0])
    for chunk in chunks:
        part = chunk["candidates"][0]["content"]["parts"][0]
        if metadata := chunk["candidates"][0].get("groundingMetadata"):
            candidate["groundingMetadata"] = metadata
        last = parts[-1] if parts else {}
        if "text" in part and "text" in last and part.get("thought") == last.get("thought"):
            parts[-1] = {**last, "text": last["text"] + part["text"]}
        elif part.get("text") or "inlineData" in part:
            parts.append(part)
    candidate["content"] = {"parts": parts, "role": "model"} if parts else {"role": "model"}
    return {**whole, "candidates": [candidate]}


class Gemini(Server):
    """The simulator: a server on a loopback port of its own."""

    answering = _GeminiAnswer

    def __init__(self, *, port: int = 0, default: Script | None = None) -> None:
        super().__init__(port=port, default=default)
        self.models: list[Any] = [FLASH]
        self.page_size = 50

    def model_of(self, seen: Seen) -> str:
        """Return the model that a request names in its path."""
        found = _VERB.match(seen.path)
        return found[2] if found else ""

    def script_for(self, seen: Seen) -> Script:
        """Return what becomes of a completion."""
        planned = self.next_planned()
        return planned or self.by_model.get(self.model_of(seen), self.default)


_GROUNDED = GeminiScript(
    words=("It is sunny. ", "Wear a hat."),
    delay_seconds=0.3,
    grounding={
        2: grounding(
            [("https://weather.example/", "weather.example"), ("https://hats.example/", "hats")],
            [(0, 12, "It is sunny.", [0]), (13, 24, "Wear a hat.", [1])],
        )
    },
)


async def _serve(port: int) -> None:
    async with Gemini(port=port) as gemini:
        scripts: dict[str, Script] = {**MODELS, "grounded": _GROUNDED, "gemini-2.5-flash": Script()}
        gemini.by_model.update(scripts)
        gemini.models = [{**FLASH, "name": f"models/{name}"} for name in scripts]
        print(f"{gemini.base_url}: {', '.join(scripts)}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9998)
    asyncio.run(_serve(parser.parse_args().port))
