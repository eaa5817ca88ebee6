"""The ledger as the database holds it, added up anew: by these sums it is judged."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from palaver.domain.limits import LIMITS, STEP, Window, starts_at
from palaver.domain.plans import DAY_MICROSECONDS
from palaver.domain.usage import MICRO, NOTHING, Amounts

_AMOUNTS: Final = ", ".join(Amounts.__struct_fields__)
_LIMITS: Final = [limit.attribute for limit in LIMITS]
STEP_KIND, DAY_KIND, ACCOUNT_KIND, SUBSCRIPTION_KIND = 1, 2, 3, 4
LEASE: Final = 30 * MICRO
"""What a call that no conversation keeps holds, it holds for so long at a time."""
SWEEP: Final = 25 * MICRO
"""And when its process has died, after that at most: a sweep every 10 s, and the next start."""

SELECTS: Final[Mapping[str, str]] = {
    "lines": """select owner_id, conversation_id, generation_id, kind, prompt_tokens,
        completion_tokens, messages, images, charged_tokens, is_free, coalesce(cost_micro_usd, 0),
        counted_at from usage_entries order by id""",
    "held": f"""select id, owner_id, generation_id, counted_at, expires_at, {_AMOUNTS}
        from reservations order by id""",
    "buckets": f"select owner_id, kind, starts_at, {_AMOUNTS} from usage_buckets",
    "spent": "select conversation_id, tokens, free_tokens from conversation_usage",
    "plans": f"select id, is_default, {', '.join(_LIMITS)} from plans",
    "subscriptions": """select owner_id, plan_id, start_at, end_at from subscriptions
        order by start_at, id""",
}


class Line(NamedTuple):
    """A line of the ledger."""

    owner_id: int
    conversation_id: int | None
    generation_id: int | None
    kind: str
    prompt_tokens: int
    completion_tokens: int
    messages: int
    images: int
    charged_tokens: int
    is_free: int
    cost_micro_usd: int
    counted_at: int

    @property
    def amounts(self) -> Amounts:
        """Return what it counts: a free model's tokens and messages are of a kind of their own."""
        if self.is_free:
            return Amounts(
                free_messages=self.messages, free_tokens=self.charged_tokens, images=self.images
            )
        return Amounts(
            messages=self.messages,
            tokens=self.charged_tokens,
            images=self.images,
            cost_micro_usd=self.cost_micro_usd,
        )


class Held(NamedTuple):
    """A reservation."""

    id: int
    owner_id: int
    generation_id: int | None
    counted_at: int
    expires_at: int | None
    amounts: Amounts


class Standing(NamedTuple):
    """The plan that somebody is on: since when, and what it allows, by the limit's column."""

    subscribed_at: int | None
    limits: Mapping[str, int | None]


Key = tuple[int, int, int]
"""A bucket: whose, of which kind, from when on."""


