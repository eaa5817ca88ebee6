"""The simulated provider is no invention of ours: OpenAI's own client reads it."""

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.fakes.scripts import Script, error
from tests.fakes.upstream import Upstream

MESSAGES: list[ChatCompletionMessageParam] = [{"role": "user", "content": "How are you?"}]


@pytest.fixture
def client(upstream: Upstream) -> openai.AsyncOpenAI:
    return openai.AsyncOpenAI(base_url=upstream.base_url, api_key="sk-x", max_retries=0)


async def test_a_stream_is_read_by_openais_client(client: openai.AsyncOpenAI) -> None:
    async with client:
        stream = await client.chat.completions.create(
            model="sim", messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
        chunks = [chunk async for chunk in stream]
    deltas = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert "".join(choice.delta.content or "" for choice in deltas) == "Hello, world!"
    assert deltas[-1].finish_reason == "stop"
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == (3, 4)


async def test_a_whole_answer_is_read_by_openais_client(client: openai.AsyncOpenAI) -> None:
    async with client:
        completion = await client.chat.completions.create(model="sim", messages=MESSAGES)
    assert completion.choices[0].message.content == "Hello, world!"
    assert completion.usage is not None
    assert completion.usage.total_tokens == 7


async def test_models_and_errors_are_read_by_openais_client(
    client: openai.AsyncOpenAI, upstream: Upstream
) -> None:
    async with client:
        assert [model.id async for model in client.models.list()] == ["sim"]
        upstream.plan(error(429, "Too much.", code="rate_limit_exceeded"))
        with pytest.raises(openai.RateLimitError, match=r"Too much\."):
            await client.chat.completions.create(model="sim", messages=MESSAGES)


async def test_varied_answers_tell_their_request(
    client: openai.AsyncOpenAI, upstream: Upstream
) -> None:
    upstream.default = Script(words=("a", "b"), is_varied=True)
    async with client:
        answers = [
            (await client.chat.completions.create(model="sim", messages=MESSAGES))
            .choices[0]
            .message.content
            for _ in range(2)
        ]
    assert answers == [" 1.0a 1.1b", " 2.0a 2.1b"]
