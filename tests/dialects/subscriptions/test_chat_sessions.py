"""The chapter "Chat Sessions": list, create, get, update, delete, rename."""

import re

import pytest

from palaver.domain.users import SYSTEM
from palaver.services.chatbots import ChatbotChange
from palaver.services.registry import ModelChange
from tests.contracts import shape
from tests.dialects.subscriptions.helpers import (
    EXAMPLES,
    NOWHERE,
    SESSIONS,
    TIME,
    a_session,
    asked,
    assert_error,
    put,
    the_session,
)
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor
from tests.statements import counted

NOT_THERE = "Chat session not found."
WRONG_TITLES: list[object] = ["", " \n", "x" * 501, 7, ["x"], "a\0b"]


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{SESSIONS}{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_a_session_is_created_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Create Chat Session"]
    chatbot = (await owner.get("/api/chatbots/")).json[0]
    model = (await owner.get("/api/ai-models/")).json[0]
    body = {"chatbot_id": chatbot["id"], "ai_model_id": model["model_id"], "title": "A walk"}
    assert list(body) == list(example.request)
    answer = await owner.post(SESSIONS, body)
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    assert answer.json["chatbot"] == chatbot
    assert answer.json["ai_model"] == model
    assert answer.json["title"] == "A walk"
    assert answer.json["auto_generate_title"] is True
    assert answer.json["is_active"] is True
    assert TIME.fullmatch(answer.json["created_at"])


async def test_a_session_is_shown_and_listed_as_documented(owner: Visitor) -> None:
    id = await a_session(owner, title="A walk")
    one = await owner.get(f"{SESSIONS}{id}/")
    assert one.status == 200
    assert shape(one.json) == shape(EXAMPLES["Get Chat Session"].response)
    every = await owner.get(SESSIONS)
    assert every.status == 200
    assert shape(every.json) == shape(EXAMPLES["List Chat Sessions"].response)
    assert every.json == [one.json]


async def test_what_is_not_named_is_what_a_session_would_begin_with(owner: Visitor) -> None:
    for body in (None, {}, {"title": None, "chatbot_id": None, "ai_model_id": None, "unknown": 1}):
        answer = await owner.post(SESSIONS, body)
        assert answer.status == 201
        assert answer.json["title"] == "New Chat"
        assert answer.json["chatbot"]["name"] == "General Assistant"
        assert answer.json["ai_model"]["model_id"] == "sim/sim"


async def test_what_another_contract_has_made_has_a_chatbot_and_a_model(owner: Visitor) -> None:
    await owner.post("/conversations", {})
    (session,) = (await owner.get(SESSIONS)).json
    assert shape(session) == shape(EXAMPLES["Get Chat Session"].response)
    assert session["auto_generate_title"] is False
    assert session["title"] == "New Chat"


async def test_the_literal_of_no_title_is_none(owner: Visitor) -> None:
    id = await a_session(owner, title=" New Chat ")
    assert (await owner.get(f"/conversations/{id}")).json["title"] == "New Conversation"
    await put(owner, id, {"title": "Something"})
    answer = await put(owner, id, {"title": "New Chat"})
    assert answer.json["title"] == "New Chat"
    assert (await owner.get(f"/conversations/{id}")).json["title"] == "New Conversation"


async def test_the_chatbot_tells_the_model_how_to_behave(
    owner: Visitor, palaver: Palaver, upstream: Upstream
) -> None:
    pirate = await palaver.services.chatbots.create(
        SYSTEM, ChatbotChange(name="Pirate", system_prompt="Arr.")
    )
    id = await a_session(owner, chatbot_id=pirate.id, title="Sea")
    await asked(owner, id, "Hello")
    turns = (await upstream.request(1)).body["messages"]
    assert turns[0] == {"role": "system", "content": "Arr."}


async def test_a_chatbot_that_is_unknown_or_inactive_is_refused(
    owner: Visitor, palaver: Palaver
) -> None:
    gone = await palaver.services.chatbots.create(
        SYSTEM, ChatbotChange(name="Gone", is_active=False)
    )
    for id in (NOWHERE, gone.id, -1):
        answer = await owner.post(SESSIONS, {"chatbot_id": id})
        assert_error(answer, 400, "Invalid input")
        assert answer.json["detail"].startswith("chatbot_id: ")
    assert await titles(owner) == []


async def test_a_model_that_is_unknown_or_inactive_is_refused(
    owner: Visitor, palaver: Palaver
) -> None:
    gone = await palaver.services.registry.create(SYSTEM, "sim/gone", ModelChange(is_active=False))
    for model in (gone.name, "sim/none", "nobody/sim", "sim", "/"):
        answer = await owner.post(SESSIONS, {"ai_model_id": model})
        assert_error(answer, 400, "Unknown model")
    assert await titles(owner) == []


async def test_what_the_plan_does_not_hold_is_forbidden(owner: Visitor, palaver: Palaver) -> None:
    bot = await palaver.services.chatbots.create(
        SYSTEM, ChatbotChange(name="VIP", open_to_all=False)
    )
    await palaver.services.registry.create(SYSTEM, "sim/vip", ModelChange(open_to_all=False))
    for body in ({"chatbot_id": bot.id}, {"ai_model_id": "sim/vip"}):
        assert_error(await owner.post(SESSIONS, body), 403, "Not in your plan")
    id = await a_session(owner)
    for body in ({"chatbot_id": bot.id}, {"ai_model_id": "sim/vip"}):
        assert_error(await put(owner, id, body), 403, "Not in your plan")


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({"chatbot_id": "1"}, "chatbot_id: "),
        ({"chatbot_id": 1.5}, "chatbot_id: "),
        ({"chatbot_id": 2**63}, "chatbot_id: "),
        ({"ai_model_id": 1}, "ai_model_id: "),
        ({"ai_model_id": ""}, "ai_model_id: "),
        ({"ai_model_id": "a\0b"}, "ai_model_id: "),
        *(({"title": title}, "title: ") for title in WRONG_TITLES),
    ],
)
async def test_a_wrong_field_is_named(owner: Visitor, body: object, detail: str) -> None:
    answer = await owner.post(SESSIONS, body)
    assert_error(answer, 400, "Invalid input")
    assert answer.json["detail"].startswith(detail)
    assert await titles(owner) == []


