"""What OpenAI-compatible servers send.

Shapes: https://platform.openai.com/docs/api-reference/chat, with what OpenRouter, DeepSeek, vLLM,
llama.cpp, LM Studio, Ollama and Mistral add to them. Unknown fields are passed over.
"""

import math
from decimal import Decimal
from typing import Any

import msgspec

from palaver.domain.events import UsageReported
from palaver.providers.answers import token_count


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


class CostDetails(msgspec.Struct, gc=False):
    """What OpenRouter tells of its cost; the figure is the host's own, in USD."""

    upstream_inference_cost: float | None = None


class Usage(msgspec.Struct, gc=False):
    """What a completion has used; `cost` is OpenRouter's, in USD."""

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: PromptDetails | None = None
    completion_tokens_details: CompletionDetails | None = None
    prompt_cache_hit_tokens: int | None = None  # DeepSeek's word for the cached ones
    cost: float | None = None
    cost_details: CostDetails | None = None
    is_byok: bool | None = None  # the host bills its own account: `cost` is OpenRouter's fee alone

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
            cost_micro_usd=_micro_usd(self._cost_usd()),
        )

    def _cost_usd(self) -> float | None:
        if self.cost is None or not self.is_byok or self.cost_details is None:
            return self.cost
        return self.cost + (self.cost_details.upstream_inference_cost or 0)


class Chunk(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer: they differ in `delta` and `message` alone."""

    choices: list[Choice] | None = None
    usage: Usage | None = None
    error: Any = None  # an object or a text; see `refusals.parse`


def _micro_usd(usd: float | None) -> int | None:
    """Return an amount in millionths, rounded up; None for what is none."""
    if usd is None or not 0 <= usd < 1_000_000:
        return None
    # By way of the shortest decimal: 0.000123 is meant to be 123, not 123.00000000000001.
    return math.ceil(Decimal(repr(usd)) * 1_000_000)
