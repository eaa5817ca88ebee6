"""The chapter "Webhooks": what decisions say of its routes, and what is told."""

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
import pytest

from palaver.config import Settings
from tests.contracts import document, shape
from tests.dialects.platform.helpers import (
    CHATS,
    COMPLETIONS,
    HELLO,
    NOWHERE,
    TIME,
    UUID,
    a_chat,
    assert_refused,
    saying,
)
from tests.fakes.webhook_receiver import Receiver
from tests.http import Answer, MovableClock, Palaver, Visitor, settled

WEBHOOKS: Final = "/api/v1/webhooks"
KINDS: Final = [
    *("chat.created", "chat.deleted", "message.created", "memory.created", "document.uploaded")
]
FIELDS: Final = ["id", "url", "events", "description", "is_active", "created_at"]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of the house, whose operator owns this machine."""
    return msgspec.structs.replace(
        settings,
        outbound_allow_networks=("127.0.0.0/8",),
        rate_limit_per_minute=0,
        rate_limit_per_hour=0,
    )


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Give somebody who is told."""
    async with Receiver() as receiver:
        yield receiver


async def a_webhook(visitor: Visitor, url: str, *events: str, **more: Any) -> dict[str, Any]:
    """Return a new webhook, for all events where none is named."""
    answer = await visitor.post(WEBHOOKS, {"url": url, "events": events or KINDS} | more)
    assert answer.status == 200, answer
    made: dict[str, Any] = answer.json
    return made


async def deliveries_of(visitor: Visitor, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await visitor.get(f"{WEBHOOKS}/{webhook['id']}/deliveries")).json
    return found


async def test_a_webhook_is_made_read_changed_and_removed(
    owner: Visitor, receiver: Receiver
) -> None:
    made = await a_webhook(owner, receiver.url(), "chat.created", description="Mine")
    assert list(made) == [*FIELDS, "secret"]
    assert UUID.fullmatch(made["id"])
    assert TIME.fullmatch(made["created_at"])
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])
    shown = {name: made[name] for name in FIELDS}
    assert shown | {"url": receiver.url(), "events": ["chat.created"]} == shown
    assert (shown["description"], shown["is_active"]) == ("Mine", True)
    path = f"{WEBHOOKS}/{made['id']}"
    assert (await owner.get(path)).json == shown
    assert (await owner.get(WEBHOOKS)).json == [shown]
    change = {"events": ["chat.deleted", "memory.created"], "is_active": False}
    assert (await owner.patch(path, change)).json == shown | change
    rotated = (await owner.post(f"{path}/rotate-secret")).json
    assert list(rotated) == [*FIELDS, "secret"]
    assert rotated["secret"] != made["secret"]
    answer = await owner.delete(path)
    assert (answer.status, answer.json) == (200, {"message": "Webhook deleted successfully"})
    assert_refused(await owner.get(path), 404, "not_found")
    assert (await owner.get(WEBHOOKS)).json == []


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["url", "events"]),
        ({"url": "", "events": ["chat.created"]}, ["url"]),
        ({"url": "ftp://example.org/", "events": ["chat.created"]}, ["url"]),
        ({"url": "https://me@example.org/", "events": ["chat.created"]}, ["url"]),
        ({"url": "http://10.0.0.1/", "events": ["chat.created"]}, ["url"]),
        ({"url": "http://169.254.169.254/latest", "events": ["chat.created"]}, ["url"]),
        ({"url": "http://[::1]/", "events": ["chat.created"]}, ["url"]),
        ({"url": "http://127.0.0.1:9999/", "events": []}, ["events"]),
        ({"url": "http://127.0.0.1:9999/", "events": ["chat.renamed"]}, ["events.0"]),
        ({"url": "http://127.0.0.1:9999/", "events": ["chat.created"], "description": 1}, None),
        ({"url": "http://127.0.0.1:9999/" + "x" * 2100, "events": ["chat.created"]}, ["url"]),
    ],
)
async def test_what_is_wrong_is_named_and_nothing_is_made(
    owner: Visitor, body: dict[str, Any], fields: list[str] | None
) -> None:
    details = ["description"] if fields is None else fields
    assert_refused(await owner.post(WEBHOOKS, body), 400, "bad_request", details=details)
    assert (await owner.get(WEBHOOKS)).json == []


