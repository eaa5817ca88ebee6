"""The chapters "Chatbots" and "Models"."""

import pytest

from tests.dialects.native.helpers import ADMIN, NOWHERE, assert_error, made
from tests.http import Visitor

CHATBOTS = f"{ADMIN}/chatbots"
MODELS = f"{ADMIN}/models"


async def test_a_fresh_install_has_one_chatbot_with_a_picture(
    admin: Visitor, owner: Visitor
) -> None:
    (bot,) = (await admin.get(CHATBOTS)).json["items"]
    assert (bot["name"], bot["chatbot_type"]) == ("General Assistant", "text")
    assert bot["image"] == "/media/chatbot_images/general.png"
    picture = await owner.get(bot["image"])
    assert (picture.status, picture.headers["content-type"]) == (200, "image/png")
    assert picture.content.startswith(b"\x89PNG")
    again = await owner.get(bot["image"], headers={"If-None-Match": picture.headers["etag"]})
    assert (again.status, again.content) == (304, b"")
    assert (await owner.get("/media/chatbot_images/unknown.png")).status == 404
    owner.session.cookie_jar.clear()
    assert (await owner.get(bot["image"])).status == 401
    assert (await owner.get("/media/chatbot_images/unknown.png")).status == 401


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("name", ["", " ", None, "x" * 201, 5, "two\nlines"]),
        ("description", [None, "x" * 10_001]),
        ("system_prompt", [None, "x" * 100_001, "nul\0"]),
        ("image", ["javascript:alert(1)", "/media/other.png", "http://x/y.png", "x" * 3000, None]),
        ("image", ["/media/chatbot_images/../x", "https://x/ y", "https://x/\n"]),
        ("chatbot_type", ["video", None, 1]),
        ("is_active", [None, 1]),
        ("open_to_all", ["true"]),
    ],
)
async def test_a_chatbot_that_makes_no_sense_is_refused(
    admin: Visitor, field: str, values: list[object]
) -> None:
    before = (await admin.get(f"{CHATBOTS}/1")).json
    for value in values:
        answer = await admin.patch(f"{CHATBOTS}/1", {field: value})
        assert_error(answer, 400, "INVALID_INPUT", field)
    assert (await admin.get(f"{CHATBOTS}/1")).json == before


async def test_names_of_chatbots_are_unique(admin: Visitor) -> None:
    await made(admin, "chatbots", name="A")
    assert_error(await admin.post(CHATBOTS, {"name": "A"}), 409, "CONFLICT")
    assert_error(await admin.patch(f"{CHATBOTS}/1", {"name": "A"}), 409, "CONFLICT")
    assert (await admin.patch(f"{CHATBOTS}/1", {"name": "General Assistant"})).status == 200


async def test_a_chatbot_may_be_an_image_elsewhere_or_none(admin: Visitor) -> None:
    for image in ("", "https://example.org/bot.png"):
        bot = await made(admin, "chatbots", name=f"Bot {image}", image=image, chatbot_type="image")
        assert (bot["image"], bot["chatbot_type"]) == (image, "image")


async def test_listed_models_are_in_the_registry(admin: Visitor) -> None:
    items = (await admin.get(MODELS)).json["items"]
    sim = next(item for item in items if item["model_id"] == "sim/sim")
    assert (sim["provider_id"], sim["token_cost_multiplier"]) == ("sim", "1.00")
    assert sim["price_per_million_prompt_usd"] is None
    answer = await admin.delete(f"{MODELS}/{sim['id']}")
    assert_error(answer, 409, "CONFLICT")
    assert "deactivate" in answer.json["message"]


async def test_a_model_is_added_that_its_provider_does_not_list(
    admin: Visitor, owner: Visitor
) -> None:
    model = await made(admin, "models", model_id="sim/family/extra")
    assert (model["provider_id"], model["name"]) == ("sim", "family/extra")
    assert (model["is_active"], model["open_to_all"], model["model_type"]) == (True, True, "text")
    shown = (await owner.get("/providers/sim/models")).json["models"]
    assert {"id": "family/extra", "label": "family/extra"} in shown


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "model_id"),
        ({"model_id": None}, "model_id"),
        ({"model_id": "sim"}, "model_id"),
        ({"model_id": "/x"}, "model_id"),
        ({"model_id": "sim/"}, "model_id"),
        ({"model_id": "sim/" + "x" * 300}, "model_id"),
        ({"model_id": "sim/two\nlines"}, "model_id"),
        ({"model_id": "nobody/x"}, "model_id"),
        ({"model_id": "nobody/x", "provider_id": "nobody"}, "provider_id"),
        ({"model_id": "sim/x", "provider_id": "demo"}, "provider_id"),
    ],
)
async def test_a_model_that_nobody_could_serve_is_refused(
    admin: Visitor, body: dict, field: str
) -> None:
    assert_error(await admin.post(MODELS, body), 400, "INVALID_INPUT", field)


async def test_a_model_is_there_once(admin: Visitor) -> None:
    assert_error(await admin.post(MODELS, {"model_id": "sim/sim"}), 409, "CONFLICT")


