"""`palaver plan list|show|create|edit|delete|assign|unassign`."""

import argparse
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import msgspec

from palaver.commands.database import database
from palaver.commands.lists import every
from palaver.config import load
from palaver.dialects.native import admin_wire
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, NotFound
from palaver.domain.plans import LinkedPlan
from palaver.domain.users import SYSTEM, User
from palaver.services.plans import PlanService
from palaver.services.subscriptions import SubscriptionService

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


async def plan(arguments: argparse.Namespace) -> int:
    """Run the verb on the database of the settings, beside a server that may be running."""
    async with database(load()) as db:
        plans, subscriptions = PlanService(db), SubscriptionService(db)
        match arguments.verb:
            case "list":
                await _list(plans)
            case "show":
                show(admin_wire.Plan.of(await _find(plans, arguments.plan)))
            case "create":
                said = admin_wire.PlanUpdate(**given(arguments, admin_wire.PlanUpdate))
                made = await plans.create(SYSTEM, said.change)
                print(f"Made the plan {made.plan.name}, id {made.plan.id}.")
            case "edit":
                await _edit(plans, arguments)
            case "delete":
                found = await _find(plans, arguments.plan)
                await plans.delete(SYSTEM, found.plan.id)
                print(f"Deleted the plan {found.plan.name}.")
            case "assign":
                await _assign(plans, subscriptions, arguments)
            case _:
                person = await user_named(subscriptions, arguments.username)
                await subscriptions.end(SYSTEM, person.id)
                print(f"{person.username} has no subscription any more.")
    return 0


def show(shape: msgspec.Struct) -> None:
    """Print a thing as the native contract shows it, a line a field."""
    for field, value in msgspec.to_builtins(shape).items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        print(f"{field:<34} {text}".rstrip())


async def _list(plans: PlanService) -> None:
    print(f"{'id':>6}  {'price':>9}  {'days':>5}  {'status':<8}  name")
    async for linked in every(plans.list):
        shape = admin_wire.Plan.of(linked)
        status = "default" if shape.is_default else "active" if shape.is_active else "inactive"
        days = shape.duration_days or "-"
        print(f"{shape.id:>6}  {shape.price:>9}  {days:>5}  {status:<8}  {shape.name}")


async def _edit(plans: PlanService, arguments: argparse.Namespace) -> None:
    found = await _find(plans, arguments.plan)
    fields = given(arguments, admin_wire.PlanUpdate)
    if not fields:
        raise nothing_given("palaver plan edit")
    said = admin_wire.PlanUpdate(**fields)
    changed = await plans.update(SYSTEM, found.plan.id, said.change)
    print(f"Changed the plan {changed.plan.name}: {', '.join(fields)}.")


async def _assign(
    plans: PlanService, subscriptions: SubscriptionService, arguments: argparse.Namespace
) -> None:
    person = await user_named(subscriptions, arguments.username)
    found = await _find(plans, arguments.plan)
    made = await subscriptions.assign(
        SYSTEM,
        person.id,
        plan_id=found.plan.id,
        start_at=_instant("start_date", arguments.start_date),
        end_at=_instant("end_date", arguments.end_date),
    )
    end = "without end" if made.end_at is None else f"until {_text(made.end_at)}"
    print(f"{person.username} is on {found.plan.name} from {_text(made.start_at)} {end}.")


async def _find(plans: PlanService, key: str) -> LinkedPlan:
    found = [linked async for linked in every(plans.list)]
    for names in (lambda plan: plan.name, lambda plan: plan.sku, lambda plan: str(plan.id)):
        for linked in found:
            if names(linked.plan) == key:
                return linked
    message = f"There is no plan {key}; `palaver plan list` shows those that there are."
    raise DomainError(message, kind=ErrorKind.NOT_FOUND)


async def user_named(subscriptions: SubscriptionService, name: str) -> User:
    """Return the account with this user name or e-mail address."""
    try:
        return (await subscriptions.get_by_name(SYSTEM, name)).user
    except NotFound:
        message = f"There is no user {name}; `palaver user list` shows those that there are."
        raise DomainError(message, kind=ErrorKind.NOT_FOUND) from None


def given(arguments: argparse.Namespace, shape: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the fields of a change that were given as options."""
    fields = frozenset(shape.__struct_fields__)
    return {name: value for name, value in vars(arguments).items() if name in fields}


def nothing_given(command: str) -> DomainError:
    """Return what is wrong with an edit without options."""
    message = f"Say what to change; `{command} --help` names the options."
    return DomainError(message, kind=ErrorKind.INVALID_INPUT)


def _instant(field: str, text: str | None) -> int | None:
    if text is None:
        return None
    try:
        return admin_wire.parse_time(datetime.fromisoformat(text))
    except ValueError:
        message = "Write a time as in 2026-01-15T10:30:00Z."
        raise InvalidInput.of(field, Fault.WRONG_FORMAT, message) from None


def _text(instant: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=instant):%Y-%m-%d %H:%M} UTC"
