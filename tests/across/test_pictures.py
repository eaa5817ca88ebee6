"""A picture that a model has made, through all contracts: an answer like any other."""

import re
from typing import Any, Final

import pytest

from palaver.domain.chatbots import ChatbotChange
from palaver.domain.models import ModelChange
from palaver.domain.users import SYSTEM
from tests.across.tongues import TONGUES, Tongue, ok
from tests.fakes.scripts import PICTURE
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, settled

SESSIONS: Final = "/api/chat-sessions/"
MARKDOWN: Final = re.compile(r"!\[A red fox\]\((/media/images/[0-9a-f-]{36}\.png)\)")


@pytest.fixture
def upstream(upstream: Upstream) -> Upstream:
    """Give a provider with a model that paints, beside the one that talks."""
    upstream.models.append({"id": "dall-e-3", "object": "model", "owned_by": "sim"})
    return upstream


@pytest.fixture
async def painter(palaver: Palaver) -> int:
    """Give the id of a chatbot that makes pictures."""
    change = ChatbotChange(name="Painter", chatbot_type="image")
    return (await palaver.services.chatbots.create(SYSTEM, change)).id


async def a_session(visitor: Visitor, painter: int) -> Any:
    """Return the id of a session with the painter."""
    return ok(await visitor.post(SESSIONS, {"title": "Foxes", "chatbot_id": painter}))["id"]


async def painted(visitor: Visitor, session_id: Any) -> str:
    """Have a picture made, and return its address."""
    ok(await visitor.post(f"{SESSIONS}{session_id}/send/", {"message": "A red fox"}))
    found: list[Any] = []

    async def is_answered() -> bool:
        nonlocal found
        found = ok(await visitor.get(f"{SESSIONS}{session_id}/messages/"))["messages"]
        return found[-1]["message_type"] == "assistant"

    await settled(is_answered)
    assert (found[-2]["content"], found[-2]["image_url"]) == ("A red fox", "")
    assert found[-1]["content"] == ""
    url: str = found[-1]["image_url"]
    return url


async def test_subscriptions_shows_its_address(owner: Visitor, painter: int) -> None:
    id = await a_session(owner, painter)
    url = await painted(owner, id)
    answer = await owner.get(url)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert answer.content.startswith(PICTURE[:8])
    async with owner.open("GET", f"{SESSIONS}{id}/events/") as response:
        events = (await response.read()).decode()
    assert url in events
    assert '"status":"ok"' in events


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
async def test_every_other_contract_shows_it_in_the_text(
    tongue: Tongue, owner: Visitor, painter: int
) -> None:
    url = await painted(owner, await a_session(owner, painter))
    ((key, _),) = (await tongue.titles(owner)).items()
    said = await tongue.read(owner, key)
    shown = "" if tongue.name == "subscriptions" else f"![A red fox]({url})"
    assert said == [("user", "A red fox"), ("assistant", shown)]


async def test_streaming_streams_it(owner: Visitor, painter: int) -> None:
    id = await a_session(owner, painter)
    ok(await owner.post(f"/conversations/{id}/messages", {"content": "A red fox"}))
    async with owner.events(f"/conversations/{id}/stream", {}) as events:
        told = await events.all()
    text = "".join(event.data["delta"] for event in told if event.name == "delta")
    assert MARKDOWN.fullmatch(text)
    assert told[-1].data["status"] == "ok"


async def test_native_tells_what_it_is_busy_with_and_lists_it(owner: Visitor, painter: int) -> None:
    base = "/api/palaver/conversations"
    id = ok(await owner.post(base, {"title": "Foxes", "chatbot_id": painter}))["id"]
    sent = ok(await owner.post(f"{base}/{id}/messages", {"content": "A red fox"}))
    path = f"/api/palaver/generations/{sent['generation']['id']}/events"
    async with owner.open("GET", path) as response:
        events = (await response.read()).decode()
    assert "Making a picture" in events
    (_, answer) = ok(await owner.get(f"{base}/{id}/messages"))["items"]
    (image,) = answer["images"]
    assert answer["content"] == f"![A red fox]({image['url']})"
    assert (image["media_type"], image["width"], image["height"]) == ("image/png", 1, 1)


@pytest.mark.parametrize("tongue", TONGUES, ids=lambda tongue: tongue.name)
async def test_a_model_that_paints_is_asked_through_every_contract(
    tongue: Tongue, owner: Visitor, palaver: Palaver, upstream: Upstream, painter: int
) -> None:
    model = await palaver.services.registry.get(SYSTEM, "sim/sim")
    await palaver.services.registry.update(SYSTEM, model.id, ModelChange(type="image"))
    await a_session(owner, painter)
    ((key, _),) = (await tongue.titles(owner)).items()
    await tongue.say(owner, key, "A red fox")
    (request,) = [seen for seen in upstream.requests if seen.path.endswith("/images/generations")]
    assert request.body["prompt"] == "A red fox"
    reader = next(each for each in TONGUES if each.name == "native")
    ((there, _),) = (await reader.titles(owner)).items()
    (_, (_, text)) = await reader.read(owner, there)
    assert MARKDOWN.fullmatch(text)


async def test_nobody_else_finds_the_file(
    owner: Visitor, stranger: Visitor, admin: Visitor, palaver: Palaver, painter: int
) -> None:
    url = await painted(owner, await a_session(owner, painter))
    nobody = palaver.visitor()
    for path in (url, "/media/images/none.png", "/media/other/x.png"):
        assert (await nobody.get(path)).status == 401
        assert (await stranger.get(path)).status == 404
        assert (await admin.get(path)).status == 404
    assert (await owner.get(url)).status == 200
    assert (await owner.get(url.replace(".png", ".jpg"))).status == 404


async def test_the_file_is_sent_in_parts_and_once(owner: Visitor, painter: int) -> None:
    url = await painted(owner, await a_session(owner, painter))
    whole = await owner.get(url)
    part = await owner.get(url, headers={"Range": "bytes=1-3"})
    assert (part.status, part.content) == (206, b"PNG")
    beyond = await owner.get(url, headers={"Range": "bytes=999999-"})
    assert beyond.status == 416
    etag = whole.headers["etag"]
    again = await owner.get(url, headers={"If-None-Match": etag})
    assert (again.status, again.content) == (304, b"")
    stale = await owner.get(url, headers={"Range": "bytes=1-3", "If-Range": '"other"'})
    assert (stale.status, stale.content) == (200, whole.content)
    head = await owner.request("HEAD", url)
    assert (head.status, head.headers["content-length"]) == (200, str(len(whole.content)))


async def test_what_was_deleted_is_not_found(owner: Visitor, painter: int) -> None:
    id = await a_session(owner, painter)
    url = await painted(owner, id)
    assert (await owner.delete(f"{SESSIONS}{id}/")).status == 200
    assert (await owner.get(url)).status == 404


async def test_a_deleted_exchange_takes_its_picture_along(owner: Visitor, painter: int) -> None:
    url = await painted(owner, await a_session(owner, painter))
    ((key, _),) = (await TONGUES[0].titles(owner)).items()
    base = f"/api/v1/chat/sessions/{key}/chats/"
    (exchange,) = ok(await owner.get(base))["results"]
    assert (await owner.delete(f"{base}{exchange['id']}/")).status == 204
    assert (await owner.get(url)).status == 404
