"""`palaver usage show|recount`."""

import argparse
from datetime import UTC, datetime

from palaver.commands.database import database
from palaver.commands.lists import every
from palaver.commands.plan import user_named
from palaver.config import load
from palaver.dialects.native.admin_wire import NAMES
from palaver.domain.limits import Limited, ends_at
from palaver.domain.usage import MICRO
from palaver.domain.users import SYSTEM, User
from palaver.kit.clock import SECOND, system_clock
from palaver.services.ledger import LedgerService, Standing
from palaver.services.subscriptions import SubscriptionService


async def usage(arguments: argparse.Namespace) -> int:
    """Run the verb on the database of the settings, beside a server that may be running."""
    async with database(load()) as db:
        ledger = LedgerService(db)
        people = await _people(SubscriptionService(db), arguments.username)
        if arguments.verb == "show":
            for person in people:
                _show(person, await ledger.standing(SYSTEM, person.id))
            return 0
        wrong = [person for person in people if not await ledger.recount(SYSTEM, person.id)]
        for person in wrong:
            print(f"The sums of {person.username} differed from the ledger; they are right now.")
        print(f"Counted the usage of {len(people)} users anew, {len(wrong)} of them were wrong.")
        return 0


async def _people(subscriptions: SubscriptionService, username: str | None) -> list[User]:
    if username is None:
        return [person.user async for person in every(subscriptions.list)]
    return [await user_named(subscriptions, username)]


def _show(person: User, standing: Standing) -> None:
    since = standing.subscribed_at
    started = "" if since is None else f", subscribed {_day(since)}"
    print(f"{person.username}: {standing.plan.name}{started}")
    for limited, used in standing.limits:
        name = NAMES.get(limited.limit.attribute, limited.limit.attribute)
        amounts = f"{_amount(limited, used)} of {_amount(limited)}"
        print(f"  {name:<32} {amounts}{_until(limited)}")
    if not standing.limits:
        print("  no limits")
    for held in standing.held:
        what = f"generation {held.generation_id}" if held.generation_id else held.kind
        tokens, cost = held.tokens + held.free_tokens, held.cost_micro_usd / MICRO
        print(f"  held for {what}: {tokens:,} tokens, {cost:.6f} USD")


def _amount(limited: Limited, used: int | None = None) -> str:
    amount = limited.most if used is None else used
    if limited.limit.measure == "cost_micro_usd":
        return f"{amount / MICRO:.6f} USD"
    return f"{amount:,}"


def _until(limited: Limited) -> str:
    end = ends_at(limited.limit.window, system_clock())
    return "" if end is None else f", until {_day(end)}"


def _day(instant: int) -> str:
    return f"{datetime.fromtimestamp(instant / SECOND, UTC):%Y-%m-%d %H:%M} UTC"
