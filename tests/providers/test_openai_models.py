"""What servers list, in the words of each of them."""

import json
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.models import ListedModel, ModelProfile, ModelType
from palaver.domain.providers import Capabilities
from palaver.providers.openai import OpenAIProvider
from palaver.providers.openai.asking import Server
from tests.fakes.scripts import Script, error
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import speaking_to

OPENROUTER = {
    "id": "anthropic/claude-sonnet-4.5",
    "name": "Anthropic: Claude Sonnet 4.5",
    "context_length": 1_000_000,
    "architecture": {"input_modalities": ["text", "image", "file"], "output_modalities": ["text"]},
    "top_provider": {"context_length": 1_000_000, "max_completion_tokens": 64_000},
    "supported_parameters": ["max_tokens", "reasoning", "tools", "response_format"],
    "pricing": {"prompt": "0.000003", "completion": "0.000015"},
}
ENTRIES: list[tuple[dict[str, Any], ListedModel]] = [
    (
        OPENROUTER,
        ListedModel(
            "anthropic/claude-sonnet-4.5",
            "Anthropic: Claude Sonnet 4.5",
            ModelProfile(1_000_000, 64_000, sees=True, thinks=True, has_tools=True, has_json_mode=True, continues=True),
        ),
    ),
    (
        {"id": "gpt-4o", "object": "model", "created": 1, "owned_by": "system"},
        ListedModel("gpt-4o", "gpt-4o", ModelProfile(128_000, 16_384, sees=True, has_tools=True)),
    ),
    (  # vLLM
        {"id": "my/own-model", "object": "model", "max_model_len": 8192, "root": "x"},
        ListedModel("my/own-model", "my/own-model", ModelProfile(8192)),
    ),
    (  # llama.cpp
        {"id": "tiny.gguf", "meta": {"n_ctx_train": 4096, "n_params": 9}, "owned_by": "llamacpp"},
        ListedModel("tiny.gguf", "tiny.gguf", ModelProfile(4096)),
    ),
    (  # LM Studio
        {"id": "qwen2-vl", "type": "vlm", "max_context_length": 32768, "loaded_context_length": 4096, "capabilities": ["tool_use"]},
        ListedModel("qwen2-vl", "qwen2-vl", ModelProfile(4096, sees=True, has_tools=True)),
    ),
    (  # Mistral
        {"id": "m-small", "max_context_length": 131072, "capabilities": {"vision": True, "function_calling": False}},
        ListedModel("m-small", "m-small", ModelProfile(131072, sees=True)),
    ),
    (  # Groq
        {"id": "llama-x", "context_window": 8192, "max_completion_tokens": 1024},
        ListedModel("llama-x", "llama-x", ModelProfile(8192, 1024)),
    ),
    (
        {"id": "a/painter", "architecture": {"output_modalities": ["image"]}},
        ListedModel("a/painter", "a/painter", ModelProfile(type=ModelType.IMAGE)),
    ),
    (
        {"id": "google/gemini-2.5-flash-image", "architecture": {"output_modalities": ["image", "text"]}},
        ListedModel("google/gemini-2.5-flash-image", "google/gemini-2.5-flash-image", ModelProfile(type=ModelType.IMAGE)),
    ),
    (  # it talks, and makes a picture now and then
        {"id": "a/talker", "architecture": {"output_modalities": ["image", "text"]}},
        ListedModel("a/talker", "a/talker"),
    ),
    (
        {"id": "gpt-5-search-api"},
        ListedModel("gpt-5-search-api", "gpt-5-search-api", ModelProfile(128_000, 16_384, has_tools=True, searches=True)),
    ),
    (
        {"id": "unheard-of", "name": None, "context_length": -1},
        ListedModel("unheard-of", "unheard-of"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "model"), ENTRIES, ids=lambda value: getattr(value, "name", ""))
async def test_a_model_is_known_by_its_servers_word_else_by_its_name(
    provider: OpenAIProvider, upstream: Upstream, entry: dict[str, Any], model: ListedModel
) -> None:
    upstream.models = [entry]
    assert await provider.list_models() == [model]


@pytest.mark.parametrize(
    ("pricing", "prices"),
    [
        ({"prompt": "0", "completion": "0"}, (0, 0)),
        ({"prompt": "0.00000010005", "completion": 2e-06}, (100_050, 2_000_000)),
        ({"prompt": "-1", "completion": "-1"}, (None, None)),
        ({"prompt": "NaN", "completion": "Infinity"}, (None, None)),
        ({"prompt": "1e999", "completion": "2"}, (None, None)),
        ({"prompt": "cheap", "completion": "0.1"}, (None, None)),
        ({"input": 0.2, "output": 0.2}, (None, None)),
        ("free", (None, None)),
        (None, (None, None)),
    ],
)
async def test_prices_of_a_token_are_kept_as_those_of_a_million(
    provider: OpenAIProvider,
    upstream: Upstream,
    pricing: Any,
    prices: tuple[int | None, int | None],
) -> None:
    upstream.models = [{"id": "a/b", "pricing": pricing}]
    (elsewhere,) = await provider.list_models()  # where the unit may be another
    (model,) = await speaking_to(provider, Server.OPENROUTER).list_models()
    assert (model.profile.prompt_price, model.profile.completion_price) == prices
    assert elsewhere.profile.prompt_price is None


async def test_openrouter_searches_with_every_model_that_talks(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.models = [
        OPENROUTER,
        {"id": "google/gemma-2b-it", "architecture": {"output_modalities": ["text"]}},
        {"id": "a/painter", "architecture": {"output_modalities": ["image"]}},
    ]
    here = [model.profile.searches for model in await provider.list_models()]
    speaking_to(provider, Server.OPENROUTER)
    there = [model.profile.searches for model in await provider.list_models()]
    assert (here, there) == ([False, False, False], [True, True, False])


async def test_what_cannot_be_talked_with_or_read_is_passed_over(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    others: list[Any] = [
        {"id": "text-embedding-3-small"},
        {"id": "nomic", "type": "embeddings"},
        {"id": "whisper-1"},
        {"id": 7},
        {"id": ""},
        {"id": "line\nbreak"},
        {"id": "x" * 1000},
        {"no": "id"},
        "text",
        None,
    ]
    upstream.models = [*others, {"id": "b"}, {"id": "a"}, {"id": "b"}]
    assert [model.name for model in await provider.list_models()] == ["b", "a"]


async def test_capabilities_are_the_best_of_what_was_listed(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    assert provider.capabilities == Capabilities()
    upstream.models = [OPENROUTER, {"id": "unheard-of"}]
    await provider.list_models()
    assert provider.capabilities == Capabilities(
        vision=True, tools=True, json_mode=True, max_context_tokens=1_000_000
    )


async def test_a_bare_array_is_a_list_too(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.plan(Script(body=b'[{"id": "a", "type": "chat"}]'))
    assert [model.name for model in await provider.list_models()] == ["a"]


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (error(401, "x"), ErrorKind.PROVIDER_FAILED, "Simulator refused the key: check SIM_API_KEY."),
        (error(503, "Loading model"), ErrorKind.PROVIDER_FAILED, "Simulator failed with status 503: Loading model"),
        (Script(body=b"<html>", content_type="text/html"), ErrorKind.PROVIDER_FAILED, "What Simulator sent is no list of models: is its base URL right?"),
        (Script(body=b"[" * 100_000), ErrorKind.PROVIDER_FAILED, "What Simulator sent is no list of models: is its base URL right?"),
        (Script(body=b"{}"), ErrorKind.PROVIDER_FAILED, "Simulator reports an error: no list of models came"),
        (Script(body=json.dumps({"error": "Unexpected endpoint."}).encode()), ErrorKind.PROVIDER_FAILED, "Simulator reports an error: Unexpected endpoint."),
    ],
)  # fmt: skip
async def test_a_list_that_does_not_come_is_asked_for_once(
    build: Build, upstream: Upstream, script: Script, kind: ErrorKind, sentence: str
) -> None:
    upstream.plan(script)
    with pytest.raises(ProviderError) as caught:
        await build(api_key="sk-secret").list_models()
    assert (caught.value.kind, caught.value.message) == (kind, sentence)
    assert len(upstream.requests) == 1
