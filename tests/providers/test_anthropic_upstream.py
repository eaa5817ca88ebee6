"""The simulated Claude is no invention of ours: Anthropic's own client reads it."""

from collections.abc import AsyncIterator
from typing import Any

import anthropic
import pytest
from anthropic.types import MessageParam, ToolUnionParam
from pydantic import BaseModel

from tests.fakes.claude import FOUND, SONNET, Claude, ClaudeScript, refusal
from tests.fakes.scripts import Failure, Script

MODEL = "claude-haiku-4-5"
ASKED: list[MessageParam] = [
    {"role": "user", "content": [{"type": "text", "text": "How are you?"}]}
]
SEARCH: list[ToolUnionParam] = [{"type": "web_search_20250305", "name": "web_search"}]


@pytest.fixture
async def client(claude: Claude) -> AsyncIterator[anthropic.AsyncAnthropic]:
    async with anthropic.AsyncAnthropic(
        base_url=claude.base_url, api_key="sk-x", max_retries=0
    ) as client:
        yield client


def shown(block: BaseModel) -> dict[str, Any]:
    return block.model_dump(exclude_none=True, exclude={"parsed_output"})


async def test_a_stream_is_read_by_anthropics_client(
    client: anthropic.AsyncAnthropic, claude: Claude
) -> None:
    claude.plan(Script(reasoning=("Hm", "m.")))
    async with client.messages.stream(
        model=MODEL,
        max_tokens=2_000,
        messages=ASKED,
        thinking={"type": "enabled", "budget_tokens": 1_024},
    ) as stream:
        texts = [text async for text in stream.text_stream]
        message = await stream.get_final_message()
    assert texts == ["Hello", ",", " world", "!"]
    thought, said = message.content
    assert thought.type == "thinking"
    assert (thought.thinking, bool(thought.signature)) == ("Hmm.", True)
    assert said.type == "text"
    assert (said.text, message.stop_reason) == ("Hello, world!", "end_turn")
    assert (message.usage.input_tokens, message.usage.output_tokens) == (3, 6)


async def test_a_whole_answer_is_read_by_anthropics_client(
    client: anthropic.AsyncAnthropic,
) -> None:
    message = await client.messages.create(model=MODEL, max_tokens=9, messages=ASKED)
    assert [block.type for block in message.content] == ["text"]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 4)


@pytest.mark.parametrize("cites_first", [False, True])
async def test_a_search_is_read_by_anthropics_client(
    client: anthropic.AsyncAnthropic, claude: Claude, *, cites_first: bool
) -> None:
    claude.default = ClaudeScript(blocks=FOUND, cites_first=cites_first)
    async with client.messages.stream(
        model=MODEL, max_tokens=9, messages=ASKED, tools=SEARCH
    ) as stream:
        message = await stream.get_final_message()
    _, asked, found, _, cited, _ = message.content
    assert asked.type == "server_tool_use"
    assert asked.input == {"query": "claude shannon birth date"}
    assert found.type == "web_search_tool_result"
    assert isinstance(found.content, list)
    assert found.content[0].title == "Claude Shannon - Wikipedia"
    assert cited.type == "text"
    assert cited.citations
    assert cited.citations[0].type == "web_search_result_location"
    whole = await client.messages.create(model=MODEL, max_tokens=9, messages=ASKED, tools=SEARCH)
    assert [shown(block) for block in whole.content] == [shown(block) for block in message.content]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, anthropic.BadRequestError),
        (401, anthropic.AuthenticationError),
        (404, anthropic.NotFoundError),
        (413, anthropic.APIStatusError),
        (429, anthropic.RateLimitError),
        (529, anthropic.InternalServerError),
    ],
)
async def test_refusals_are_read_by_anthropics_client(
    client: anthropic.AsyncAnthropic, claude: Claude, status: int, error: type[Exception]
) -> None:
    claude.plan(refusal(status, "Not so."))
    with pytest.raises(error, match=r"Not so\."):
        await client.messages.create(model=MODEL, max_tokens=9, messages=ASKED)


async def test_an_error_within_a_stream_is_read_by_anthropics_client(
    client: anthropic.AsyncAnthropic, claude: Claude
) -> None:
    said = {"type": "overloaded_error", "message": "Overloaded"}
    claude.plan(Script(failure=Failure.ERROR, error=said))
    texts = []
    with pytest.raises(anthropic.APIStatusError, match="Overloaded"):
        async with client.messages.stream(model=MODEL, max_tokens=9, messages=ASKED) as stream:
            texts += [text async for text in stream.text_stream]


async def test_models_are_paged_through_by_anthropics_client(
    client: anthropic.AsyncAnthropic, claude: Claude
) -> None:
    claude.models = [{**SONNET, "id": f"claude-{at}"} for at in range(5)]
    claude.page_size = 2
    listed = [model.id async for model in client.models.list()]
    assert listed == [f"claude-{at}" for at in range(5)]
    assert len(claude.requests) == 3


@pytest.mark.parametrize(
    ("model", "more", "sentence"),
    [
        (MODEL, {"temperature": 1.5}, "temperature: range"),
        (MODEL, {"thinking": {"type": "enabled", "budget_tokens": 9}}, "must be greater"),
        (MODEL, {"thinking": {"type": "adaptive"}}, "adaptive thinking is not supported"),
        ("claude-opus-4-7", {"temperature": 0.5}, "deprecated for this model"),
        ("claude-opus-4-7", {"thinking": {"type": "enabled", "budget_tokens": 1024}}, "not supp"),
        ("claude-opus-4-6", {"messages": [*ASKED, {"role": "assistant", "content": [{"type": "text", "text": "Well"}]}]}, "prefill"),
        (MODEL, {"messages": [{"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}]}, "first message"),
        (MODEL, {"messages": [{"role": "user", "content": [{"type": "text", "text": " "}]}]}, "non-whitespace"),
    ],
)  # fmt: skip
async def test_what_the_api_refuses_the_simulator_refuses(
    client: anthropic.AsyncAnthropic, model: str, more: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(anthropic.BadRequestError, match=sentence):
        await client.messages.create(model=model, max_tokens=2_000, messages=ASKED, extra_body=more)
