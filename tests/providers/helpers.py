"""Asking a provider, and telling what came of it."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any

from palaver.domain.errors import ProviderError
from palaver.domain.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    SourceFound,
    TextDelta,
    UsageReported,
)
from palaver.domain.providers import CompletionEvent, CompletionRequest, Provider, Turn
from palaver.domain.sources import Source
from palaver.providers.openai import OpenAIProvider
from palaver.providers.openai.asking import Server


def ask(text: str = "How are you?", *, model: str = "sim", **options: Any) -> CompletionRequest:
    return CompletionRequest(model, (Turn("system", "Be brief."), Turn("user", text)), **options)


def asking(provider: OpenAIProvider, request: CompletionRequest) -> dict[str, object]:
    """Return what a provider would send: of servers that no test can reach."""
    return provider._wording.body(request)


def speaking_to(provider: OpenAIProvider, server: Server) -> OpenAIProvider:
    """Let a provider take the simulator for one of those who are known by their address."""
    provider._wording.server = server
    return provider


@dataclass
class Outcome:
    """All that came of one request."""

    events: list[CompletionEvent] = field(default_factory=list)
    error: ProviderError | None = None

    @property
    def text(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(event.text for event in self.events if isinstance(event, ReasoningDelta))

    @property
    def sources(self) -> list[Source]:
        return [event.source for event in self.events if isinstance(event, SourceFound)]

    @property
    def usage(self) -> UsageReported | None:
        reported = [event for event in self.events if isinstance(event, UsageReported)]
        assert len(reported) <= 1
        return reported[0] if reported else None

    @property
    def reason(self) -> FinishReason:
        assert self.error is None, self.error
        last = self.events[-1]
        assert isinstance(last, Finished)
        return last.reason

    @property
    def refusal(self) -> ProviderError:
        assert self.error is not None
        return self.error


async def outcome(provider: Provider, request: CompletionRequest | None = None) -> Outcome:
    """Ask, and gather everything up to the end or the error."""
    gathered = Outcome()
    try:
        async with aclosing(provider.complete(request or ask())) as events:
            async for event in events:
                gathered.events.append(event)
    except ProviderError as error:
        gathered.error = error
    return gathered


def words(events: Sequence[CompletionEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, TextDelta)]
