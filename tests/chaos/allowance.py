"""Plans that are too small for what their people do, and who widens and renews them meanwhile."""

import asyncio
from typing import Any, Final

from palaver.domain.usage import MICRO
from tests.chaos.load import PROVIDER, Person

TOKEN: Final = "a token for the one who keeps the plans"
SETTINGS: Final = {"PALAVER_BOOTSTRAP_TOKEN": TOKEN}
COST: Final = "max_openrouter_cost_usd"  # here in micro-dollars

ALLOWANCES: Final[tuple[dict[str, int], ...]] = (
    {"hourly_max_messages": 3, "max_tokens": 20_000},
    {},
    {"three_hours_max_tokens": 9_000, "daily_max_tokens": 10_000},
    {},
    {COST: 17_500, "monthly_free_model_messages": 1, "max_tokens_free": 9_000},
    {},
)
"""By turns; the people without one are on the default plan, which has no limits."""

GROWTH: Final = {
    "hourly_max_messages": 1,
    "three_hours_max_tokens": 600,
    "daily_max_tokens": 500,
    "monthly_free_model_messages": 1,
}
"""What a plan is widened by. Limits of a lifetime begin anew with the next subscription."""

PRICES: Final = f"""
    update models set prompt_price = 1000000, completion_price = 2000000
        where name like '{PROVIDER}/%';
    update models set multiplier_percent = 150 where name = '{PROVIDER}/steady';
    update models set is_free = 1 where name in ('{PROVIDER}/burst', '{PROVIDER}/continuing')"""
"""A word costs micro-dollars; one model counts one and a half times, two count as free."""


class Administrator(Person):
    """Keeps the plans, through the `native` contract, while everything goes on."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.plans: list[tuple[Person, int, dict[str, int]]] = []

    async def bootstrap(self) -> None:
        """Become the administrator."""
        body = {"username": self.name, "password": f"{self.name} opens the door"}
        await self._sign_in("/admin/bootstrap", body, {"X-Bootstrap-Token": TOKEN})

    async def put_on_plan(self, person: Person, limits: dict[str, int]) -> None:
        """Put somebody on a plan of their own."""
        plan = {"name": f"Of {person.name}", **_shown(limits)}
        answer = await self._try("plan", "POST", "/api/palaver/admin/plans", plan)
        self.plans.append((person, answer["id"], dict(limits)))
        await self._renew(person, answer["id"])
        person.is_limited = True

    async def live(self) -> None:
        """Widen or renew now and then, until the end."""
        while not self.street.is_ending:
            await asyncio.sleep(self.rng.random() / 2)
            person, plan_id, limits = self.rng.choice(self.plans)
            if self.rng.random() < 0.5:
                await self._renew(person, plan_id)
            elif grown := {name: limits[name] + GROWTH[name] for name in limits.keys() & GROWTH}:
                limits.update(grown)
                await self._try("plan", "PATCH", f"/api/palaver/admin/plans/{plan_id}", grown)

    async def _renew(self, person: Person, plan_id: int) -> None:
        path = f"/api/palaver/admin/users/{person.id}/subscription"
        await self._try("subscribe", "PUT", path, {"plan_id": plan_id})


def _shown(limits: dict[str, int]) -> dict[str, int | str]:
    shown: dict[str, int | str] = dict(limits)
    if COST in limits:
        shown[COST] = f"{limits[COST] / MICRO:.6f}"
    return shown


def subscription(username: str, limits: dict[str, int]) -> str:
    """Return the statements that put somebody, who has used nothing yet, on a plan of their own."""
    columns = "".join(f", {name}" for name in limits)
    values = "".join(f", {value}" for value in limits.values())
    return f"""
        insert into plans (name, created_at{columns}) values ('Of {username}', 0{values});
        insert into subscriptions (owner_id, plan_id, start_at, created_at)
        select users.id, plans.id, users.created_at, users.created_at from users, plans
        where users.username = '{username}' and plans.name = 'Of {username}'"""
