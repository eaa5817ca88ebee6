"""Anthropic's protocol when all goes well: what is asked, and what the answer becomes."""

import asyncio
from base64 import b64encode
from contextlib import aclosing
from typing import Any

import pytest

from palaver.domain.events import Finished, FinishReason, ReasoningDelta, TextDelta, UsageReported
from palaver.domain.providers import CompletionRequest, ImageRef, Turn
from palaver.providers.anthropic import AnthropicProvider
from tests.fakes.claude import SONNET, Claude, ClaudeScript, refusal
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildClaude
from tests.providers.helpers import ask, outcome, words

HAIKU = "claude-haiku-4-5"
CACHED = {"type": "ephemeral"}


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "text", "text": text, **more}


def talk(*turns: tuple[str, str], **options: Any) -> CompletionRequest:
    """Return a request of a system prompt and some turns: "u" for the user, "a", "s"."""
    roles = {"u": "user", "a": "assistant", "s": "system"}
    given = tuple(Turn(roles[role], text) for role, text in turns)  # type: ignore[arg-type]
    return CompletionRequest(options.pop("model", HAIKU), given, **options)


async def body_of(provider: AnthropicProvider, claude: Claude, request: CompletionRequest) -> Any:
    """Return what is asked; the simulator refuses what the API would refuse."""
    got = await outcome(provider, request)
    assert got.error is None, got.error
    return claude.requests[-1].body


async def test_an_answer_comes_delta_by_delta_with_usage_before_its_end(
    anthropic: AnthropicProvider,
) -> None:
    got = await outcome(anthropic)
    assert got.events == [
        TextDelta("Hello"),
        TextDelta(","),
        TextDelta(" world"),
        TextDelta("!"),
        UsageReported(prompt_tokens=5, completion_tokens=4),
        Finished(FinishReason.STOP),
    ]


async def test_the_request_is_what_anthropic_documents(
    build_claude: BuildClaude, claude: Claude
) -> None:
    provider = build_claude(api_key="sk-ant-secret")
    await outcome(provider, ask("Hi", model=HAIKU, max_tokens=7, temperature=0.5, user="u1"))
    seen = await claude.request()
    assert (seen.method, seen.path) == ("POST", "/v1/messages")
    assert seen.headers["x-api-key"] == "sk-ant-secret"
    assert seen.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in seen.headers
    assert seen.body == {
        "model": HAIKU,
        "max_tokens": 7,
        "system": [said("Be brief.", cache_control=CACHED)],
        "messages": [{"role": "user", "content": [said("Hi")]}],
        "stream": True,
        "temperature": 0.5,
        "metadata": {"user_id": "u1"},
    }


