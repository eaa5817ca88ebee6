"""Plans that are too small for what their people do, and grow a little with every kill."""

from typing import Final

from tests.chaos.load import PROVIDER

ALLOWANCES: Final[tuple[dict[str, int], ...]] = (
    {"hourly_max_messages": 3, "max_tokens": 30_000},
    {},
    {"three_hours_max_tokens": 9_000, "daily_max_tokens": 10_000},
    {},
    {"max_cost_micro_usd": 17_500, "monthly_free_model_messages": 1, "max_tokens_free": 9_000},
    {},
)
"""By turns; the people without one are on the default plan, which has no limits."""

GROWTH: Final = {
    "hourly_max_messages": 1,
    "max_tokens": 600,
    "three_hours_max_tokens": 400,
    "daily_max_tokens": 300,
    "max_cost_micro_usd": 500,
    "monthly_free_model_messages": 1,
    "max_tokens_free": 400,
}
"""So each limit lets something through again, and refuses again."""

_GROWN: Final = ", ".join(f"{name} = {name} + {more}" for name, more in GROWTH.items())
GROW: Final = f"update plans set {_GROWN}"

PRICES: Final = f"""
    update models set prompt_price = 1000000, completion_price = 2000000
        where name like '{PROVIDER}/%';
    update models set multiplier_percent = 150 where name = '{PROVIDER}/steady';
    update models set is_free = 1 where name in ('{PROVIDER}/burst', '{PROVIDER}/continuing')"""
"""A word costs micro-dollars; one model counts one and a half times, two count as free."""


def subscription(username: str, limits: dict[str, int]) -> str:
    """Return what puts somebody, who has used nothing yet, on a plan of their own."""
    columns = "".join(f", {name}" for name in limits)
    values = "".join(f", {value}" for value in limits.values())
    return f"""
        insert into plans (name, created_at{columns}) values ('Of {username}', 0{values});
        insert into subscriptions (owner_id, plan_id, start_at, created_at)
        select users.id, plans.id, users.created_at, users.created_at from users, plans
        where users.username = '{username}' and plans.name = 'Of {username}'"""
