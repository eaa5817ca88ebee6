"""Extended thinking: how much of an answer's cap a model may think away before it answers.

Decisions: "platform" (thinking).
"""

from typing import Final

from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.models import Model

LEAST_THINKING_TOKENS: Final = 1_024
"""The smallest budget that Anthropic takes; the others take it as well."""
MOST_THINKING_TOKENS: Final = 16_384
LEAST_ANSWER_TOKENS: Final = LEAST_THINKING_TOKENS + 1
"""The smallest cap of an answer that is thought about first: the budget lies below it."""


def check_thinking(model: Model, *, max_tokens: int) -> None:
    """Refuse to let a model think that cannot, or under a cap that leaves no room for it.

    Raises `InvalidInput`.
    """
    if not model.profile.thinks:
        message = (
            f'"{model.name}" has no extended thinking: choose a model that has, or do without.'
        )
        raise InvalidInput.of("use_extended_thinking", Fault.NOT_ALLOWED, message)
    if max_tokens < LEAST_ANSWER_TOKENS:
        message = (
            f"Extended thinking takes at least {LEAST_THINKING_TOKENS:,} tokens of the answer: "
            f"allow {LEAST_ANSWER_TOKENS:,} or more."
        )
        raise InvalidInput.of("max_tokens", Fault.TOO_SMALL, message, limit=LEAST_ANSWER_TOKENS)


def thinking_budget(max_tokens: int) -> int:
    """Return how many of an answer's tokens go to thinking: half of them, within bounds.

    `max_tokens` is at least `LEAST_ANSWER_TOKENS`.
    """
    return min(max(max_tokens // 2, LEAST_THINKING_TOKENS), MOST_THINKING_TOKENS)
