"""The JSON routes beside the pages: creating, renaming, deleting and loading a conversation."""

from typing import Any

import pytest

from palaver.domain.users import Actor
from tests.contracts import examples, shape
from tests.dialects.sessions.helpers import MISSING, NOT_SIGNED_IN, NOWHERE, SESSIONS, TIME, UUID
from tests.dialects.sessions.helpers import a_session as a_talk
from tests.http import Answer, Palaver, Visitor
from tests.pages import opened

EXAMPLES = examples("sessions", part="Web Routes")
CREATE = "/chat/session/create/"
DONE = {"success": True}


def rename_of(id: str) -> str:
    return f"/chat/session/{id}/rename/"


def delete_of(id: str) -> str:
    return f"/chat/session/{id}/delete/"


def load_of(id: str) -> str:
    return f"/load_session/{id}/"


async def created(visitor: Visitor, body: Any = None) -> str:
    answer = await visitor.post(CREATE, body)
    assert answer.status == 201, answer
    id: str = answer.json["session_id"]
    return id


async def titles_of(visitor: Visitor) -> list[str]:
    return [each["title"] for each in (await visitor.get(SESSIONS)).json["results"]]


async def test_creating_answers_as_documented(owner: Visitor) -> None:
    answer = await owner.post(CREATE)
    assert answer.status == 201
    assert shape(answer.json) == shape(EXAMPLES["Create Chat Session"].response)
    assert answer.json["session_title"] == "New Chat"
    assert UUID.fullmatch(answer.json["session_id"])
    assert await titles_of(owner) == ["New Chat"]
    assert (await opened(owner, f"/chat/{answer.json['session_id']}/")).heading == "New Chat"


@pytest.mark.parametrize("title", [None, "New Chat", " New Chat "])
async def test_the_default_title_is_stored_as_none(owner: Visitor, title: str | None) -> None:
    await created(owner, {"title": title})
    assert [each["title"] for each in (await owner.get("/conversations")).json] == [
        "New Conversation"
    ]


async def test_creating_takes_a_title(owner: Visitor) -> None:
    answer = await owner.post(CREATE, {"title": " Given ", "more": 1})
    assert answer.json["session_title"] == "Given"


async def test_renaming_answers_as_documented(owner: Visitor) -> None:
    id = await created(owner)
    example = EXAMPLES["Rename Chat Session"]
    answer = await owner.post(rename_of(id), example.request)
    assert (answer.status, answer.json) == (200, example.response)
    assert await titles_of(owner) == [example.request["title"]]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "A title is required."),
        ({"title": None}, "A title is required."),
        ({"title": ""}, "A title may not be blank."),
        ({"title": " \n"}, "A title may not be blank."),
        ({"title": "x" * 101}, "A title has at most 100 characters."),
        ({"title": 7}, "A title has to be text."),
        ({"title": "a\0b"}, "Text may not contain the NUL character."),
        ([], "Send a JSON object."),
    ],
)
async def test_a_bad_title_is_told_and_changes_nothing(
    owner: Visitor, body: Any, words: str
) -> None:
    id = await created(owner, {"title": "As it was"})
    answer = await owner.post(rename_of(id), body)
    assert (answer.status, answer.json) == (400, {"success": False, "error": words})
    assert await titles_of(owner) == ["As it was"]


async def test_a_title_of_a_hundred_characters_is_taken(owner: Visitor) -> None:
    id = await created(owner)
    assert (await owner.post(rename_of(id), {"title": "é" * 100})).json == DONE


async def test_what_is_no_json_is_told_in_the_same_shape(owner: Visitor) -> None:
    answer = await owner.post(rename_of(await created(owner)), content=b"{")
    assert (answer.status, answer.json["success"]) == (400, False)
    assert "JSON" in answer.json["error"]


async def test_deleting_answers_as_documented(owner: Visitor) -> None:
    id = await a_talk(owner, "Hello")
    answer = await owner.delete(delete_of(id))
    assert (answer.status, answer.json) == (200, EXAMPLES["Delete Chat Session"].response)
    assert await titles_of(owner) == []
    assert (await owner.delete(delete_of(id))).json == MISSING


async def test_loading_answers_as_documented(owner: Visitor) -> None:
    id = await a_talk(owner, "Hello", "And then?")
    answer = await owner.get(load_of(id))
    assert answer.status == 200
    first, second = answer.json["chats"]
    assert shape({"chats": [first]}) == shape(EXAMPLES["Load Chat Session"].response)
    assert (first["message"], first["response"]) == ("Hello", "Hello, world!")
    assert second["message"] == "And then?"
    assert TIME.fullmatch(first["created_at"])
    assert first["created_at"] < second["created_at"]
    (listed, _) = (await owner.get(f"{SESSIONS}{id}/")).json["chats"]
    assert first == listed


async def test_loading_gives_the_newest_200_the_oldest_of_them_first(
    palaver: Palaver, owner: Visitor
) -> None:
    id = await created(owner)
    for number in range(201):
        await palaver.services.conversations.append(
            Actor(user_id=owner.user.id), id, text=f"Message {number}"
        )
    chats = (await owner.get(load_of(id))).json["chats"]
    assert [chat["message"] for chat in chats] == [f"Message {number}" for number in range(1, 201)]
    assert {chat["response"] for chat in chats} == {None}


