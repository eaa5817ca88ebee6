"""A plan's limits, in the words of this contract."""

import re

import pytest

from palaver.domain.models import ModelChange
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from tests.dialects.subscriptions.helpers import (
    SESSIONS,
    TIME,
    a_session,
    asked,
    messages_of,
    said,
)
from tests.http import Answer, Palaver, Visitor, settled

WINDOWS = [
    ("hourly_max_messages", "hour"),
    ("three_hours_max_messages", "three_hours"),
    ("twelve_hours_max_messages", "twelve_hours"),
    ("daily_max_messages", "day"),
    ("weekly_max_messages", "week"),
    ("monthly_max_messages", "month"),
]


async def limited(palaver: Palaver, visitor: Visitor, **limits: object) -> None:
    """Put somebody on a plan of their own."""
    change = PlanChange(name="Tight", **limits)  # type: ignore[arg-type]
    linked = await palaver.services.plans.create(SYSTEM, change)
    await palaver.services.subscriptions.assign(SYSTEM, visitor.user.id, plan_id=linked.plan.id)


async def send(visitor: Visitor, id: int, text: str = "more") -> Answer:
    return await visitor.post(f"{SESSIONS}{id}/send/", {"message": text})


def assert_refused(answer: Answer, limit: str, window: str) -> None:
    assert answer.status == 429, answer
    assert list(answer.json) == ["error", "detail", "limit", "window", "reset_at"]
    assert answer.json["error"] == "Quota exceeded"
    assert re.match(r"Your plan's limit of .+ leaves no room for this\.", answer.json["detail"])
    assert (answer.json["limit"], answer.json["window"]) == (limit, window)
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.parametrize(("limit", "window"), WINDOWS)
async def test_a_window_that_is_full_refuses_and_says_when_there_is_room(
    owner: Visitor, palaver: Palaver, limit: str, window: str
) -> None:
    await limited(palaver, owner, **{limit: 1})
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    before = await messages_of(owner, id)
    answer = await send(owner, id)
    assert_refused(answer, limit, window)
    assert TIME.fullmatch(answer.json["reset_at"])
    assert answer.json["reset_at"] > before[0]["created_at"]
    assert await messages_of(owner, id) == before


@pytest.mark.parametrize(
    ("field", "most", "limit"),
    [("max_tokens", 20, "max_tokens"), ("max_cost_usd", "0.000001", "max_openrouter_cost_usd")],
)
async def test_a_lifetime_that_is_used_up_never_has_room_again(
    owner: Visitor, palaver: Palaver, field: str, most: object, limit: str
) -> None:
    price = ModelChange(prompt_price_usd="1000", completion_price_usd="1000")
    model = (await owner.get("/api/ai-models/")).json[0]
    await palaver.services.registry.update(SYSTEM, model["id"], price)
    await limited(palaver, owner, **{field: most})
    id = await a_session(owner, title="A walk")
    answer = await send(owner, id, "word " * 50)
    assert_refused(answer, limit, "lifetime")
    assert answer.json["reset_at"] is None
    assert answer.headers["retry-after"] == "86400"
    assert await messages_of(owner, id) == []


async def test_of_several_limits_the_one_that_frees_last_is_named(
    owner: Visitor, palaver: Palaver
) -> None:
    await limited(palaver, owner, hourly_max_messages=1, monthly_max_messages=1)
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    assert_refused(await send(owner, id), "monthly_max_messages", "month")


async def test_an_edit_is_a_message_as_well(owner: Visitor, palaver: Palaver) -> None:
    await limited(palaver, owner, daily_max_messages=1)
    id = await a_session(owner, title="A walk")
    message = await asked(owner, id, "one")
    before = await messages_of(owner, id)
    path = f"{SESSIONS}{id}/messages/{message['message_id']}/edit/"
    answer = await owner.post(path, {"content": "two"})
    assert_refused(answer, "daily_max_messages", "day")
    assert await messages_of(owner, id) == before


async def test_a_title_is_no_message(owner: Visitor, palaver: Palaver) -> None:
    await limited(palaver, owner, daily_max_messages=2)
    id = await a_session(owner)
    await asked(owner, id, "one")

    async def has_title() -> bool:
        return bool((await owner.get(f"{SESSIONS}{id}/")).json["title"] != "New Chat")

    await settled(has_title)
    assert (await send(owner, id)).status == 201


async def test_a_refused_message_can_be_sent_again_with_its_key(
    owner: Visitor, palaver: Palaver
) -> None:
    await limited(palaver, owner, daily_max_messages=1)
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    path, body, key = f"{SESSIONS}{id}/send/", {"message": "two"}, {"Idempotency-Key": "later"}
    assert (await owner.post(path, body, headers=key)).status == 429
    await palaver.services.subscriptions.end(SYSTEM, owner.user.id)
    assert (await owner.post(path, body, headers=key)).status == 201
    assert [text for role, text in await said(owner, id) if role == "user"] == ["one", "two"]


async def test_the_detail_is_a_sentence_for_people(owner: Visitor, palaver: Palaver) -> None:
    await limited(palaver, owner, daily_max_messages=1)
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    detail = (await send(owner, id)).json["detail"]
    assert re.fullmatch(r"Your plan's limit .+\. Try again after .+ UTC\.", detail)
