"""The ledger: what a call may use is held before it starts, and settled to the truth after it.

The functions run in the caller's transaction, and all of them take the user's row first: what is
counted together is changed together. Of a transaction they come last, since that row is a hot one.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from palaver.domain.errors import NotFound
from palaver.domain.events import UsageReported
from palaver.domain.limits import (
    COST,
    FREE,
    IMAGES,
    PAID,
    ROLLING,
    Limited,
    Need,
    Window,
    granted,
    limits_of,
    quota_error,
    starts_at,
)
from palaver.domain.models import Model
from palaver.domain.plans import Plan
from palaver.domain.usage import (
    MAX_COST_MICRO_USD,
    NOTHING,
    Amounts,
    Reservation,
    Terms,
    UsageEntry,
    UsageKind,
    total,
)
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from palaver.storage.usage import BucketKind

STEPS_MAX: Final = 2_000
"""Most five-minute sums removed in one transaction."""


class Grant(msgspec.Struct, frozen=True):
    """What a call was allowed: how it is charged, how long its answer may be, what is held."""

    owner_id: int
    kind: UsageKind
    terms: Terms
    max_tokens: int
    amounts: Amounts
    at: int


class Standing(msgspec.Struct, frozen=True):
    """How far a user's plan is used; limits with what of them is used, reservations included."""

    plan: Plan
    subscribed_at: int | None
    limits: Sequence[tuple[Limited, int]]
    held: Sequence[Reservation]


class Work(msgspec.Struct, frozen=True):
    """What a line of the ledger tells of, beside its figures."""

    owner_id: int
    model: str
    kind: UsageKind = UsageKind.ANSWER
    conversation_id: int | None = None
    generation_id: int | None = None


async def grant(
    tx: Tx,
    owner_id: int,
    model: Model,
    *,
    kind: UsageKind = UsageKind.ANSWER,
    prompt_tokens: int,
    max_tokens: int,
    least_tokens: int = 1,
    images: int = 0,
    freed: Amounts = NOTHING,
    at: int,
) -> Grant:
    """Check every limit of the user's plan for a call; `reserve` it in the same transaction.

    `prompt_tokens` is the most that the provider may count. The answer is cut down to what the
    limits leave; `freed` is counted as free again. Raises `QuotaExceeded` where not even the prompt
    and `least_tokens` fit.
    """
    await tx.users.lock_usage(owner_id)
    standing = await tx.plans.standing(owner_id=owner_id, at=at)
    if standing is None:
        raise NotFound("user")
    plan, subscribed_at = standing
    terms = terms_of(model, plan, subscribed_at)
    limits = _watched(plan, terms, kind, images=images)
    need = Need(terms, prompt_tokens, max_tokens, least_tokens, images)
    used: Mapping[Window, Amounts] = {}
    if limits:
        windows = [limited.limit.window for limited in limits]
        used = await tx.usage.used(windows, owner_id=owner_id, at=at, subscribed_at=subscribed_at)
    if freed != NOTHING:
        used = {window: amounts + -freed for window, amounts in used.items()}
    allowed, cost, refusals = granted(need, limits, used)
    if refusals:
        steps = await tx.usage.steps(owner_id=owner_id, since=starts_at(Window.TWELVE_HOURS, at))
        raise quota_error(refusals, steps, at=at)
    amounts = terms.amounts(
        kind, prompt_tokens + allowed, messages=1, images=images, cost_micro_usd=cost
    )
    return Grant(owner_id, kind, terms, allowed, amounts, at)


async def reserve(
    tx: Tx, given: Grant, *, generation_id: int | None = None, expires_at: int | None = None
) -> int:
    """Reserve what was granted; return the reservation's id, 0 for that of a generation.

    A call without a generation gives an instant after which it counts as dead: `services/calls.py`
    does so, for all who ask a provider beside the runs.
    """
    return await tx.usage.reserve(
        given.amounts,
        owner_id=given.owner_id,
        generation_id=generation_id,
        kind=given.kind,
        subscribed_at=given.terms.subscribed_at,
        expires_at=expires_at,
        at=given.at,
    )