async def every_call(visitor: Visitor, id: str, **more: Any) -> dict[str, Answer]:
    """Call every route that names a conversation."""
    return {
        "rename": await visitor.post(rename_of(id), {"title": "Stolen"}, **more),
        "delete": await visitor.delete(delete_of(id), **more),
        "load": await visitor.get(load_of(id), **{k: v for k, v in more.items() if k != "csrf"}),
    }


@pytest.mark.parametrize("id", [NOWHERE, "7", "create", "x" * 36])
async def test_a_conversation_that_is_not_there_is_not_found(owner: Visitor, id: str) -> None:
    for name, answer in (await every_call(owner, id)).items():
        refused = {"success": False, "error": "Not found."} if name == "rename" else MISSING
        assert (answer.status, answer.json) == (404, refused), name


async def test_what_belongs_to_somebody_else_is_not_there(
    owner: Visitor, stranger: Visitor
) -> None:
    id = await a_talk(owner, "Secret", title="Mine")
    theirs, nobodys = await every_call(stranger, id), await every_call(stranger, NOWHERE)
    for name, answer in theirs.items():
        assert (answer.status, answer.content) == (404, nobodys[name].content)
    assert await titles_of(owner) == ["Mine"]


async def test_who_has_not_signed_in_is_told_so_in_json(palaver: Palaver) -> None:
    visitor = palaver.visitor()
    answers = [*(await every_call(visitor, NOWHERE)).values(), await visitor.post(CREATE)]
    for answer in answers:
        assert (answer.status, answer.json) == (401, NOT_SIGNED_IN)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_token_of_the_page_is_optional_and_checked_when_sent(owner: Visitor) -> None:
    id = await created(owner)
    assert (await owner.post(CREATE, csrf=False)).status == 201
    assert (await owner.post(rename_of(id), {"title": "A"}, csrf=False)).status == 200
    wrong = {"X-CSRFToken": "wrong"}
    for answer in (
        await owner.post(CREATE, headers=wrong, csrf=False),
        await owner.post(rename_of(id), {"title": "B"}, headers=wrong, csrf=False),
        await owner.delete(delete_of(id), headers=wrong, csrf=False),
    ):
        assert (answer.status, list(answer.json)) == (403, ["detail"])
    assert (await owner.delete(delete_of(id), csrf=False)).json == DONE


async def test_another_site_changes_nothing(owner: Visitor) -> None:
    id = await created(owner, {"title": "Mine"})
    for foreign in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
        answers = [
            await owner.post(CREATE, headers=foreign),
            await owner.post(rename_of(id), {"title": "Stolen"}, headers=foreign),
            await owner.delete(delete_of(id), headers=foreign),
        ]
        assert [answer.status for answer in answers] == [403, 403, 403]
    assert await titles_of(owner) == ["Mine"]


async def test_another_method_is_refused_with_those_that_there_are(owner: Visitor) -> None:
    allowed = {
        CREATE: "POST",
        rename_of(NOWHERE): "POST",
        delete_of(NOWHERE): "DELETE",
        load_of(NOWHERE): "GET",
    }
    for path, allow in allowed.items():
        answer = await owner.request("PUT", path)
        assert (answer.status, answer.headers["allow"]) == (405, allow)
        assert answer.json == {"detail": 'Method "PUT" not allowed.'}


async def test_another_form_of_body_is_refused(owner: Visitor) -> None:
    id = await created(owner)
    for path in (CREATE, rename_of(id)):
        text = {"Content-Type": "text/plain"}
        answer = await owner.post(path, content=b"title=A", headers=text)
        assert answer.status == 415
        assert answer.json == {"detail": 'Unsupported media type "text/plain" in request.'}
        answer = await owner.post(path, {"title": "x" * 2_100_000})
        assert (answer.status, list(answer.json)) == (413, ["detail"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"title": ""}, "This field may not be blank."),
        ({"title": 7}, "Not a valid string."),
        ({"title": "x" * 101}, "Ensure this field has no more than 100 characters."),
    ],
)
async def test_a_bad_title_creates_nothing(owner: Visitor, body: Any, words: str) -> None:
    answer = await owner.post(CREATE, body)
    assert (answer.status, answer.json) == (400, {"title": [words]})
    assert await titles_of(owner) == []


async def test_the_routes_answer_without_their_last_slash_as_well(owner: Visitor) -> None:
    id = (await owner.post(CREATE.rstrip("/"))).json["session_id"]
    assert (await owner.post(rename_of(id).rstrip("/"), {"title": "A"})).json == DONE
    assert (await owner.get(load_of(id).rstrip("/"))).json == {"chats": []}
    assert (await owner.delete(delete_of(id).rstrip("/"))).json == DONE


async def test_a_bad_title_is_told_in_its_shape_without_the_last_slash_too(
    owner: Visitor,
) -> None:
    answer = await owner.post(rename_of(await created(owner)).rstrip("/"), {})
    assert answer.json == {"success": False, "error": "A title is required."}


async def test_a_key_makes_creating_safe_to_repeat(owner: Visitor) -> None:
    key = {"Idempotency-Key": "once"}
    first = await owner.post(CREATE, headers=key)
    assert (await owner.post(CREATE, headers=key)).json == first.json
    assert len(await titles_of(owner)) == 1


async def test_a_key_of_another_renaming_is_told_in_its_shape(owner: Visitor) -> None:
    id = await created(owner)
    key = {"Idempotency-Key": "once"}
    assert (await owner.post(rename_of(id), {"title": "A"}, headers=key)).json == DONE
    answer = await owner.post(rename_of(id), {"title": "B"}, headers=key)
    assert (answer.status, answer.json["success"]) == (400, False)
