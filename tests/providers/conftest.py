"""Simulated providers, and our adapters before them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import pytest

from palaver.domain.providers import Provider, ProviderSettings
from palaver.providers.anthropic import AnthropicProvider
from palaver.providers.gemini import GeminiProvider
from palaver.providers.openai import OpenAIProvider
from tests.fakes.claude import Claude
from tests.fakes.gemini import Gemini
from tests.fakes.upstream import Upstream

P = TypeVar("P", bound=Provider)
Build = Callable[..., OpenAIProvider]
BuildClaude = Callable[..., AnthropicProvider]
BuildGemini = Callable[..., GeminiProvider]


@asynccontextmanager
async def building(
    adapter: Callable[[ProviderSettings], P], **defaults: Any
) -> AsyncIterator[Callable[..., P]]:
    """Make adapters that try again without delay; settings may be given by keyword."""
    built: list[P] = []

    def build(**settings: Any) -> P:
        given = {
            "name": "Simulator",
            "key_setting": "SIM_API_KEY",
            "backoff_seconds": 0.0,
            "idle_timeout_seconds": 20.0,
            **defaults,
            **settings,
        }
        built.append(adapter(ProviderSettings(**given)))
        return built[-1]

    yield build
    for provider in built:
        await provider.close()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def build(upstream: Upstream) -> AsyncIterator[Build]:
    at = {"id": "sim", "protocol": "openai", "base_url": upstream.base_url}
    async with building(OpenAIProvider, **at) as build:
        yield build


@pytest.fixture
def provider(build: Build) -> OpenAIProvider:
    return build()


@pytest.fixture
async def claude() -> AsyncIterator[Claude]:
    async with Claude() as claude:
        yield claude


@pytest.fixture
async def build_claude(claude: Claude) -> AsyncIterator[BuildClaude]:
    at = {"id": "anthropic", "protocol": "anthropic", "base_url": claude.base_url}
    async with building(AnthropicProvider, **at) as build:
        yield build


@pytest.fixture
def anthropic(build_claude: BuildClaude) -> AnthropicProvider:
    return build_claude()


@pytest.fixture
async def gemini() -> AsyncIterator[Gemini]:
    async with Gemini() as gemini:
        yield gemini


@pytest.fixture
async def build_gemini(gemini: Gemini) -> AsyncIterator[BuildGemini]:
    at = {"id": "gemini", "protocol": "gemini", "base_url": gemini.base_url}
    async with building(GeminiProvider, **at) as build:
        yield build


@pytest.fixture
def google(build_gemini: BuildGemini) -> GeminiProvider:
    return build_gemini()