async def test_a_private_address_is_refused_where_no_network_is_allowed(
    owner: Visitor, palaver: Palaver, receiver: Receiver
) -> None:
    """Also by a change, which then changes nothing."""
    made = await a_webhook(owner, receiver.url())
    path = f"{WEBHOOKS}/{made['id']}"
    change = {"url": "http://192.168.1.1/", "events": ["chat.created"]}
    assert_refused(await owner.patch(path, change), 400, "bad_request", details=["url"])
    assert (await owner.get(path)).json["events"] == KINDS


async def test_only_so_many_are_kept(owner: Visitor, receiver: Receiver) -> None:
    for number in range(20):
        await a_webhook(owner, receiver.url(f"/{number}"))
    answer = await owner.post(WEBHOOKS, {"url": receiver.url(), "events": KINDS})
    assert (answer.status, answer.json["error"]) == (429, "quota_exceeded")


async def test_what_is_somebody_elses_is_not_found(
    owner: Visitor, stranger: Visitor, receiver: Receiver
) -> None:
    made = await a_webhook(owner, receiver.url())
    await a_chat(owner)
    (delivery,) = await deliveries_of(owner, made)
    theirs = await a_webhook(stranger, receiver.url("/theirs"))
    for visitor, id in ((stranger, made["id"]), (owner, NOWHERE), (owner, "17")):
        path = f"{WEBHOOKS}/{id}"
        for answer in (
            await visitor.get(path),
            await visitor.patch(path, {"is_active": False}),
            await visitor.post(f"{path}/rotate-secret"),
            await visitor.get(f"{path}/deliveries"),
            await visitor.post(f"{path}/deliveries/{delivery['id']}/redeliver"),
            await visitor.delete(path),
        ):
            assert_refused(answer, 404, "not_found")
    path = f"{WEBHOOKS}/{theirs['id']}/deliveries/{delivery['id']}/redeliver"
    assert_refused(await stranger.post(path), 404, "not_found")
    assert len((await owner.get(WEBHOOKS)).json) == 1


async def test_all_five_events_carry_what_the_contract_shows(
    owner: Visitor, receiver: Receiver
) -> None:
    await a_webhook(owner, receiver.url())
    chat = (await owner.post(CHATS, {"title": "Tea", "metadata": {"a": 1}})).json
    answer = await owner.post(COMPLETIONS, saying("Hi", chat_id=chat["id"]))
    assert answer.status == 200
    memory = (await owner.post("/api/v1/memories", {"content": "Likes tea"})).json
    body = {"title": "Leaves", "content": "Green", "mime_type": "text/plain"}
    uploaded = (await owner.post("/api/v1/documents", body)).json
    await owner.delete(f"{CHATS}/{chat['id']}")
    received = await receiver.wait_for(6)
    assert [each.event for each in received] == [
        *("chat.created", "message.created", "message.created"),
        *("memory.created", "document.uploaded", "chat.deleted"),
    ]
    data = [each.json["data"] for each in received]
    assert data[0] == chat
    question, reply = data[1], data[2]
    assert (question["role"], question["content"]) == ("user", "Hi")
    assert (reply["role"], reply["content"]) == ("assistant", HELLO)
    assert {question["chat_id"], reply["chat_id"], data[5]["id"]} == {chat["id"]}
    assert data[3] == memory
    assert data[4] == uploaded
    assert list(data[5]) == list(chat)
    for each in received:
        assert list(each.json) == ["event", "timestamp", "data"]
        assert TIME.fullmatch(each.json["timestamp"])


async def test_the_payload_is_the_documented_one(owner: Visitor, receiver: Receiver) -> None:
    text = document("platform").split("### Webhook Payload")[1]
    example = msgspec.json.decode(re.findall(r"```json\n(.*?)```", text, re.DOTALL)[0])
    await a_webhook(owner, receiver.url(), "message.created")
    id = await a_chat(owner)
    await owner.post(COMPLETIONS, saying("Hello!", chat_id=id))
    first, _ = await receiver.wait_for(2)
    role = first.json["data"].pop("role")
    assert role == "user"
    payload = first.json
    payload["data"].pop("role")
    assert shape(payload) == shape(example)


