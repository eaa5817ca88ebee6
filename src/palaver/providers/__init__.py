"""Adapters of LLM wire protocols: one module each, with `build(settings) -> Provider`."""

from collections.abc import Callable, Mapping
from typing import Final

from palaver.domain.providers import Provider, ProviderSettings

# An adapter is imported when it is first needed: aiohttp is a third of the time to start, and
# most commands talk to no provider.


def _anthropic(settings: ProviderSettings) -> Provider:
    from palaver.providers.anthropic import build  # noqa: PLC0415

    return build(settings)


def _demo(settings: ProviderSettings) -> Provider:
    from palaver.providers.demo import build  # noqa: PLC0415

    return build(settings)


def _gemini(settings: ProviderSettings) -> Provider:
    from palaver.providers.gemini import build  # noqa: PLC0415

    return build(settings)


def _openai(settings: ProviderSettings) -> Provider:
    from palaver.providers.openai import build  # noqa: PLC0415

    return build(settings)


PROTOCOLS: Final[Mapping[str, Callable[[ProviderSettings], Provider]]] = {
    "anthropic": _anthropic,
    "demo": _demo,
    "gemini": _gemini,
    "openai": _openai,
}


def build(settings: ProviderSettings) -> Provider:
    """Return the adapter of a provider. Opens no connection yet."""
    return PROTOCOLS[settings.protocol](settings)
