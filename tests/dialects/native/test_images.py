"""The chapter "Images", pictures in messages, and those of chatbots."""

import base64
import io
from typing import Any

import pytest
from PIL import Image

from palaver.config import Settings
from palaver.domain.pictures import FILE_MAX_BYTES, PER_MESSAGE, UNSENT_MAX
from palaver.domain.users import SYSTEM
from tests.contracts import shape
from tests.dialects.native.helpers import ADMIN, EXAMPLES, assert_error
from tests.dialects.native.talking import (
    CONVERSATIONS,
    IMAGES,
    NOWHERES,
    SEES,
    a_conversation,
    a_picture,
    asked,
    ended,
    give,
    given,
    messages_of,
    send,
)
from tests.dialects.uploads import multipart, upload
from tests.fakes.scripts import error
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor


@pytest.fixture
def upstream(upstream: Upstream) -> Upstream:
    """Give a provider with a model that sees, beside the one that does not."""
    upstream.models.append({"id": "gpt-4o", "object": "model", "owned_by": "sim"})
    return upstream


def asked_of(upstream: Upstream) -> list[list[dict[str, Any]]]:
    """Return the messages of each request for an answer."""
    return [seen.body["messages"] for seen in upstream.requests if seen.body]


def shown_in(message: dict[str, Any]) -> list[bytes]:
    """Return the pictures of one message upstream."""
    content = message["content"]
    urls = [part["image_url"]["url"] for part in content if part["type"] == "image_url"]
    return [base64.b64decode(url.partition(";base64,")[2]) for url in urls]


async def test_a_picture_is_given_as_documented(owner: Visitor, settings: Settings) -> None:
    picture = await given(owner)
    assert shape(picture) == shape(EXAMPLES["Give Image"].response)
    assert (picture["media_type"], picture["width"], picture["height"]) == ("image/png", 40, 30)
    answer = await owner.get(picture["url"])
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert len(answer.content) == picture["size_bytes"]
    assert Image.open(io.BytesIO(answer.content)).size == (40, 30)
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert "private" in answer.headers["cache-control"]
    part = await owner.get(picture["url"], headers={"Range": "bytes=1-3"})
    assert (part.status, part.content) == (206, b"PNG")
    (file,) = [path for path in (settings.data_dir / "images").rglob("*") if path.is_file()]
    assert file.name == picture["id"]
    assert (await owner.delete(f"{IMAGES}/{picture['id']}")).status == 204
    assert not file.exists()
    assert (await owner.get(picture["url"])).status == 404
    assert_error(await owner.delete(f"{IMAGES}/{picture['id']}"), 404, "NOT_FOUND")


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_all_four_kinds_are_taken_and_scaled(owner: Visitor, format: str) -> None:
    picture = await given(owner, a_picture(format, (3000, 1500)))
    assert (picture["width"], picture["height"]) == (2048, 1024)
    assert (await owner.get(picture["url"])).status == 200


async def test_what_a_photograph_tells_of_its_maker_is_not_kept(owner: Visitor) -> None:
    exif = Image.Exif()
    exif[0x010F] = "A camera of mine"
    picture = await given(owner, a_picture("JPEG", exif=exif))
    assert b"A camera of mine" not in (await owner.get(picture["url"])).content


@pytest.mark.parametrize(
    ("content", "status", "code", "fields"),
    [
        (b"", 400, "INVALID_INPUT", ["file"]),
        (b"\x89PNG\r\n\x1a\n and nothing more", 400, "INVALID_INPUT", ["file"]),
        (b"GIF89a", 400, "INVALID_INPUT", ["file"]),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "UNSUPPORTED_MEDIA_TYPE", []),
        (b"%PDF-1.7", 415, "UNSUPPORTED_MEDIA_TYPE", []),
        (b"BM" + bytes(60), 415, "UNSUPPORTED_MEDIA_TYPE", []),
        (b"\xff\xd8\xff" + bytes(FILE_MAX_BYTES), 413, "PAYLOAD_TOO_LARGE", []),
        (b"\xff\xd8\xff" + bytes(2 * FILE_MAX_BYTES), 413, "PAYLOAD_TOO_LARGE", []),
    ],
    ids=["empty", "cut", "head", "svg", "pdf", "bmp", "large", "huge"],
)
async def test_what_is_no_picture_is_refused(
    owner: Visitor, content: bytes, status: int, code: str, fields: list[str]
) -> None:
    assert_error(await give(owner, content), status, code, *fields)


