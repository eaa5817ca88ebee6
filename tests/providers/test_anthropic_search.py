"""Anthropic's own search of the web: sources, marks in the text, and answers that pause."""

from typing import Any

import pytest

from palaver.domain.events import Finished, FinishReason, SourceFound, Status, TextDelta
from palaver.domain.providers import CompletionEvent, CompletionRequest
from palaver.domain.sources import SourceKind
from palaver.providers.anthropic import AnthropicProvider, adapter
from tests.fakes.claude import FOUND, Claude, ClaudeScript, refusal
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildClaude
from tests.providers.helpers import Outcome, ask, outcome

HAIKU = "claude-haiku-4-5"
WIKIPEDIA = "https://en.example.org/wiki/Claude_Shannon"


def searching(**more: Any) -> CompletionRequest:
    return ask("When was Shannon born?", model=HAIKU, searches_web=True, **more)


def sources(got: Outcome) -> list[tuple[int, str]]:
    return [(e.source.index, e.source.id) for e in got.events if isinstance(e, SourceFound)]


def place(events: list[CompletionEvent], text: str) -> int:
    return events.index(TextDelta(text))


def cited(text: str, *urls: str) -> dict[str, Any]:
    citations = [
        {"type": "web_search_result_location", "url": url, "title": url, "cited_text": "Words."}
        for url in urls
    ]
    return {"type": "text", "text": text, "citations": citations}


async def test_the_search_is_asked_for_with_a_bound(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    await outcome(anthropic, searching())
    await outcome(anthropic, ask())
    tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": 5}
    assert [seen.body.get("tools") for seen in claude.requests] == [[tool], None]


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize("cites_first", [True, False], ids=["cites-first", "cites-last"])
async def test_what_is_cited_is_a_source_and_gets_its_mark(
    build_claude: BuildClaude, claude: Claude, *, streams: bool, cites_first: bool
) -> None:
    claude.plan(ClaudeScript(blocks=FOUND, cites_first=cites_first))
    got = await outcome(build_claude(streams=streams), searching(first_source=3))
    assert got.text == (
        "I will look that up.\n\n"
        "Based on that, Claude Shannon was born on April 30, 1916 [3], in Michigan."
    )
    assert sources(got) == [(3, WIKIPEDIA), (4, "https://example.com/never-cited")]
    first = next(event.source for event in got.events if isinstance(event, SourceFound))
    assert (first.kind, first.url) == (SourceKind.WEB, WIKIPEDIA)
    assert first.title == "Claude Shannon - Wikipedia"
    assert first.quote.startswith("Claude Elwood Shannon (April 30, 1916")
    assert first.reason.note == "Found by Anthropic's own search."
    assert got.events.index(SourceFound(first)) < place(got.events, " [3]")
    assert Status("Searching the web for “claude shannon birth date” …") in got.events
    assert isinstance(got.events[-1], Finished)


async def test_a_page_is_told_of_once_and_keeps_its_number(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    a, b = "https://a.example/", "https://b.example/"
    blocks = (
        cited("One", b, a, b),
        cited(" two\n", a),
        cited("", a),
        {"type": "text", "text": "."},
    )
    claude.plan(ClaudeScript(blocks=blocks))
    got = await outcome(anthropic, searching())
    assert got.text == "One [1][2] two\n[2] [2] ."
    assert sources(got) == [(1, b), (2, a)]


async def test_what_is_no_address_of_the_web_is_no_source(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    wrong = ["javascript:alert(1)", "https://", "http://[", f"https://x.example/{'x' * 2_000}", ""]
    claude.plan(ClaudeScript(blocks=(cited("Text", *wrong),)))
    got = await outcome(anthropic, searching())
    assert (got.text, sources(got)) == ("Text", [])


async def test_a_search_that_fails_is_told_and_the_answer_goes_on(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    error = {"type": "web_search_tool_result_error", "error_code": "too_many_requests"}
    failed = {"type": "web_search_tool_result", "tool_use_id": "x", "content": error}
    claude.plan(
        ClaudeScript(blocks=(FOUND[1], failed, {"type": "text", "text": "As far as I know"}))
    )
    got = await outcome(anthropic, searching())
    assert Status("The search of the web failed: too many requests.") in got.events
    assert (got.text, got.reason) == ("As far as I know", FinishReason.STOP)


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_a_paused_answer_is_gone_on_with_and_is_one(
    build_claude: BuildClaude, claude: Claude, *, streams: bool
) -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "sig-1"}
    usage = {"input_tokens": 100, "cache_read_input_tokens": 10, "output_tokens": 50}
    claude.plan(
        ClaudeScript(blocks=(thought, *FOUND[:5]), finish_reason="pause_turn", usage=usage),
        refusal(529, "Overloaded"),
        ClaudeScript(blocks=(cited("And", WIKIPEDIA, "https://b.example/"), FOUND[5]), usage=usage),
    )
    request = searching(max_tokens=8_000, thinking_tokens=2_000)
    got = await outcome(build_claude(streams=streams), request)
    assert got.error is None
    assert got.text.endswith("April 30, 1916 [1]And [1][2], in Michigan.")
    assert [index for index, _ in sources(got)] == [1, 2, 3]
    assert (got.reasoning, got.reason) == ("Hm.", FinishReason.STOP)
    assert got.usage is not None
    assert (got.usage.prompt_tokens, got.usage.completion_tokens) == (220, 100)
    assert got.usage.cached_tokens == 20
    first, _, second = (seen.body for seen in claude.requests)
    assert second["messages"][:-1] == first["messages"]
    assert second["messages"][-1] == {"role": "assistant", "content": [thought, *FOUND[:5]]}
    assert second["tools"] == first["tools"]
    assert (first["max_tokens"], second["max_tokens"]) == (8_000, 7_950)


async def test_an_answer_that_pauses_for_ever_ends(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.default = ClaudeScript(blocks=FOUND[:2], finish_reason="pause_turn")
    got = await outcome(anthropic, searching())
    assert got.reason is FinishReason.LENGTH
    assert len(claude.requests) == 1 + adapter.MAX_PAUSES


async def test_a_pause_that_has_used_up_the_cap_is_the_end(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    usage = {"input_tokens": 1, "output_tokens": 1_000}
    claude.default = ClaudeScript(blocks=FOUND[:2], finish_reason="pause_turn", usage=usage)
    for more in ({"max_tokens": 1_000}, {"max_tokens": 2_000, "thinking_tokens": 1_024}):
        got = await outcome(anthropic, searching(**more))
        assert (got.reason, got.usage is not None) == (FinishReason.LENGTH, True)
    assert len(claude.requests) == 2


async def test_going_on_may_fail_and_what_was_said_stays(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(ClaudeScript(blocks=FOUND[:2], finish_reason="pause_turn"), refusal(400, "No."))
    got = await outcome(anthropic, searching())
    assert got.text == "I will look that up."
    assert got.refusal.message == "Simulator refused the request with status 400: No."


async def test_a_cut_in_the_middle_of_a_search_is_a_failure(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.default = ClaudeScript(blocks=FOUND, failure=Failure.CUT, after=12)
    got = await outcome(anthropic, searching())
    assert got.error is not None
    assert got.text.startswith("I will look that up.")
    assert len(claude.requests) == 1


async def test_what_was_not_asked_to_search_keeps_its_text_as_it_is(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.plan(ClaudeScript(blocks=FOUND), Script())
    got = await outcome(anthropic, ask())
    assert "[" not in got.text
    assert sources(got) == []
