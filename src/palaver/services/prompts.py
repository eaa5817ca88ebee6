"""What a run sends to its provider: turns from several sources under one token budget."""

from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.models import ModelProfile
from palaver.domain.providers import Turn
from palaver.domain.tokens import PROMPT_OVERHEAD_TOKENS, estimate_turn_tokens
from palaver.storage.tx import Tx

HISTORY_LIMIT: Final = 1000
"""Messages before the question that a prompt considers at all."""


class Prompt(msgspec.Struct, frozen=True):
    """The turns of one completion and the estimate of their tokens."""

    turns: tuple[Turn, ...]
    tokens: int


class ContextSource(Protocol):
    """One thing that adds turns to a prompt: a persona, memories, passages, the history."""

    def turns(self, *, budget_tokens: int | None) -> Sequence[Turn]:
        """Return what it adds within the budget (None: no bound is known), in prompt order."""


class Persona:
    """What the model is told about itself: comes first, never cut."""

    def __init__(self, system_prompt: str | None) -> None:
        self.system_prompt = system_prompt

    def turns(self, *, budget_tokens: int | None) -> Sequence[Turn]:  # noqa: ARG002  # never cut
        """Return the system prompt, if there is one."""
        return [Turn("system", self.system_prompt)] if self.system_prompt else []


class History:
    """The active branch up to the question, its newest turns first to be kept."""

    def __init__(self, messages: Sequence[Message]) -> None:
        self.messages = messages

    def turns(self, *, budget_tokens: int | None) -> Sequence[Turn]:
        """Return as many of the newest messages as fit; the question itself always stays."""
        kept: list[Turn] = []
        for message in reversed(self.messages):
            if budget_tokens is not None:
                budget_tokens -= estimate_turn_tokens(message.text)
                if budget_tokens < 0 and kept:
                    break
            kept.append(Turn(message.role, message.text))
        kept.reverse()
        return kept


def build_prompt(sources: Sequence[ContextSource], *, budget_tokens: int | None) -> Prompt:
    """Ask each source in turn for what fits into the rest of the budget.

    Raises `InvalidInput` when even what must stay does not fit into the model's context.
    """
    turns: list[Turn] = []
    used = PROMPT_OVERHEAD_TOKENS
    for source in sources:
        rest = None if budget_tokens is None else budget_tokens - used
        added = source.turns(budget_tokens=rest)
        used += sum(estimate_turn_tokens(turn.text) for turn in added)
        turns += added
    if budget_tokens is not None and used > budget_tokens:
        message = f"This message is too long for the model: {used} tokens of {budget_tokens}."
        raise InvalidInput.of("content", Fault.TOO_LONG, message, limit=budget_tokens)
    return Prompt(tuple(turns), used)


async def prompt_for(
    tx: Tx, conversation: Conversation, question: Message, *, profile: ModelProfile, max_tokens: int
) -> Prompt:
    """Build what a run sends: the same question gives the same prompt, whoever runs it.

    Raises `InvalidInput` when the question does not fit into the model's context.
    """
    messages = await tx.messages.newest(
        conversation.id, limit=HISTORY_LIMIT, before=question.id + 1
    )
    return build_prompt(
        [Persona(conversation.system_prompt), History(messages)],
        budget_tokens=_budget(profile, max_tokens),
    )


def _budget(profile: ModelProfile, max_tokens: int) -> int | None:
    """Return how many tokens a prompt may have, None where the model's context is not known."""
    if profile.context_tokens is None:
        return None
    return max(profile.context_tokens - max_tokens, profile.context_tokens // 2)
