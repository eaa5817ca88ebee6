"""The way through the whole contract, on both databases."""

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.cast import PASSWORD
from tests.dialects.conftest import BOOTSTRAP_TOKEN
from tests.dialects.streaming.helpers import a_conversation, text_of, the_answer
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor


@pytest.fixture
def settings(settings: Settings, database_url: str) -> Settings:
    """Give settings with a database of either engine."""
    return structs.replace(settings, database_url=database_url)


async def test_from_bootstrap_to_delete(palaver: Palaver, upstream: Upstream) -> None:
    admin = palaver.visitor()
    root = {"username": "root", "password": PASSWORD}
    token = {"X-Bootstrap-Token": BOOTSTRAP_TOKEN}
    assert (await admin.post("/admin/bootstrap", root, headers=token)).status == 200
    code = (await admin.post("/admin/invites", {})).json["invite_code"]
    owner = palaver.visitor()
    guest = {"username": "guest", "password": PASSWORD, "invite_code": code}
    assert (await owner.post("/auth/register", guest)).status == 200
    upstream.plan(Script(words=("Hé", "llo 😀"), reasoning=("hm",)), Script(words=("again",)))
    id = await a_conversation(owner, "Hello", title="Straße")
    events = await the_answer(owner, id)
    assert text_of(events) == "Héllo 😀"
    for number in range(events[-1].number + 1):
        async with owner.events(f"/conversations/{id}/stream?after={number}", {}) as rest:
            assert text_of(await rest.all()) == "Héllo 😀"[max(0, number - 2) :]
    assert (await owner.post("/chat/retry", {"conversation_id": id})).status == 200
    assert text_of(await the_answer(owner, id)) == "again"
    contents = [item["content"] for item in (await owner.get(f"/conversations/{id}/messages")).json]
    assert contents == ["Hello", "again"]
    assert [item["id"] for item in (await owner.get("/conversations?q=STRASSE")).json] == [id]
    assert len((await admin.get("/admin/users")).json["users"]) == 2
    assert (await admin.get("/admin/audit?q=GUEST")).json["entries"]
    assert (await owner.delete(f"/conversations/{id}")).status == 200
    assert (await owner.get("/conversations")).json == []
    assert (await owner.get("/health/deep")).json["db"]["ok"] is True


async def test_a_cancel_and_a_new_start(owner: Visitor, upstream: Upstream) -> None:
    upstream.plan(Script(words=("ab", "c"), failure=Failure.STALL, after=1))
    id = await a_conversation(owner, "Hello")
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        seen = await events.until("delta")
        await owner.post(f"/chat/cancel/{seen[0].data['generation_id']}")
        assert (await events.all())[-1].data["status"] == "canceled"
    await upstream.requests[0].closed(within_seconds=1)
    assert text_of(await the_answer(owner, id)) == "Hello, world!"
