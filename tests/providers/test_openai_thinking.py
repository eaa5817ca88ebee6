"""Thinking over OpenAI's protocol: how it is asked for, and how it comes back."""

from typing import Any

import pytest

from palaver.domain.events import FinishReason, ReasoningDelta, TextDelta, UsageReported
from palaver.providers.openai import OpenAIProvider
from palaver.providers.openai.asking import Server
from tests.fakes.scripts import Script, error
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import ask, asking, outcome, speaking_to

OPENAI = "https://api.openai.com/v1"
OPENROUTER = "https://openrouter.ai/api/v1"
DEEPSEEK = "https://api.deepseek.com"
LOCAL = "http://127.0.0.1:1234/v1"
FIELDS = ("reasoning_effort", "reasoning", "thinking", "chat_template_kwargs")
ON = {"enable_thinking": True, "thinking": True}
OFF = {"enable_thinking": False, "thinking": False}


def told(provider: OpenAIProvider, **options: Any) -> dict[str, object]:
    body = asking(provider, ask(**options))
    return {field: body[field] for field in FIELDS if field in body}


@pytest.mark.parametrize(
    ("thinking_tokens", "effort"), [(1_000, "low"), (3_000, "low"), (5_000, "medium"), (8_000, "high")]
)  # fmt: skip
def test_openai_is_told_an_effort_by_the_share_of_the_cap(
    build: Build, thinking_tokens: int, effort: str
) -> None:
    options = {"model": "gpt-5", "max_tokens": 9_000, "thinking_tokens": thinking_tokens}
    assert told(build(base_url=OPENAI), **options) == {"reasoning_effort": effort}


def test_a_cap_beyond_any_answer_makes_no_effort_small(build: Build) -> None:
    options = {"model": "gpt-5", "max_tokens": 128_000, "thinking_tokens": 16_384}
    assert told(build(base_url=OPENAI), **options) == {"reasoning_effort": "medium"}


@pytest.mark.parametrize(
    ("model", "effort"),
    [
        ("gpt-6.1-sol", "none"),
        ("gpt-6-astra", "low"),
        ("gpt-5.4-mini", "none"),
        ("gpt-5-mini", "minimal"),
        ("o4-mini", "low"),
        ("gpt-5-pro", None),
        ("gpt-4.1", None),
        ("gpt-5-chat-latest", None),
    ],
)
def test_openai_is_told_the_least_effort_that_the_model_takes(
    build: Build, model: str, effort: str | None
) -> None:
    expected = {} if effort is None else {"reasoning_effort": effort}
    assert told(build(base_url=OPENAI), model=model) == expected


@pytest.mark.parametrize(
    ("base_url", "model", "asked", "unasked"),
    [
        (OPENROUTER, "anthropic/claude-sonnet-4.5", {"reasoning": {"max_tokens": 2_000}}, {"reasoning": {"effort": "none"}}),
        (OPENROUTER, "google/gemma-2b-it", {"reasoning": {"max_tokens": 2_000}}, {}),
        (DEEPSEEK, "deepseek-v4-pro", {"thinking": {"type": "enabled"}, "reasoning_effort": "medium"}, {"thinking": {"type": "disabled"}}),
        (LOCAL, "qwen3:4b", {"reasoning_effort": "medium", "chat_template_kwargs": ON}, {"reasoning_effort": "none", "chat_template_kwargs": OFF}),
        (LOCAL, "llama3.2", {"reasoning_effort": "medium", "chat_template_kwargs": ON}, {}),
    ],
)  # fmt: skip
def test_each_server_is_told_in_its_own_words(
    build: Build, base_url: str, model: str, asked: dict[str, Any], unasked: dict[str, Any]
) -> None:
    provider = build(base_url=base_url)
    assert told(provider, model=model, max_tokens=4_000, thinking_tokens=2_000) == asked
    assert told(provider, model=model, max_tokens=4_000) == unasked


