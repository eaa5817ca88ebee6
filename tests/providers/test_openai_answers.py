"""OpenAI's protocol when all goes well: what is asked, and what the answer becomes."""

import asyncio
import json
from contextlib import aclosing
from typing import Any

import pytest

from palaver.domain.events import Finished, FinishReason, ReasoningDelta, TextDelta, UsageReported
from palaver.domain.providers import CompletionRequest, Turn
from palaver.providers.openai import OpenAIProvider
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import ask, asking, outcome, words


async def test_an_answer_comes_delta_by_delta_with_usage_before_its_end(
    provider: OpenAIProvider,
) -> None:
    got = await outcome(provider)
    assert got.events == [
        TextDelta("Hello"),
        TextDelta(","),
        TextDelta(" world"),
        TextDelta("!"),
        UsageReported(prompt_tokens=5, completion_tokens=4),
        Finished(FinishReason.STOP),
    ]


async def test_the_request_is_what_openai_documents(build: Build, upstream: Upstream) -> None:
    provider = build(api_key="sk-secret")
    await outcome(provider, ask("Hi", max_tokens=7, temperature=0.5, top_p=0.9, user="u1"))
    seen = await upstream.request()
    assert (seen.method, seen.path) == ("POST", "/v1/chat/completions")
    assert seen.headers["authorization"] == "Bearer sk-secret"
    assert seen.headers["content-type"] == "application/json"
    assert seen.body == {
        "model": "sim",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Hi"},
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u1",
    }


async def test_a_prompt_may_have_megabytes(provider: OpenAIProvider, upstream: Upstream) -> None:
    text = "ü" * 3_000_000
    assert (await outcome(provider, ask(text))).text == "Hello, world!"
    assert upstream.requests[0].body["messages"][1]["content"] == text


async def test_without_a_key_no_authorization_is_sent(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    await outcome(provider)
    assert "authorization" not in upstream.requests[0].headers


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://openrouter.ai/api/v1", "max_tokens"),
        ("http://127.0.0.1:1234/v1", "max_tokens"),
    ],
)
def test_each_server_is_told_the_cap_in_its_own_word(
    build: Build, base_url: str, field: str
) -> None:
    body = asking(build(base_url=base_url), ask(max_tokens=5))
    assert {name for name in body if name.startswith("max_")} == {field}


def test_openrouter_is_asked_for_the_cost(build: Build) -> None:
    body = asking(build(base_url="https://openrouter.ai/api/v1"), ask())
    assert body["usage"] == {"include": True}
    assert "usage" not in asking(build(), ask())


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
async def test_reasoning_comes_by_either_name(
    provider: OpenAIProvider, upstream: Upstream, field: str
) -> None:
    upstream.plan(Script(reasoning=("Hm", "m."), reasoning_field=field))
    got = await outcome(provider)
    assert got.events[:2] == [ReasoningDelta("Hm"), ReasoningDelta("m.")]
    assert (got.reasoning, got.text) == ("Hmm.", "Hello, world!")
    assert got.usage == UsageReported(5, 6, reasoning_tokens=2)


@pytest.mark.parametrize("piece_bytes", [1, 2, 7, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"], ids=["lf", "crlf", "cr"])
async def test_the_bytes_may_come_in_any_pieces(
    provider: OpenAIProvider, upstream: Upstream, piece_bytes: int, line_end: str
) -> None:
    script = Script(words=("Grüße", " 世界", " 😀"), piece_bytes=piece_bytes, line_end=line_end)
    upstream.plan(script)
    assert words((await outcome(provider)).events) == ["Grüße", " 世界", " 😀"]


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("stop", FinishReason.STOP),
        ("length", FinishReason.LENGTH),
        ("content_filter", FinishReason.CONTENT_FILTER),
        ("tool_calls", FinishReason.TOOL_CALLS),
        ("function_call", FinishReason.TOOL_CALLS),
        ("eos", FinishReason.STOP),
    ],
)
async def test_reasons_to_end_are_told_apart(
    provider: OpenAIProvider, upstream: Upstream, said: str, meant: FinishReason
) -> None:
    upstream.plan(Script(finish_reason=said))
    assert (await outcome(provider)).reason is meant


async def test_an_answer_without_an_end_mark_is_complete_if_it_gave_a_reason(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(has_done=False))
    got = await outcome(provider)
    assert (got.text, got.reason) == ("Hello, world!", FinishReason.STOP)


