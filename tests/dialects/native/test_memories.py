"""The chapters "Memories" and "Settings"."""

from typing import Any, Final

import pytest

from palaver.kit.clock import SECOND
from palaver.services.memory_extraction import DELAY
from palaver.storage.statements import Statement
from tests.contracts import shape
from tests.dialects.native.helpers import EXAMPLES, all_of, assert_error
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor, settled

MEMORIES: Final = "/api/palaver/memories"
SETTINGS: Final = "/api/palaver/settings"
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"


async def a_memory(visitor: Visitor, content: str, **more: Any) -> dict[str, Any]:
    """Return a new memory."""
    answer = await visitor.post(MEMORIES, {"content": content} | more)
    assert answer.status == 201, answer
    memory: dict[str, Any] = answer.json
    return memory


async def contents(visitor: Visitor) -> list[str]:
    return [memory["content"] for memory in await all_of(visitor, MEMORIES, limit=100)]


async def a_conversation(visitor: Visitor) -> str:
    """Return the uuid of a new conversation."""
    id: str = (await visitor.post("/api/v1/chats", {})).json["id"]
    return id


async def test_a_memory_is_made_read_and_corrected_as_documented(
    owner: Visitor, clock: MovableClock
) -> None:
    example = EXAMPLES["Create Memory"]
    answer = await owner.post(MEMORIES, example.request)
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    memory = answer.json
    assert {name: memory[name] for name in example.request} == example.request
    answer = await owner.get(f"{MEMORIES}/{memory['id']}")
    assert (answer.status, answer.json) == (200, memory)
    clock.move(seconds=1)
    example = EXAMPLES["Update Memory"]
    answer = await owner.patch(f"{MEMORIES}/{memory['id']}", example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    assert answer.json["updated_at"] > memory["updated_at"]
    changed = {"importance": 1.0, "updated_at": answer.json["updated_at"]}
    assert answer.json == memory | changed
    again = await owner.patch(f"{MEMORIES}/{memory['id']}", {"content": "Ate a nut"})
    assert again.json["content"] == "Ate a nut"


async def test_the_list_looks_as_documented(palaver: Palaver, owner: Visitor) -> None:
    """With a memory that was taken from a message."""
    example = EXAMPLES["List Memories"].response
    chat = await a_conversation(owner)
    (message,) = [
        each
        for each in (await _ask(owner, chat, "I bake every Saturday"))
        if each["role"] == "user"
    ]
    memory = await a_memory(owner, "Bakes every Saturday", type="user_fact")
    await _attach(palaver, memory["id"], message["id"])
    answer = await owner.get(MEMORIES)
    assert answer.status == 200
    assert shape(answer.json) == shape(example)
    assert answer.json["items"][0]["source"] == {
        "conversation_id": chat,
        "message_id": message["id"],
    }
    hits = (await owner.get(f"{MEMORIES}/search?q=saturday")).json
    assert shape(hits) == shape(EXAMPLES["Search Memories"].response)
    assert hits["note"] == EXAMPLES["Search Memories"].response["note"]
    await owner.delete(f"/api/v1/chats/{chat}")
    (after,) = (await owner.get(MEMORIES)).json["items"]
    assert after == memory


async def _ask(visitor: Visitor, chat: str, content: str) -> list[dict[str, Any]]:
    body = {"chat_id": chat, "messages": [{"role": "user", "content": content}]}
    assert (await visitor.post("/api/v1/chat/completions", body)).status == 200
    messages: list[dict[str, Any]] = (await visitor.get(f"/api/v1/chats/{chat}/messages")).json
    return messages


async def _attach(palaver: Palaver, memory_id: str, message_id: str) -> None:
    """Say that a memory was taken from a message."""
    source: Statement[None] = Statement(
        """update memories set source_message_id = (select id from messages where uuid = :message)
        where uuid = :memory"""
    )
    async with palaver.house.db.transaction() as tx:
        await tx._connection.run(source, message=message_id, memory=memory_id)


async def test_the_last_changed_come_first_page_by_page(
    owner: Visitor, clock: MovableClock
) -> None:
    for number in range(5):
        clock.move(seconds=1)
        await a_memory(owner, f"Memory {number}", type=["global", "preference"][number % 2])
    wanted = [f"Memory {number}" for number in (4, 3, 2, 1, 0)]
    assert [each["content"] for each in await all_of(owner, MEMORIES, limit=2)] == wanted
    of_type = (await owner.get(f"{MEMORIES}?type=preference")).json["items"]
    assert [each["content"] for each in of_type] == ["Memory 3", "Memory 1"]
    for query in ("type=x", "limit=0", "cursor=x", "cursor=", "cursor=1"):
        answer = await owner.get(f"{MEMORIES}?{query}")
        assert_error(answer, 400, "INVALID_INPUT", query.partition("=")[0])


async def test_a_memory_of_a_conversation_stays_one(owner: Visitor, stranger: Visitor) -> None:
    chat = await a_conversation(owner)
    memory = await a_memory(owner, "We use metres", type="chat", conversation_id=chat)
    assert memory["conversation_id"] == chat
    (shown,) = (await owner.get("/api/v1/memories")).json
    assert shown["metadata"] == {"chat_id": chat}
    for body in ({"type": "global"}, {"type": "preference"}):
        answer = await owner.patch(f"{MEMORIES}/{memory['id']}", body)
        assert_error(answer, 400, "INVALID_INPUT", "type")
    for visitor, body, status, field in (
        (stranger, {"type": "chat", "conversation_id": chat}, 404, ()),
        (owner, {"type": "chat", "conversation_id": NOWHERE}, 404, ()),
        (owner, {"type": "chat", "conversation_id": "x"}, 400, ("conversation_id",)),
        (owner, {"type": "chat"}, 400, ("conversation_id",)),
        (owner, {"type": "global", "conversation_id": chat}, 400, ("conversation_id",)),
    ):
        answer = await visitor.post(MEMORIES, {"content": "x"} | body)
        code = {404: "NOT_FOUND", 400: "INVALID_INPUT"}[status]
        assert_error(answer, status, code, *field)


@pytest.mark.parametrize(
    "wrong",
    [
        {"content": ""},
        {"content": "x" * 10_001},
        {"content": 1},
        {"type": "x"},
        {"importance": 1.1},
        {"importance": -1},
        {"importance": None},
    ],
)
async def test_what_is_wrong_is_refused(owner: Visitor, wrong: dict[str, Any]) -> None:
    memory = await a_memory(owner, "Likes tea")
    (field,) = wrong
    answer = await owner.post(MEMORIES, {"content": "x"} | wrong)
    assert_error(answer, 400, "INVALID_INPUT", field)
    answer = await owner.patch(f"{MEMORIES}/{memory['id']}", wrong)
    assert_error(answer, 400, "INVALID_INPUT", field)
    assert (await owner.get(f"{MEMORIES}/{memory['id']}")).json == memory
    assert await contents(owner) == ["Likes tea"]


async def test_memories_are_looked_for(owner: Visitor) -> None:
    await a_memory(owner, "Likes green tea", type="preference")
    await a_memory(owner, "Sells tea")
    page = (await owner.get(f"{MEMORIES}/search?q=green%20tea")).json
    assert [each["content"] for each in page["items"]] == ["Likes green tea", "Sells tea"]
    page = (await owner.get(f"{MEMORIES}/search?q=tea&type=preference&limit=1")).json
    assert [each["content"] for each in page["items"]] == ["Likes green tea"]
    for query in ("", "?q=", "?q=%20", f"?q={'x' * 1001}", "?q=a%00"):
        assert_error(await owner.get(f"{MEMORIES}/search{query}"), 400, "INVALID_INPUT", "q")


async def test_one_or_all_can_be_removed(owner: Visitor, stranger: Visitor) -> None:
    await a_memory(stranger, "Mine stays")
    first = await a_memory(owner, "One")
    await a_memory(owner, "Two")
    await a_memory(owner, "Three")
    answer = await owner.delete(f"{MEMORIES}/{first['id']}")
    assert (answer.status, answer.content) == (204, b"")
    answer = await owner.post(f"{MEMORIES}/clear")
    assert (answer.status, answer.json) == (200, EXAMPLES["Clear Memories"].response)
    assert (await owner.post(f"{MEMORIES}/clear")).json == {"removed": 0}
    assert await contents(owner) == []
    assert await contents(stranger) == ["Mine stays"]


async def test_nobody_finds_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    memory = await a_memory(owner, "Likes tea")
    for id in (memory["id"], NOWHERE, "7", "x"):
        path = f"{MEMORIES}/{id}"
        assert_error(await stranger.get(path), 404, "NOT_FOUND")
        assert_error(await stranger.patch(path, {"content": "x"}), 404, "NOT_FOUND")
        assert_error(await stranger.delete(path), 404, "NOT_FOUND")
    assert (await stranger.get(MEMORIES)).json == {"items": [], "next": None}
    assert (await stranger.get(f"{MEMORIES}/search?q=tea")).json["items"] == []
    assert await contents(owner) == ["Likes tea"]


async def test_nobody_calls_without_signing_in(palaver: Palaver) -> None:
    anybody = palaver.visitor()
    for method, path in (
        ("GET", MEMORIES),
        ("POST", MEMORIES),
        ("GET", f"{MEMORIES}/search"),
        ("POST", f"{MEMORIES}/clear"),
        ("GET", f"{MEMORIES}/{NOWHERE}"),
        ("GET", SETTINGS),
        ("PATCH", SETTINGS),
    ):
        assert_error(await anybody.request(method, path), 401, "UNAUTHENTICATED")


# Settings


async def test_settings_are_read_and_changed_as_documented(
    owner: Visitor, stranger: Visitor
) -> None:
    example = EXAMPLES["Get Settings"].response
    assert (await owner.get(SETTINGS)).json == example
    update = EXAMPLES["Update Settings"]
    answer = await owner.patch(SETTINGS, update.request)
    assert (answer.status, answer.json) == (200, update.response)
    answer = await owner.patch(SETTINGS, {"use_memories": False})
    assert answer.json == {"use_memories": False, "extract_memories": True}
    assert (await owner.patch(SETTINGS, {})).json == answer.json
    assert (await owner.get(SETTINGS)).json == answer.json
    assert (await stranger.get(SETTINGS)).json == example


async def test_a_setting_is_true_or_false(owner: Visitor) -> None:
    for wrong in (None, 1, "true", []):
        for field in ("use_memories", "extract_memories"):
            answer = await owner.patch(SETTINGS, {field: wrong})
            assert_error(answer, 400, "INVALID_INPUT", field)
    assert (await owner.get(SETTINGS)).json == EXAMPLES["Get Settings"].response


async def test_who_wants_it_finds_what_was_taken_from_a_message(
    owner: Visitor, stranger: Visitor, upstream: Upstream, clock: MovableClock
) -> None:
    assert (await owner.patch(SETTINGS, {"extract_memories": True})).status == 200
    fact = '{"message": 1, "type": "user_fact", "content": "The user lives in Porto."}'
    upstream.plan(Script(), Script(words=(fact[:20], fact[20:])))
    chat = await a_conversation(owner)
    question, _ = await _ask(owner, chat, "I live in Porto")
    clock.move(seconds=DELAY / SECOND)

    async def is_there() -> bool:
        return await contents(owner) == ["The user lives in Porto."]

    await settled(is_there)
    (memory,) = (await owner.get(MEMORIES)).json["items"]
    assert memory["source"] == {"conversation_id": chat, "message_id": question["id"]}
    assert await contents(stranger) == []
    told = (await upstream.request(2)).body["messages"]
    assert "I live in Porto" in told[-1]["content"]


async def test_memories_go_into_the_prompts_of_their_user_alone(
    owner: Visitor, stranger: Visitor, upstream: Upstream
) -> None:
    memory = await a_memory(owner, "Is allergic to nuts")

    async def told(visitor: Visitor) -> bool:
        upstream.requests.clear()
        await _ask(visitor, await a_conversation(visitor), "What may I eat?")
        return "Is allergic to nuts" in str((await upstream.request()).body["messages"])

    assert await told(owner)
    assert not await told(stranger)
    await owner.patch(SETTINGS, {"use_memories": False})
    assert not await told(owner)
    await owner.patch(SETTINGS, {"use_memories": True})
    assert await told(owner)
    await owner.delete(f"{MEMORIES}/{memory['id']}")
    assert not await told(owner)
