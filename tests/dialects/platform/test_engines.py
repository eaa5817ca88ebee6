"""The way through the whole contract, on both databases."""

import asyncio

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.dialects.platform.helpers import (
    ALIAS,
    CHATS,
    COMPLETIONS,
    EXAMPLES,
    HELLO,
    bearing,
    messages_of,
    saying,
    streamed,
    text_of,
    turns_of,
)
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor

AUTH = "/api/v1/auth"


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """Give settings with a database of either engine."""
    return structs.replace(settings, database_url=database_url)


async def test_from_register_to_logout(palaver: Palaver, upstream: Upstream) -> None:
    somebody = palaver.visitor()
    account = EXAMPLES["Register User"].request
    user = (await somebody.post(f"{AUTH}/register", account)).json
    body = {"username": account["email"], "password": account["password"]}
    tokens = (await somebody.post(f"{AUTH}/login", body)).json
    refresh = {"refresh_token": tokens["refresh_token"]}
    token = (await somebody.post(f"{AUTH}/refresh", refresh)).json["access_token"]
    somebody.session.headers.update(bearing(token))
    example = EXAMPLES["Create Chat"].request
    chat = (await somebody.post(CHATS, example | {"metadata": {"ö": [1, None]}})).json
    assert (chat["user_id"], chat["model"]) == (user["id"], ALIAS)
    id = chat["id"]
    answer = await somebody.post(COMPLETIONS, saying("Grüße 😀", chat_id=id, model=ALIAS))
    assert answer.json["model"] == ALIAS
    events = await streamed(somebody, saying("one", "two", "three", chat_id=id, model=ALIAS))
    assert text_of(events) == HELLO
    told = [("system", example["system_prompt"]), ("user", "one"), ("assistant", "two")]
    assert turns_of(await upstream.request(2)) == [*told, ("user", "three")]
    said = [("user", "Grüße 😀"), ("assistant", HELLO), ("user", "three"), ("assistant", HELLO)]
    assert await messages_of(somebody, id) == said
    path = f"{CHATS}/{id}"
    archived = (await somebody.patch(path, {"title": "Straße", "is_archived": True})).json
    assert (archived["title"], archived["is_archived"]) == ("Straße", True)
    assert (await somebody.get(CHATS)).json == []
    assert (await somebody.get(f"{CHATS}?include_archived=true")).json == [archived]
    assert (await somebody.delete(path)).status == 200
    assert (await somebody.get(path)).status == 404
    assert (await somebody.post(f"{AUTH}/logout")).status == 200
    assert (await somebody.get(CHATS)).status == 401


async def test_requests_and_completions_at_once_are_counted(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.CUT), Script(failure=Failure.CUT))
    body = saying("Hello")
    answers = await asyncio.gather(*(owner.post(COMPLETIONS, body) for _ in range(12)))
    assert sorted(answer.status for answer in answers) == [200] * 10 + [502] * 2
    async with palaver.house.db.read() as tx:
        assert await tx.usage.held(owner_id=owner.user.id) == []
        entries = await tx.usage.list(owner_id=owner.user.id)
    assert sum(entry.messages for entry in entries) == 12
    total = sum(entry.prompt_tokens + entry.completion_tokens for entry in entries)
    told = sum(answer.json["tokens_used"] for answer in answers if answer.status == 200)
    assert total > told > 0
    left = sorted(int(answer.headers["x-ratelimit-remaining"]) for answer in answers)
    assert left == list(range(48, 60))
