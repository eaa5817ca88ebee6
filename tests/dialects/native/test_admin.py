"""What holds for all chapters of administration."""

import json

import pytest

from tests.contracts import examples, shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, NOWHERE, all_of, assert_error, made
from tests.http import Palaver, Visitor

NOUNS = ("plans", "chatbots", "models")
CHAPTERS = {"plans": "Plan", "chatbots": "Chatbot", "models": "Model"}
ROUTES = [
    *[(method, f"{ADMIN}/{noun}") for noun in NOUNS for method in ("GET", "POST")],
    *[
        (method, f"{ADMIN}/{noun}/1")
        for noun in (*NOUNS, "users")
        for method in ("GET", "PATCH", "DELETE")
        if noun != "users" or method == "GET"
    ],
    ("GET", f"{ADMIN}/users"),
    ("PUT", f"{ADMIN}/users/1/subscription"),
    ("DELETE", f"{ADMIN}/users/1/subscription"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_it_is_for_administrators_alone(
    palaver: Palaver, owner: Visitor, method: str, path: str
) -> None:
    assert_error(await palaver.visitor().request(method, path), 401, "UNAUTHENTICATED")
    if method != "GET":
        answer = await owner.request(method, path, csrf=False)
        assert_error(answer, 403, "CSRF_INVALID")
    assert_error(await owner.request(method, path), 403, "ADMIN_REQUIRED")


@pytest.mark.parametrize("noun", NOUNS)
async def test_everything_looks_as_documented(admin: Visitor, noun: str) -> None:
    word = CHAPTERS[noun]
    new = "Add Model" if noun == "models" else f"Create {word}"
    request = dict(EXAMPLES[new].request)
    if noun == "models":
        request |= {"model_id": "sim/gpt-4", "provider_id": "sim"}
    answer = await admin.post(f"{ADMIN}/{noun}", request)
    assert answer.status == 201, answer
    assert shape(answer.json) == shape(EXAMPLES[new].response)
    assert {name: answer.json[name] for name in request} == request
    path = f"{ADMIN}/{noun}/{answer.json['id']}"
    assert (await admin.get(path)).json == answer.json
    assert shape(answer.json) == shape(EXAMPLES[f"Get {word}"].response)
    listed = (await admin.get(f"{ADMIN}/{noun}")).json
    assert listed["items"][-1] == answer.json
    example = EXAMPLES[f"List {word}s"].response
    assert shape(listed["items"][-1:]) == shape(example["items"])
    update = EXAMPLES[f"Update {word}"]
    changed = await admin.patch(path, update.request)
    assert changed.status == 200, changed
    assert changed.json == answer.json | update.request
    assert shape(changed.json) == shape(update.response)
    gone = await admin.delete(path)
    assert (gone.status, gone.content) == (204, b"")
    assert_error(await admin.get(path), 404, "NOT_FOUND")


def test_a_plan_of_this_contract_has_every_field_of_the_other() -> None:
    there = examples("subscriptions")["Get User Subscription"].response["subscription_type"]
    here = EXAMPLES["Get Plan"].response
    assert there.keys() <= here.keys()
    assert {name: type(here[name]) for name in there} == {k: type(v) for k, v in there.items()}


@pytest.mark.parametrize("noun", [*NOUNS, "users"])
async def test_lists_are_read_in_stretches(admin: Visitor, palaver: Palaver, noun: str) -> None:
    for number in range(4):
        match noun:
            case "users":
                await palaver.person(f"person{number}")
            case "models":
                await made(admin, noun, model_id=f"sim/m{number}")
            case _:
                await made(admin, noun, name=f"n{number}")
    path = f"{ADMIN}/{noun}"
    whole = (await admin.get(path)).json
    assert whole["next"] is None
    for limit in (1, 2, len(whole["items"])):
        assert await all_of(admin, path, limit=limit) == whole["items"]
    for wrong in ("cursor=x", "cursor=-1", "cursor=", f"cursor={'9' * 30}"):
        assert_error(await admin.get(f"{path}?{wrong}"), 400, "INVALID_INPUT", "cursor")
    for wrong in ("limit=0", "limit=x"):
        assert_error(await admin.get(f"{path}?{wrong}"), 400, "INVALID_INPUT", "limit")
    assert (await admin.get(f"{path}?limit=100000")).status == 200


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_not_there_is_not_found(admin: Visitor, noun: str) -> None:
    for id in (NOWHERE, 0, "x", "-1", "9" * 30, "1.0"):
        path = f"{ADMIN}/{noun}/{id}"
        for method in ("GET", "PATCH", "DELETE"):
            body = {} if method == "PATCH" else None
            assert_error(await admin.request(method, path, body), 404, "NOT_FOUND")
    assert_error(await admin.request("PUT", f"{ADMIN}/{noun}/1", {}), 405, "METHOD_NOT_ALLOWED")


@pytest.mark.parametrize(("noun", "id"), [("plans", 1), ("chatbots", 1)])
async def test_a_change_of_nothing_changes_nothing(admin: Visitor, noun: str, id: int) -> None:
    path = f"{ADMIN}/{noun}/{id}"
    before = (await admin.get(path)).json
    for body in ({}, None, {"unknown": 1, "id": 7, "created_at": None}):
        answer = await admin.patch(path, body)
        assert (answer.status, answer.json) == (200, before)


@pytest.mark.parametrize("noun", NOUNS)
async def test_what_is_no_object_is_refused(admin: Visitor, noun: str) -> None:
    for content in (b"[]", b"1", b"{", b"\xff"):
        answer = await admin.post(f"{ADMIN}/{noun}", content=content)
        assert (answer.status, answer.json["code"]) == (400, "INVALID_INPUT")
    answer = await admin.post(
        f"{ADMIN}/{noun}", content=b"name=x", headers={"Content-Type": "text/plain"}
    )
    assert_error(answer, 415, "UNSUPPORTED_MEDIA_TYPE")


async def test_every_act_stands_in_the_audit_log(admin: Visitor, owner: Visitor) -> None:
    plan = await made(admin, "plans", name="Gold")
    bot = await made(admin, "chatbots", name="Bot")
    model = await made(admin, "models", model_id="sim/extra")
    user = f"{ADMIN}/users/{owner.user.uuid}/subscription"
    await admin.request("PUT", user, {"plan_id": plan["id"]})
    await admin.delete(user)
    await admin.patch(f"{ADMIN}/plans/{plan['id']}", {"price": "1", "max_tokens": 5})
    for noun, item in (("chatbots", bot), ("models", model)):
        await admin.patch(f"{ADMIN}/{noun}/{item['id']}", {"is_active": False})
        await admin.delete(f"{ADMIN}/{noun}/{item['id']}")
    await admin.patch(f"{ADMIN}/plans/{plan['id']}", {"price": "x"})
    entries = (await admin.get("/admin/audit")).json["entries"]
    told = [(entry["action"], entry["target"]) for entry in reversed(entries)]
    assert told[-10:] == [
        ("plan.created", "Gold"),
        ("chatbot.created", "Bot"),
        ("model.added", "sim/extra"),
        ("subscription.began", "owner: Gold"),
        ("subscription.ended", "owner"),
        ("plan.changed", "Gold: price_usd, max_tokens"),
        ("chatbot.changed", "Bot: is_active"),
        ("chatbot.deleted", "Bot"),
        ("model.changed", "sim/extra: is_active"),
        ("model.deleted", "sim/extra"),
    ]
    assert entries[0]["actor_user_id"] == admin.user.id


async def test_administrators_see_nobodys_text(admin: Visitor, owner: Visitor) -> None:
    id = (await owner.post("/conversations", {"title": "My secret title"})).json["id"]
    await owner.post(f"/conversations/{id}/messages", {"content": "My secret message"})
    for noun in (*NOUNS, "users", f"users/{owner.user.uuid}"):
        assert "secret" not in json.dumps((await admin.get(f"{ADMIN}/{noun}")).json)
