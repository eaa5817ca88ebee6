"""The chapter "Webhooks": those of the administration."""

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from palaver.config import Settings
from tests.contracts import shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, all_of, assert_error
from tests.fakes.webhook_receiver import Receiver
from tests.http import Visitor, settled

WEBHOOKS: Final = f"{ADMIN}/webhooks"
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of a house whose operator owns this machine."""
    return msgspec.structs.replace(settings, outbound_allow_networks=("127.0.0.0/8",))


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give somebody who is told."""
    async with Receiver() as receiver:
        yield receiver


async def a_webhook(admin: Visitor, receiver: Receiver, *events: str) -> dict[str, Any]:
    """Return a new webhook of the administration."""
    body = {"url": receiver.url(), "events": events or ["chat.created"]}
    answer = await admin.post(WEBHOOKS, body)
    assert answer.status == 201, answer
    made: dict[str, Any] = answer.json
    return made


async def test_a_webhook_is_made_read_changed_and_removed_as_documented(
    admin: Visitor, receiver: Receiver
) -> None:
    example = EXAMPLES["Create Webhook"]
    answer = await admin.post(WEBHOOKS, example.request | {"url": receiver.url()})
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    made = answer.json
    shown = {name: value for name, value in made.items() if name != "secret"}
    path = f"{WEBHOOKS}/{made['id']}"
    answer = await admin.get(path)
    assert answer.json == shown
    assert shape(answer.json) == shape(EXAMPLES["Get Webhook"].response)
    listed = (await admin.get(WEBHOOKS)).json
    assert listed == {"items": [shown], "next": None}
    assert shape(listed) == shape(EXAMPLES["List Webhooks"].response)
    example = EXAMPLES["Update Webhook"]
    answer = await admin.patch(path, example.request)
    assert answer.json == shown | example.request
    assert shape(answer.json) == shape(example.response)
    answer = await admin.post(f"{path}/rotate-secret")
    assert shape(answer.json) == shape(EXAMPLES["Rotate Secret"].response)
    assert answer.json["secret"] != made["secret"]
    assert (await admin.delete(path)).status == 204
    assert_error(await admin.get(path), 404, "NOT_FOUND")


async def test_users_have_none_of_it(owner: Visitor, admin: Visitor, receiver: Receiver) -> None:
    made = await a_webhook(admin, receiver)
    assert_error(await owner.get(WEBHOOKS), 403, "ADMIN_REQUIRED")
    assert (await owner.get(f"/api/v1/webhooks/{made['id']}")).status == 404
    # An administrator's own are not the administration's.
    assert (await admin.get(f"/api/v1/webhooks/{made['id']}")).status == 404
    own = {"url": receiver.url("/own"), "events": ["chat.created"]}
    id = (await admin.post("/api/v1/webhooks", own)).json["id"]
    assert_error(await admin.get(f"{WEBHOOKS}/{id}"), 404, "NOT_FOUND")


async def test_what_is_wrong_is_named(admin: Visitor) -> None:
    body = {"url": "http://10.0.0.1/", "events": ["chat.created"]}
    assert_error(await admin.post(WEBHOOKS, body), 400, "INVALID_INPUT", "url")
    assert_error(await admin.post(WEBHOOKS, {"events": []}), 400, "INVALID_INPUT", "url")


async def test_deliveries_are_listed_without_text_and_sent_again(
    admin: Visitor, owner: Visitor, receiver: Receiver
) -> None:
    receiver.behave("/hook", 500, 200)
    made = await a_webhook(admin, receiver)
    path = f"{WEBHOOKS}/{made['id']}"
    for title in ("Green tea", "Black tea", "No tea"):
        await owner.post("/api/v1/chats", {"title": title})
    await receiver.wait_for(3)

    async def are_told(count: int = 2) -> bool:
        states = [each["state"] for each in await all_of(admin, f"{path}/deliveries", limit=2)]
        return states.count("delivered") == count

    await settled(are_told)
    answer = await admin.get(f"{path}/deliveries?limit=1")
    assert shape(answer.json) == shape(EXAMPLES["List Deliveries"].response)
    assert b"tea" not in answer.content
    *_, first = await all_of(admin, f"{path}/deliveries", limit=2)
    again = f"{path}/deliveries/{first['id']}/redeliver"
    answer = await admin.post(again)
    assert shape(answer.json) == shape(EXAMPLES["Redeliver One"].response)
    await settled(lambda: are_told(3))
    example = EXAMPLES["Redeliver All"]
    answer = await admin.post(f"{path}/redeliver", example.request | {"failed_only": False})
    assert answer.json == {"redelivered": 3}
    assert shape(answer.json) == shape(example.response)
    await receiver.wait_for(7)
    late = {"since": "2100-01-01T00:00:00Z"}
    assert (await admin.post(f"{path}/redeliver", late)).json == {"redelivered": 0}
    assert_error(await admin.post(f"{path}/deliveries/{NOWHERE}/redeliver"), 404, "NOT_FOUND")
    assert_error(await admin.get(f"{path}/deliveries?cursor=x"), 400, "INVALID_INPUT", "cursor")