async def settle(
    tx: Tx,
    work: Work,
    terms: Terms,
    usage: UsageReported | None,
    *,
    reservation_id: int | None = None,
    started_at: int,
    images: int = 0,
    further_attempts: int = 0,
    attempt_prompt_tokens: int = 0,
    at: int,
) -> None:
    """Write what a call has used and give back the rest of what it held; None = it owes nothing.

    Usage counts at the instant of the start. Further attempts of a run cost their prompt.
    """
    await tx.users.lock_usage(work.owner_id)
    held = await tx.usage.release(
        generation_id=work.generation_id if reservation_id is None else None, id=reservation_id
    )
    started_at = started_at if held is None else held.counted_at
    entries = _entries(work, terms, usage, images=images, started_at=started_at, at=at)
    if entries and further_attempts:
        entries += [
            _attempt(entries[0], terms, prompt_tokens=attempt_prompt_tokens)
        ] * further_attempts
    for entry in entries:
        await tx.usage.append(entry)
    used = total(entry.amounts for entry in entries)
    await _correct(tx, work.owner_id, held, used, terms=terms, started_at=started_at)
    is_answer = work.kind is UsageKind.ANSWER
    if entries and is_answer and work.conversation_id is not None:
        await tx.conversation_usage.add(
            work.conversation_id,
            owner_id=work.owner_id,
            tokens=0 if terms.is_free else _tokens(entries),
            free_tokens=_tokens(entries) if terms.is_free else 0,
            is_free=terms.is_free,
            at=at,
        )


async def recount(tx: Tx, owner_id: int, *, at: int) -> None:
    """Make a user's buckets anew, for the plan that they are on now.

    What is under way counts for the subscription that it now falls into.
    """
    await tx.users.lock_usage(owner_id)
    standing = await tx.plans.standing(owner_id=owner_id, at=at)
    subscribed_at = None if standing is None else standing[1]
    if subscribed_at is not None:
        await tx.usage.resubscribe(owner_id=owner_id, subscribed_at=subscribed_at)
    await tx.usage.sum_up(owner_id=owner_id, subscribed_at=subscribed_at, at=at)


def terms_of(model: Model, plan: Plan, subscribed_at: int | None) -> Terms:
    """Return how a call of a model is charged now: an administrator's price, else the list's."""
    profile = model.profile
    return Terms(
        plan_id=plan.id,
        subscribed_at=subscribed_at,
        is_free=bool(model.is_free),
        multiplier_percent=model.multiplier_percent,
        prompt_price=(profile.prompt_price if model.prompt_price is None else model.prompt_price),
        completion_price=(
            profile.completion_price if model.completion_price is None else model.completion_price
        ),
    )


class LedgerService:
    """Upkeep of the ledger, and what administrators ask of it."""

    def __init__(self, db: Database, *, clock: Clock = system_clock) -> None:
        self.db = db
        self.clock = clock

    async def release_orphans(self, actor: Actor) -> int:
        """Give back what is held for calls whose owner died; return how many."""
        actor.require_admin()
        async with self.db.read() as tx:
            orphans = await tx.usage.orphans(at=self.clock())
        for id, owner_id in orphans:
            async with self.db.transaction() as tx:
                await tx.users.lock_usage(owner_id)
                # It may have been renewed since.
                held = await tx.usage.release(id=id, expired_at=self.clock())
                if held is not None:
                    await _correct(
                        tx, owner_id, held, NOTHING, terms=Terms(), started_at=held.counted_at
                    )
        return len(orphans)

    async def standing(self, actor: Actor, user_id: int) -> Standing:
        """Return a user's plan, how far each of its limits is used, and what is held now.

        One's own, or anybody's for administrators. Raises `NotFound`.
        """
        if user_id != actor.user_id:
            actor.require_admin()
        at = self.clock()
        async with self.db.read(snapshot=True) as tx:
            standing = await tx.plans.standing(owner_id=user_id, at=at)
            if standing is None:
                raise NotFound("user")
            plan, subscribed_at = standing
            used = await tx.usage.used(
                list(Window), owner_id=user_id, at=at, subscribed_at=subscribed_at
            )
            held = await tx.usage.held(owner_id=user_id)
        limits = limits_of(plan, measures=Amounts.__struct_fields__)
        return Standing(
            plan=plan,
            subscribed_at=subscribed_at,
            limits=[(limited, limited.most - limited.left(used)) for limited in limits],
            held=held,
        )

    async def recount(self, actor: Actor, user_id: int) -> bool:
        """Make a user's sums anew from the ledger and from what is held; tell if they were true.

        Raises `NotFound`.
        """
        actor.require_admin()
        at = self.clock()
        recent = starts_at(Window.TWELVE_HOURS, at)
        async with self.db.transaction() as tx:
            standing = await tx.plans.standing(owner_id=user_id, at=at)
            if standing is None:
                raise NotFound("user")
            await tx.users.lock_usage(user_id)
            before = await tx.usage.buckets(owner_id=user_id, since=recent)
            await recount(tx, user_id, at=at)
            after = await tx.usage.buckets(owner_id=user_id, since=recent)
            # Of a subscription that is over nothing is counted anew.
            return all(
                before.get(key, NOTHING) == after.get(key, NOTHING)
                for key in before.keys() | after.keys()
                if key[0] != BucketKind.SUBSCRIPTION or key[1] == standing[1]
            )

    async def forget_steps(self, actor: Actor) -> int:
        """Remove five-minute sums that no window reaches any more; return how many."""
        actor.require_admin()
        before = starts_at(Window.TWELVE_HOURS, self.clock()) - ROLLING[Window.TWELVE_HOURS]
        async with self.db.transaction() as tx:
            return await tx.usage.forget_steps(before=before, limit=STEPS_MAX)


