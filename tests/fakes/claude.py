"""A provider that does as it is told: Anthropic's wire format over real sockets, and every failure.

In tests: `async with Claude() as claude: claude.plan(Script(…)); provider at claude.base_url`.
By hand: `python -m tests.fakes.claude --port 9997`, then name one of `MODELS` as the model, such as
`slow` or `reset`; `searching` searches. It records each request, and refuses what the API refuses.
"""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from palaver.providers.anthropic.facts import generation_of
from tests.fakes.scripts import COUNTED, MODELS, Failure, Script
from tests.fakes.server import Answer, Server

SONNET: dict[str, Any] = {
    "type": "model",
    "id": "claude-sonnet-4-5-20250929",
    "display_name": "Claude Sonnet 4.5",
    "created_at": "2025-09-29T00:00:00Z",
    "lifecycle": "active",
}
ABLE: dict[str, Any] = {
    "image_input": {"supported": True},
    "server_tools": {"supported": True, "web_search": {"supported": True}},
    "thinking": {
        "supported": True,
        "types": {"adaptive": {"supported": False}, "enabled": {"supported": True}},
    },
}
"""What the models can do that the simulator lists by hand."""
_REASONS = {"stop": "end_turn", "length": "max_tokens"}
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_FIELDS = frozenset(
    [
        "model",
        "max_tokens",
        "messages",
        "system",
        "stream",
        "temperature",
        "top_p",
        "metadata",
        "thinking",
        "output_config",
        "tools",
        "cache_control",
        "stop_sequences",
    ]
)
FOUND: tuple[dict[str, Any], ...] = (
    {"type": "text", "text": "I will look that up."},
    {
        "type": "server_tool_use",
        "id": "srvtoolu_1",
        "name": "web_search",
        "input": {"query": "claude shannon birth date"},
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": [
            {
                "type": "web_search_result",
                "url": "https://en.example.org/wiki/Claude_Shannon",
                "title": "Claude Shannon - Wikipedia",
                "encrypted_content": "EqgfCioIARgB",
                "page_age": "April 30, 2025",
            },
            {
                "type": "web_search_result",
                "url": "https://example.com/never-cited",
                "title": "Another page",
                "encrypted_content": "EqgfCioIARgC",
                "page_age": None,
            },
        ],
    },
    {"type": "text", "text": "Based on that, "},
    {
        "type": "text",
        "text": "Claude Shannon was born on April 30, 1916",
        "citations": [
            {
                "type": "web_search_result_location",
                "url": "https://en.example.org/wiki/Claude_Shannon",
                "title": "Claude Shannon - Wikipedia",
                "encrypted_index": "Eo8BCioIAhgBIiQy",
                "cited_text": "Claude Elwood Shannon (April 30, 1916 - February 24, 2001) was …",
            }
        ],
    },
    {"type": "text", "text": ", in Michigan."},
)
"""An answer with a search, as the documentation of the tool has it."""


@dataclass(frozen=True)
class ClaudeScript(Script):
    """What only Claude does."""

    blocks: tuple[Mapping[str, Any], ...] = ()  # in place of reasoning and words, as in an answer
    cites_first: bool = False  # citations before the text that they belong to, not after
    explanation: str | None = None  # why it refused

    @property
    def content(self) -> list[dict[str, Any]]:
        """Return the blocks of the answer."""
        return [dict(block) for block in self.blocks]


def refusal(status: int, message: str, *, type: str | None = None, **more: Any) -> Script:
    """Return the script of a refusal."""
    headers = {"request-id": "req_011", **more.pop("headers", {})}
    body = json.dumps(error_body(type or _TYPES[status], message)).encode()
    return Script(status=status, headers=headers, body=body)


def error_body(type: str, message: str) -> dict[str, Any]:
    """Return an error as Anthropic words it."""
    return {
        "type": "error",
        "error": {"type": type, "message": message},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy",
    }


def objection(body: Mapping[str, Any]) -> str | None:  # noqa: C901  # a list of what is refused
    """Return why the API would refuse a request, by what it is documented to refuse."""
    generation = generation_of(str(body.get("model"))) or (4, 5)
    for field in body.keys() - _FIELDS:
        return f"{field}: Extra inputs are not permitted"
    cap, thinking = body.get("max_tokens"), body.get("thinking") or {}
    if not isinstance(cap, int) or cap < 1:
        return "max_tokens: Field required"
    if not 0 <= (body.get("temperature") or 0) <= 1:
        return "temperature: range: 0..1"
    if "temperature" in body and "top_p" in body:
        return "`temperature` and `top_p` cannot both be specified for this model."
    for field in {"temperature", "top_p"} & body.keys():
        if generation >= (4, 7):
            return f"`{field}` is deprecated for this model."
        if thinking.get("type") in ("enabled", "adaptive"):
            return f"`{field}` may only be set to 1 when thinking is enabled."
    match thinking.get("type"):
        case "enabled" if generation >= (4, 7):
            return (
                '"thinking.type.enabled" is not supported for this model. Use '
                '"thinking.type.adaptive" and "output_config.effort" to control thinking behavior.'
            )
        case "enabled" if not 1_024 <= thinking.get("budget_tokens", 0) < cap:
            return "`max_tokens` must be greater than `thinking.budget_tokens`."
        case "adaptive" if generation < (4, 6):
            return "adaptive thinking is not supported on this model"
        case "disabled" if "fable" in str(body.get("model")):
            return '"thinking.type.disabled" is not supported for this model.'
    if "output_config" in body and generation < (4, 5):
        return "This model does not support the effort parameter."
    return _objection_to_turns(body, generation, thinks="budget_tokens" in thinking)


