"""What `palaver plan`, `model` and `webhook` take: options named as the fields of the contracts.

Nothing of ours is imported here, so that `palaver --help` answers at once.
"""

import argparse
from collections.abc import Callable
from typing import Final

COUNTS: Final = (
    "max_tokens",
    "max_tokens_free",
    "hourly_max_messages",
    "hourly_max_tokens",
    "three_hours_max_messages",
    "three_hours_max_tokens",
    "twelve_hours_max_messages",
    "twelve_hours_max_tokens",
    "daily_max_messages",
    "daily_max_tokens",
    "weekly_max_messages",
    "weekly_max_tokens",
    "monthly_max_messages",
    "monthly_max_tokens",
    "monthly_free_model_messages",
    "monthly_free_model_tokens",
    "daily_image_generation_limit",
    "weekly_image_generation_limit",
    "monthly_image_generation_limit",
)
_PLAN: Final = "its id, name or SKU"
_MODEL: Final = "its id or whole name, provider/name"
_USER: Final = "the user name or e-mail address"


def add_plans(parser: argparse.ArgumentParser) -> None:
    """Say what `palaver plan` takes."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="print all plans")
    show = verbs.add_parser("show", help="print one with its limits")
    show.add_argument("plan", help=_PLAN)
    create = verbs.add_parser("create", help="make one; without limits where none are given")
    create.add_argument("name")
    _add_plan_fields(create)
    edit = verbs.add_parser("edit", help="change what is given, for everybody who is on it")
    edit.add_argument("plan", help=_PLAN)
    _add(edit, "name", "another name")
    _add_plan_fields(edit)
    delete = verbs.add_parser("delete", help="remove one that nobody has ever been on")
    delete.add_argument("plan", help=_PLAN)
    assign = verbs.add_parser("assign", help="put a user on one, in place of what they have")
    assign.add_argument("username", help=_USER)
    assign.add_argument("plan", help=_PLAN)
    assign.add_argument("--start-date", metavar="TIME", help="ISO 8601, in UTC; else now")
    assign.add_argument("--end-date", metavar="TIME", help="else by the plan's duration-days")
    unassign = verbs.add_parser("unassign", help="end what a user has; the default plan is next")
    unassign.add_argument("username", help=_USER)


def add_models(parser: argparse.ArgumentParser) -> None:
    """Say what `palaver model` takes."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    list_ = verbs.add_parser("list", help="print the registry")
    list_.add_argument("word", nargs="?", default="", help="only models whose name holds this")
    show = verbs.add_parser("show", help="print what is said of one")
    show.add_argument("model", help=_MODEL)
    add = verbs.add_parser("add", help="add one that its provider need not list")
    add.add_argument("model_id", metavar="provider/name")
    _add_model_fields(add)
    edit = verbs.add_parser("edit", help="change what is given")
    edit.add_argument("model", help=_MODEL)
    _add_model_fields(edit)


def add_webhooks(parser: argparse.ArgumentParser) -> None:
    """Say what `palaver webhook` takes."""
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("list", help="print all webhooks, those of users and the administration's")
    test = verbs.add_parser("test", help="send `webhook.test` now, and print what it answers")
    test.add_argument("webhook", help="its id")
    again = verbs.add_parser("redeliver", help="send one delivery again, or all since a time")
    again.add_argument("webhook", help="its id")
    again.add_argument("delivery", nargs="?", help="its id")
    again.add_argument("--since", metavar="TIME", help="ISO 8601, in UTC: all that happened since")
    again.add_argument("--failed-only", action="store_true", help="of those, what failed")


def _add_plan_fields(parser: argparse.ArgumentParser) -> None:
    _add(parser, "description", "a sentence or two")
    _add(parser, "price", 'USD: "99.99"')
    _add(parser, "duration_days", "how long a subscription lasts; 0 = without end", type=int)
    _add(parser, "sku", 'the shop\'s name for it; "" = none', type=_or_none)
    _add(parser, "max_openrouter_cost_usd", "what providers may charge for a subscription")
    for field in COUNTS:
        _add(parser, field, "0 = no limit", type=int)
    _add_flag(parser, "is_active", "whether it can be subscribed to")
    _add_flag(parser, "is_default", "make it the plan of everybody without a subscription")
    _add(parser, "chatbot_ids", 'what it holds beside what is open to all: "1,2"', type=_ids)
    _add(parser, "model_ids", 'as many as there are: "3,5,8"; "" = none', type=_ids)


def _add_model_fields(parser: argparse.ArgumentParser) -> None:
    _add(parser, "name", "what people are shown")
    _add(parser, "description", "a sentence or two")
    _add(parser, "model_type", 'text or image; "" = what its provider says', type=_or_none)
    _add_flag(parser, "is_active", "whether it is on offer")
    _add_flag(parser, "is_free", "whether it counts against the limits for free models alone")
    _add(parser, "token_cost_multiplier", 'by which tokens count against limits: "1.50"')
    price = 'USD for a million tokens; "" = what its provider\'s list says'
    _add(parser, "price_per_million_prompt_usd", price, type=_or_none)
    _add(parser, "price_per_million_completion_usd", price, type=_or_none)
    _add_flag(parser, "open_to_all", "else only for the plans that hold it")


def _add(
    parser: argparse.ArgumentParser, field: str, help: str, *, type: Callable[[str], object] = str
) -> None:
    metavar = {int: "N", _ids: "IDS"}.get(type, "TEXT")
    parser.add_argument(
        f"--{field.replace('_', '-')}",
        default=argparse.SUPPRESS,
        help=help,
        metavar=metavar,
        type=type,
    )


def _add_flag(parser: argparse.ArgumentParser, field: str, help: str) -> None:
    action = argparse.BooleanOptionalAction
    option = f"--{field.replace('_', '-')}"
    parser.add_argument(option, default=argparse.SUPPRESS, help=help, action=action)


def _or_none(text: str) -> str | None:
    return text or None


def _ids(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(",") if part.strip())


# argparse names what it cannot read by the function's name.
_ids.__name__ = "list of ids"