def _watched(plan: Plan, terms: Terms, kind: UsageKind, *, images: int) -> list[Limited]:
    """Return the limits that a call of this kind can break."""
    if kind is UsageKind.ANSWER:
        measures = FREE if terms.is_free else PAID
        return limits_of(plan, measures=measures | IMAGES if images else measures)
    return [] if terms.is_free else limits_of(plan, measures=COST)


async def _correct(
    tx: Tx,
    owner_id: int,
    held: Reservation | None,
    used: Amounts,
    *,
    terms: Terms,
    started_at: int,
) -> None:
    """Turn what was counted for a reservation into what was used."""
    change = used if held is None else used + -held.amounts
    if change == NOTHING:
        return
    await tx.usage.count(
        change,
        owner_id=owner_id,
        at=started_at,
        subscribed_at=terms.subscribed_at if held is None else held.subscribed_at,
    )


def _entries(
    work: Work,
    terms: Terms,
    usage: UsageReported | None,
    *,
    images: int,
    started_at: int,
    at: int,
) -> list[UsageEntry]:
    if usage is None:
        return []
    is_answer = work.kind is UsageKind.ANSWER
    tokens = usage.total_tokens if is_answer else 0
    return [
        UsageEntry(
            owner_id=work.owner_id,
            plan_id=terms.plan_id,
            conversation_id=work.conversation_id,
            generation_id=work.generation_id,
            kind=work.kind,
            model=work.model,
            prompt_tokens=usage.prompt_tokens,
            completion_tokens=usage.completion_tokens,
            reasoning_tokens=usage.reasoning_tokens,
            cached_tokens=usage.cached_tokens,
            cost_micro_usd=_cost(usage, terms),
            messages=int(is_answer),
            images=images,
            charged_tokens=terms.weigh(tokens),
            is_free=int(terms.is_free),
            is_estimate=int(usage.is_estimate),
            counted_at=started_at,
            created_at=at,
        )
    ]


def _attempt(answer: UsageEntry, terms: Terms, *, prompt_tokens: int) -> UsageEntry:
    """Return what one more attempt at an answer cost: its prompt, sent once more."""
    return msgspec.structs.replace(
        answer,
        kind=UsageKind.ATTEMPT,
        prompt_tokens=prompt_tokens,
        completion_tokens=0,
        reasoning_tokens=0,
        cached_tokens=0,
        cost_micro_usd=terms.cost(prompt_tokens, 0),
        messages=0,
        images=0,
        charged_tokens=0,
        is_estimate=1,
    )


def _cost(usage: UsageReported, terms: Terms) -> int | None:
    """Return the provider's own figure, where it gave one that can be true, else that by price."""
    given = usage.cost_micro_usd
    if given is not None and 0 <= given <= MAX_COST_MICRO_USD:
        return given
    return terms.cost(usage.prompt_tokens, usage.completion_tokens)


def _tokens(entries: Iterable[UsageEntry]) -> int:
    return sum(
        entry.prompt_tokens + entry.completion_tokens
        for entry in entries
        if entry.kind is UsageKind.ANSWER
    )
