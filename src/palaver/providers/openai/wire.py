"""What OpenAI-compatible servers send, and the events that it means.

Shapes: https://platform.openai.com/docs/api-reference/chat, with what OpenRouter, DeepSeek, vLLM,
llama.cpp, LM Studio, Ollama and Mistral add to them. Unknown fields are passed over.
"""

import math
from decimal import Decimal
from typing import Any, Final

import msgspec

from palaver.domain.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from palaver.domain.providers import CompletionEvent
from palaver.kit.text import REPLACEMENT, is_storable, storable
from palaver.providers.answers import ErrorSent, decode_leniently, token_count

_DONE: Final = b"[DONE]"
_REASONS: Final = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
_FAILURES: Final = frozenset({"error", "insufficient_system_resource"})


class Piece(msgspec.Struct, gc=False):
    """A part of a content that is a list: Mistral's thinking models send such."""

    text: str | None = None
    thinking: "list[Piece] | None" = None


class Delta(msgspec.Struct, gc=False):
    """More of an answer, or all of it where it is not streamed."""

    content: str | list[Piece] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None


class Choice(msgspec.Struct, gc=False):
    """One of the answers asked for: we ask for one."""

    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(msgspec.Struct, gc=False):
    """What the prompt's tokens were."""

    cached_tokens: int | None = None


class CompletionDetails(msgspec.Struct, gc=False):
    """What the answer's tokens were."""

    reasoning_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """What a completion has used; `cost` is OpenRouter's, in USD."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's word for the cached ones
    cost: float | None = None

    def reported(self) -> UsageReported | None:
        """Return it in the domain's words, None where it holds no figures."""
        if self.prompt_tokens is None and self.completion_tokens is None:
            return None
        prompt = token_count(self.prompt_tokens)
        # Some (xAI, Gemini) leave the reasoning out of completion_tokens, none out of the total.
        completion = max(
            token_count(self.completion_tokens), token_count(self.total_tokens) - prompt
        )
        cached, reasoning = self.prompt_cache_hit_tokens, None
        if self.prompt_tokens_details is not None:
            cached = self.prompt_tokens_details.cached_tokens
        if self.completion_tokens_details is not None:
            reasoning = self.completion_tokens_details.reasoning_tokens
        return UsageReported(
            prompt_tokens=prompt,
            completion_tokens=completion,
            reasoning_tokens=min(token_count(reasoning), completion),
            cached_tokens=min(token_count(cached), prompt),
            cost_micro_usd=_micro_usd(self.cost),
        )


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer: they differ in `delta` and `message` alone."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None  # an object or a text; see `refusals.parse`


_decode = msgspec.json.Decoder(Chunk).decode


class Interpreter:
    """Turns the data of one answer's events into ours, text made fit to be stored.

    `reason` is why it ended, None as long as that was not said; `is_done` tells whether the
    stream's own end mark came.
    """

    __slots__ = ("_half", "is_done", "reason", "usage")

    def __init__(self) -> None:
        self.reason: FinishReason | None = None
        self.usage: UsageReported | None = None
        self.is_done = False
        self._half = ""  # the first half of a surrogate pair that was cut in two

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data. Raises `WrongShape`, `ErrorSent`."""
        if data == _DONE or self.is_done:
            self.is_done = True
            return []
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            chunk = decode_leniently(data, Chunk)
        if chunk.error:
            raise ErrorSent(chunk.error)
        if chunk.usage is not None:
            self.usage = chunk.usage.reported() or self.usage
        if not chunk.choices:
            return []
        choice = chunk.choices[0]
        delta = choice.delta or choice.message
        events = [] if delta is None else self._events(delta)
        if choice.finish_reason:
            self._finish(choice.finish_reason)
        return events

    def ending(self) -> list[CompletionEvent]:
        """Return what closes every answer: usage, where it was given, and the reason."""
        events: list[CompletionEvent] = []
        if self._half:
            events.append(TextDelta(REPLACEMENT))
        if self.usage is not None:
            events.append(self.usage)
        events.append(Finished(self.reason or FinishReason.STOP))
        return events

    def _finish(self, reason: str) -> None:
        if reason in _FAILURES:
            raise ErrorSent(None)
        self.reason = _REASONS.get(reason, FinishReason.STOP)

    def _events(self, delta: Delta) -> list[CompletionEvent]:
        content = delta.content
        reasoning = delta.reasoning_content or delta.reasoning
        # Nearly every delta is a bit of plain text, and nothing else.
        if isinstance(content, str) and not (reasoning or delta.refusal):
            text = self._whole(content)
            return [TextDelta(text)] if text else []
        events: list[CompletionEvent] = []
        # Some servers send the same reasoning under both names.
        if reasoning:
            events.append(ReasoningDelta(storable(reasoning)))
        if content:
            if isinstance(content, str):
                if text := self._whole(content):
                    events.append(TextDelta(text))
            else:
                events += _events_of_pieces(content)
        if delta.refusal:
            events.append(TextDelta(storable(delta.refusal)))
        return events

    def _whole(self, text: str) -> str:
        """Return the text without halves of surrogate pairs: a cut pair is put together again."""
        if self._half or not is_storable(text):
            text = self._half + text
            self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
            return storable(text.removesuffix(self._half))
        return text


def _events_of_pieces(pieces: list[Piece]) -> list[CompletionEvent]:
    events: list[CompletionEvent] = []
    for piece in pieces:
        if thinking := "".join(thought.text or "" for thought in piece.thinking or ()):
            events.append(ReasoningDelta(storable(thinking)))
        if piece.text:
            events.append(TextDelta(storable(piece.text)))
    return events


def _micro_usd(usd: float | None) -> int | None:
    """Return an amount in millionths, rounded up; None for what is none."""
    if usd is None or not 0 <= usd < 1_000_000:
        return None
    # By way of the shortest decimal: 0.000123 is meant to be 123, not 123.00000000000001.
    return math.ceil(Decimal(repr(usd)) * 1_000_000)
