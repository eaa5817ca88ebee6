"""The simulated provider is no invention of ours: OpenAI's own client reads it."""

import base64

import openai
import pytest
from openai.types.chat import ChatCompletionMessageParam

from tests.fakes.scripts import PICTURE, Script, cited, error
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


async def test_reasoning_and_sources_are_read_by_openais_client(
    client: openai.AsyncOpenAI, upstream: Upstream
) -> None:
    script = Script(reasoning=("Hm.",), annotations=(cited("https://a.example/", 0, 5),))
    upstream.default = script
    async with client:
        completion = await client.chat.completions.create(
            model="sim", messages=MESSAGES, web_search_options={}, reasoning_effort="none"
        )
        stream = await client.chat.completions.create(model="sim", messages=MESSAGES, stream=True)
        deltas = [chunk.choices[0].delta async for chunk in stream if chunk.choices]
    message = completion.choices[0].message
    assert message.annotations is not None
    citation = message.annotations[0].url_citation
    assert (citation.url, citation.start_index, citation.end_index) == ("https://a.example/", 0, 5)
    # What the vendor's types do not know is kept beside them.
    assert completion.choices[0].message.model_extra == {"reasoning_content": "Hm."}
    told = [delta.model_extra for delta in deltas if delta.model_extra]
    assert told == [{"reasoning_content": "Hm."}, {"annotations": [dict(script.annotations[0])]}]
    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 1


async def test_pictures_are_read_by_openais_client(
    client: openai.AsyncOpenAI, upstream: Upstream
) -> None:
    async with client:
        made = await client.images.generate(model="gpt-image-2", prompt="A red fox")
        upstream.plan(error(400, "No.", code="moderation_blocked"))
        with pytest.raises(openai.BadRequestError, match=r"No\."):
            await client.images.generate(model="gpt-image-2", prompt="A red fox")
    assert made.data is not None
    assert made.data[0].b64_json == base64.b64encode(PICTURE).decode()
    assert made.usage is not None
    assert (made.usage.input_tokens, made.usage.output_tokens) == (3, 1_056)
