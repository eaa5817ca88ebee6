"""The simulated Gemini is no invention of ours: Google's own client reads it."""

from collections.abc import AsyncIterator

import httpx
import pytest
from google import genai
from google.genai import errors, types

from tests.fakes.gemini import Gemini, GeminiScript, grounding, refusal, retry_in
from tests.fakes.scripts import Failure, Script


@pytest.fixture
async def client(gemini: Gemini) -> AsyncIterator[genai.client.AsyncClient]:
    # By itself it would take aiohttp, in a way that aiohttp warns of.
    async with httpx.AsyncClient() as http:
        options = types.HttpOptions(base_url=gemini.base_url, httpx_async_client=http)
        yield genai.Client(api_key="key", http_options=options).aio


async def test_a_stream_is_read_by_googles_client(
    client: genai.client.AsyncClient, gemini: Gemini
) -> None:
    gemini.plan(Script(reasoning=("Hm", "m.")))
    stream = await client.models.generate_content_stream(
        model="gemini-2.5-flash",
        contents="How are you?",
        config=types.GenerateContentConfig(
            thinking_config=types.ThinkingConfig(thinking_budget=99, include_thoughts=True)
        ),
    )
    chunks = [chunk async for chunk in stream]
    parts = [
        part
        for chunk in chunks
        for candidate in chunk.candidates or ()
        for part in (candidate.content and candidate.content.parts) or ()
    ]
    assert "".join(part.text or "" for part in parts if part.thought) == "Hmm."
    assert "".join(chunk.text or "" for chunk in chunks) == "Hello, world!"
    last = chunks[-1]
    assert last.candidates
    assert last.candidates[0].finish_reason is types.FinishReason.STOP
    usage = last.usage_metadata
    assert usage is not None
    counts = (usage.prompt_token_count, usage.candidates_token_count, usage.thoughts_token_count)
    assert counts == (3, 4, 2)
    told = gemini.requests[0].body["generationConfig"]["thinkingConfig"]
    assert sorted(told.values()) == [True, 99]


async def test_a_whole_answer_is_read_by_googles_client(client: genai.client.AsyncClient) -> None:
    answer = await client.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    assert answer.text == "Hello, world!"
    assert answer.usage_metadata is not None
    assert answer.usage_metadata.total_token_count == 5


async def test_what_a_search_found_is_read_by_googles_client(
    client: genai.client.AsyncClient, gemini: Gemini
) -> None:
    metadata = grounding([("https://a.example/", "a.example")], [(0, 5, "Hello", [0])])
    gemini.plan(GeminiScript(grounding={4: metadata}))
    answer = await client.models.generate_content(
        model="gemini-2.5-flash",
        contents="Hi",
        config=types.GenerateContentConfig(tools=[types.Tool(google_search=types.GoogleSearch())]),
    )
    assert answer.candidates
    found = answer.candidates[0].grounding_metadata
    assert found is not None
    assert found.grounding_chunks
    assert found.grounding_chunks[0].web is not None
    assert found.grounding_chunks[0].web.uri == "https://a.example/"
    assert found.grounding_supports
    assert found.grounding_supports[0].segment is not None
    assert found.grounding_supports[0].segment.end_index == 5


async def test_a_blocked_prompt_is_read_by_googles_client(
    client: genai.client.AsyncClient, gemini: Gemini
) -> None:
    gemini.plan(GeminiScript(blocked="PROHIBITED_CONTENT"))
    answer = await client.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    assert answer.prompt_feedback is not None
    assert answer.prompt_feedback.block_reason is types.BlockedReason.PROHIBITED_CONTENT


async def test_models_and_errors_are_read_by_googles_client(
    client: genai.client.AsyncClient, gemini: Gemini
) -> None:
    gemini.models = [{**gemini.models[0], "name": f"models/gemini-{n}"} for n in range(5)]
    gemini.page_size = 2
    listed = [model async for model in await client.models.list()]
    assert [model.name for model in listed] == [f"models/gemini-{n}" for n in range(5)]
    gemini.plan(refusal(429, "Too much.", details=[retry_in("7s")]))
    with pytest.raises(errors.ClientError, match=r"Too much\.") as caught:
        await client.models.generate_content(model="gemini-2.5-flash", contents="Hi")
    assert (caught.value.code, caught.value.status) == (429, "RESOURCE_EXHAUSTED")


async def test_an_error_in_the_middle_is_read_by_googles_client(
    client: genai.client.AsyncClient, gemini: Gemini
) -> None:
    gemini.plan(Script(failure=Failure.ERROR))
    stream = await client.models.generate_content_stream(model="gemini-x", contents="Hi")
    with pytest.raises(errors.ServerError, match="Something broke"):
        [chunk async for chunk in stream]