async def test_nothing_but_an_upload_is_taken(owner: Visitor, palaver: Palaver) -> None:
    assert_error(await owner.post(IMAGES, {"file": "x"}), 415, "UNSUPPORTED_MEDIA_TYPE")
    assert_error(await owner.post(IMAGES), 400, "INVALID_INPUT", "body")
    answer = await upload(owner, IMAGES, multipart(None, title="x"))
    assert_error(answer, 400, "INVALID_INPUT", "file")
    assert_error(await give(palaver.visitor(), a_picture()), 401, "UNAUTHENTICATED")


async def test_a_repeat_gives_the_same_picture(owner: Visitor) -> None:
    headers = {"Idempotency-Key": "once"}
    first = await give(owner, a_picture(), headers=headers)
    again = await give(owner, a_picture(), headers=headers)
    assert (again.status, again.json) == (201, first.json)


async def test_nobody_else_has_it(owner: Visitor, stranger: Visitor, admin: Visitor) -> None:
    picture = await given(owner)
    for other in (stranger, admin):
        assert (await other.get(picture["url"])).status == 404
        for id in (picture["id"], *NOWHERES):
            assert_error(await other.delete(f"{IMAGES}/{id}"), 404, "NOT_FOUND")
        answer = await send(other, await a_conversation(other), image_ids=[picture["id"]])
        assert answer.status == 400
    assert (await owner.get(picture["url"])).status == 200
    owner.session.cookie_jar.clear()
    assert (await owner.get(picture["url"])).status == 401


