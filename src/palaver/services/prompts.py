"""What is sent to a provider: turns from several sources under one token budget."""

import math
from collections.abc import Sequence
from itertools import takewhile
from typing import Final, Protocol

import msgspec

from palaver.domain.conversations import Conversation, Message
from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.providers import Turn
from palaver.domain.tokens import (
    ESTIMATE_SHARE,
    PROMPT_OVERHEAD_TOKENS,
    TURN_OVERHEAD_TOKENS,
    estimate_turn_tokens,
)
from palaver.services.models import ResolvedModel
from palaver.storage.tx import Tx

HISTORY_PAGE: Final = 100
UNKNOWN_CONTEXT_TOKENS: Final = 131_072
"""What a model is taken to hold where nobody says: no prompt grows without bound."""


class Addition(msgspec.Struct, frozen=True):
    """What one source adds, and the estimate of its tokens."""

    turns: Sequence[Turn]
    tokens: int


class Prompt(msgspec.Struct, frozen=True):
    """All that one run or call sends: to whom, what, and how long the answer may be.

    The cap is one number, sent upstream, stored in the recipe and reserved: with the prompt it fits
    into the model's context.
    """

    resolved: ResolvedModel
    turns: tuple[Turn, ...]
    prompt_tokens: int  # our estimate
    max_tokens: int

    @property
    def reserved_prompt_tokens(self) -> int:
        """Return the most that the provider may count for the prompt."""
        return worst_case(self.prompt_tokens)


class ContextSource(Protocol):
    """One thing that adds turns to a prompt: a persona, memories, passages, the history."""

    def add(self, *, budget_tokens: int) -> Addition:
        """Return what it adds within the budget, in prompt order."""


class Persona:
    """What the model is told about itself: comes first, never cut."""

    def __init__(self, system_prompt: str | None) -> None:
        self.system_prompt = system_prompt

    def add(self, *, budget_tokens: int) -> Addition:  # noqa: ARG002  # never cut
        """Return the system prompt, if there is one."""
        if not self.system_prompt:
            return Addition([], 0)
        turn = Turn("system", self.system_prompt)
        return Addition([turn], estimate_turn_tokens(self.system_prompt))


class History:
    """What was said up to the question, its newest turns first to be kept."""

    def __init__(self, turns: Sequence[tuple[Turn, int]]) -> None:
        self.turns = turns  # each with its tokens

    @classmethod
    def of(cls, messages: Sequence[Message]) -> "History":
        """Return the history that an active branch is."""
        return cls(
            [
                (Turn(message.role, message.text), message.text_tokens + TURN_OVERHEAD_TOKENS)
                for message in messages
            ]
        )

    def add(self, *, budget_tokens: int) -> Addition:
        """Return as many of the newest turns as fit; the question itself always stays."""
        kept: list[Turn] = []
        used = 0
        for turn, tokens in reversed(self.turns):
            if kept and used + tokens > budget_tokens:
                break
            used += tokens
            kept.append(turn)
        kept.reverse()
        return Addition(kept, used)


async def build_prompt(
    tx: Tx,
    conversation: Conversation,
    question: Message,
    *,
    resolved: ResolvedModel,
    max_tokens: int,
    context: Sequence[Turn] | None = None,
) -> Prompt:
    """Build what a run sends: the same question gives the same prompt, whoever runs it.

    A given `context`, which ends with the question, takes the history's place. Cheap enough for a
    write transaction: nothing of the history is counted here, every message knows its tokens.
    Raises `InvalidInput` when the question does not fit into the model's context.
    """
    sources: list[ContextSource] = [Persona(await _instructions(tx, conversation))]
    if context is None:
        budget = _budget(resolved, max_tokens)
        messages = await _history(tx, conversation, question, budget_tokens=budget)
        sources.append(History.of(messages))
    else:
        sources += _given(context)
    return _joined(sources, resolved, max_tokens=max_tokens)


def prompt_of(turns: Sequence[Turn], *, resolved: ResolvedModel, max_tokens: int) -> Prompt:
    """Build what a call sends that no conversation keeps: as a run with these turns as context.

    Raises `InvalidInput` as `build_prompt` does.
    """
    return _joined(_given(turns), resolved, max_tokens=max_tokens)


def _given(turns: Sequence[Turn]) -> list[ContextSource]:
    """Return the sources that a client's own turns are; what the model is told first is kept."""
    told = list(takewhile(lambda turn: turn.role == "system", turns))
    said = [(turn, estimate_turn_tokens(turn.text)) for turn in turns[len(told) :]]
    return [*(Persona(turn.text) for turn in told), History(said)]


def _joined(
    sources: Sequence[ContextSource], resolved: ResolvedModel, *, max_tokens: int
) -> Prompt:
    """Ask each source in turn for what it adds under the one budget. Raises `InvalidInput`."""
    budget = _budget(resolved, max_tokens)
    turns: list[Turn] = []
    used = PROMPT_OVERHEAD_TOKENS
    for source in sources:
        added = source.add(budget_tokens=budget - used)
        turns += added.turns
        used += added.tokens
    if used > budget:
        message = f"This message is too long for the model: {used} tokens of {budget}."
        raise InvalidInput.of("content", Fault.TOO_LONG, message, limit=budget)
    holds = resolved.model.profile.context_tokens
    if holds is not None:
        max_tokens = min(max_tokens, holds - worst_case(used))
    return Prompt(resolved, tuple(turns), used, max_tokens)


def worst_case(tokens: int) -> int:
    """Return the most that a provider may count where our estimate is this."""
    return math.ceil(tokens / ESTIMATE_SHARE)


def _budget(resolved: ResolvedModel, max_tokens: int) -> int:
    """Return how many tokens by our estimate a prompt may have, so that an answer fits beside it.

    The answer's cap yields to the prompt down to half of the context.
    """
    context = resolved.model.profile.context_tokens or UNKNOWN_CONTEXT_TOKENS
    return math.floor(max(context - max_tokens, context // 2) * ESTIMATE_SHARE)


async def _instructions(tx: Tx, conversation: Conversation) -> str | None:
    """Return what the model is told before everything else: the client's word, else the bot's."""
    if conversation.system_prompt or conversation.chatbot_id is None:
        return conversation.system_prompt
    chatbot = await tx.chatbots.get(conversation.chatbot_id)
    return None if chatbot is None else chatbot.system_prompt


async def _history(
    tx: Tx, conversation: Conversation, question: Message, *, budget_tokens: int
) -> list[Message]:
    """Read the branch backwards from the question, no further than the budget can reach."""
    pages: list[Sequence[Message]] = []
    before = question.id + 1
    while budget_tokens > 0:
        page = await tx.messages.newest(conversation.id, limit=HISTORY_PAGE, before=before)
        pages.append(page)
        if len(page) < HISTORY_PAGE:
            break
        before = page[0].id
        budget_tokens -= sum(message.text_tokens for message in page)
    return [message for page in reversed(pages) for message in page]