async def test_an_answer_without_a_reason_is_complete_if_it_has_an_end_mark(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(finish_reason=None))
    assert (await outcome(provider)).reason is FinishReason.STOP


async def test_a_server_that_gives_no_usage_leaves_it_to_others(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(usage=None))
    got = await outcome(provider)
    assert (got.usage, got.reason) == (None, FinishReason.STOP)


@pytest.mark.parametrize(
    ("usage", "meant"),
    [
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 20,
                "total_tokens": 120,
                "prompt_tokens_details": {"cached_tokens": 64},
                "completion_tokens_details": {"reasoning_tokens": 12},
                "cost": 0.000123,
            },
            UsageReported(100, 20, reasoning_tokens=12, cached_tokens=64, cost_micro_usd=123),
        ),
        # OpenRouter bills fractions; what is rounded is rounded up.
        ({"prompt_tokens": 1, "completion_tokens": 1, "cost": 1.01e-7}, UsageReported(1, 1, cost_micro_usd=1)),
        # DeepSeek has its own word for what was cached; others leave figures out, or send null.
        ({"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 8}, UsageReported(9, 1, cached_tokens=8)),
        ({"prompt_tokens": 9, "completion_tokens": None, "prompt_tokens_details": None}, UsageReported(9, 0)),
        # xAI and Gemini count reasoning in the total alone.
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 35, "completion_tokens_details": {"reasoning_tokens": 20}},
            UsageReported(10, 25, reasoning_tokens=20),
        ),
        ({"prompt_tokens": -5, "completion_tokens": 10**12}, UsageReported(0, 2**31 - 1)),
        ({"queue_time": 0.1}, None),
    ],
)  # fmt: skip
async def test_usage_is_read_from_every_dialect(
    provider: OpenAIProvider, upstream: Upstream, usage: dict[str, Any], meant: UsageReported | None
) -> None:
    upstream.plan(Script(usage=usage))
    assert (await outcome(provider)).usage == meant


async def test_a_server_that_cannot_stream_is_asked_for_whole_answers(
    build: Build, upstream: Upstream
) -> None:
    upstream.plan(Script(reasoning=("Hm.",)))
    provider = build(streams=False)
    got = await outcome(provider)
    assert got.events == [
        ReasoningDelta("Hm."),
        TextDelta("Hello, world!"),
        UsageReported(5, 5, reasoning_tokens=1),
        Finished(FinishReason.STOP),
    ]
    assert upstream.requests[0].body["stream"] is False
    assert "stream_options" not in upstream.requests[0].body
    assert not provider.capabilities.streaming


async def test_a_whole_answer_to_a_streaming_request_is_understood(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(answers_whole=True, finish_reason="length"))
    got = await outcome(provider)
    assert (words(got.events), got.reason) == (["Hello, world!"], FinishReason.LENGTH)


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream"])
async def test_a_stream_under_a_wrong_name_is_understood(
    provider: OpenAIProvider, upstream: Upstream, content_type: str
) -> None:
    upstream.plan(Script(content_type=content_type))
    assert (await outcome(provider)).text == "Hello, world!"


async def test_connections_are_used_again(provider: OpenAIProvider, upstream: Upstream) -> None:
    for _ in range(5):
        await outcome(provider)
    assert (len(upstream.requests), upstream.connections) == (5, 1)


