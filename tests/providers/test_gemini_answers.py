"""Gemini's protocol when all goes well: what is asked, and what the answer becomes."""

import asyncio
import base64
import json
from contextlib import aclosing
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind
from palaver.domain.events import Finished, FinishReason, ReasoningDelta, TextDelta, UsageReported
from palaver.domain.providers import CompletionRequest, ImageRef, ImageRequest, Turn
from palaver.providers.gemini import GeminiProvider
from tests.fakes.gemini import Gemini, GeminiScript, refusal
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildGemini
from tests.providers.helpers import ask, outcome, words

FLASH = "gemini-2.5-flash"


async def test_an_answer_comes_delta_by_delta_with_usage_before_its_end(
    google: GeminiProvider,
) -> None:
    got = await outcome(google)
    assert got.events == [
        TextDelta("Hello"),
        TextDelta(","),
        TextDelta(" world"),
        TextDelta("!"),
        UsageReported(prompt_tokens=5, completion_tokens=4),
        Finished(FinishReason.STOP),
    ]


async def test_the_request_is_what_google_documents(
    build_gemini: BuildGemini, gemini: Gemini
) -> None:
    provider = build_gemini(api_key="secret")
    request = ask("Hi", model=FLASH, max_tokens=7, temperature=0.5, top_p=0.9, user="u1")
    await outcome(provider, request)
    seen = await gemini.request()
    assert seen.method == "POST"
    assert seen.path == "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse"
    assert seen.headers["x-goog-api-key"] == "secret"
    assert "authorization" not in seen.headers
    assert seen.body == {
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [{"role": "user", "parts": [{"text": "Hi"}]}],
        "generationConfig": {
            "maxOutputTokens": 7,
            "temperature": 0.5,
            "topP": 0.9,
            "thinkingConfig": {"thinkingBudget": 0},
        },
    }


async def test_without_a_key_none_is_sent(google: GeminiProvider, gemini: Gemini) -> None:
    await outcome(google)
    assert "x-goog-api-key" not in gemini.requests[0].headers
    assert "generationConfig" not in gemini.requests[0].body


async def test_instructions_are_gathered_and_neighbours_joined(
    google: GeminiProvider, gemini: Gemini
) -> None:
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "One."),
        Turn("user", "Two."),
        Turn("system", "Be kind."),
        Turn("assistant", ""),
        Turn("assistant", "Three"),
    )
    await outcome(google, CompletionRequest(FLASH, turns))
    body = gemini.requests[0].body
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"] == [
        {"role": "user", "parts": [{"text": "One."}, {"text": "Two."}, {"text": "Be kind."}]},
        {"role": "model", "parts": [{"text": "Three"}]},  # a beginning of the answer
    ]


async def test_what_is_told_with_a_question_stands_before_it(
    google: GeminiProvider, gemini: Gemini
) -> None:
    turns = (
        Turn("system", "Be brief."),
        Turn("user", "One."),
        Turn("assistant", "Two."),
        Turn("system", "Found."),
        Turn("user", "Three?"),
    )
    await outcome(google, CompletionRequest(FLASH, turns))
    body = gemini.requests[0].body
    assert body["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert body["contents"][2]["parts"] == [{"text": "Found."}, {"text": "Three?"}]


async def test_instructions_alone_are_a_question(google: GeminiProvider, gemini: Gemini) -> None:
    await outcome(google, CompletionRequest(FLASH, (Turn("system", "Name it."),)))
    body = gemini.requests[0].body
    assert body["contents"] == [{"role": "user", "parts": [{"text": "Name it."}]}]
    assert "systemInstruction" not in body


async def test_pictures_go_before_what_is_said_of_them(
    google: GeminiProvider, gemini: Gemini
) -> None:
    picture = ImageRef("a", "image/png", 1, 1)
    turns = (
        Turn("user", "What is it?", images=(picture,)),
        Turn("assistant", "A cat."),
        Turn("user", "", images=(picture,)),
    )
    await outcome(
        google, CompletionRequest(FLASH, turns, images={"a": base64.b64encode(b"\x89PNG")})
    )
    shown = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"\x89PNG").decode()}}
    contents = gemini.requests[0].body["contents"]
    assert contents[0]["parts"] == [shown, {"text": "What is it?"}]
    assert contents[2]["parts"] == [shown]


