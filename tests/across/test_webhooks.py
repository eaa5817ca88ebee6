"""Whatever contract acts, endpoints are told the same, signed as the specification wants it."""

from collections.abc import AsyncIterator

import msgspec
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from palaver.config import Settings
from tests.across.tongues import TONGUES, Tongue
from tests.fakes.webhook_receiver import Received, Receiver
from tests.http import Visitor

EVENTS = ["chat.created", "chat.deleted", "message.created", "memory.created", "document.uploaded"]
ANSWER = "Hello, world!"  # what the simulated provider says


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of a house whose operator owns this machine."""
    return msgspec.structs.replace(settings, outbound_allow_networks=("127.0.0.0/8",))


@pytest.fixture
async def receiver(owner: Visitor, admin: Visitor) -> AsyncIterator[Receiver]:
    """Give somebody who is told by the owner and by the administration."""
    async with Receiver() as receiver:
        body = {"url": receiver.url("/owner"), "events": EVENTS}
        made = await owner.post("/api/v1/webhooks", body)
        receiver.secret = made.json["secret"]
        body["url"] = receiver.url("/house")
        assert (await admin.post("/api/palaver/admin/webhooks", body)).status == 201
        yield receiver


def kinds(received: list[Received]) -> list[str]:
    return [each.event for each in received]


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
async def test_every_contract_tells_of_what_it_does(
    tongue: Tongue, owner: Visitor, receiver: Receiver
) -> None:
    key = await tongue.begin(owner, "A palaver")
    await tongue.say(owner, key, "Who goes there?")
    expected = ["chat.created", "message.created", "message.created"]
    if tongue.deletes:
        await tongue.delete(owner, key)
        expected.append("chat.deleted")
    told = await receiver.wait_for(len(expected), path="/owner")
    assert kinds(told) == expected
    chat, question, answer = (each.json["data"] for each in told[:3])
    assert chat["title"] == "A palaver"
    assert question == {
        "id": question["id"],
        "chat_id": chat["id"],
        "role": "user",
        "content": "Who goes there?",
    }
    assert (answer["chat_id"], answer["role"], answer["content"]) == (
        chat["id"],
        "assistant",
        ANSWER,
    )
    house = await receiver.wait_for(len(expected), path="/house")
    assert kinds(house) == expected
    assert house[1].json["data"] == {
        "id": question["id"],
        "chat_id": chat["id"],
        "role": "user",
    }
    words = (b"palaver", b"goes there", ANSWER.encode())
    assert not [each for each in house if any(word in each.body for word in words)]
    for each in told:
        assert Webhook(receiver.secret).verify(each.body, dict(each.headers)) == each.json
        with pytest.raises(WebhookVerificationError):
            Webhook(receiver.secret).verify(each.body + b" ", dict(each.headers))
    # The same thing has one id, whoever is told.
    assert [each.id for each in house] == [each.id for each in told]


async def test_both_secrets_verify_after_a_rotation(owner: Visitor, receiver: Receiver) -> None:
    former = receiver.secret
    (webhook,) = (await owner.get("/api/v1/webhooks")).json
    answer = await owner.post(f"/api/v1/webhooks/{webhook['id']}/rotate-secret")
    await owner.post("/api/v1/chats", {})
    (told,) = await receiver.wait_for(1, path="/owner")
    for secret in (former, answer.json["secret"]):
        assert Webhook(secret).verify(told.body, dict(told.headers)) == told.json