async def test_a_hundred_answers_at_once_do_not_wait_for_each_other(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.default = Script(words=("a", "b", "c"), delay_seconds=0.01, is_varied=True)
    answers = await asyncio.gather(*(outcome(provider) for _ in range(150)))
    assert len({answer.text for answer in answers}) == 150
    assert all(answer.reason is FinishReason.STOP for answer in answers)


async def test_closing_the_generator_closes_the_socket(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(words=("word",) * 1000, delay_seconds=0.01))
    async with aclosing(provider.complete(ask())) as events:
        await anext(events)
    seen = await upstream.request()
    await seen.closed()
    assert not seen.is_answered


async def test_canceling_closes_the_socket_also_before_the_first_byte(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.by_model = {
        failure.value: Script(failure=failure, after=0)
        for failure in (Failure.SILENT, Failure.HEAD_ONLY, Failure.STALL, Failure.DRIP)
    }
    tasks = [
        asyncio.ensure_future(outcome(provider, ask(model=model))) for model in upstream.by_model
    ]
    await upstream.request(len(tasks))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    for seen in upstream.requests:
        await seen.closed()


async def test_a_reader_who_takes_its_time_is_no_silence(build: Build, upstream: Upstream) -> None:
    provider = build(idle_timeout_seconds=0.3)
    async with aclosing(provider.complete(ask())) as events:
        got = []
        async for event in events:
            got.append(event)
            if len(got) < 3:
                await asyncio.sleep(0.4)
    assert isinstance(got[-1], Finished)


async def test_a_field_that_a_model_rejects_is_left_out_from_then_on(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(
        error(400, "Unsupported value: 'temperature' does not support 0.5 with this model.",
              param="temperature", code="unsupported_value"),
        error(400, "Unsupported parameter: 'max_tokens' is not supported with this model. "
              "Use 'max_completion_tokens' instead.", code="unsupported_parameter"),
    )  # fmt: skip
    for _ in range(2):
        assert (await outcome(provider, ask(max_tokens=9, temperature=0.5))).text
    sent = [seen.body for seen in upstream.requests]
    assert ["temperature" in body for body in sent] == [True, False, False, False]
    assert [body.get("max_completion_tokens") for body in sent] == [None, None, 9, 9]
    assert [body.get("max_tokens") for body in sent] == [9, 9, None, None]


async def test_a_server_that_does_not_know_stream_options_is_asked_without(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    detail = [
        {
            "type": "extra_forbidden",
            "loc": ["body", "stream_options"],
            "msg": "Extra inputs are not permitted",
        }
    ]
    upstream.plan(Script(status=422, body=json.dumps({"detail": detail}).encode()))
    got = await outcome(provider)
    assert (got.text, got.usage) == ("Hello, world!", None)
    assert "stream_options" not in upstream.requests[1].body


async def test_a_refusal_is_the_answer_and_parts_may_hold_thoughts(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    parts = [
        {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}]},
        {"type": "text", "text": "No, "},
    ]
    deltas = [{"content": parts}, {"content": None, "refusal": "sorry."}]
    frames = [
        b"data: %b\n\n" % json.dumps({"choices": [{"delta": delta}]}).encode() for delta in deltas
    ]
    body = b"".join(frames) + b"data: [DONE]\n\n"
    upstream.plan(Script(body=body, content_type="text/event-stream"))
    got = await outcome(provider)
    assert got.events == [
        ReasoningDelta("Hm."),
        TextDelta("No, "),
        TextDelta("sorry."),
        Finished(FinishReason.STOP),
    ]


async def test_two_who_are_refused_at_once_both_learn(
    upstream: Upstream, provider: OpenAIProvider
) -> None:
    upstream.gate.clear()
    message = "Unsupported parameter: 'max_tokens' is not supported with this model."
    upstream.plan(*[error(400, message, param="max_tokens")] * 2)
    asked = [asyncio.ensure_future(outcome(provider, ask(max_tokens=9))) for _ in "ab"]
    await upstream.request(2)
    upstream.gate.set()
    assert [(await task).text for task in asked] == ["Hello, world!"] * 2
    assert {seen.body.get("max_completion_tokens") for seen in upstream.requests[2:]} == {9}


TOLD_TWICE = (
    Turn("system", "Be brief."),
    Turn("system", "Be kind."),
    Turn("user", "Hello"),
    Turn("assistant", "Hi."),
    Turn("system", "Found."),
    Turn("user", "And?"),
    Turn("system", "Later."),
)


async def test_what_is_told_first_is_one_turn_and_the_rest_goes_with_the_question(
    upstream: Upstream, provider: OpenAIProvider
) -> None:
    await outcome(provider, CompletionRequest("sim", TOLD_TWICE))
    sent = [(turn["role"], turn["content"]) for turn in upstream.requests[-1].body["messages"]]
    assert sent == [
        ("system", "Be brief.\n\nBe kind."),
        ("user", "Hello"),
        ("assistant", "Hi."),
        ("user", "Found.\n\nAnd?\n\nLater."),
    ]


@pytest.mark.parametrize(
    ("base_url", "roles"),
    [
        ("https://api.openai.com/v1", "suasus"),
        ("https://api.deepseek.com", "suasus"),
        ("https://openrouter.ai/api/v1", "suau"),  # it asks whoever has the model
        ("http://127.0.0.1:1234/v1", "suau"),
    ],
)
def test_who_takes_it_is_told_in_the_middle(build: Build, base_url: str, roles: str) -> None:
    body: Any = asking(build(base_url=base_url), CompletionRequest("sim", TOLD_TWICE))
    assert "".join(turn["role"][0] for turn in body["messages"]) == roles