@dataclass
class Books:
    """One state of the ledger, at an instant of this machine's clock."""

    at: int
    lines: Sequence[Line]
    held: Sequence[Held]
    buckets: Mapping[Key, Amounts]
    spent: Mapping[int, tuple[int, int]]  # tokens, free tokens by conversation
    plans: Mapping[int, Mapping[str, int | None]]
    default_plan: int
    subscriptions: Sequence[tuple[int, int, int, int | None]]
    _standings: dict[int, Standing] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Mapping[str, Sequence[Any]], *, at: int) -> "Books":
        """Return what `SELECTS` have found."""
        return cls(
            at=at,
            lines=[Line(*row) for row in tables["lines"]],
            held=[Held(*row[:5], Amounts(*row[5:])) for row in tables["held"]],
            buckets={(row[0], row[1], row[2]): Amounts(*row[3:]) for row in tables["buckets"]},
            spent={row[0]: (row[1], row[2]) for row in tables["spent"]},
            plans={row[0]: dict(zip(_LIMITS, row[2:], strict=True)) for row in tables["plans"]},
            default_plan=next(row[0] for row in tables["plans"] if row[1]),
            subscriptions=[(row[0], row[1], row[2], row[3]) for row in tables["subscriptions"]],
        )

    def standing(self, owner_id: int) -> Standing:
        """Return the plan that somebody is on."""
        if owner_id not in self._standings:
            mine = [
                (plan_id, start_at)
                for owner, plan_id, start_at, end_at in self.subscriptions
                if owner == owner_id
                and start_at <= self.at
                and (end_at is None or end_at > self.at)
            ]
            plan_id, start_at = mine[-1] if mine else (self.default_plan, None)
            self._standings[owner_id] = Standing(start_at, self.plans[plan_id])
        return self._standings[owner_id]

    def counted(self) -> Iterator[tuple[int, int, Amounts]]:
        """Return everything that counts: whose it is, the instant, how much."""
        for line in self.lines:
            yield line.owner_id, line.counted_at, line.amounts
        for held in self.held:
            yield held.owner_id, held.counted_at, held.amounts

    def accepted(self, owner_id: int) -> int:
        """Return how many messages of somebody count, of those under way too."""
        return sum(
            amounts.messages + amounts.free_messages
            for owner, _, amounts in self.counted()
            if owner == owner_id
        )

    # What has to be true

    def buckets_due(self) -> dict[Key, Amounts]:
        """Return what every bucket has to hold, those of earlier subscriptions left out."""
        due: dict[Key, Amounts] = defaultdict(Amounts)
        for owner_id, at, amounts in self.counted():
            due[owner_id, STEP_KIND, at - at % STEP] += amounts
            due[owner_id, DAY_KIND, at - at % DAY_MICROSECONDS] += amounts
            due[owner_id, ACCOUNT_KIND, 0] += amounts
            subscribed_at = self.standing(owner_id).subscribed_at
            if subscribed_at is not None and at >= subscribed_at:
                due[owner_id, SUBSCRIPTION_KIND, subscribed_at] += amounts
        return due

    def wrong_buckets(self) -> Iterator[tuple[Key, str]]:
        """Return each bucket, with what is wrong with it, "" where nothing is."""
        due = self.buckets_due()
        for key in due.keys() | self.buckets.keys():
            owner_id, kind, start = key
            if kind == SUBSCRIPTION_KIND and start != self.standing(owner_id).subscribed_at:
                continue
            is_, has_to_be = self.buckets.get(key, NOTHING), due.get(key, NOTHING)
            yield key, "" if is_ == has_to_be else f"{key} is {is_}, has to be {has_to_be}"

    def wrong_conversations(self) -> Iterator[tuple[int, str]]:
        """Return each conversation that has used something, with what is wrong with its sum."""
        due: dict[int, list[int]] = defaultdict(lambda: [0, 0])
        for line in self.lines:
            if line.kind == "answer" and line.conversation_id is not None:
                due[line.conversation_id][line.is_free] += (
                    line.prompt_tokens + line.completion_tokens
                )
        for id in due.keys() | self.spent.keys():
            is_, has_to_be = self.spent.get(id, (0, 0)), tuple(due.get(id, (0, 0)))
            yield id, "" if is_ == has_to_be else f"{id} is {is_}, has to be {has_to_be}"

    def windows(
        self, owner_id: int, *, has_attempts: bool = False
    ) -> Iterator[tuple[str, int, int]]:
        """Return each limit of somebody with what it allows and what is used of it just now.

        What further attempts cost takes room as well, but no limit is asked before: it is left out
        unless it is asked for.
        """
        subscribed_at, limits = self.standing(owner_id)
        if not any(limits.values()):
            return
        counted = [
            (line.counted_at, line.amounts)
            for line in self.lines
            if line.owner_id == owner_id and (has_attempts or line.kind != "attempt")
        ]
        counted += [(each.counted_at, each.amounts) for each in self.held_by(owner_id)]
        for limit in LIMITS:
            most = limits[limit.attribute]
            if most is None:
                continue
            since = starts_at(limit.window, self.at)
            if limit.window is Window.LIFETIME:
                since = subscribed_at or 0
            used = sum(getattr(amounts, limit.measure) for at, amounts in counted if at >= since)
            yield limit.attribute, most, used

    def held_by(self, owner_id: int) -> list[Held]:
        """Return what calls of somebody hold."""
        return [each for each in self.held if each.owner_id == owner_id]

    def owners(self) -> set[int]:
        """Return everybody for whom something counts."""
        return {owner_id for owner_id, _, _ in self.counted()}

    def phantoms(self, live: Iterable[int]) -> Iterator[tuple[int, str]]:
        """Return each reservation, with why nobody can be behind it any more, "" where one can."""
        runs = set(live)
        for held in self.held:
            why = ""
            if held.generation_id is not None and held.generation_id not in runs:
                why = "its run is over"
            elif held.generation_id is None and held.expires_at is None:
                why = "it would never expire"
            elif held.expires_at is not None and held.expires_at > self.at + LEASE + MICRO:
                why = "it would live for longer than a lease"
            elif held.expires_at is not None and held.expires_at < self.at - SWEEP:
                why = f"it expired {(self.at - held.expires_at) / MICRO:.0f} s ago"
            yield held.id, f"reservation {held.id}: {why}" if why else ""


def judge_books(books: Books, live: Iterable[int], check: Callable[..., bool]) -> None:
    """Hold the sums against the lines and what is held, both against the plans; `live` are runs."""
    name = "ledger: a sum is that of its lines and of what is held"
    for _, fault in books.wrong_buckets():
        check(name, holds=not fault, otherwise=fault)
    name = "ledger: a conversation has used what its lines say"
    for _, fault in books.wrong_conversations():
        check(name, holds=not fault, otherwise=fault)
    name = "ledger: no window is above its limit"
    for owner_id in books.owners():
        for limit, most, used in books.windows(owner_id):
            fault = f"user {owner_id}, {limit}: {used} of {most}"
            check(name, holds=used <= most, otherwise=fault)
    name = "ledger: nothing is held for who is gone"
    for _, fault in books.phantoms(live):
        check(name, holds=not fault, otherwise=fault)