async def test_a_prompt_may_have_megabytes(google: GeminiProvider, gemini: Gemini) -> None:
    text = "ü" * 3_000_000
    assert (await outcome(google, ask(text))).text == "Hello, world!"
    assert gemini.requests[0].body["contents"][0]["parts"][0]["text"] == text


SHOWN = {"includeThoughts": True}


@pytest.mark.parametrize(
    ("model", "tokens", "told"),
    [
        ("gemini-2.5-flash", None, {"thinkingBudget": 0}),
        ("gemini-2.5-flash-lite", None, {"thinkingBudget": 0}),
        ("gemini-2.5-pro", None, {"thinkingBudget": 128}),
        ("gemini-3-flash-preview", None, {"thinkingLevel": "MINIMAL"}),
        ("gemini-3.1-pro-preview", None, {"thinkingLevel": "LOW"}),
        ("gemini-flash-latest", None, {"thinkingLevel": "MINIMAL"}),
        ("gemini-omni-flash", None, {"thinkingLevel": "MINIMAL"}),
        ("gemini-2.0-flash", None, None),
        ("gemma-3-27b-it", None, None),
        ("gemini-2.5-flash", 2_000, {"thinkingBudget": 2_000, **SHOWN}),
        ("gemini-2.5-flash", 99_000, {"thinkingBudget": 24_576, **SHOWN}),
        ("gemini-2.5-flash-lite", 100, {"thinkingBudget": 512, **SHOWN}),
        ("gemini-2.5-pro", 99_000, {"thinkingBudget": 32_768, **SHOWN}),
        ("gemini-3.5-flash", 100, {"thinkingLevel": "LOW", **SHOWN}),
        ("gemini-3.5-flash", 8_191, {"thinkingLevel": "LOW", **SHOWN}),
        ("gemini-3.5-flash", 8_192, {"thinkingLevel": "MEDIUM", **SHOWN}),
        ("gemini-10-pro", 30_000, {"thinkingLevel": "HIGH", **SHOWN}),
        ("gemma-4-31b-it", 30_000, {"thinkingLevel": "HIGH", **SHOWN}),
    ],
)  # fmt: skip
async def test_each_line_of_models_is_told_in_its_own_way_how_much_to_think(
    google: GeminiProvider, gemini: Gemini, model: str, tokens: int | None, told: dict[str, Any] | None
) -> None:  # fmt: skip
    await outcome(google, ask(model=model, thinking_tokens=tokens))
    config = gemini.requests[0].body.get("generationConfig", {})
    assert config.get("thinkingConfig") == told


async def test_the_cap_holds_for_thoughts_and_answer_together(
    google: GeminiProvider, gemini: Gemini
) -> None:
    await outcome(google, ask(model=FLASH, max_tokens=3_000, thinking_tokens=2_000))
    config = gemini.requests[0].body["generationConfig"]
    assert config["maxOutputTokens"] == 3_000
    assert config["thinkingConfig"]["thinkingBudget"] == 2_000


async def test_thoughts_come_apart_from_the_answer(google: GeminiProvider, gemini: Gemini) -> None:
    gemini.plan(Script(reasoning=("Hm", "m.")))
    got = await outcome(google)
    assert got.events[:2] == [ReasoningDelta("Hm"), ReasoningDelta("m.")]
    assert (got.reasoning, got.text) == ("Hmm.", "Hello, world!")
    assert got.usage == UsageReported(5, 6, reasoning_tokens=2)


