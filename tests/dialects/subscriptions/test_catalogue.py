"""The chapters "Chatbots", "AI Models" and "Chat Session Usage"."""

from typing import Any

import pytest

from palaver.dialects.native.catalogue_wire import ModelUpdate
from palaver.domain.chatbots import ChatbotChange
from palaver.domain.models import ModelChange
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from tests.contracts import shape
from tests.dialects.subscriptions.helpers import (
    EXAMPLES,
    NOWHERE,
    SESSIONS,
    TIME,
    a_session,
    asked,
    assert_error,
)
from tests.http import MovableClock, Palaver, Visitor

CHATBOTS = "/api/chatbots/"
MODELS = "/api/ai-models/"
USAGES = "/api/chat-session-usages/"


async def listed(visitor: Visitor, path: str) -> list[Any]:
    answer = await visitor.get(path)
    assert answer.status == 200, answer
    found: list[Any] = answer.json
    return found


async def names(visitor: Visitor, path: str) -> list[str]:
    return [item["name"] for item in await listed(visitor, path)]


async def test_chatbots_are_listed_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["List Available Chatbots"].response
    chatbots = await listed(owner, CHATBOTS)
    assert shape(chatbots) == shape(example)
    # A fresh install has the document's own.
    assert chatbots[0] | {"id": 1} == example[0]


async def test_the_picture_of_a_chatbot_is_there(owner: Visitor) -> None:
    (chatbot,) = await listed(owner, CHATBOTS)
    answer = await owner.get(chatbot["image"])
    assert answer.status == 200
    assert answer.headers["content-type"] == "image/png"


async def test_models_are_listed_as_documented(owner: Visitor, palaver: Palaver) -> None:
    (sim,) = await listed(owner, MODELS)
    example = EXAMPLES["List Available AI Models"].response
    assert shape([sim]) == shape(example)
    said = {name: example[0][name] for name in ("name", "description", "is_free", "model_type")}
    model = await palaver.services.registry.create(
        SYSTEM, "sim/gpt-4", ModelUpdate(**said, token_cost_multiplier="2.5").change
    )
    shown = (await listed(owner, MODELS))[0]
    assert shown == said | {
        "id": model.id,
        "model_id": "sim/gpt-4",
        "is_active": True,
        "token_cost_multiplier": "2.50",
    }


async def test_what_is_not_on_offer_is_not_listed(
    owner: Visitor, stranger: Visitor, palaver: Palaver
) -> None:
    services = palaver.services
    for name, more in (("Off", {"is_active": False}), ("VIP", {"open_to_all": False})):
        bot = await services.chatbots.create(SYSTEM, ChatbotChange(name=name, **more))
        model = await services.registry.create(
            SYSTEM, f"sim/{name}", ModelChange(label=name, **more)
        )
    plan = PlanChange(name="VIP", chatbot_ids=[bot.id], model_ids=[model.id])
    linked = await services.plans.create(SYSTEM, plan)
    await services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    assert await names(owner, CHATBOTS) == ["VIP", "General Assistant"]
    assert await names(stranger, CHATBOTS) == ["General Assistant"]
    assert await names(owner, MODELS) == ["VIP", "sim"]
    assert await names(stranger, MODELS) == ["sim"]


@pytest.mark.parametrize("path", [CHATBOTS, MODELS])
async def test_the_catalogue_comes_newest_first_in_pages(
    owner: Visitor, palaver: Palaver, path: str
) -> None:
    for name in ("A", "B"):
        await palaver.services.chatbots.create(SYSTEM, ChatbotChange(name=name))
        await palaver.services.registry.create(SYSTEM, f"sim/{name}", ModelChange(label=name))
    every = await listed(owner, path)
    assert [item["name"] for item in every][:2] == ["B", "A"]
    assert len(every) == 3
    assert await listed(owner, f"{path}?limit=2") == every[:2]
    assert await listed(owner, f"{path}?before={every[0]['id']}&limit=1") == every[1:2]
    assert await listed(owner, f"{path}?before=0") == []


@pytest.mark.parametrize("path", [CHATBOTS, MODELS, USAGES])
async def test_a_page_that_is_none_is_refused(owner: Visitor, path: str) -> None:
    for query in ("limit=0", "limit=x", "before=-1", f"before={2**63}"):
        assert_error(await owner.get(f"{path}?{query}"), 400, "Invalid input")


async def test_usage_is_listed_as_documented(owner: Visitor) -> None:
    assert await listed(owner, USAGES) == []
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one two three")
    usages = await listed(owner, USAGES)
    assert shape(usages) == shape(EXAMPLES["List Chat Session Usage"].response)
    assert usages[0]["tokens_count"] == 3 + len(["You", "are", "a", "helpful", "assistant."]) + 4
    assert usages[0]["free_model_tokens_count"] == 0
    assert usages[0]["is_free_model"] is False
    assert TIME.fullmatch(usages[0]["created_at"])


async def test_usage_adds_up_over_a_session(owner: Visitor, clock: MovableClock) -> None:
    id = await a_session(owner, title="A walk")
    await asked(owner, id, "one")
    (first,) = await listed(owner, USAGES)
    clock.move(seconds=60)
    await asked(owner, id, "two")
    (both,) = await listed(owner, USAGES)
    assert both["id"] == first["id"]
    assert both["tokens_count"] > 2 * first["tokens_count"]
    assert both["created_at"] == first["created_at"]
    assert both["updated_at"] > first["updated_at"]


async def test_usage_of_free_models_is_apart(owner: Visitor, palaver: Palaver) -> None:
    (sim,) = await listed(owner, MODELS)
    await palaver.services.registry.update(SYSTEM, sim["id"], ModelChange(is_free=True))
    id = await a_session(owner, title="A walk", ai_model_id="sim/sim")
    await asked(owner, id, "one")
    (usage,) = await listed(owner, USAGES)
    assert usage["tokens_count"] == 0
    assert usage["free_model_tokens_count"] > 0
    assert usage["is_free_model"] is True


async def test_usage_comes_newest_first_in_pages_and_stays_when_its_session_goes(
    owner: Visitor, stranger: Visitor, clock: MovableClock
) -> None:
    ids = []
    for title in ("a", "b"):
        ids.append(await a_session(owner, title=title))
        await asked(owner, ids[-1], "one")
        clock.move(seconds=1)
    newer, older = await listed(owner, USAGES)
    assert newer["updated_at"] > older["updated_at"]
    assert await listed(owner, f"{USAGES}?limit=1") == [newer]
    assert await listed(owner, f"{USAGES}?before={newer['id']}") == [older]
    assert await listed(owner, f"{USAGES}?before={NOWHERE}") == []
    assert await listed(stranger, USAGES) == []
    assert await listed(stranger, f"{USAGES}?before={newer['id']}") == []
    await owner.delete(f"{SESSIONS}{ids[0]}/")
    assert await listed(owner, USAGES) == [newer, older]
