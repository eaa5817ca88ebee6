"""Against llama.cpp's own server: a peer that we did not write."""

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import FinishReason
from palaver.domain.providers import CompletionRequest, ProviderSettings, Turn
from palaver.providers.openai import OpenAIProvider
from tests.fakes.llama_cpp import CONTEXT_TOKENS, MODEL, LlamaCppServer
from tests.providers.helpers import ask, outcome, words


@pytest.fixture(scope="module")
def server() -> Iterator[LlamaCppServer]:
    with LlamaCppServer() as server:
        yield server


def settings(base_url: str, *, streams: bool = True) -> ProviderSettings:
    return ProviderSettings(
        id="llama", name="llama.cpp", protocol="openai", base_url=base_url, streams=streams
    )


@pytest.fixture
async def provider(server: LlamaCppServer) -> AsyncIterator[OpenAIProvider]:
    provider = OpenAIProvider(settings(server.base_url))
    yield provider
    await provider.close()


async def test_an_answer_streams_to_its_cap_with_exact_usage(provider: OpenAIProvider) -> None:
    got = await outcome(provider, ask(model=MODEL, max_tokens=20, temperature=0))
    assert got.reason is FinishReason.LENGTH
    assert len(words(got.events)) > 10
    assert got.text.split()
    assert got.usage is not None
    assert (got.usage.completion_tokens, got.usage.is_estimate) == (20, False)
    assert got.usage.prompt_tokens > 10


async def test_a_whole_answer_says_the_same_as_a_streamed_one(
    provider: OpenAIProvider, server: LlamaCppServer
) -> None:
    question = ask(model=MODEL, max_tokens=12, temperature=0)
    streamed = await outcome(provider, question)
    unstreamed = OpenAIProvider(settings(server.base_url, streams=False))
    whole = await outcome(unstreamed, question)
    await unstreamed.close()
    assert whole.text == streamed.text
    assert whole.reason is streamed.reason


async def test_closing_frees_the_server_for_others(provider: OpenAIProvider) -> None:
    for _ in range(6):  # there are two slots: were they still busy, the last ones would wait
        async with aclosing(provider.complete(ask(model=MODEL, max_tokens=900))) as events:
            await anext(events)
    assert (await outcome(provider, ask(model=MODEL, max_tokens=3))).usage is not None


async def test_its_model_is_listed_with_the_context_it_was_started_with(
    provider: OpenAIProvider,
) -> None:
    (model,) = await provider.list_models()
    assert (model.name, model.profile.context_tokens) == (MODEL, CONTEXT_TOKENS // 2)
    assert not model.profile.sees


@pytest.mark.parametrize("thinking_tokens", [None, 100])
async def test_it_takes_what_it_is_told_of_thinking(
    provider: OpenAIProvider, thinking_tokens: int | None
) -> None:
    provider._wording.thinkers = {MODEL}
    request = ask(model=MODEL, max_tokens=9, thinking_tokens=thinking_tokens, temperature=0)
    got = await outcome(provider, request)
    assert got.reason is FinishReason.LENGTH
    assert provider._wording.habits.refused(MODEL) == frozenset()


@pytest.mark.parametrize("places", [(1,), (3,), (5,), (1, 3, 6)])
async def test_a_strict_template_takes_what_was_found_wherever_it_stands(
    provider: OpenAIProvider, places: tuple[int, ...]
) -> None:
    turns = [
        Turn("system", "Be brief."),
        Turn("user", "One"),
        Turn("assistant", "Two"),
        Turn("user", "Three"),
        Turn("user", "Four"),
    ]
    for place in places:
        turns.insert(place, Turn("system", "Found."))
    request = CompletionRequest(MODEL, tuple(turns), max_tokens=3)
    assert (await outcome(provider, request)).reason is FinishReason.LENGTH


async def test_a_prompt_that_does_not_fit_is_refused_in_its_words(provider: OpenAIProvider) -> None:
    got = await outcome(provider, ask("word " * CONTEXT_TOKENS, model=MODEL))
    assert got.refusal.kind is ErrorKind.PROVIDER_FAILED
    assert "context" in got.refusal.message


async def test_a_wrong_base_url_is_told(server: LlamaCppServer) -> None:
    provider = OpenAIProvider(settings(f"{server.base_url}/v2"))
    got = await outcome(provider)
    assert got.refusal.message == (
        "llama.cpp has no such address (File Not Found): is its base URL right?"
    )
    with pytest.raises(ProviderError, match="no such address"):
        await provider.list_models()
    await provider.close()
