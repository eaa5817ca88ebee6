"""A simulated provider, and our adapter before it."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from palaver.domain.providers import ProviderSettings
from palaver.providers.openai import OpenAIProvider
from tests.fakes.upstream import Upstream

Build = Callable[..., OpenAIProvider]


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
async def build(upstream: Upstream) -> AsyncIterator[Build]:
    """Make adapters that try again without delay; settings may be given by keyword."""
    built: list[OpenAIProvider] = []

    def build(**settings: Any) -> OpenAIProvider:
        given = {
            "id": "sim",
            "name": "Simulator",
            "protocol": "openai",
            "base_url": upstream.base_url,
            "key_setting": "SIM_API_KEY",
            "backoff_seconds": 0.0,
            "idle_timeout_seconds": 20.0,
            **settings,
        }
        provider = OpenAIProvider(ProviderSettings(**given))
        built.append(provider)
        return provider

    yield build
    for provider in built:
        await provider.close()


@pytest.fixture
def provider(build: Build) -> OpenAIProvider:
    return build()