class TestMessages:
    """Pictures that are sent."""

    async def test_a_model_that_sees_is_shown_them(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        pictures = [await given(owner), await given(owner, a_picture("JPEG", (20, 10)))]
        ids = [picture["id"] for picture in pictures]
        told = await asked(owner, id, "What is this?", image_ids=ids, model=SEES)
        assert told["message"]["images"] == pictures
        assert (await messages_of(owner, id))[0]["images"] == pictures
        ((question,),) = asked_of(upstream)
        assert question["content"][0] == {"type": "text", "text": "What is this?"}
        files = [(await owner.get(picture["url"])).content for picture in pictures]
        assert shown_in(question) == files
        await asked(owner, id, "And now?")  # the conversation's model goes on to see them
        assert shown_in(asked_of(upstream)[1][0]) == files

    async def test_a_model_that_does_not_see_refuses_them_and_reads_a_word_later(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        picture = await given(owner)
        answer = await send(owner, id, image_ids=[picture["id"]], model="sim/sim")
        assert_error(answer, 400, "INVALID_INPUT", "image_ids")
        assert "sim/sim does not see" in answer.json["message"]
        assert await messages_of(owner, id) == []
        await asked(owner, id, "Look", image_ids=[picture["id"]], model=SEES)
        await asked(owner, id, "And you?", model="sim/sim")
        assert asked_of(upstream)[1][0] == {"role": "user", "content": "Look\n[image]"}

    async def test_one_can_be_sent_once_and_is_no_longer_taken_back(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        picture = await given(owner)
        await asked(owner, id, image_ids=[picture["id"]], model=SEES)
        answer = await send(owner, id, image_ids=[picture["id"]], model=SEES)
        assert_error(answer, 400, "INVALID_INPUT", "image_ids")
        assert_error(await owner.delete(f"{IMAGES}/{picture['id']}"), 409, "CONFLICT")

    async def test_what_makes_no_sense_is_refused(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        picture = (await given(owner))["id"]
        for ids in ([NOWHERES[0]], [picture, NOWHERES[0]], [picture, picture]):
            answer = await send(owner, id, image_ids=ids, model=SEES)
            assert_error(answer, 400, "INVALID_INPUT", "image_ids")
        answer = await send(owner, id, image_ids=[picture] * (PER_MESSAGE + 1), model=SEES)
        assert_error(answer, 400, "INVALID_INPUT", "image_ids")
        await asked(owner, id, image_ids=[picture], model=SEES)  # it is still there to be sent

    async def test_an_edit_keeps_the_pictures(self, owner: Visitor, upstream: Upstream) -> None:
        id = await a_conversation(owner)
        picture = await given(owner)
        told = await asked(owner, id, image_ids=[picture["id"]], model=SEES)
        (session,) = (await owner.get("/api/chat-sessions/")).json
        base = f"/api/chat-sessions/{session['id']}/messages/"
        message_id = told["message"]["id"]
        answer = await owner.post(f"{base}{message_id}/edit/", {"content": "Look again"})
        assert answer.status == 200
        (question, *_) = await messages_of(owner, id)
        await ended(owner, question["generation"]["id"])
        assert (question["content"], question["images"]) == ("Look again", [picture])
        assert len(shown_in(asked_of(upstream)[1][0])) == 1
        (shown, _) = (await owner.get(base)).json["messages"]
        assert (shown["content"], shown["image_url"]) == ("Look again", picture["url"])

    async def test_a_repeat_of_one_that_failed_shows_them_again(
        self, owner: Visitor, upstream: Upstream
    ) -> None:
        id = await a_conversation(owner)
        picture = await given(owner)
        upstream.plan(error(400, "No."))
        body = {"image_ids": [picture["id"]], "model": SEES}
        await asked(owner, id, **body)
        (session,) = (await owner.get("/api/chat-sessions/")).json
        answer = await owner.post("/chat/retry", {"conversation_id": session["id"]})
        assert answer.status == 200
        (question, *_) = await messages_of(owner, id)
        await ended(owner, question["generation"]["id"])
        assert question["images"] == [picture]
        assert len(shown_in(asked_of(upstream)[1][0])) == 1
        assert (await owner.get(picture["url"])).status == 200

    async def test_they_go_with_their_conversation(self, owner: Visitor) -> None:
        id = await a_conversation(owner)
        picture = await given(owner)
        await asked(owner, id, image_ids=[picture["id"]], model=SEES)
        assert (await owner.get(picture["url"])).status == 200
        await owner.delete(f"{CONVERSATIONS}/{id}")
        assert (await owner.get(picture["url"])).status == 404


async def test_only_so_many_wait_to_be_sent(owner: Visitor) -> None:
    for _ in range(UNSENT_MAX):
        last = await given(owner, a_picture(size=(1, 1)))
    answer = await give(owner, a_picture(size=(1, 1)))
    assert_error(answer, 429, "QUOTA_EXCEEDED")
    assert int(answer.headers["retry-after"]) > 0
    await owner.delete(f"{IMAGES}/{last['id']}")
    await given(owner, a_picture(size=(1, 1)))


async def test_what_was_not_sent_is_gone_after_a_day(
    owner: Visitor, palaver: Palaver, clock: MovableClock
) -> None:
    picture = await given(owner)
    await palaver.services.pictures.sweep(SYSTEM)
    assert (await owner.get(picture["url"])).status == 200
    clock.move(seconds=24 * 3600 + 1)
    await palaver.services.pictures.sweep(SYSTEM)
    assert (await owner.get(picture["url"])).status == 404


class TestChatbots:
    """Pictures that administrators give."""

    PATH = f"{ADMIN}/chatbots/1/image"

    async def test_a_chatbot_gets_another_picture(
        self, admin: Visitor, owner: Visitor, palaver: Palaver
    ) -> None:
        answer = await give(admin, a_picture("JPEG", (1000, 500)), self.PATH)
        assert answer.status == 200
        assert shape(answer.json) == shape(EXAMPLES["Get Chatbot"].response)
        image = answer.json["image"]
        assert (await admin.get(f"{ADMIN}/chatbots/1")).json == answer.json
        (bot,) = (await owner.get("/api/chatbots/")).json
        assert bot["image"] == image
        file = await owner.get(image)
        assert (file.status, file.headers["content-type"]) == (200, "image/jpeg")
        assert Image.open(io.BytesIO(file.content)).size == (512, 256)
        assert (await owner.get(image.replace(".jpg", ".exe"))).status == 404
        nobody = palaver.visitor()
        assert (await nobody.get(image)).status == 401
        assert (await admin.get("/media/chatbot_images/general.png")).status == 200

    async def test_others_may_not_and_what_is_wrong_is_named(
        self, admin: Visitor, owner: Visitor
    ) -> None:
        assert_error(await give(owner, a_picture(), self.PATH), 403, "ADMIN_REQUIRED")
        path = self.PATH.replace("/1/", "/99/")
        assert_error(await give(admin, a_picture(), path), 404, "NOT_FOUND")
        answer = await give(admin, b"\x89PNG\r\n\x1a\n", self.PATH)
        assert_error(answer, 400, "INVALID_INPUT", "file")
        assert_error(await give(admin, b"x", self.PATH), 415, "UNSUPPORTED_MEDIA_TYPE")

    async def test_the_former_one_is_swept(
        self, admin: Visitor, palaver: Palaver, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        former = (await give(admin, a_picture(), self.PATH)).json["image"]
        monkeypatch.setattr("palaver.services.sweeping.STRAY_SECONDS", -1.0)
        portraits = palaver.services.portraits
        assert await portraits.sweep(SYSTEM) == 0
        newer = (await give(admin, a_picture(size=(9, 9)), self.PATH)).json["image"]
        assert await portraits.sweep(SYSTEM) == 1
        assert (await admin.get(former)).status == 404
        assert (await admin.get(newer)).status == 200