async def test_deliveries_show_every_try_and_are_sent_again(
    owner: Visitor, receiver: Receiver, clock: MovableClock
) -> None:
    receiver.behave("/hook", 500, 200, text="No room")
    made = await a_webhook(owner, receiver.url(), "chat.created")
    chat = await a_chat(owner, title="Tea")
    await receiver.wait_for(1)

    async def is_tried(times: int = 1) -> bool:
        (delivery,) = await deliveries_of(owner, made)
        return len(delivery["attempts"]) == times

    await settled(is_tried)
    (delivery,) = await deliveries_of(owner, made)
    assert list(delivery) == [
        *("id", "event_id", "event", "state", "payload", "attempts"),
        *("next_attempt_at", "created_at", "finished_at"),
    ]
    assert (delivery["event"], delivery["state"]) == ("chat.created", "pending")
    assert delivery["event_id"] == f"msg_{delivery['id'].replace('-', '')}"
    assert delivery["payload"]["data"]["id"] == chat
    assert TIME.fullmatch(delivery["next_attempt_at"])
    (attempt,) = delivery["attempts"]
    assert (attempt["number"], attempt["status"], attempt["answer"]) == (1, 500, "No room")
    assert attempt["error"] == "It answered 500."
    assert attempt["headers"]["webhook-id"] == delivery["event_id"]
    path = f"{WEBHOOKS}/{made['id']}/deliveries/{delivery['id']}/redeliver"
    again = await owner.post(path)
    assert (again.status, again.json["state"]) == (200, "pending")
    await receiver.wait_for(2)
    await settled(lambda: is_tried(2))
    (delivery,) = await deliveries_of(owner, made)
    assert (delivery["state"], delivery["next_attempt_at"]) == ("delivered", None)
    assert len({each.id for each in receiver.received}) == 1
    await owner.patch(f"{WEBHOOKS}/{made['id']}", {"is_active": False})
    assert_refused(await owner.post(path), 409, "conflict")


async def test_deliveries_come_in_pages(owner: Visitor, receiver: Receiver) -> None:
    made = await a_webhook(owner, receiver.url(), "chat.created")
    chats = [await a_chat(owner) for _ in range(3)]
    page = f"{WEBHOOKS}/{made['id']}/deliveries?limit=2&offset=1"
    found = (await owner.get(page)).json
    assert [each["payload"]["data"]["id"] for each in found] == [chats[1], chats[0]]


async def test_one_that_was_turned_off_says_why(owner: Visitor, receiver: Receiver) -> None:
    receiver.behave("/hook", 410)
    made = await a_webhook(owner, receiver.url(), "chat.created")
    await a_chat(owner)
    path = f"{WEBHOOKS}/{made['id']}"

    async def is_off() -> bool:
        return not (await owner.get(path)).json["is_active"]

    await settled(is_off)
    assert (await owner.get(path)).json["disabled_reason"] == "It answered 410 Gone."
    back = (await owner.patch(path, {"is_active": True})).json
    assert back["is_active"]
    assert "disabled_reason" not in back


async def test_nothing_of_a_deleted_chat_stays_behind(
    owner: Visitor, receiver: Receiver, palaver: Palaver
) -> None:
    made = await a_webhook(owner, receiver.url())
    id = await a_chat(owner, title="Secret tea")
    await owner.post(COMPLETIONS, saying("Secret words", chat_id=id))
    await receiver.wait_for(3)
    await owner.delete(f"{CHATS}/{id}")
    await receiver.wait_for(4)

    async def is_forgotten() -> bool:
        found = await owner.get(f"{WEBHOOKS}/{made['id']}/deliveries")
        return b"ecret" not in found.content

    await settled(is_forgotten)
    assert len(await deliveries_of(owner, made)) == 4


async def test_a_repeat_with_a_key_makes_one_webhook(owner: Visitor, receiver: Receiver) -> None:
    body = {"url": receiver.url(), "events": KINDS}
    keyed: dict[str, Any] = {"headers": {"Idempotency-Key": "once"}}
    first: Answer = await owner.post(WEBHOOKS, body, **keyed)
    second: Answer = await owner.post(WEBHOOKS, body, **keyed)
    assert first.json == second.json
    assert len((await owner.get(WEBHOOKS)).json) == 1