@pytest.mark.parametrize(
    ("field", "given", "shown"),
    [
        ("token_cost_multiplier", "0.01", "0.01"),
        ("token_cost_multiplier", "2.5", "2.50"),
        ("token_cost_multiplier", 1000, "1000.00"),
        ("price_per_million_prompt_usd", "0", "0.00"),
        ("price_per_million_prompt_usd", "0.075", "0.075"),
        ("price_per_million_completion_usd", 1_000_000, "1000000.00"),
        ("price_per_million_completion_usd", None, None),
        ("model_type", "image", "image"),
        ("model_type", None, "text"),
        ("is_free", True, True),
        ("name", " Sim ", "Sim"),
    ],
)
async def test_what_is_said_of_a_model_is_shown(
    admin: Visitor, field: str, given: object, shown: object
) -> None:
    model = await made(admin, "models", model_id="sim/m")
    answer = await admin.patch(f"{MODELS}/{model['id']}", {field: given})
    assert answer.json == model | {field: shown}


@pytest.mark.parametrize(
    ("field", "values"),
    [
        ("token_cost_multiplier", ["0", "0.00", 0, -1, "-1", "1000.01", 1001, "1.005", 1.5, None]),
        ("price_per_million_prompt_usd", ["-1", -1, 1_000_001, "1000000.01", "x", 0.5, True]),
        ("price_per_million_completion_usd", ["-0.01", "1e9", "0.0000001"]),
        ("model_type", ["video", ""]),
        ("name", ["", None]),
        ("is_free", [1, None]),
        ("is_active", ["no"]),
    ],
)
async def test_what_makes_no_sense_of_a_model_is_refused(
    admin: Visitor, field: str, values: list[object]
) -> None:
    model = await made(admin, "models", model_id="sim/m")
    for value in values:
        answer = await admin.patch(f"{MODELS}/{model['id']}", {field: value})
        assert_error(answer, 400, "INVALID_INPUT", field)
    assert (await admin.get(f"{MODELS}/{model['id']}")).json == model


async def test_a_model_that_is_not_open_is_for_the_plans_that_hold_it(
    admin: Visitor, owner: Visitor, stranger: Visitor
) -> None:
    model = await made(admin, "models", model_id="sim/gold", open_to_all=False)
    plan = await made(admin, "plans", name="Gold", model_ids=[model["id"]])
    path = f"{ADMIN}/users/{owner.user.uuid}/subscription"
    assert (await admin.request("PUT", path, {"plan_id": plan["id"]})).status == 200

    async def seen(visitor: Visitor) -> bool:
        listed = (await visitor.get("/providers/sim/models")).json["models"]
        there = [each for each in (await visitor.get("/providers")).json if each["models"]]
        both = [model["id"] for each in there for model in each["models"]]
        names = [each["id"] for each in listed]
        assert ("gold" in names) is ("gold" in both)
        return "gold" in names

    assert await seen(owner)
    assert not await seen(stranger)
    assert not await seen(admin), "their plan does not hold it either"
    id = (await stranger.post("/conversations", {})).json["id"]
    await stranger.post(f"/conversations/{id}/messages", {"content": "Hello"})
    body = {"provider_id": "sim", "model": "gold"}
    answer = await stranger.post(f"/conversations/{id}/stream", body)
    assert (answer.status, answer.json["code"]) == (400, "MODEL_NOT_FOUND")
    await admin.patch(f"{MODELS}/{model['id']}", {"open_to_all": True})
    assert await seen(stranger)


async def test_what_is_deleted_leaves_its_plans(admin: Visitor) -> None:
    model = await made(admin, "models", model_id="sim/gone")
    bot = await made(admin, "chatbots", name="Gone")
    plan = await made(admin, "plans", name="P", model_ids=[model["id"]], chatbot_ids=[bot["id"], 1])
    assert (await admin.delete(f"{MODELS}/{model['id']}")).status == 204
    assert (await admin.delete(f"{CHATBOTS}/{bot['id']}")).status == 204
    shown = (await admin.get(f"{ADMIN}/plans/{plan['id']}")).json
    assert (shown["model_ids"], shown["chatbot_ids"]) == ([], [1])


async def test_a_chatbot_that_is_talked_to_stays(admin: Visitor, owner: Visitor) -> None:
    bot = await made(admin, "chatbots", name="Friend")
    answer = await owner.post("/api/chat-sessions/", {"chatbot_id": bot["id"]})
    assert answer.status == 201, answer
    refused = await admin.delete(f"{CHATBOTS}/{bot['id']}")
    assert_error(refused, 409, "CONFLICT")
    assert (await owner.delete(f"/api/chat-sessions/{answer.json['id']}/")).status == 200
    assert (await admin.delete(f"{CHATBOTS}/{bot['id']}")).status == 204


async def test_nothing_is_made_under_an_id_that_was_asked_for(admin: Visitor) -> None:
    bot = await made(admin, "chatbots", name="Mine", id=NOWHERE)
    assert bot["id"] != NOWHERE