async def test_a_model_that_its_server_lists_as_thinking_is_told_not_to(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    speaking_to(provider, Server.OPENROUTER)
    assert told(provider, model="a/b") == {}
    upstream.models = [{"id": "a/b", "supported_parameters": ["reasoning"]}]
    await provider.list_models()
    assert told(provider, model="a/b") == {"reasoning": {"effort": "none"}}


@pytest.mark.parametrize(
    ("base_url", "model", "thinking_tokens", "samples"),
    [
        (OPENAI, "o3", None, False),
        (OPENAI, "gpt-5", 100, False),
        (OPENAI, "gpt-5-pro", None, False),
        (OPENAI, "gpt-5.4", None, True),
        (OPENAI, "gpt-5.4", 100, False),
        (OPENAI, "gpt-4o", None, True),
        (OPENAI, "gpt-5-search-api", None, False),
        (OPENROUTER, "anthropic/claude-sonnet-4.5", 100, False),
        (OPENROUTER, "anthropic/claude-sonnet-4.5", None, True),
        (LOCAL, "qwen3:4b", 100, True),
    ],
)
def test_what_a_thinking_model_refuses_is_not_sent(
    build: Build, base_url: str, model: str, thinking_tokens: int | None, *, samples: bool
) -> None:
    request = ask(model=model, temperature=0.2, top_p=0.9, thinking_tokens=thinking_tokens)
    body = asking(build(base_url=base_url), request)
    assert ("temperature" in body, "top_p" in body) == (samples, samples)


@pytest.mark.parametrize(
    ("server", "refusals", "sent"),
    [
        (
            Server.OPENAI,
            [error(400, "Unsupported value: 'reasoning_effort' does not support 'none' with this model. Supported values are: 'low', 'medium', and 'high'.", param="reasoning_effort", code="unsupported_value")],
            [{"reasoning_effort": "none"}, {"reasoning_effort": "low"}],
        ),
        (
            Server.OPENAI,
            [error(400, "Unrecognized request argument supplied: reasoning_effort", type="invalid_request_error")],
            [{"reasoning_effort": "none"}, {}],
        ),
        (
            Server.OPENROUTER,
            [error(400, "Reasoning is mandatory for this endpoint and cannot be disabled.", code=400)],
            [{"reasoning": {"effort": "none"}}, {"reasoning": {"effort": "low"}}],
        ),
        (  # vLLM before it knew "none"
            Server.OTHER,
            [error(400, "[{'type': 'literal_error', 'loc': ('body', 'reasoning_effort'), 'msg': \"Input should be 'low', 'medium' or 'high'\", 'input': 'none'}]", type="BadRequestError", code=400)],
            [{"reasoning_effort": "none", "chat_template_kwargs": OFF}, {"reasoning_effort": "low", "chat_template_kwargs": OFF}],
        ),
        (  # Mistral, which takes nothing that it does not know
            Server.OTHER,
            [
                Script(status=422, body=b'{"detail":[{"type":"extra_forbidden","loc":["body","chat_template_kwargs"],"msg":"Extra inputs are not permitted"}]}'),
                Script(status=422, body=b'{"detail":[{"type":"extra_forbidden","loc":["body","reasoning_effort"],"msg":"Extra inputs are not permitted"}]}'),
            ],
            [{"reasoning_effort": "none", "chat_template_kwargs": OFF}, {"reasoning_effort": "none"}, {}],
        ),
        (  # xAI, with the name that it has inside
            Server.OTHER,
            [error(400, "Argument not supported on this model: reasoningEffort")],
            [{"reasoning_effort": "none", "chat_template_kwargs": OFF}, {"chat_template_kwargs": OFF}],
        ),
    ],
    ids=["openai-value", "openai-field", "openrouter", "vllm", "mistral", "xai"],
)  # fmt: skip
async def test_what_a_model_refuses_to_be_told_is_learned_once(
    build: Build, upstream: Upstream, server: Server, refusals: list[Script], sent: list[dict[str, Any]]
) -> None:  # fmt: skip
    provider = speaking_to(build(), server)
    upstream.plan(*refusals)
    for _ in range(2):
        assert (await outcome(provider, ask(model="gpt-5.1"))).text == "Hello, world!"
    bodies = [
        {field: seen.body[field] for field in FIELDS if field in seen.body}
        for seen in upstream.requests
    ]
    assert bodies == [*sent, sent[-1]]  # fmt: skip


async def test_an_effort_that_ollama_does_not_know_for_a_model_is_learned(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    said = 'think value "medium" is not supported for this model'
    upstream.plan(error(500, said, type="api_error"))
    request = ask(model="qwen3:4b", max_tokens=100, thinking_tokens=50)
    assert (await outcome(provider, request)).text == "Hello, world!"
    efforts = [seen.body["reasoning_effort"] for seen in upstream.requests]
    assert efforts == ["medium", "high"]


async def test_not_to_think_is_refused_but_to_think_is_still_asked_for(
    build: Build, upstream: Upstream
) -> None:
    provider = speaking_to(build(), Server.OPENROUTER)
    upstream.plan(error(400, "Reasoning is mandatory for this endpoint and cannot be disabled."))
    await outcome(provider, ask(model="deepseek/deepseek-r1"))
    await outcome(provider, ask(model="deepseek/deepseek-r1", thinking_tokens=77))
    assert upstream.requests[-1].body["reasoning"] == {"max_tokens": 77}


async def test_a_refusal_of_something_else_is_no_lesson(build: Build, upstream: Upstream) -> None:
    upstream.plan(error(400, "I do not think that this request is right."))
    got = await outcome(build(), ask(model="qwen3:4b", thinking_tokens=50))
    assert "I do not think" in got.refusal.message
    assert len(upstream.requests) == 1


@pytest.mark.parametrize("piece", [1, 2, 3, 5, 8, 100])
@pytest.mark.parametrize(
    ("text", "thought", "answer"),
    [
        ("<think>Hm, 1 < 2.</think>Yes.", "Hm, 1 < 2.", "Yes."),
        ("\n<think>\nLine one.\n\nLine two.\n</think>\n\nYes.\n", "Line one.\n\nLine two.", "Yes.\n"),
        ("<think>\n\n</think>\n\nYes.", "", "Yes."),
        ("[THINK]Hm.[/THINK]Yes.", "Hm.", "Yes."),
        ("<thinking>Hm.</thinking> Yes.", "Hm.", "Yes."),
        ("<think>Hm. </thin> Hm!</think>Yes.", "Hm. </thin> Hm!", "Yes."),
        ("<think>Cut off in the", "Cut off in the", ""),
        ("<think>Cut off</thi", "Cut off</thi", ""),
        ("<thin ice>", "", "<thin ice>"),
        ("<thi", "", "<thi"),
        ("  Yes.", "", "  Yes."),
        ("Yes: <think>no</think>", "", "Yes: <think>no</think>"),
        ("<think>a</think>b<think>c</think>", "a", "b<think>c</think>"),
    ],
)  # fmt: skip
async def test_thoughts_at_the_head_of_an_answer_are_told_apart(
    provider: OpenAIProvider, upstream: Upstream, text: str, thought: str, answer: str, piece: int
) -> None:
    words = tuple(text[at : at + piece] for at in range(0, len(text), piece))
    upstream.plan(Script(words=words, usage=None))
    got = await outcome(provider)
    assert (got.reasoning, got.text) == (thought, answer)
    assert got.reason is FinishReason.STOP


async def test_thoughts_in_a_whole_answer_are_told_apart(build: Build, upstream: Upstream) -> None:
    upstream.plan(Script(words=("<think>Hm.</think>\n\nYes.",)))
    got = await outcome(build(streams=False))
    assert got.events[:2] == [ReasoningDelta("Hm."), TextDelta("Yes.")]


async def test_tags_after_reasoning_of_their_own_field_are_read_as_well(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(reasoning=("Hm",), words=("<think></think>", "Yes", ".")))
    got = await outcome(provider)
    assert (got.reasoning, got.text) == ("Hm", "Yes.")


async def test_what_was_thought_is_estimated_where_the_server_counts_it_in_without_telling(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": 40}
    thoughts = "The user asks how I am, which is hard to tell."
    upstream.plan(Script(words=(f"<think>{thoughts}</think>", "Fine."), usage=usage))
    got = (await outcome(provider)).usage
    assert got is not None
    assert (got.completion_tokens, got.is_estimate) == (40, False)
    assert 8 <= got.reasoning_tokens <= 20

    upstream.plan(Script(words=(f"<think>{thoughts}</think>",), usage={"completion_tokens": 3}))
    assert (await outcome(provider)).usage == UsageReported(0, 3, reasoning_tokens=3)
