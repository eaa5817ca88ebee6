"""The chapter "Chats"."""

from typing import Any

from tests.contracts import shape
from tests.dialects.platform.helpers import (
    ALIAS,
    CHATS,
    COMPLETIONS,
    EXAMPLES,
    FAILURES,
    HELLO,
    NOWHERE,
    TIME,
    UUID,
    a_chat,
    assert_refused,
    bearing,
    messages_of,
    saying,
    tokens_of,
)
from tests.http import MovableClock, Palaver, Visitor

NOWHERES = (NOWHERE, "7", "x" * 40, "%00", NOWHERE.replace("-", ""))
HUGE = 2**64


async def titles(visitor: Visitor, query: str = "") -> list[str]:
    answer = await visitor.get(f"{CHATS}{query}")
    assert answer.status == 200, answer
    return [item["title"] for item in answer.json]


async def test_a_chat_is_created_as_documented(palaver: Palaver, owner: Visitor) -> None:
    example = EXAMPLES["Create Chat"]
    answer = await owner.post(CHATS, example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    for name in ("title", "model", "is_archived"):
        assert answer.json[name] == example.response[name]
    assert UUID.fullmatch(answer.json["id"])
    assert answer.json["user_id"] == owner.user.uuid
    assert TIME.fullmatch(answer.json["created_at"])
    assert TIME.fullmatch(answer.json["updated_at"])


async def test_by_a_token_it_is_the_same_user(palaver: Palaver, owner: Visitor) -> None:
    tokens = await tokens_of(palaver.visitor(), "owner")
    answer = await palaver.visitor().post(CHATS, {}, headers=bearing(tokens["access_token"]))
    assert answer.json["user_id"] == owner.user.uuid
    assert (await owner.get(f"{CHATS}/{answer.json['id']}")).json == answer.json


async def test_nothing_has_to_be_given(owner: Visitor) -> None:
    nothing = {"title": None, "model": None, "system_prompt": None, "metadata": None}
    for body in (None, {}, nothing, {"unknown": 1}):
        answer = await owner.post(CHATS, body)
        assert answer.status == 200
        assert (answer.json["title"], answer.json["model"]) == ("New Chat", None)


async def test_the_default_title_is_none(palaver: Palaver, owner: Visitor) -> None:
    id = await a_chat(owner, title="New Chat")
    assert (await owner.get("/conversations")).json[0]["title"] == "New Conversation"
    await owner.patch(f"{CHATS}/{id}", {"title": "Other"})
    await owner.patch(f"{CHATS}/{id}", {"title": "New Chat"})
    assert (await owner.get("/conversations")).json[0]["title"] == "New Conversation"
    assert (await owner.get(f"{CHATS}/{id}")).json["title"] == "New Chat"


async def test_what_is_wrong_with_a_chat_is_named(owner: Visitor) -> None:
    wrong: list[tuple[Any, list[str]]] = [
        ({"title": ""}, ["title"]),
        ({"title": " \n"}, ["title"]),
        ({"title": "x" * 501}, ["title"]),
        ({"title": "a\0b"}, ["title"]),
        ({"title": 7, "system_prompt": 7, "metadata": []}, ["title", "system_prompt", "metadata"]),
        ({"model": ""}, ["model"]),
        ({"metadata": {"a": [1, HUGE, {"b": -HUGE}]}}, ["metadata.a.1", "metadata.a.2.b"]),
        ({"metadata": {"a": "b\0"}}, ["metadata.a"]),
        ([], ["body"]),
    ]
    for body, fields in wrong:
        answer = await owner.post(CHATS, body)
        assert_refused(answer, 400, "bad_request", details=fields)
        assert answer.json["message"] == FAILURES[400]["message"]
    assert await titles(owner) == []


async def test_a_model_that_there_is_not_is_refused(owner: Visitor) -> None:
    for model in ("sim/other", "nobody/sim", "gpt-4", "gemini-2.5-pro"):
        answer = await owner.post(CHATS, {"model": model})
        assert_refused(answer, 400, "bad_request")
    assert await titles(owner) == []


async def test_a_model_keeps_the_name_that_was_asked_for(owner: Visitor) -> None:
    for model in (ALIAS, "sim/sim"):
        id = await a_chat(owner, model=model)
        assert (await owner.get(f"{CHATS}/{id}")).json["model"] == model


async def test_chats_are_listed_newest_first_in_pages(owner: Visitor, clock: MovableClock) -> None:
    for title in ("a", "b", "c"):
        await a_chat(owner, title=title)
        clock.move(seconds=1)
    answer = await owner.get(CHATS)
    assert shape(answer.json[:1]) == shape([EXAMPLES["Create Chat"].response | {"model": None}])
    assert await titles(owner) == ["c", "b", "a"]
    assert await titles(owner, "?offset=1") == ["b", "a"]
    assert await titles(owner, "?limit=1") == ["c"]
    assert await titles(owner, "?offset=2&limit=5000") == ["a"]
    assert await titles(owner, "?offset=9223372036854775807") == []


async def test_a_page_that_is_none_is_refused(owner: Visitor) -> None:
    for query, fields in (
        ("?offset=-1", ["offset"]),
        ("?limit=0", ["limit"]),
        ("?limit=9223372036854775808", ["limit"]),
        ("?offset=x&limit=1.5", ["offset", "limit"]),
        ("?include_archived=maybe", ["include_archived"]),
    ):
        assert_refused(await owner.get(f"{CHATS}{query}"), 400, "bad_request", details=fields)


async def test_an_archived_chat_is_listed_when_that_is_asked_for(owner: Visitor) -> None:
    id = await a_chat(owner, title="away")
    await a_chat(owner, title="here")
    answer = await owner.patch(f"{CHATS}/{id}", {"is_archived": True})
    assert (answer.status, answer.json["is_archived"]) == (200, True)
    assert await titles(owner) == ["here"]
    assert await titles(owner, "?include_archived=true") == ["away", "here"]
    assert (await owner.get(f"{CHATS}/{id}")).json["is_archived"] is True
    await owner.patch(f"{CHATS}/{id}", {"is_archived": False})
    assert await titles(owner) == ["away", "here"]


async def test_a_change_leaves_alone_what_it_does_not_name(owner: Visitor) -> None:
    id = await a_chat(owner, title="one", model=ALIAS)
    path = f"{CHATS}/{id}"
    before = (await owner.get(path)).json
    assert (await owner.patch(path, {})).json == before
    example = EXAMPLES["Update Chat"]
    answer = await owner.patch(path, example.request)
    assert shape(answer.json) == shape(EXAMPLES["Create Chat"].response)
    assert answer.json["title"] == example.request["title"]
    assert answer.json["updated_at"] > before["updated_at"]
    answer = await owner.patch(path, {"is_archived": True})
    assert answer.json["title"] == example.request["title"]


async def test_a_change_that_is_none_changes_nothing(owner: Visitor) -> None:
    path = f"{CHATS}/{await a_chat(owner, title='one')}"
    before = (await owner.get(path)).json
    wrong: list[tuple[Any, list[str]]] = [
        ({"title": None}, ["title"]),
        ({"title": " "}, ["title"]),
        ({"title": "x" * 501, "is_archived": True}, ["title"]),
        ({"is_archived": None}, ["is_archived"]),
        ({"is_archived": 1, "title": 1}, ["is_archived", "title"]),
    ]
    for body, fields in wrong:
        assert_refused(await owner.patch(path, body), 400, "bad_request", details=fields)
    assert (await owner.get(path)).json == before


async def test_a_deleted_chat_is_gone_everywhere(owner: Visitor) -> None:
    id = await a_chat(owner)
    answer = await owner.delete(f"{CHATS}/{id}")
    assert (answer.status, list(answer.json)) == (200, ["message"])
    for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/messages")):
        answer = await owner.request(method, f"{CHATS}/{id}{path}", {})
        assert (answer.status, answer.json) == (404, FAILURES[404])
    assert (await owner.get("/conversations")).json == []


async def test_nobody_sees_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    id = await a_chat(owner, title="mine")
    assert await titles(stranger) == []
    for visitor, key in ((stranger, id), *((owner, nowhere) for nowhere in NOWHERES)):
        for method, path in (("GET", ""), ("PATCH", ""), ("DELETE", ""), ("GET", "/messages")):
            body = None if method == "GET" else {"title": "theirs"}
            answer = await visitor.request(method, f"{CHATS}/{key}{path}", body)
            assert (answer.status, answer.json) == (404, FAILURES[404])
    assert await titles(owner) == ["mine"]


async def test_messages_are_listed_as_documented(owner: Visitor) -> None:
    id = await a_chat(owner, model=ALIAS)
    await owner.post(COMPLETIONS, saying("Hello!", chat_id=id, model=ALIAS))
    answer = await owner.get(f"{CHATS}/{id}/messages")
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Get Messages"].response)
    question, said = answer.json
    assert (question["role"], question["content"]) == ("user", "Hello!")
    assert (said["role"], said["content"], said["model"]) == ("assistant", HELLO, ALIAS)
    assert said["chat_id"] == question["chat_id"] == id
    assert said["tokens_used"] > 0
    assert TIME.fullmatch(said["created_at"])


async def test_messages_come_oldest_first_in_pages(owner: Visitor) -> None:
    id = await a_chat(owner)
    for text in ("one", "two"):
        await owner.post(COMPLETIONS, saying(text, chat_id=id))
    everything = [("user", "one"), ("assistant", HELLO), ("user", "two"), ("assistant", HELLO)]
    assert await messages_of(owner, id) == everything
    assert await messages_of(owner, id, "?offset=1&limit=2") == everything[1:3]
    assert await messages_of(owner, id.upper()) == everything


async def test_both_slash_forms_answer(owner: Visitor) -> None:
    id = await a_chat(owner)
    assert (await owner.get(f"{CHATS}/")).json == (await owner.get(CHATS)).json
    assert (await owner.get(f"{CHATS}/{id}/")).json["id"] == id
    assert (await owner.get(f"{CHATS}/{id}/messages/")).json == []


async def test_what_other_contracts_began_is_a_chat(owner: Visitor) -> None:
    number = (await owner.post("/conversations", {"title": "theirs"})).json["id"]
    await owner.post(f"/conversations/{number}/messages", {"content": "Hello"})
    (chat,) = (await owner.get(CHATS)).json
    assert (chat["title"], chat["model"]) == ("theirs", None)
    assert await messages_of(owner, chat["id"]) == [("user", "Hello")]
