"""The chapter "Conversations"."""

from tests.contracts import shape
from tests.dialects.native.helpers import EXAMPLES, all_of, assert_error
from tests.dialects.native.talking import (
    CONVERSATIONS,
    NOWHERES,
    a_conversation,
    asked,
    messages_of,
)
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor, settled


async def test_a_conversation_is_made_and_changed_as_documented(owner: Visitor) -> None:
    example = EXAMPLES["Create Conversation"]
    answer = await owner.post(CONVERSATIONS, example.request)
    assert answer.status == 201
    assert shape(answer.json) == shape(example.response)
    made = answer.json
    id = made["id"]
    assert (await owner.get(f"{CONVERSATIONS}/{id}")).json == made
    example = EXAMPLES["Update Conversation"]
    answer = await owner.patch(f"{CONVERSATIONS}/{id}", example.request)
    assert answer.status == 200
    assert shape(answer.json) == shape(example.response)
    changed = answer.json
    assert changed == made | example.request | {"updated_at": changed["updated_at"]}
    again = (await owner.patch(f"{CONVERSATIONS}/{id}", {"title": None, "archived": False})).json
    assert (again["title"], again["archived"]) == (None, False)
    assert (await owner.delete(f"{CONVERSATIONS}/{id}")).status == 204
    assert_error(await owner.get(f"{CONVERSATIONS}/{id}"), 404, "NOT_FOUND")


async def test_nothing_is_required(owner: Visitor) -> None:
    answer = await owner.post(CONVERSATIONS)
    assert answer.status == 201
    assert (answer.json["title"], answer.json["model"]) == (None, None)


async def test_a_model_and_a_chatbot_go_with_it(owner: Visitor) -> None:
    made = (await owner.post(CONVERSATIONS, {"model": "sim/sim", "chatbot_id": 1})).json
    assert (made["model"], made["chatbot_id"]) == ("sim/sim", 1)
    for body, code, *fields in (
        ({"model": "sim/none"}, "MODEL_NOT_FOUND"),
        ({"chatbot_id": 99}, "INVALID_INPUT", "chatbot_id"),
        ({"title": " "}, "INVALID_INPUT", "title"),
        ({"title": "x" * 501}, "INVALID_INPUT", "title"),
        ({"model": ""}, "INVALID_INPUT", "model"),
        ({"chatbot_id": "1", "archived": 1}, "INVALID_INPUT", "chatbot_id"),
    ):
        assert_error(await owner.post(CONVERSATIONS, body), 400, code, *fields)
        if code != "INVALID_INPUT" or "archived" not in body:
            answer = await owner.patch(f"{CONVERSATIONS}/{made['id']}", body)
            assert_error(answer, 400, code, *fields)
    assert (await owner.get(f"{CONVERSATIONS}/{made['id']}")).json == made


async def test_lists_are_read_on_by_a_cursor_and_by_what_was_put_away(
    owner: Visitor, clock: MovableClock
) -> None:
    ids = []
    for number in range(5):
        clock.move(seconds=1)
        ids.append(await a_conversation(owner, title=f"{number}"))
    listed = await all_of(owner, CONVERSATIONS, limit=2)
    assert [each["id"] for each in listed] == ids[::-1]
    assert shape(listed[0]) == shape(
        EXAMPLES["List Conversations"].response["items"][0] | {"model": None, "system_prompt": None}
    )
    await owner.patch(f"{CONVERSATIONS}/{ids[1]}", {"archived": True})
    away = (await owner.get(f"{CONVERSATIONS}?archived=true")).json
    assert [each["id"] for each in away["items"]] == [ids[1]]
    here = (await owner.get(f"{CONVERSATIONS}?archived=false")).json
    assert [each["id"] for each in here["items"]] == [ids[4], ids[3], ids[2], ids[0]]
    for query, field in (("cursor=x", "cursor"), ("cursor=1", "cursor"), ("limit=0", "limit")):
        answer = await owner.get(f"{CONVERSATIONS}?{query}")
        assert_error(answer, 400, "INVALID_INPUT", field)


async def test_a_page_that_changes_meanwhile_repeats_nothing(
    owner: Visitor, clock: MovableClock
) -> None:
    ids = []
    for number in range(4):
        clock.move(seconds=1)
        ids.append(await a_conversation(owner, title=f"{number}"))
    first = (await owner.get(f"{CONVERSATIONS}?limit=2")).json
    clock.move(seconds=1)
    await owner.patch(f"{CONVERSATIONS}/{ids[2]}", {"title": "To the top"})
    second = (await owner.get(f"{CONVERSATIONS}?limit=2&cursor={first['next']}")).json
    assert [each["id"] for each in second["items"]] == [ids[1], ids[0]]


async def test_it_is_the_same_conversation_elsewhere(owner: Visitor) -> None:
    id = await a_conversation(owner)
    await asked(owner, id)
    chat = (await owner.get(f"/api/v1/chats/{id}/messages")).json
    assert [each["content"] for each in chat] == [
        each["content"] for each in await messages_of(owner, id)
    ]


async def test_a_title_is_asked_of_the_model_after_the_first_answer(
    owner: Visitor, upstream: Upstream
) -> None:
    id = (await owner.post(CONVERSATIONS)).json["id"]
    await asked(owner, id)

    async def has_title() -> bool:
        return (await owner.get(f"{CONVERSATIONS}/{id}")).json["title"] is not None

    await settled(has_title)


async def test_what_belongs_to_somebody_else_is_not_there(
    owner: Visitor, stranger: Visitor, palaver: Palaver
) -> None:
    id = await a_conversation(owner)
    before = (await owner.get(f"{CONVERSATIONS}/{id}")).json
    assert (await stranger.get(CONVERSATIONS)).json == {"items": [], "next": None}
    for each in (id, *NOWHERES):
        for answer in (
            await stranger.get(f"{CONVERSATIONS}/{each}"),
            await stranger.patch(f"{CONVERSATIONS}/{each}", {"title": "Mine"}),
            await stranger.delete(f"{CONVERSATIONS}/{each}"),
            await stranger.get(f"{CONVERSATIONS}/{each}/messages"),
            await stranger.post(f"{CONVERSATIONS}/{each}/messages", {"content": "Hi"}),
        ):
            assert_error(answer, 404, "NOT_FOUND")
    assert (await owner.get(f"{CONVERSATIONS}/{id}")).json == before
    nobody = palaver.visitor()
    assert_error(await nobody.get(CONVERSATIONS), 401, "UNAUTHENTICATED")
    assert_error(await nobody.get(f"{CONVERSATIONS}/{id}"), 401, "UNAUTHENTICATED")


async def test_a_repeat_begins_nothing_anew(owner: Visitor) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await owner.post(CONVERSATIONS, {"title": "One"}, headers=headers)
    again = await owner.post(CONVERSATIONS, {"title": "One"}, headers=headers)
    assert (again.status, again.json) == (201, first.json)
    assert len((await owner.get(CONVERSATIONS)).json["items"]) == 1
    other = await owner.post(CONVERSATIONS, {"title": "Two"}, headers=headers)
    assert_error(other, 400, "IDEMPOTENCY_MISMATCH")