async def test_what_the_model_is_told_first_is_the_system_prompt_and_neighbours_are_one_message(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    turns = [("s", "Be kind."), ("s", "Be brief."), ("u", "One"), ("u", "Two"), ("a", "Three"), ("s", "Found."), ("u", "Four"), ("u", " ")]  # fmt: skip
    body = await body_of(anthropic, claude, talk(*turns))
    assert [block["text"] for block in body["system"]] == ["Be kind.", "Be brief."]
    assert [(turn["role"], [b["text"] for b in turn["content"]]) for turn in body["messages"]] == [
        ("user", ["One", "Two"]),
        ("assistant", ["Three"]),
        ("user", ["Found.", "Four"]),  # in the system prompt it would break the cache's prefix
    ]


async def test_a_history_that_begins_with_an_answer_is_asked_all_the_same(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    body = await body_of(anthropic, claude, talk(("a", "Well."), ("u", "And?")))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]


async def test_a_given_beginning_is_gone_on_with_and_its_space_is_not_said_twice(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(Script(words=("\n", "\nTwo", "\n\nThree")))
    request = talk(("u", "Count."), ("a", "One\n\n"), thinking_tokens=2_000, max_tokens=4_000)
    got = await outcome(anthropic, request)
    assert claude.requests[0].body["messages"][-1]["content"] == [said("One")]
    assert "thinking" not in claude.requests[0].body
    assert got.text == "Two\n\nThree"


async def test_pictures_stand_before_the_text_of_their_turn(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    picture = ImageRef("cat", "image/png", 1, 1)
    turns = (Turn("user", "What is this?", (picture, ImageRef("gone", "image/png", 1, 1))),)
    request = CompletionRequest(HAIKU, turns, images={"cat": b64encode(b"\x89PNG")})
    body = await body_of(anthropic, claude, request)
    source = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
    assert body["messages"][0]["content"] == [
        {"type": "image", "source": source},
        said("What is this?"),
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ({"temperature": 1.7}, {"temperature": 1.0}),
        ({"temperature": -0.5}, {"temperature": 0.0}),
        ({"top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0.3, "top_p": 0.9}, {"temperature": 0.3}),  # newer models refuse both
        ({"temperature": 1.0, "top_p": 0.9}, {"top_p": 0.9}),
        ({"temperature": 0.3, "thinking_tokens": 2_000, "max_tokens": 4_000}, {}),
        ({"temperature": 0.3, "model": "claude-opus-4-8"}, {}),  # the newest refuse each
    ],
)
async def test_sampling_is_asked_for_as_the_model_takes_it(
    anthropic: AnthropicProvider, claude: Claude, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    body = await body_of(anthropic, claude, talk(("u", "Hi"), **given))
    assert {name: body[name] for name in ("temperature", "top_p") if name in body} == sent
    assert len(claude.requests) == 1


@pytest.mark.parametrize(
    ("model", "given", "thinking", "effort"),
    [
        ("claude-sonnet-4-5-20250929", 2_000, {"type": "enabled", "budget_tokens": 2_000}, None),
        ("claude-3-7-sonnet-latest", 99_999, {"type": "enabled", "budget_tokens": 29_999}, None),
        ("claude-sonnet-4-5", 1_000, None, None),  # less than the least budget
        ("claude-opus-4-6", 2_000, {"type": "adaptive", "display": "summarized"}, "low"),
        ("claude-opus-4-7", 4_096, {"type": "adaptive", "display": "summarized"}, "medium"),
        ("claude-sonnet-5", 16_384, {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-fable-5-1", 16_384, {"type": "adaptive", "display": "summarized"}, "high"),
        ("claude-haiku-4-5", None, None, None),
        ("claude-opus-4-8", None, None, None),
        ("claude-sonnet-5-5", None, {"type": "disabled"}, None),  # it would think unasked
    ],
)
async def test_each_model_is_told_to_think_in_its_own_way_at_once(
    anthropic: AnthropicProvider,
    claude: Claude,
    model: str,
    given: int | None,
    thinking: dict[str, Any] | None,
    effort: str | None,
) -> None:
    request = talk(("u", "Why?"), model=model, thinking_tokens=given, max_tokens=30_000)
    body = await body_of(anthropic, claude, request)
    assert body.get("thinking") == thinking
    assert body.get("output_config", {}).get("effort") == effort
    assert len(claude.requests) == 1


async def test_a_model_that_cannot_be_kept_from_thinking_is_asked_for_little_of_it(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    for _ in range(2):
        body = await body_of(anthropic, claude, talk(("u", "Hi"), model="claude-fable-5"))
        assert (body.get("thinking"), body["output_config"]) == (None, {"effort": "low"})
    assert len(claude.requests) == 3  # it is asked in vain once


async def test_a_way_to_think_that_a_model_rejects_gives_way_to_the_other(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(
        refusal(400, "adaptive thinking is not supported on this model"),
        Script(),
        refusal(400, "This model does not support the effort parameter."),
    )
    request = talk(("u", "Hi"), model="claude-opus-4-6", thinking_tokens=1_024, max_tokens=4_000)
    assert (await body_of(anthropic, claude, request))["thinking"]["type"] == "enabled"
    other = talk(("u", "Hi"), model="claude-opus-5", thinking_tokens=1_024, max_tokens=4_000)
    body = await body_of(anthropic, claude, other)
    assert (body["thinking"]["type"], body.get("output_config")) == ("adaptive", None)
    assert len(claude.requests) == 4


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("`temperature` is deprecated for this model.", "temperature"),
        ("metadata: Extra inputs are not permitted", "metadata"),
    ],
)
async def test_a_field_that_a_model_rejects_is_left_out_from_then_on(
    anthropic: AnthropicProvider, claude: Claude, message: str, field: str
) -> None:
    claude.plan(refusal(400, message))
    for _ in range(2):
        await body_of(anthropic, claude, ask(temperature=0.5, user="u1"))
    assert [field in seen.body for seen in claude.requests] == [True, False, False]


async def test_two_who_are_refused_at_once_both_learn(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.gate.clear()
    claude.plan(*[refusal(400, "`temperature` is deprecated for this model.")] * 2)
    asked = [asyncio.ensure_future(outcome(anthropic, ask(temperature=0.5))) for _ in "ab"]
    await claude.request(2)
    claude.gate.set()
    assert [(await task).text for task in asked] == ["Hello, world!"] * 2


async def test_a_server_that_knows_no_cache_is_asked_without(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(refusal(400, "system.0.cache_control: Extra inputs are not permitted"))
    body = await body_of(anthropic, claude, ask())
    assert body["system"] == [said("Be brief.")]


@pytest.mark.parametrize(
    ("turns", "marked"),
    [
        ([("u", "Hi")], []),
        ([("s", "Told"), ("u", "Hi")], ["Told"]),
        ([("s", "Told"), ("u", "Hi"), ("a", "Ho"), ("u", "And?")], ["Told", "And?"]),
        ([("u", "Hi"), ("a", "Ho"), ("u", "And?")], ["And?"]),
        # What was found for this question stands before what was said: it will not come again.
        ([("s", "Told"), ("s", "Found"), ("u", "Hi"), ("a", "Ho"), ("u", "And?")], ["Told"]),
        ([("s", "Told"), ("u", "Hi"), ("a", "Ho"), ("s", "Found"), ("u", "And?")], ["Told", "Ho"]),
        ([("u", "Hi"), ("a", "Ho"), ("s", "Found"), ("u", "And?"), ("a", "Well")], ["Ho"]),
        ([("s", "Told"), ("u", "Hi"), ("s", "Found"), ("u", "And?")], ["Told"]),
        ([("u", "Hi"), ("a", "Ho"), ("u", "And?"), ("a", "Well")], ["And?"]),
    ],
)
async def test_what_the_next_question_will_repeat_is_cached(
    anthropic: AnthropicProvider, claude: Claude, turns: list[tuple[str, str]], marked: list[str]
) -> None:
    body = await body_of(anthropic, claude, talk(*turns))
    blocks = [*body.get("system", ()), *(b for turn in body["messages"] for b in turn["content"])]
    assert [block["text"] for block in blocks if "cache_control" in block] == marked


async def test_thoughts_come_before_the_answer(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(Script(reasoning=("Hm", "m.")))
    request = ask(model=HAIKU, thinking_tokens=1_024, max_tokens=4_000)
    got = await outcome(anthropic, request)
    assert got.events[:2] == [ReasoningDelta("Hm"), ReasoningDelta("m.")]
    assert (got.reasoning, got.text) == ("Hmm.", "Hello, world!")
    assert got.usage is not None
    assert 0 < got.usage.reasoning_tokens <= got.usage.completion_tokens == 6


async def test_thoughts_that_are_kept_secret_are_no_text(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    blocks = (
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "redacted_thinking", "data": "EmwKAhgBEgy3va3pzix"},
        said("Hi"),
        {"type": "from_the_future", "text": None, "odd": [1]},
    )
    claude.plan(ClaudeScript(blocks=blocks))
    got = await outcome(anthropic)
    assert (got.reasoning, got.text, got.reason) == ("", "Hi", FinishReason.STOP)


@pytest.mark.parametrize(
    ("usage", "meant"),
    [
        (
            {
                "input_tokens": 100,
                "cache_creation_input_tokens": 30,
                "cache_read_input_tokens": 2_000,
                "output_tokens": 20,
                "output_tokens_details": {"thinking_tokens": 12},
                "server_tool_use": {"web_search_requests": 1},
            },
            UsageReported(2_130, 20, reasoning_tokens=12, cached_tokens=2_000),
        ),
        ({"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": None}, UsageReported(9, 1)),
        ({"input_tokens": -9, "output_tokens": 10**12}, UsageReported(0, 2**31 - 1)),
        (None, None),
    ],
)  # fmt: skip
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_usage_counts_what_was_cached_as_part_of_the_prompt(
    build_claude: BuildClaude,
    claude: Claude,
    usage: dict[str, Any] | None,
    meant: UsageReported | None,
    *,
    streams: bool,
) -> None:
    claude.plan(Script(usage=usage))
    assert (await outcome(build_claude(streams=streams))).usage == meant


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("end_turn", FinishReason.STOP),
        ("stop_sequence", FinishReason.STOP),
        ("max_tokens", FinishReason.LENGTH),
        ("model_context_window_exceeded", FinishReason.LENGTH),
        ("refusal", FinishReason.CONTENT_FILTER),
        ("tool_use", FinishReason.TOOL_CALLS),
        ("pause_turn", FinishReason.STOP),  # of one that had nothing to pause for
        ("from_the_future", FinishReason.STOP),
    ],
)
@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_reasons_to_end_are_told_apart(
    build_claude: BuildClaude, claude: Claude, told: str, meant: FinishReason, *, streams: bool
) -> None:
    claude.plan(Script(finish_reason=told))
    assert (await outcome(build_claude(streams=streams))).reason is meant


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_who_is_refused_without_a_word_is_told_why(
    build_claude: BuildClaude, claude: Claude, *, streams: bool
) -> None:
    why = "This request would break the rules."
    claude.plan(
        ClaudeScript(blocks=(said(""),), finish_reason="refusal", explanation=why),
        ClaudeScript(finish_reason="refusal", explanation=why),
    )
    provider = build_claude(streams=streams)
    assert (await outcome(provider)).text == why
    assert (await outcome(provider)).text == "Hello, world!"


async def test_a_server_that_cannot_stream_is_asked_for_whole_answers(
    build_claude: BuildClaude, claude: Claude
) -> None:
    claude.plan(Script(reasoning=("Hm.",)))
    provider = build_claude(streams=False)
    got = await outcome(provider)
    assert (got.reasoning, words(got.events)) == ("Hm.", ["Hello, world!"])
    assert claude.requests[0].body["stream"] is False
    assert not provider.capabilities.streaming


async def test_a_whole_answer_to_a_streaming_request_is_understood(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(Script(answers_whole=True, finish_reason="length"))
    got = await outcome(anthropic)
    assert (words(got.events), got.reason) == (["Hello, world!"], FinishReason.LENGTH)


@pytest.mark.parametrize("piece_bytes", [1, 7, 100])
@pytest.mark.parametrize("line_end", ["\n", "\r\n"], ids=["lf", "crlf"])
async def test_the_bytes_may_come_in_any_pieces(
    anthropic: AnthropicProvider, claude: Claude, piece_bytes: int, line_end: str
) -> None:
    script = Script(words=("Grüße", " 世界", " 😀"), piece_bytes=piece_bytes, line_end=line_end)
    claude.plan(script)
    assert words((await outcome(anthropic)).events) == ["Grüße", " 世界", " 😀"]


async def test_an_answer_without_an_end_mark_is_complete_if_it_gave_a_reason(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(Script(has_done=False), Script(finish_reason=None))
    for _ in range(2):
        got = await outcome(anthropic)
        assert (got.text, got.reason) == ("Hello, world!", FinishReason.STOP)


async def test_a_cap_is_always_sent_and_never_above_what_the_model_takes(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    assert (await body_of(anthropic, claude, ask()))["max_tokens"] == 4_096
    claude.models = [{**SONNET, "id": HAIKU, "max_tokens": 64_000}]
    await anthropic.list_models()
    for asked, sent in ((None, 64_000), (99_999, 64_000), (10, 10)):
        body = await body_of(anthropic, claude, ask(model=HAIKU, max_tokens=asked))
        assert body["max_tokens"] == sent


async def test_connections_are_used_again(anthropic: AnthropicProvider, claude: Claude) -> None:
    for _ in range(5):
        await outcome(anthropic)
    assert (len(claude.requests), claude.connections) == (5, 1)


async def test_closing_the_generator_closes_the_socket(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(Script(words=("word",) * 1000, delay_seconds=0.01))
    async with aclosing(anthropic.complete(ask())) as events:
        await anext(events)
    seen = await claude.request()
    await seen.closed()
    assert not seen.is_answered


async def test_canceling_closes_the_socket_also_before_the_first_byte(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.by_model = {
        failure.value: Script(failure=failure, after=0)
        for failure in (Failure.SILENT, Failure.HEAD_ONLY, Failure.STALL, Failure.DRIP)
    }
    tasks = [
        asyncio.ensure_future(outcome(anthropic, ask(model=model))) for model in claude.by_model
    ]
    await claude.request(len(tasks))
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    assert all(task.cancelled() for task in tasks)
    for seen in claude.requests:
        await seen.closed()
