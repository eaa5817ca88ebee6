"""The ledger's nouns: what a run is charged by, what it may cost, and what it has used."""

import enum
from collections.abc import Iterable
from typing import Final

import msgspec

MICRO: Final = 1_000_000
MAX_COST_MICRO_USD: Final = 1_000_000 * MICRO
"""No single run costs a million dollars: a provider's figure beyond that is no figure."""


class UsageKind(enum.StrEnum):
    """What a line of the ledger paid for."""

    ANSWER = "answer"
    ATTEMPT = "attempt"  # what further attempts of one run cost
    TITLE = "title"
    EXTRACTION = "extraction"  # of memories
    EMBEDDING = "embedding"
    SEARCH = "search"  # of the web


class Amounts(msgspec.Struct, frozen=True, gc=False):
    """What counts against a plan's limits. Tokens of paid models are weighted by the model."""

    messages: int = 0
    tokens: int = 0
    free_messages: int = 0
    free_tokens: int = 0
    images: int = 0
    cost_micro_usd: int = 0

    def __add__(self, other: "Amounts") -> "Amounts":
        return Amounts(
            self.messages + other.messages,
            self.tokens + other.tokens,
            self.free_messages + other.free_messages,
            self.free_tokens + other.free_tokens,
            self.images + other.images,
            self.cost_micro_usd + other.cost_micro_usd,
        )

    def __neg__(self) -> "Amounts":
        return Amounts(
            -self.messages,
            -self.tokens,
            -self.free_messages,
            -self.free_tokens,
            -self.images,
            -self.cost_micro_usd,
        )


NOTHING: Final = Amounts()


class Terms(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a run is charged, fixed when it starts: a later change of plan or price is not its own.

    Prices are micro-USD per million tokens; None = not known.
    """

    plan_id: int | None = None
    subscribed_at: int | None = None  # start of the subscription that it counts for
    is_free: bool = False
    multiplier_percent: int = 100
    prompt_price: int | None = None
    completion_price: int | None = None

    def weigh(self, tokens: int) -> int:
        """Return what tokens count against limits, rounded up."""
        return tokens if self.is_free else -(-tokens * self.multiplier_percent // 100)

    def cost(self, prompt_tokens: int, completion_tokens: int) -> int | None:
        """Return what tokens cost in micro-USD, rounded up; None = nobody knows."""
        if self.prompt_price is None or self.completion_price is None:
            return None
        price = prompt_tokens * self.prompt_price + completion_tokens * self.completion_price
        return -(-price // MICRO)

    def amounts(
        self,
        kind: UsageKind,
        tokens: int,
        *,
        messages: int = 0,
        images: int = 0,
        cost_micro_usd: int | None,
    ) -> Amounts:
        """Return what a line counts: only answers are messages and tokens, all else is cost.

        Free models count only as free messages and free tokens; a picture is a picture.
        """
        if kind is not UsageKind.ANSWER:
            messages = tokens = 0
        if self.is_free:
            return Amounts(free_messages=messages, free_tokens=tokens, images=images)
        return Amounts(
            messages=messages,
            tokens=self.weigh(tokens),
            images=images,
            cost_micro_usd=cost_micro_usd or 0,
        )


class Reservation(msgspec.Struct, frozen=True, gc=False):
    """The worst case of a call that is under way, counted in every window until it is settled.

    It dies with its generation, or, where it has none, at `expires_at`.
    """

    id: int
    owner_id: int
    generation_id: int | None
    kind: str
    counted_at: int  # in the windows of this instant
    subscribed_at: int | None  # and of the subscription that began then
    messages: int
    tokens: int
    free_messages: int
    free_tokens: int
    images: int
    cost_micro_usd: int
    expires_at: int | None
    created_at: int

    @property
    def amounts(self) -> Amounts:
        """Return what is held."""
        return Amounts(
            self.messages,
            self.tokens,
            self.free_messages,
            self.free_tokens,
            self.images,
            self.cost_micro_usd,
        )


class UsageEntry(msgspec.Struct, frozen=True, gc=False):
    """One line of the append-only ledger. Tokens are as used, `charged_tokens` as weighted."""

    owner_id: int
    plan_id: int | None
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
    images: int
    charged_tokens: int
    is_free: int
    is_estimate: int
    counted_at: int  # the start of what it paid for: it counts in the windows of that instant
    created_at: int

    @property
    def amounts(self) -> Amounts:
        """Return what this line counts against limits."""
        if self.is_free:
            return Amounts(
                free_messages=self.messages, free_tokens=self.charged_tokens, images=self.images
            )
        return Amounts(
            messages=self.messages,
            tokens=self.charged_tokens,
            images=self.images,
            cost_micro_usd=self.cost_micro_usd or 0,
        )


class ConversationUsage(msgspec.Struct, frozen=True, gc=False):
    """What the answers of one conversation have used, prompt and completion together."""

    id: int
    tokens: int  # of models that are paid for
    free_tokens: int
    is_free: int  # whether the model of the last answer was a free one
    created_at: int
    updated_at: int


def total(amounts: Iterable[Amounts]) -> Amounts:
    """Return the sum."""
    return sum(amounts, NOTHING)
