"""A stream is its reader's as long as the sign-in lasts that opened it."""

import asyncio

import pytest

from tests.cast import PASSWORD
from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor


@pytest.mark.parametrize("way", ["signed out", "disabled"])
async def test_a_stream_ends_when_its_reader_is(
    palaver: Palaver, owner: Visitor, admin: Visitor, upstream: Upstream, way: str
) -> None:
    upstream.default = Script(failure=Failure.STALL)
    other = await palaver.signed_in(owner.user)
    id = (await owner.post("/conversations", {})).json["id"]
    await owner.post(f"/conversations/{id}/messages", {"content": "Hello?"})
    async with (
        asyncio.timeout(10),
        owner.events(f"/conversations/{id}/stream", {}) as mine,
        other.events(f"/conversations/{id}/stream", {}) as others,
    ):
        await mine.until("delta")
        await others.until("delta")
        if way == "signed out":
            assert (await owner.post("/auth/logout")).status == 200
        else:
            path = f"/admin/users/{owner.user.id}"
            assert (await admin.patch(path, {"status": "disabled"})).status == 200
            assert "done" not in {event.name for event in await others.all()}
        assert "done" not in {event.name for event in await mine.all()}


@pytest.mark.parametrize("way", ["revoked", "deleted account"])
async def test_a_stream_ends_with_the_key_that_opened_it(
    palaver: Palaver, owner: Visitor, upstream: Upstream, way: str
) -> None:
    upstream.default = Script(failure=Failure.STALL)
    made = (await owner.post("/api/palaver/api-keys", {"name": "a program"})).json
    bearer = {"Authorization": f"Bearer {made['key']}"}
    program = palaver.visitor()
    id = (await owner.post("/conversations", {})).json["id"]
    await owner.post(f"/conversations/{id}/messages", {"content": "Hello?"})
    async with (
        asyncio.timeout(10),
        program.events(f"/conversations/{id}/stream", {}, headers=bearer) as events,
    ):
        await events.until("delta")
        if way == "revoked":
            answer = await owner.delete(f"/api/palaver/api-keys/{made['id']}")
        else:
            answer = await owner.delete("/api/palaver/account", body={"password": PASSWORD})
        assert answer.status == 204
        assert "done" not in {event.name for event in await events.all()}
