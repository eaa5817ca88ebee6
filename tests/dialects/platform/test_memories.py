"""The chapter "Memories"."""

import json
from typing import Any, Final

import msgspec
import pytest

from palaver.config import Settings
from tests.dialects.platform.helpers import (
    CHATS,
    EXAMPLES,
    NOWHERE,
    TIME,
    UUID,
    a_chat,
    assert_refused,
    bearing,
    tokens_of,
)
from tests.http import MovableClock, Palaver, Visitor
from tests.statements import counted

MEMORIES: Final = "/api/v1/memories"
SEARCH: Final = f"{MEMORIES}/search"
FIELDS: Final = [
    "id",
    "user_id",
    "content",
    "memory_type",
    "importance_score",
    "metadata",
    "created_at",
    "updated_at",
]
PER_USER: Final = 40


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of the house."""
    more = {"memories_per_user": PER_USER, "rate_limit_per_minute": 0}
    return msgspec.structs.replace(settings, **more)


async def a_memory(visitor: Visitor, content: str, **more: Any) -> dict[str, Any]:
    """Return a new memory."""
    answer = await visitor.post(MEMORIES, {"content": content} | more)
    assert answer.status == 200, answer
    memory: dict[str, Any] = answer.json
    return memory


async def contents(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{MEMORIES}{query}")
    assert answer.status == 200, answer
    return [memory["content"] for memory in answer.json]


async def found(visitor: Visitor, query: str, **more: Any) -> list[str]:
    answer = await visitor.post(SEARCH, {"query": query} | more)
    assert answer.status == 200, answer
    return [memory["content"] for memory in answer.json]


async def test_a_memory_is_created_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Create Memory"].request
    memory = await a_memory(owner, **example)
    assert list(memory) == FIELDS
    assert {name: memory[name] for name in example} == example
    assert UUID.fullmatch(memory["id"])
    assert memory["user_id"] == owner.user.uuid
    assert TIME.fullmatch(memory["created_at"])
    assert memory["updated_at"] == memory["created_at"]
    assert (await owner.get(MEMORIES)).json == [memory]


async def test_only_the_content_has_to_be_given(owner: Visitor) -> None:
    nothing = {"memory_type": None, "importance_score": None, "metadata": None, "unknown": 1}
    for more in ({}, nothing):
        memory = await a_memory(owner, "Likes tea", **more)
        assert (memory["memory_type"], memory["importance_score"]) == ("global", 0.5)
        assert memory["metadata"] == {}


async def test_by_a_token_it_is_the_same_user(palaver: Palaver, owner: Visitor) -> None:
    memory = await a_memory(owner, "Likes tea")
    headers = bearing((await tokens_of(palaver.visitor(), "owner"))["access_token"])
    assert (await palaver.visitor().get(MEMORIES, headers=headers)).json == [memory]


async def test_what_is_given_comes_back_exactly(owner: Visitor) -> None:
    metadata = {"a": [1, {"b": None}], "é": "😀", "n": 2**63 - 1}
    for importance in (0, 1, 0.123456789):
        memory = await a_memory(
            owner, " 記憶 😀\r\n\t", importance_score=importance, metadata=metadata
        )
        assert memory["content"] == " 記憶 😀\r\n\t"
        assert (memory["importance_score"], memory["metadata"]) == (importance, metadata)
    assert [each["metadata"] for each in (await owner.get(MEMORIES)).json] == [metadata] * 3


WRONG: Final = [
    ({"content": None}, "content"),
    ({"content": 1}, "content"),
    ({"content": ""}, "content"),
    ({"content": " \n"}, "content"),
    ({"content": "x" * 10_001}, "content"),
    ({"content": "a\0b"}, "content"),
    ({"memory_type": "secret"}, "memory_type"),
    ({"memory_type": 1}, "memory_type"),
    ({"importance_score": -0.001}, "importance_score"),
    ({"importance_score": 1.001}, "importance_score"),
    ({"importance_score": 10**400}, "importance_score"),
    ({"importance_score": "0.5"}, "importance_score"),
    ({"importance_score": True}, "importance_score"),
    ({"metadata": []}, "metadata"),
    ({"metadata": {"n": 2**64}}, "metadata.n"),
    ({"metadata": {"x": "y" * 20_000}}, "metadata"),
    ({"memory_type": "chat"}, "metadata.chat_id"),
    ({"memory_type": "chat", "metadata": {"chat_id": None}}, "metadata.chat_id"),
    ({"memory_type": "chat", "metadata": {"chat_id": 7}}, "metadata.chat_id"),
    ({"memory_type": "chat", "metadata": {"chat_id": "x"}}, "metadata.chat_id"),
]


@pytest.mark.parametrize(("wrong", "field"), WRONG)
async def test_what_cannot_be_kept_is_refused(
    owner: Visitor, wrong: dict[str, Any], field: str
) -> None:
    answer = await owner.post(MEMORIES, {"content": "x"} | wrong)
    assert_refused(answer, 400, "bad_request", details=[field])
    assert await contents(owner) == []


async def test_every_wrong_field_is_named(owner: Visitor) -> None:
    body = {"memory_type": "x", "importance_score": 2, "metadata": 1}
    answer = await owner.post(MEMORIES, body)
    assert_refused(answer, 400, "bad_request", details=["content", *body])
    for content in (b"{", b"[]", b"x", b'{"content":"\\ud800"}', b"[" * 9999):
        answer = await owner.request("POST", MEMORIES, content=content)
        assert answer.status == 400, answer
    answer = await owner.request(
        "POST", MEMORIES, content=b"x", headers={"Content-Type": "text/plain"}
    )
    assert_refused(answer, 415, "unsupported_media_type")


async def test_a_memory_of_a_chat_names_one_s_own(owner: Visitor, stranger: Visitor) -> None:
    chat = await a_chat(owner)
    of_chat = {"memory_type": "chat", "metadata": {"chat_id": chat.upper(), "more": 1}}
    memory = await a_memory(owner, "We use metres", **of_chat)
    assert memory["metadata"] == {"chat_id": chat, "more": 1}
    for visitor, id in ((stranger, chat), (owner, NOWHERE), (stranger, NOWHERE)):
        body = {"content": "x", "memory_type": "chat", "metadata": {"chat_id": id}}
        assert_refused(await visitor.post(MEMORIES, body), 404, "not_found")
    assert await contents(stranger) == []
    # In any other memory it is the client's own word.
    kept = await a_memory(stranger, "x", metadata={"chat_id": chat})
    assert kept["metadata"] == {"chat_id": chat}
    await owner.delete(f"{CHATS}/{chat}")
    assert await contents(owner) == []
    assert await found(owner, "metres") == []
    assert_refused(await owner.delete(f"{MEMORIES}/{memory['id']}"), 404, "not_found")


async def test_the_newest_come_first_as_many_as_are_wanted(
    owner: Visitor, clock: MovableClock
) -> None:
    for number in range(5):
        clock.move(seconds=1)
        await a_memory(owner, f"Memory {number}", memory_type=["global", "preference"][number % 2])
    wanted = [f"Memory {number}" for number in (4, 3, 2, 1, 0)]
    assert await contents(owner) == wanted
    assert await contents(owner, "?limit=2&offset=1") == wanted[1:3]
    assert await contents(owner, "?limit=1000000&offset=5") == []
    assert await contents(owner, "?memory_type=preference") == ["Memory 3", "Memory 1"]
    assert await contents(owner, "?memory_type=user_fact") == []
    for name, value in (
        ("limit", "0"),
        ("limit", "-1"),
        ("limit", "x"),
        ("offset", "-1"),
        ("offset", str(2**64)),
        ("memory_type", "x"),
        ("memory_type", ""),
    ):
        answer = await owner.get(f"{MEMORIES}?{name}={value}")
        assert_refused(answer, 400, "bad_request", details=[name])


async def test_a_memory_is_found_by_its_words(owner: Visitor) -> None:
    await a_memory(owner, "User prefers dark mode", memory_type="preference")
    await a_memory(owner, "The dark side of the moon is a user favourite")
    await a_memory(owner, "喜欢在晚上喝绿茶", memory_type="preference")
    answer = await owner.post(SEARCH, EXAMPLES["Search Memories"].request)
    assert answer.status == 200
    (hit,) = answer.json
    assert list(hit) == [*FIELDS, "score"]
    assert hit["score"] > 0
    stored = (await owner.get(f"{MEMORIES}?memory_type=preference")).json
    assert {name: hit[name] for name in FIELDS} in stored
    assert await found(owner, "绿茶") == ["喜欢在晚上喝绿茶"]
    assert len(await found(owner, "dark mode")) == 2
    assert (await found(owner, "dark mode"))[0] == "User prefers dark mode"
    assert await found(owner, "dark", limit=1, memory_type="global") != []
    assert await found(owner, "???") == []
    assert await found(owner, "dark", limit=None, memory_type=None) == await found(owner, "dark")


async def test_what_cannot_be_looked_for_is_refused(owner: Visitor) -> None:
    for wrong, field in (
        ({"query": ""}, "query"),
        ({"query": "  "}, "query"),
        ({"query": "x" * 1001}, "query"),
        ({"query": 1}, "query"),
        ({"limit": 0}, "limit"),
        ({"limit": 2**64}, "limit"),
        ({"limit": 1.5}, "limit"),
        ({"memory_type": "x"}, "memory_type"),
    ):
        answer = await owner.post(SEARCH, {"query": "x"} | wrong)
        assert_refused(answer, 400, "bad_request", details=[field])
    assert_refused(await owner.post(SEARCH, {}), 400, "bad_request", details=["query"])


async def test_how_many_are_found_at_most_is_documented(owner: Visitor) -> None:
    schemas = json.loads((await owner.get("/openapi/platform.json")).content)["components"]
    limit = schemas["schemas"]["MemorySearch"]["properties"]["limit"]
    assert "more than 1000 counts as 1000" in str(limit)
    await a_memory(owner, "Likes tea")
    assert await found(owner, "tea", limit=100_000) == ["Likes tea"]


async def test_what_is_deleted_is_gone(owner: Visitor) -> None:
    memory = await a_memory(owner, "Likes tea")
    answer = await owner.delete(f"{MEMORIES}/{memory['id']}")
    assert (answer.status, list(answer.json)) == (200, ["message"])
    assert await contents(owner) == []
    assert await found(owner, "tea") == []
    assert_refused(await owner.delete(f"{MEMORIES}/{memory['id']}"), 404, "not_found")
    for nowhere in (NOWHERE, "7", "x" * 40, "%00", NOWHERE.replace("-", "")):
        assert_refused(await owner.delete(f"{MEMORIES}/{nowhere}"), 404, "not_found")


async def test_nobody_finds_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    memory = await a_memory(owner, "Likes tea")
    assert await contents(stranger) == []
    assert await found(stranger, "tea") == []
    assert_refused(await stranger.delete(f"{MEMORIES}/{memory['id']}"), 404, "not_found")
    assert await contents(owner) == ["Likes tea"]


async def test_nobody_reads_or_writes_without_signing_in(palaver: Palaver) -> None:
    anybody = palaver.visitor()
    for method, path in (
        ("GET", MEMORIES),
        ("POST", MEMORIES),
        ("POST", SEARCH),
        ("DELETE", f"{MEMORIES}/{NOWHERE}"),
    ):
        assert_refused(await anybody.request(method, path), 401, "unauthorized")
    answer = await anybody.request("PUT", MEMORIES)
    assert_refused(answer, 405, "method_not_allowed")
    assert set(answer.headers["allow"].split(", ")) >= {"GET", "POST"}


async def test_there_is_room_for_so_many(owner: Visitor, stranger: Visitor) -> None:
    memory = {}
    for number in range(PER_USER):
        memory = await a_memory(owner, f"Memory {number}")
    answer = await owner.post(MEMORIES, {"content": "one more"})
    assert_refused(answer, 429, "quota_exceeded")
    assert str(PER_USER) in answer.json["message"]
    await a_memory(stranger, "There is room for mine")
    await owner.delete(f"{MEMORIES}/{memory['id']}")
    await a_memory(owner, "Now there is room")


async def test_the_same_request_again_keeps_one(owner: Visitor) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await owner.post(MEMORIES, {"content": "Likes tea"}, headers=headers)
    again = await owner.post(MEMORIES, {"content": "Likes tea"}, headers=headers)
    assert (again.status, again.json) == (200, first.json)
    other = await owner.post(MEMORIES, {"content": "Likes coffee"}, headers=headers)
    assert_refused(other, 400, "bad_request")
    assert await contents(owner) == ["Likes tea"]


async def test_a_list_takes_one_statement_beside_its_caller(owner: Visitor) -> None:
    await a_memory(owner, "Likes tea")
    with counted() as seen:
        answer = await owner.get(MEMORIES)
    taken = [text for text in seen.of(answer) if "memories" in text]
    assert len(taken) == 1