async def test_every_wrong_field_is_named_at_once(owner: Visitor) -> None:
    answer = await owner.post(SESSIONS, {"chatbot_id": "1", "ai_model_id": 2, "title": 3})
    assert re.findall(r"(\w+): ", answer.json["detail"]) == ["chatbot_id", "ai_model_id", "title"]


async def test_a_body_that_is_no_json_is_refused(owner: Visitor) -> None:
    for content in (b"{", b"[]", b"7", b"\xff", b'"x"'):
        assert_error(await owner.post(SESSIONS, content=content), 400, "Invalid input")


async def test_a_session_is_updated_as_documented(owner: Visitor, clock: MovableClock) -> None:
    example = EXAMPLES["Update Chat Session"]
    id = await a_session(owner, title="Before")
    before = await the_session(owner, id)
    clock.move(seconds=60)
    answer = await put(owner, id, example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["title"] == example.request["title"]
    assert answer.json["updated_at"] > before["updated_at"]
    kept = ("id", "chatbot", "ai_model", "auto_generate_title", "created_at", "is_active")
    assert [answer.json[name] for name in kept] == [before[name] for name in kept]


async def test_what_is_absent_stays(owner: Visitor) -> None:
    id = await a_session(owner, title="Mine")
    before = await the_session(owner, id)
    for body in (None, {}, {"unknown": 1}):
        answer = await put(owner, id, body)
        assert (answer.status, answer.json) == (200, before)


async def test_everything_that_is_one_s_own_to_say_can_be_changed(
    owner: Visitor, palaver: Palaver
) -> None:
    bot = await palaver.services.chatbots.create(SYSTEM, ChatbotChange(name="Other"))
    await palaver.services.registry.create(SYSTEM, "sim/other", ModelChange())
    id = await a_session(owner)
    body = {
        "title": "Other",
        "chatbot_id": bot.id,
        "ai_model_id": "sim/other",
        "auto_generate_title": False,
        "is_active": False,
    }
    answer = await put(owner, id, body)
    assert answer.status == 200
    assert answer.json["chatbot"]["name"] == "Other"
    assert answer.json["ai_model"]["model_id"] == "sim/other"
    assert answer.json["auto_generate_title"] is False
    assert answer.json["is_active"] is False
    assert (await put(owner, id, {"is_active": True})).json["is_active"] is True
    assert await the_session(owner, id) == (await owner.get(SESSIONS)).json[0]


async def test_what_was_put_away_is_listed_still(owner: Visitor) -> None:
    id = await a_session(owner, title="Away")
    await put(owner, id, {"is_active": False})
    assert await titles(owner) == ["Away"]


@pytest.mark.parametrize(
    "body",
    [
        *({"title": title} for title in (*WRONG_TITLES, None)),
        {"chatbot_id": None},
        {"ai_model_id": None},
        {"auto_generate_title": 1},
        {"is_active": "no"},
        {"title": "Good", "is_active": None},
        {"title": "Good", "chatbot_id": NOWHERE},
        {"title": "Good", "ai_model_id": "sim/none"},
    ],
)
async def test_an_update_that_is_wrong_changes_nothing(owner: Visitor, body: object) -> None:
    id = await a_session(owner, title="Mine")
    before = await the_session(owner, id)
    assert (await put(owner, id, body)).status == 400
    assert await the_session(owner, id) == before


async def test_a_title_is_updated_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Update Session Title"]
    id = await a_session(owner)
    answer = await owner.post(f"{SESSIONS}{id}/update-title/", example.request)
    assert (answer.status, answer.json) == (200, example.response)
    assert list(answer.json) == list(example.response)
    assert (await the_session(owner, id))["title"] == example.request["title"]


async def test_a_title_that_is_none_is_refused(owner: Visitor) -> None:
    id = await a_session(owner, title="Mine")
    for body in ({}, {"title": None}, *({"title": title} for title in WRONG_TITLES)):
        answer = await owner.post(f"{SESSIONS}{id}/update-title/", body)
        assert_error(answer, 400, "Invalid input")
        assert answer.json["detail"].startswith("title: ")
    assert await titles(owner) == ["Mine"]


async def test_a_title_is_trimmed(owner: Visitor) -> None:
    id = await a_session(owner)
    answer = await owner.post(f"{SESSIONS}{id}/update-title/", {"title": "  A walk \n"})
    assert answer.json == {"success": True, "title": "A walk"}


async def test_a_session_is_deleted_as_documented(owner: Visitor) -> None:
    id = await a_session(owner)
    answer = await owner.delete(f"{SESSIONS}{id}/")
    assert (answer.status, answer.json) == (200, EXAMPLES["Delete Chat Session"].response)
    assert_error(await owner.get(f"{SESSIONS}{id}/"), 404, "Not found", NOT_THERE)
    assert_error(await owner.delete(f"{SESSIONS}{id}/"), 404, "Not found", NOT_THERE)
    assert await titles(owner) == []


async def test_the_list_has_the_newest_first_in_pages(owner: Visitor, clock: MovableClock) -> None:
    ids = {}
    for title in ("a", "b", "c"):
        ids[title] = await a_session(owner, title=title)
        clock.move(seconds=1)
    assert await titles(owner) == ["c", "b", "a"]
    assert await titles(owner, "?limit=2") == ["c", "b"]
    assert await titles(owner, f"?before={ids['b']}") == ["a"]
    assert await titles(owner, f"?limit=5000&before={ids['c']}") == ["b", "a"]
    assert await titles(owner, f"?before={NOWHERE}") == []
    await put(owner, ids["a"], {"title": "a"})
    assert await titles(owner) == ["a", "c", "b"]


async def test_a_page_that_is_none_is_refused(owner: Visitor) -> None:
    for query in ("limit=0", "limit=x", "limit=", "before=-1", "before=1.5", f"limit={2**63}"):
        answer = await owner.get(f"{SESSIONS}?{query}")
        assert_error(answer, 400, "Invalid input")
        assert answer.json["detail"].startswith(f"{query.partition('=')[0]}: ")


async def test_nobody_sees_or_changes_what_belongs_to_another(
    owner: Visitor, stranger: Visitor
) -> None:
    id = await a_session(owner, title="Mine")
    before = await the_session(owner, id)
    for answer in (
        await stranger.get(f"{SESSIONS}{id}/"),
        await put(stranger, id, {"title": "Yours"}),
        await put(stranger, id, {"ai_model_id": "sim/none"}),
        await stranger.delete(f"{SESSIONS}{id}/"),
        await stranger.post(f"{SESSIONS}{id}/update-title/", {"title": "Yours"}),
    ):
        assert_error(answer, 404, "Not found", NOT_THERE)
    assert await titles(stranger) == []
    assert await the_session(owner, id) == before


async def test_an_id_that_is_none_is_not_found(owner: Visitor) -> None:
    for id in (str(NOWHERE), "x", "0", "-1", "1.0", str(2**63), "%00", "9" * 30):
        assert_error(await owner.get(f"{SESSIONS}{id}/"), 404, "Not found", NOT_THERE)


async def test_both_slash_forms_answer(owner: Visitor) -> None:
    id = await a_session(owner, title="Mine")
    assert (await owner.get(SESSIONS.rstrip("/"))).json == (await owner.get(SESSIONS)).json
    assert (await owner.get(f"{SESSIONS}{id}")).status == 200
    assert (await owner.post(SESSIONS.rstrip("/"), {})).status == 201


async def test_many_sessions_take_as_many_statements_as_one(
    owner: Visitor, palaver: Palaver
) -> None:
    bots = [
        await palaver.services.chatbots.create(SYSTEM, ChatbotChange(name=name))
        for name in ("A", "B", "C")
    ]
    await palaver.services.registry.create(SYSTEM, "sim/other", ModelChange())
    await owner.post("/conversations", {})
    with counted() as seen:
        few = await owner.get(SESSIONS)
        for at in range(30):
            model = ("sim/sim", "sim/other")[at % 2]
            await a_session(owner, chatbot_id=bots[at % 3].id, ai_model_id=model)
        many = await owner.get(SESSIONS)
    assert (len(few.json), len(many.json)) == (1, 31)
    # The registry is read at most once a second, whoever asks.
    mine = [
        [sql for sql in seen.of(answer) if " from models " not in sql] for answer in (few, many)
    ]
    assert mine[1] == mine[0]
    assert len(mine[0]) <= 5
