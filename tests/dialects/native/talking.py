"""What the tests of talking through this contract share."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from PIL import Image

from tests.dialects.uploads import multipart, upload
from tests.http import Answer, Event, Events, Visitor, settled

CONVERSATIONS: Final = "/api/palaver/conversations"
GENERATIONS: Final = "/api/palaver/generations"
IMAGES: Final = "/api/palaver/images"
NOWHERE: Final = "01890a5d-ac96-774b-bcce-b302099a8057"
NOWHERES: Final = (NOWHERE, "7", "x")
SEES: Final = "sim/gpt-4o"
ANSWER: Final = "Hello, world!"


async def a_conversation(visitor: Visitor, **body: Any) -> str:
    """Return the id of a new conversation; it has a title, so that the model is asked for none."""
    answer = await visitor.post(CONVERSATIONS, {"title": "A walk"} | body)
    assert answer.status == 201, answer
    id: str = answer.json["id"]
    return id


async def send(visitor: Visitor, id: str, content: str = "Hello", **body: Any) -> Answer:
    """Say something."""
    return await visitor.post(f"{CONVERSATIONS}/{id}/messages", {"content": content} | body)


async def sent(visitor: Visitor, id: str, content: str = "Hello", **body: Any) -> Any:
    """Say something, and return message and generation."""
    answer = await send(visitor, id, content, **body)
    assert answer.status == 201, answer
    return answer.json


async def ended(visitor: Visitor, generation_id: str) -> Any:
    """Return a generation once it has ended."""
    found: Any = None

    async def is_over() -> bool:
        nonlocal found
        found = (await visitor.get(f"{GENERATIONS}/{generation_id}")).json
        return found["state"] not in {"queued", "running"}

    await settled(is_over)
    return found


async def asked(visitor: Visitor, id: str, content: str = "Hello", **body: Any) -> Any:
    """Say something, wait for the end of its answer, and return what was sent."""
    told = await sent(visitor, id, content, **body)
    await ended(visitor, told["generation"]["id"])
    return told


async def messages_of(visitor: Visitor, id: str, query: str = "") -> list[Any]:
    answer = await visitor.get(f"{CONVERSATIONS}/{id}/messages{query}")
    assert answer.status == 200, answer
    items: list[Any] = answer.json["items"]
    return items


@asynccontextmanager
async def following(
    visitor: Visitor, generation_id: str, query: str = "", **headers: str
) -> AsyncIterator[Events]:
    """Follow a generation."""
    path = f"{GENERATIONS}/{generation_id}/events{query}"
    async with visitor.open("GET", path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Events(response)


async def followed(visitor: Visitor, generation_id: str, query: str = "") -> list[Event]:
    """Follow a generation to its end."""
    async with following(visitor, generation_id, query) as events:
        return await events.all()


def text_of(events: list[Event]) -> str:
    """Return what an answer says."""
    return "".join(event.data["text"] for event in events if event.name == "text")


def a_picture(format: str = "PNG", size: tuple[int, int] = (40, 30), **more: Any) -> bytes:
    """Return a picture."""
    out = io.BytesIO()
    Image.new("RGB", size, "teal").save(out, format, **more)
    return out.getvalue()


async def give(visitor: Visitor, content: bytes, path: str = IMAGES, **more: Any) -> Answer:
    """Give a picture, whatever is said of it."""
    body = multipart(content, name="x.bin", declared="application/octet-stream")
    return await upload(visitor, path, body, **more)


async def given(visitor: Visitor, content: bytes | None = None) -> Any:
    """Return a picture that was given."""
    answer = await give(visitor, content or a_picture())
    assert answer.status == 201, answer
    return answer.json
