"""Every route that takes an id, with another user's id in it: it is not there, and stays as it is.

Each is called three times: by a stranger, with what the owner has; by the stranger, with what
nobody has; and by the owner. The first two answers are the same, the third is another one.
"""

import re
from typing import Any

import msgspec
import pytest

from palaver.config import Settings
from palaver.dialects import DIALECTS
from palaver.web.binding import Uuid, signature_of
from palaver.web.endpoint import Access, Dialect, Endpoint
from tests.dialects.native.talking import a_picture
from tests.dialects.uploads import multipart, upload
from tests.http import Answer, Visitor, settled

NOBODYS = {int: "9999999", Uuid: "01890a5d-ac96-774b-bcce-b302099a8057", str: "nothing.png"}
NOT_OWNED = {"provider_id", "invite"}  # and what administrators alone name
BODIES: dict[str, Any] = {
    "POST /chat/session/{session_id}/rename/": {"title": "x"},
    "POST /chat/{session_id}/": {"message": "x"},
    "PUT /api/v1/chat/sessions/{session_id}/": {"title": "x"},
    "PATCH /api/v1/chat/sessions/{session_id}/": {"title": "x"},
    "POST /api/v1/chat/sessions/{session_id}/chats/": {"message": "x"},
    "PUT /api/chat-sessions/{session_id}/": {"title": "x"},
    "POST /api/chat-sessions/{session_id}/send/": {"message": "x"},
    "POST /api/chat-sessions/{session_id}/update-title/": {"title": "x"},
    "POST /api/chat-sessions/{session_id}/messages/{message_id}/edit/": {"content": "x"},
    "PATCH /conversations/{conversation_id}": {"title": "x"},
    "POST /conversations/{conversation_id}/messages": {"content": "x"},
    "POST /conversations/{conversation_id}/stream": {},
    "PATCH /api/v1/chats/{chat_id}": {"title": "x"},
    "PATCH /api/v1/webhooks/{webhook_id}": {"description": "x"},
    "PATCH /api/palaver/conversations/{conversation_id}": {"title": "x"},
    "POST /api/palaver/conversations/{conversation_id}/messages": {"content": "x"},
    "PATCH /api/palaver/conversations/{conversation_id}/options": {"use_rag": True},
    "POST /api/palaver/generations/{generation_id}/retry": {},
    "PATCH /api/palaver/memories/{memory_id}": {"content": "x"},
}
"""What a route wants to be told, so that a refusal is one of what it names."""


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give a house whose operator owns this machine, and where many may call often."""
    return msgspec.structs.replace(
        settings,
        outbound_allow_networks=("127.0.0.0/8",),
        rate_limit_per_minute=0,
        rate_limit_per_hour=0,
    )


def owned_routes(dialect: Dialect) -> list[Endpoint]:
    """Return the routes that name somebody's things."""
    return [
        endpoint
        for endpoint in dialect.endpoints
        if endpoint.access is Access.USER
        and not endpoint.path.startswith(("/media/chatbot_images/", "/media/{folder}/"))
        and {name for name, _ in signature_of(endpoint.handler, endpoint.path).path} - NOT_OWNED
    ]


def key(endpoint: Endpoint) -> str:
    return f"{endpoint.method} {endpoint.path}"


def test_every_route_that_wants_a_body_has_one_here() -> None:
    wanting = {
        key(endpoint)
        for dialect in DIALECTS
        for endpoint in owned_routes(dialect)
        if signature_of(endpoint.handler, endpoint.path).body is not None
    }
    assert wanting == set(BODIES)


