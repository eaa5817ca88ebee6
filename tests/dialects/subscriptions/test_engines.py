"""The way through the whole contract, on both databases."""

import pytest
from msgspec import structs

from palaver.config import Settings
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM
from tests.dialects.subscriptions.helpers import (
    ANSWER,
    SESSIONS,
    a_session,
    asked,
    following,
    messages_of,
    put,
    said,
    sent,
    text_of,
    the_session,
)
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, settled


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """Give settings with a database of either engine."""
    return structs.replace(settings, database_url=database_url)


async def test_from_the_catalogue_to_the_bill(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    linked = await palaver.services.plans.create(
        SYSTEM, PlanChange(name="Three", hourly_max_messages=3)
    )
    await palaver.services.subscriptions.assign(SYSTEM, owner.user.id, plan_id=linked.plan.id)
    subscription = (await owner.get("/api/users/subscription/")).json
    assert subscription["subscription_type"]["hourly_max_messages"] == 3
    (chatbot,) = (await owner.get("/api/chatbots/")).json
    (model,) = (await owner.get("/api/ai-models/")).json
    upstream.plan(Script(), Script(words=("A", " title")))
    id = await a_session(owner, chatbot_id=chatbot["id"], ai_model_id=model["model_id"])
    message = await asked(owner, id, "one")

    async def has_title() -> bool:
        return bool((await the_session(owner, id))["title"] == "A title")

    await settled(has_title)
    async with following(owner, id) as events:
        run = await events.all()
    assert text_of(run) == ANSWER
    async with following(owner, id, Last_Event_ID=str(run[-1].id)) as events:
        await events.response.content.readuntil(b"\n\n")  # a comment: nothing runs yet
        await sent(owner, id, "two")
        assert text_of(await events.all()) == ANSWER
    path = f"{SESSIONS}{id}/messages/{message['message_id']}/edit/"
    before = [each["message_id"] for each in await messages_of(owner, id)]
    answer = await owner.post(path, {"content": "One"})
    assert answer.json["disabled_message_ids"] == before[1:]
    refused = await owner.post(f"{SESSIONS}{id}/send/", {"message": "four"})
    assert (refused.status, refused.json["limit"]) == (429, "hourly_max_messages")

    async def is_answered() -> bool:
        return await said(owner, id) == [("user", "One"), ("assistant", ANSWER)]

    await settled(is_answered)
    question, reply = await messages_of(owner, id)
    assert await messages_of(owner, id, f"?before={reply['message_id']}") == [question]
    (usage,) = (await owner.get("/api/chat-session-usages/")).json
    assert usage["tokens_count"] > 0
    other = await a_session(owner)
    assert (await put(owner, other, {"is_active": False, "title": "Off"})).status == 200
    titles = [each["title"] for each in (await owner.get(SESSIONS)).json]
    assert titles == ["Off", "A title"]
    assert (await owner.get(f"{SESSIONS}?before={other}")).json == [await the_session(owner, id)]
    assert (await owner.delete(f"{SESSIONS}{id}/")).json == {"success": True}
    assert len((await owner.get(SESSIONS)).json) == 1
