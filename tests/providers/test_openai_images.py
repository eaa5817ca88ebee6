"""Pictures over OpenAI's protocol: those that go with a turn, and those that are made."""

import base64
import json
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import UsageReported
from palaver.domain.providers import CompletionRequest, ImageRef, ImageRequest, MadeImage, Turn
from palaver.providers.openai import OpenAIProvider, images
from palaver.providers.openai.asking import Server
from tests.fakes.scripts import PICTURE, Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import outcome, speaking_to

F = ErrorKind.PROVIDER_FAILED


def a_picture(model: str = "sim-image") -> ImageRequest:
    return ImageRequest(model, "A red fox", user="u1")


async def refused(provider: OpenAIProvider, model: str = "sim-image") -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await provider.make_image(a_picture(model))
    return caught.value


async def test_pictures_of_a_turn_are_parts_of_it(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    png, webp = ImageRef("a", "image/png", 1, 1), ImageRef("b", "image/webp", 1, 1)
    request = CompletionRequest(
        "sim",
        (Turn("user", "What is it?", images=(png, webp)), Turn("user", "", images=(png,)), Turn("user", "Well?")),
        images={"a": base64.b64encode(PICTURE), "b": base64.b64encode(b"webp")},
    )  # fmt: skip
    assert (await outcome(provider, request)).text == "Hello, world!"
    first = f"data:image/png;base64,{base64.b64encode(PICTURE).decode()}"
    (message,) = upstream.requests[0].body["messages"]
    assert message["content"] == [
        {"type": "text", "text": "What is it?"},
        {"type": "image_url", "image_url": {"url": first}},
        {"type": "image_url", "image_url": {"url": "data:image/webp;base64,d2VicA=="}},
        {"type": "image_url", "image_url": {"url": first}},
        {"type": "text", "text": "Well?"},
    ]


async def test_a_picture_is_made_and_its_tokens_are_told(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    made = await provider.make_image(a_picture("gpt-image-2.5-flare"))
    assert made == MadeImage(PICTURE, UsageReported(3, 1_056))
    assert upstream.requests[0].body == {
        "model": "gpt-image-2.5-flare",
        "prompt": "A red fox",
        "n": 1,
        "user": "u1",
    }


async def test_a_server_that_would_send_an_address_is_asked_for_the_picture(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    said = "Unknown parameter: 'response_format'."
    upstream.default = Script(usage=None)
    upstream.plan(upstream.default, error(400, said))
    for _ in range(3):
        assert await provider.make_image(a_picture()) == MadeImage(PICTURE)
    formats = [seen.body.get("response_format") for seen in upstream.requests]
    assert formats == ["b64_json", "b64_json", None, None]


@pytest.mark.parametrize("address", ["/pictures/1.png", "{origin}/pictures/1.png"])
async def test_a_picture_at_an_address_of_the_server_itself_is_fetched(
    build: Build, upstream: Upstream, address: str
) -> None:
    origin = upstream.base_url.removesuffix("/v1")
    upstream.plan(Script(picture_address=address.format(origin=origin)))
    made = await build(api_key="sk-secret").make_image(a_picture())
    assert made.content == PICTURE
    assert [seen.path for seen in upstream.requests] == [
        "/v1/images/generations",
        "/pictures/1.png",
    ]


@pytest.mark.parametrize(
    "address",
    ["http://127.0.0.1:9/x.png", "https://elsewhere.example/x.png", "http://169.254.169.254/latest", "file:///etc/passwd", "//elsewhere.example/x", "http://[", "data:image/png,plain", ""],
)  # fmt: skip
async def test_an_address_elsewhere_is_not_asked(
    provider: OpenAIProvider, upstream: Upstream, address: str
) -> None:
    upstream.plan(Script(picture_address=address))
    assert (await refused(provider)).message == (
        "Simulator sent an address in place of a picture, and it is not its own."
    )
    assert len(upstream.requests) == 1


async def test_a_redirect_leads_nowhere_else(provider: OpenAIProvider, upstream: Upstream) -> None:
    away = Script(status=302, headers={"Location": "http://127.0.0.1:9/"}, body=b"")
    upstream.plan(Script(picture_address="/pictures/1.png"), away)
    assert "has moved" in (await refused(provider)).message


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (error(400, "Your request was rejected by the safety system.", code="moderation_blocked"), F, "Simulator refused the request with status 400: Your request was rejected by the safety system."),
        (error(401, "x"), F, "Simulator refused the key: check SIM_API_KEY."),
        (error(404, "The model `sim-image` does not exist.", code="model_not_found"), ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim-image".'),
        (error(404, "Not Found"), ErrorKind.MODEL_NOT_FOUND, "Simulator makes no images."),
        (Script(status=405, body=b"Method Not Allowed"), ErrorKind.MODEL_NOT_FOUND, "Simulator makes no images."),
        (Script(body=b'{"error":{"message":"No GPU."}}'), F, "Simulator reports an error: No GPU."),
        (Script(body=b'{"data":[]}'), F, "Simulator made no picture."),
        (Script(body=b'{"data":[{"b64_json":"!!!"}]}'), F, "What Simulator sent cannot be read as a picture."),
        (Script(body=b'{"data":[{"b64_json":"abc"}]}'), F, "What Simulator sent cannot be read as a picture."),
        (Script(body=b"<html>"), F, "What Simulator sent cannot be read as a picture."),
        (Script(body=b"[" * 100_000), F, "What Simulator sent cannot be read as a picture."),
    ],
)  # fmt: skip
async def test_why_there_is_no_picture_is_told(
    build: Build, upstream: Upstream, script: Script, kind: ErrorKind, sentence: str
) -> None:
    upstream.plan(script)
    caught = await refused(build(api_key="sk-secret"))
    assert (caught.kind, caught.message) == (kind, sentence)
    assert len(upstream.requests) == 1


async def test_who_has_too_much_to_do_is_asked_again(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(error(429, "Too much."), error(503, "Loading."))
    assert (await provider.make_image(a_picture())).content == PICTURE
    assert len(upstream.requests) == 3


async def test_a_picture_without_end_is_cut_off(
    provider: OpenAIProvider, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MAX_IMAGE_BYTES", 50)
    upstream.plan(Script(), Script(picture_address="/pictures/1.png"), Script())
    for _ in range(2):
        assert "more than 32 MiB" in (await refused(provider)).message
    monkeypatch.setattr(images, "MAX_BODY_BYTES", 30)
    assert "more than 32 MiB" in (await refused(provider)).message


async def test_a_server_that_never_answers_is_a_time_out(build: Build, upstream: Upstream) -> None:
    upstream.plan(Script(failure=Failure.SILENT))
    caught = await refused(build(whole_timeout_seconds=0.2))
    assert caught.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_openrouter_answers_with_a_picture(build: Build, upstream: Upstream) -> None:
    provider = speaking_to(build(), Server.OPENROUTER)
    usage = {"prompt_tokens": 3, "completion_tokens": 1_290, "cost": 0.039}
    upstream.plan(Script(usage=usage))
    made = await provider.make_image(a_picture("google/gemini-2.5-flash-image"))
    assert made == MadeImage(PICTURE, UsageReported(3, 1_290, cost_micro_usd=39_000))
    seen = upstream.requests[0]
    assert seen.path == "/v1/chat/completions"
    assert seen.body == {
        "model": "google/gemini-2.5-flash-image",
        "messages": [{"role": "user", "content": "A red fox"}],
        "modalities": ["image", "text"],
        "usage": {"include": True},
        "user": "u1",
    }


async def test_a_model_that_says_no_word_beside_its_picture_is_asked_for_none(
    build: Build, upstream: Upstream
) -> None:
    provider = speaking_to(build(), Server.OPENROUTER)
    said = "No endpoints found that support the requested output modalities: image, text"
    upstream.plan(error(404, said, code=404))
    for _ in range(2):
        assert (
            await provider.make_image(a_picture("black-forest-labs/flux.2-pro"))
        ).content == PICTURE
    asked: list[Any] = [seen.body["modalities"] for seen in upstream.requests]
    assert asked == [["image", "text"], ["image"], ["image"]]


async def test_a_model_that_talks_instead_is_quoted(build: Build, upstream: Upstream) -> None:
    provider = speaking_to(build(), Server.OPENROUTER)
    message = {"role": "assistant", "content": "I cannot paint that.", "images": None}
    upstream.plan(Script(body=json.dumps({"choices": [{"message": message}]}).encode()))
    assert (await refused(provider)).message == "Simulator made no picture: I cannot paint that."