async def things_of(owner: Visitor) -> dict[str, dict[type, str]]:
    """Give the owner one thing of every kind; return its ids by parameter and by form."""
    chat = (await owner.post("/api/chat-sessions/", {})).json
    sent = await owner.post(f"/api/chat-sessions/{chat['id']}/send/", {"message": "Hello"})
    assert sent.status == 201, sent
    (uuid,) = [each["id"] for each in (await owner.get("/api/v1/chats")).json]

    async def is_answered() -> bool:
        return len((await owner.get(f"/api/v1/chats/{uuid}/messages")).json) == 2

    await settled(is_answered)
    question, answer = (await owner.get(f"/api/v1/chats/{uuid}/messages")).json
    (exchange,) = (await owner.get(f"/api/v1/chat/sessions/{uuid}/chats/")).json["results"]
    generation = (
        await owner.post(f"/api/palaver/conversations/{uuid}/messages", {"content": "Again"})
    ).json["generation"]["id"]
    made = await upload(owner, "/api/palaver/images", multipart(a_picture(), name="x.png"))
    assert made.status == 201, made
    memory = (await owner.post("/api/v1/memories", {"content": "Likes tea"})).json
    document = (await owner.post("/api/v1/documents", {"title": "x", "content": "text"})).json
    webhook = await owner.post(
        "/api/v1/webhooks", {"url": "http://127.0.0.1:9999/", "events": ["memory.created"]}
    )
    assert webhook.status == 200, webhook
    await owner.post("/api/v1/memories", {"content": "Likes cake"})
    (delivery,) = (await owner.get(f"/api/v1/webhooks/{webhook.json['id']}/deliveries")).json
    (session,) = (await owner.get("/api/palaver/sessions")).json["items"]
    api_key = (await owner.post("/api/palaver/api-keys", {"name": "x"})).json
    talk = {int: str(chat["id"]), Uuid: uuid}
    return {
        "session_id": talk,
        "conversation_id": talk,
        "chat_id": {int: str(exchange["id"]), Uuid: uuid},
        "message_id": {Uuid: question["id"], str: answer["id"]},
        "generation_id": {Uuid: generation},
        "image_id": {Uuid: made.json["id"]},
        "name": {str: made.json["url"].rpartition("/")[2]},
        "memory_id": {Uuid: memory["id"]},
        "document_id": {Uuid: document["id"]},
        "webhook_id": {Uuid: webhook.json["id"]},
        "delivery_id": {Uuid: delivery["id"]},
        "key_id": {Uuid: api_key["id"]},
        "own_session_id": {Uuid: session["id"]},
    }


def path_to(endpoint: Endpoint, things: dict[str, dict[type, str]] | None) -> str:
    """Return a path to somebody's things, or to what nobody has."""
    path = endpoint.path
    for name, kind in signature_of(endpoint.handler, endpoint.path).path:
        known = name
        if endpoint.path == "/api/palaver/sessions/{session_id}":
            known = "own_session_id"
        if endpoint.path == "/api/palaver/messages/{message_id}/sources":
            kind_known: type = str  # an answer
        else:
            kind_known = kind
        value = NOBODYS[kind] if things is None else things[known][kind_known]
        path = path.replace(f"{{{name}}}", value)
    return path


async def call(visitor: Visitor, endpoint: Endpoint, path: str) -> Answer:
    return await visitor.request(endpoint.method, path, BODIES.get(key(endpoint)))


def told(answer: Answer) -> tuple[int, bytes]:
    """Return what somebody learns from an answer: all but what is drawn by lot."""
    return answer.status, re.sub(rb"[0-9a-f-]{16,36}", b"?", answer.content)


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
async def test_somebody_elses_things_are_not_there(
    owner: Visitor, stranger: Visitor, admin: Visitor, dialect: Dialect
) -> None:
    things = await things_of(owner)
    routes = owned_routes(dialect)
    # What takes things away comes last, so that the owner still has them before.
    for endpoint in sorted(routes, key=lambda each: each.method == "DELETE"):
        theirs, nobodys = path_to(endpoint, things), path_to(endpoint, None)
        refused = await call(stranger, endpoint, theirs)
        assert refused.status == 404, (key(endpoint), refused)
        assert told(refused) == told(await call(stranger, endpoint, nobodys)), key(endpoint)
        by_admin = await call(admin, endpoint, theirs)
        assert by_admin.status == 404, (key(endpoint), by_admin)
    for endpoint in sorted(routes, key=lambda each: each.method == "DELETE"):
        if endpoint.method == "GET" and not endpoint.events:
            answer = await call(owner, endpoint, path_to(endpoint, things))
            # 204: the file of a document that is gone; 409: one that has not been read yet.
            assert answer.status in {200, 302, 409}, (key(endpoint), answer)
