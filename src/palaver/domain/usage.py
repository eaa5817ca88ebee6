"""The ledger's nouns: what is held while a generation runs, and what was used in the end."""

import enum

import msgspec


class UsageKind(enum.StrEnum):
    """What a line of the ledger paid for."""

    ANSWER = "answer"
    ATTEMPT = "attempt"  # what further attempts of one run cost


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """The worst case of a running generation: prompt and the answer's cap."""

    generation_id: int
    owner_id: int
    prompt_tokens: int
    completion_tokens: int
    created_at: int


class UsageEntry(msgspec.Struct, frozen=True, gc=False):
    """One line of the append-only ledger."""

    owner_id: int
    conversation_id: int | None
    generation_id: int | None
    kind: UsageKind
    model: str
    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int
    cached_tokens: int
    cost_micro_usd: int | None
    messages: int
    is_estimate: int
    created_at: int