def _objection_to_turns(
    body: Mapping[str, Any], generation: tuple[int, int], *, thinks: bool
) -> str | None:
    messages = body.get("messages") or [{"role": "none"}]
    if messages[0]["role"] != "user":
        return 'messages: first message must use the "user" role'
    texts = [
        block
        for turn in [*messages, {"content": body.get("system") or []}]
        for block in turn["content"]
        if block["type"] == "text"
    ]
    if not all(block["text"].strip() for block in texts):
        return "messages: text content blocks must contain non-whitespace text"
    if str(body).count("'cache_control'") > 4:
        return "A maximum of 4 blocks with cache_control may be provided."
    last = messages[-1]
    is_paused = any(block["type"] == "server_tool_use" for block in last["content"])
    if last["role"] == "assistant" and not is_paused:
        if generation >= (4, 6):
            return "This model does not support assistant message prefill."
        if last["content"][-1]["text"] != last["content"][-1]["text"].rstrip():
            return "messages: final assistant content cannot end with trailing whitespace"
        if thinks:
            return "messages: Expected `thinking` or `redacted_thinking`, but found `text`."
    return None


class _Message(Answer):
    """Sends what a script says, as Anthropic does."""

    upstream: "Claude"
    drips: ClassVar[Mapping[Failure, bytes]] = {
        **Answer.drips,
        Failure.DRIP: b'event: ping\ndata: {"type": "ping"}\n\n',
        Failure.EMPTY: b"event: content_block_delta\ndata: "
        b'{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":""}}\n\n',
    }

    async def send(self) -> None:
        claude, seen = self.upstream, self.seen
        match seen.method, urlsplit(seen.path).path:
            case "GET", "/v1/models":
                self.script = claude.next_planned() or Script()
                if not await self.refused():
                    await self.json(claude.page(parse_qs(urlsplit(seen.path).query)))
            case "POST", "/v1/messages":
                self.script = claude.script_for(seen)
                await claude.gate.wait()
                if (said := objection(seen.body)) is not None:
                    self.script = refusal(400, said)
                if not await self.refused():
                    await self._answer()
            case _:
                self.script = refusal(404, "Not Found")
                await self.refused()

    async def _answer(self) -> None:
        script = self.script
        if script.answers_whole or not self.seen.body.get("stream"):
            await asyncio.sleep(script.delay_seconds * len(script.words))
            await self.json(self._message(self._content(), is_ended=True))
            return
        await self.head(script.content_type or "text/event-stream; charset=utf-8")
        await self._event(type="message_start", message=self._message([], is_ended=False))
        events = self._events()
        if script.failure is not None:
            events = self._first(events, script.after)
        for event in events:
            if event["type"] == "content_block_delta":
                await asyncio.sleep(script.delay_seconds)
                self.seen.deltas_sent += 1
            await self._event(**event)
        if script.failure is not None:
            await self.fail(script.failure)
            return
        if script.finish_reason is not None:
            ending: dict[str, Any] = {"stop_reason": self._reason(), "stop_sequence": None}
            if (explanation := getattr(script, "explanation", None)) is not None:
                ending["stop_details"] = {"type": "refusal", "explanation": explanation}
            usage = {} if script.usage is None else {"usage": self._usage(is_ended=True)}
            await self._event(type="message_delta", delta=ending, **usage)
        if script.has_done:
            await self._event(type="message_stop")
        await self.chunked(b"")

    async def spoil(self, failure: Failure) -> None:
        if failure is Failure.WRONG_SHAPE:
            await self._event(type="content_block_delta", delta=7)
        else:
            await self._event(type="error", error=dict(self.script.error))

    async def _event(self, **data: Any) -> None:
        await self.event(data, name=data["type"])

    def _first(self, events: Iterator[dict[str, Any]], deltas: int) -> Iterator[dict[str, Any]]:
        for event in events:
            if event["type"] == "content_block_delta":
                if not deltas:
                    return
                deltas -= 1
            yield event

    def _content(self) -> list[dict[str, Any]]:
        """Return the blocks of the answer."""
        script = self.script
        if isinstance(script, ClaudeScript) and script.blocks:
            return script.content
        texts = [
            text for delta in script.deltas(self.seen.number) if (text := delta.get("content"))
        ]
        content: list[dict[str, Any]] = []
        if script.reasoning:
            thought = "".join(script.reasoning)
            content.append({"type": "thinking", "thinking": thought, "signature": "EqQBCgIYAhIM"})
        return [*content, {"type": "text", "text": "".join(texts), "_pieces": texts}]

    def _events(self) -> Iterator[dict[str, Any]]:
        """Return the events of a stream between its message's beginning and its end."""
        for index, block in enumerate(self._content()):
            begun, deltas = self._taken_apart(block)
            yield {"type": "content_block_start", "index": index, "content_block": begun}
            if index == 0:
                yield {"type": "ping"}
            for delta in deltas:
                yield {"type": "content_block_delta", "index": index, "delta": delta}
            yield {"type": "content_block_stop", "index": index}

    def _taken_apart(self, block: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """Return how a block begins, and what is added to it."""
        match block:
            case {"type": "text", "text": text}:
                pieces = block.pop("_pieces", None) or [
                    text[at : at + 7] for at in range(0, len(text), 7)
                ]
                said = [{"type": "text_delta", "text": piece} for piece in pieces]
                cited = [
                    {"type": "citations_delta", "citation": c} for c in block.get("citations", ())
                ]
                begun = {"type": "text", "text": "", **({"citations": []} if cited else {})}
                is_first = getattr(self.script, "cites_first", False)
                return begun, [*cited, *said] if is_first else [*said, *cited]
            case {"type": "thinking", "thinking": text, "signature": signature}:
                thought = [
                    {"type": "thinking_delta", "thinking": piece}
                    for piece in self.script.reasoning or [text]
                ]
                signed = {"type": "signature_delta", "signature": signature}
                return {"type": "thinking", "thinking": "", "signature": ""}, [*thought, signed]
            case {"type": "server_tool_use" | "tool_use", "input": given}:
                text = json.dumps(given)
                pieces = ["", *(text[at : at + 9] for at in range(0, len(text), 9))]
                asked = [{"type": "input_json_delta", "partial_json": piece} for piece in pieces]
                return {**block, "input": {}}, asked
        return block, []

    def _message(self, content: list[dict[str, Any]], *, is_ended: bool) -> dict[str, Any]:
        for block in content:
            block.pop("_pieces", None)
        explanation = getattr(self.script, "explanation", None)
        details = {"type": "refusal", "explanation": explanation} if explanation else None
        return {
            "id": f"msg_{self.seen.number:08d}",
            "type": "message",
            "role": "assistant",
            "model": self.seen.body["model"],
            "content": content,
            "stop_reason": self._reason() if is_ended else None,
            "stop_sequence": None,
            **({"stop_details": details} if is_ended else {}),
            **({} if self.script.usage is None else {"usage": self._usage(is_ended=is_ended)}),
        }

    def _reason(self) -> str:
        said = self.script.finish_reason or "end_turn"
        return _REASONS.get(said, said)

    def _usage(self, *, is_ended: bool) -> dict[str, Any]:
        """Return what was used so far: a word of the prompt or a delta is a token."""
        body, script = self.seen.body, self.script
        turns = [*body["messages"], {"content": body.get("system") or []}]
        words = sum(len(b.get("text", "").split()) for turn in turns for b in turn["content"])
        counted = {
            "input_tokens": words,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": len(script.words) + len(script.reasoning) if is_ended else 1,
        }
        if script.usage is COUNTED or script.usage is None:
            return counted
        figures = dict(script.usage)
        return figures if is_ended else {**figures, "output_tokens": 1}


class Claude(Server):
    """Anthropic's protocol."""

    answering = _Message

    def __init__(self, *, port: int = 0, default: Script | None = None) -> None:
        super().__init__(port=port, default=default)
        self.models: list[dict[str, Any]] = [SONNET]
        self.page_size = 1_000

    def page(self, query: Mapping[str, list[str]]) -> dict[str, Any]:
        """Return the models that a request for them asks for."""
        after = query.get("after_id", [None])[0]
        ids = [model.get("id") for model in self.models]
        begin = ids.index(after) + 1 if after in ids else 0
        size = min(int(query.get("limit", ["20"])[0]), self.page_size)
        data = list(islice(self.models, begin, begin + size))
        return {
            "data": data,
            "has_more": begin + size < len(self.models),
            "first_id": data[0].get("id") if data else None,
            "last_id": data[-1].get("id") if data else None,
        }


async def _serve(port: int) -> None:
    async with Claude(port=port) as claude:
        claude.by_model.update(MODELS)
        claude.by_model["searching"] = ClaudeScript(blocks=FOUND, delay_seconds=0.05)
        by_hand = {**SONNET, "capabilities": ABLE}
        claude.models = [{**by_hand, "id": name, "display_name": name} for name in claude.by_model]
        claude.models.append(SONNET)
        print(f"{claude.base_url}: {', '.join(claude.by_model)}", flush=True)  # noqa: T201
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--port", type=int, default=9997)
    asyncio.run(_serve(parser.parse_args().port))