@pytest.mark.parametrize("piece_bytes", [1, 7, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
async def test_the_bytes_may_come_in_any_pieces(
    google: GeminiProvider, gemini: Gemini, piece_bytes: int, line_end: str
) -> None:
    script = Script(words=("Grüße", " 世界", " 😀"), piece_bytes=piece_bytes, line_end=line_end)
    gemini.plan(script)
    assert words((await outcome(google)).events) == ["Grüße", " 世界", " 😀"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("STOP", FinishReason.STOP),
        ("MAX_TOKENS", FinishReason.LENGTH),
        ("SAFETY", FinishReason.CONTENT_FILTER),
        ("RECITATION", FinishReason.CONTENT_FILTER),
        ("BLOCKLIST", FinishReason.CONTENT_FILTER),
        ("PROHIBITED_CONTENT", FinishReason.CONTENT_FILTER),
        ("SPII", FinishReason.CONTENT_FILTER),
        ("SOMETHING_NEW", FinishReason.STOP),
    ],
)
async def test_reasons_to_end_are_told_apart(
    google: GeminiProvider, gemini: Gemini, said: str, meant: FinishReason
) -> None:
    gemini.plan(Script(finish_reason=said))
    got = await outcome(google)
    assert (got.text, got.reason) == ("Hello, world!", meant)


async def test_thoughts_may_leave_no_room_for_an_answer(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(Script(words=(), reasoning=("Hm",), finish_reason="MAX_TOKENS"))
    got = await outcome(google)
    assert got.events == [
        ReasoningDelta("Hm"),
        UsageReported(5, 1, reasoning_tokens=1),
        Finished(FinishReason.LENGTH),
    ]


@pytest.mark.parametrize(
    ("usage", "meant"),
    [
        (
            {
                "promptTokenCount": 100,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 12,
                "cachedContentTokenCount": 64,
                "toolUsePromptTokenCount": 30,
                "totalTokenCount": 162,
                "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 100}],
            },
            UsageReported(130, 32, reasoning_tokens=12, cached_tokens=64),
        ),
        ({"promptTokenCount": 9, "totalTokenCount": 9}, UsageReported(9, 0)),
        ({"promptTokenCount": -5, "candidatesTokenCount": 10**12}, UsageReported(0, 2**31 - 1)),
        ({"trafficType": "ON_DEMAND"}, None),
        (None, None),
    ],
)
async def test_usage_is_read(
    google: GeminiProvider, gemini: Gemini, usage: dict[str, Any] | None, meant: UsageReported | None
) -> None:  # fmt: skip
    gemini.plan(Script(usage=usage))
    got = await outcome(google)
    assert (got.usage, got.reason) == (meant, FinishReason.STOP)


async def test_a_provider_that_shall_not_stream_is_asked_for_whole_answers(
    build_gemini: BuildGemini, gemini: Gemini
) -> None:
    gemini.plan(Script(reasoning=("Hm.",)))
    provider = build_gemini(streams=False)
    got = await outcome(provider)
    assert got.events == [
        ReasoningDelta("Hm."),
        TextDelta("Hello, world!"),
        UsageReported(5, 5, reasoning_tokens=1),
        Finished(FinishReason.STOP),
    ]
    assert gemini.requests[0].path == "/v1beta/models/sim:generateContent"
    assert not provider.capabilities.streaming


async def test_a_whole_answer_to_a_streaming_request_is_understood(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(Script(answers_whole=True, finish_reason="length"))
    got = await outcome(google)
    assert (words(got.events), got.reason) == (["Hello, world!"], FinishReason.LENGTH)


async def test_connections_are_used_again(google: GeminiProvider, gemini: Gemini) -> None:
    for _ in range(5):
        await outcome(google)
    assert (len(gemini.requests), gemini.connections) == (5, 1)


async def test_closing_the_generator_closes_the_socket(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(Script(words=("word",) * 1000, delay_seconds=0.01))
    async with aclosing(google.complete(ask())) as events:
        await anext(events)
    seen = await gemini.request()
    await seen.closed()
    assert not seen.is_answered


async def test_canceling_closes_the_socket_also_before_the_first_byte(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.by_model = {
        failure.value: Script(failure=failure, after=0)
        for failure in (Failure.SILENT, Failure.HEAD_ONLY, Failure.STALL, Failure.DRIP)
    }
    tasks = [asyncio.ensure_future(outcome(google, ask(model=model))) for model in gemini.by_model]
    await gemini.request(len(tasks))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    for seen in gemini.requests:
        await seen.closed()


@pytest.mark.parametrize(
    ("model", "tokens", "refusals", "told"),
    [
        (
            "gemini-3.8-flash",
            None,
            ["Thinking level MINIMAL is not supported for this model. Please retry with other thinking level."],
            {"thinkingLevel": "LOW"},
        ),
        (
            "gemini-9-flash",
            None,
            ["Thinking level MINIMAL is not supported for this model.", "Thinking is not supported."],
            None,
        ),
        ("gemini-2.5-flash-image", None, ["Thinking is not enabled for this model."], None),
        ("gemini-2.5-ultra", None, ["Budget 0 is invalid. This model only works in thinking mode."], None),
        (
            "gemini-3-pro-preview",
            10_000,
            ["Unable to submit request because thinking_level MEDIUM is not supported by this model."],
            {"thinkingLevel": "LOW", **SHOWN},
        ),
        ("gemini-2.5-flash", 9_000, ["The thinking budget 9000 is invalid."], SHOWN),
        (
            "gemini-2.0-flash",
            2_000,
            [
                "Thinking level is not supported for this model.",
                "Invalid JSON payload received. Unknown name \"thinkingConfig\" at 'generation_config': Cannot find field.",
            ],
            None,
        ),
    ],
)  # fmt: skip
async def test_a_model_is_asked_once_in_vain_to_think_as_it_cannot(
    google: GeminiProvider, gemini: Gemini, model: str, tokens: int | None, refusals: list[str], told: dict[str, Any] | None
) -> None:  # fmt: skip
    gemini.plan(*(refusal(400, message) for message in refusals))
    for _ in range(2):
        assert (await outcome(google, ask(model=model, thinking_tokens=tokens))).text
    asked = [
        seen.body.get("generationConfig", {}).get("thinkingConfig") for seen in gemini.requests
    ]
    assert asked[len(refusals) :] == [told, told]
    assert len(asked) == len(refusals) + 2


async def test_two_who_are_refused_at_once_both_learn(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.gate.clear()
    gemini.plan(*[refusal(400, "Thinking level MINIMAL is not supported for this model.")] * 2)
    asked = [asyncio.ensure_future(outcome(google, ask(model="gemini-3.8-flash"))) for _ in "ab"]
    await gemini.request(2)
    gemini.gate.set()
    assert [(await task).text for task in asked] == ["Hello, world!"] * 2


async def test_a_model_without_instructions_hears_them_first(
    google: GeminiProvider, gemini: Gemini
) -> None:
    message = "Developer instruction is not enabled for models/gemma-3-27b-it"
    gemini.plan(refusal(400, message))
    for _ in range(2):
        assert (await outcome(google, ask("Hi", model="gemma-3-27b-it"))).text
    for seen in gemini.requests[1:]:
        parts = [{"text": "Be brief."}, {"text": "Hi"}]
        assert seen.body == {"contents": [{"role": "user", "parts": parts}]}
    assert len(gemini.requests) == 3


async def test_a_model_that_takes_no_beginning_is_told_to_go_on(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(refusal(400, "Requests ending with a model turn are not supported."))
    turns = (Turn("user", "Count."), Turn("assistant", "One, two"))
    got = await outcome(google, CompletionRequest("gemini-3.6-flash", turns))
    assert got.text
    roles = [content["role"] for content in gemini.requests[1].body["contents"]]
    assert roles == ["user", "model", "user"]


async def test_a_number_that_a_model_does_not_take_is_left_out(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(refusal(400, "temperature is not supported by this model."))
    assert (await outcome(google, ask(temperature=0.5, top_p=0.5))).text
    assert gemini.requests[1].body["generationConfig"] == {"topP": 0.5}


async def test_text_that_no_database_takes_is_made_fit(
    google: GeminiProvider, gemini: Gemini
) -> None:
    texts = [r'"a\u0000b"', r'"\ud83d\ude00"', r'"x\ud83d"']
    frames = [
        f'data: {{"candidates":[{{"content":{{"parts":[{{"text":{text}}}]}}}}]}}\n\n' for text in texts
    ]  # fmt: skip
    frames.append('data: {"candidates":[{"finishReason":"STOP"}]}\n\n')
    body = "".join(frames).encode()
    gemini.plan(Script(body=body, content_type="text/event-stream"))
    got = await outcome(google)
    assert got.text == "a\ufffdb😀x\ufffd"


async def test_a_picture_is_made(google: GeminiProvider, gemini: Gemini) -> None:
    gemini.plan(GeminiScript(words=("Here:",), image=b"\x89PNG..."))
    made = await google.make_image(ImageRequest("gemini-2.5-flash-image", "A cat"))
    assert made.content == b"\x89PNG..."
    assert made.usage is not None
    seen = gemini.requests[0]
    assert seen.path == "/v1beta/models/gemini-2.5-flash-image:generateContent"
    assert seen.body["generationConfig"] == {"responseModalities": ["TEXT", "IMAGE"]}


async def test_who_makes_no_pictures_says_so(google: GeminiProvider, gemini: Gemini) -> None:
    with pytest.raises(Exception, match="makes no images") as caught:
        await google.make_image(ImageRequest(FLASH, "A cat"))
    assert caught.value.kind is ErrorKind.MODEL_NOT_FOUND  # type: ignore[attr-defined]
    with pytest.raises(Exception, match="made no picture"):
        await google.make_image(ImageRequest("gemini-3-pro-image", "A cat"))
    assert json.dumps(gemini.requests[0].body["contents"][0]["parts"]) == '[{"text": "A cat"}]'
