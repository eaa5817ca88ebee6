"""What an answer has used, over all the requests that it took.

Shapes: https://platform.claude.com/docs/en/api/messages/create.
"""

import msgspec

from palaver.domain.events import UsageReported
from palaver.domain.tokens import estimate_tokens
from palaver.providers.answers import token_count


class OutputDetails(msgspec.Struct, gc=False):
    """What the answer's tokens were."""

    thinking_tokens: int | None = None


class Usage(msgspec.Struct, gc=False):
    """What a request has used so far: each figure is the newest word, not to be added up."""

    input_tokens: int | None = None  # without what was written to the cache, or read from it
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputDetails | None = None


class Tally:
    """What all requests of one answer have used together: each is billed with its whole prompt."""

    def __init__(self, before: "Tally | None" = None) -> None:
        self._before = before
        self._usage: dict[str, int] = {}

    def take(self, usage: Usage) -> None:
        """Take the newest figures of this request."""
        for field in ("input", "cache_creation_input", "cache_read_input", "output"):
            if (tokens := getattr(usage, f"{field}_tokens")) is not None:
                self._usage[field] = token_count(tokens)
        details = usage.output_tokens_details
        if details is not None and details.thinking_tokens is not None:
            self._usage["thinking"] = token_count(details.thinking_tokens)

    @property
    def spent_tokens(self) -> int:
        """Return how many tokens the answer has so far."""
        return self._sum("output")

    def reported(self, reasoning: str) -> UsageReported | None:
        """Return it in the domain's words, None where it holds no figures."""
        if not self._usage:
            return None
        cached = self._sum("cache_read_input")
        prompt = self._sum("input") + self._sum("cache_creation_input") + cached
        completion = self.spent_tokens
        thought = self._sum("thinking")
        if not thought and reasoning:
            # Older models do not say what their thoughts took, and may send a summary of them:
            # then this is an estimate, and the true figure is higher.
            thought = estimate_tokens(reasoning)
        return UsageReported(
            prompt_tokens=token_count(prompt),
            completion_tokens=token_count(completion),
            reasoning_tokens=min(thought, token_count(completion)),
            cached_tokens=token_count(cached),
        )

    def _sum(self, field: str) -> int:
        before = self._before._sum(field) if self._before else 0
        return before + self._usage.get(field, 0)
