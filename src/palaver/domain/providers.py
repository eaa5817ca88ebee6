"""The port to LLM providers: what a run sends, what comes back, and how it can fail."""

from collections.abc import AsyncIterator
from typing import Protocol, TypeAlias

import msgspec

from palaver.domain.conversations import MessageRole
from palaver.domain.events import Finished, ReasoningDelta, TextDelta, UsageReported
from palaver.domain.models import ListedModel


class Turn(msgspec.Struct, frozen=True, gc=False):
    """One message of a prompt."""

    role: MessageRole
    text: str


class CompletionRequest(msgspec.Struct, frozen=True):
    """One request to one provider."""

    model: str  # the provider's own id
    turns: tuple[Turn, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None  # an opaque id of the person, for the provider's abuse detection


CompletionEvent: TypeAlias = TextDelta | ReasoningDelta | UsageReported | Finished


class Capabilities(msgspec.Struct, frozen=True):
    """What a provider's models can do at best, for those who list providers."""

    streaming: bool = True
    vision: bool = False
    tools: bool = False
    json_mode: bool = False
    max_context_tokens: int | None = None


class Provider(Protocol):
    """An adapter of one LLM wire protocol, with its address and key.

    Every method raises `ProviderError` and nothing else; its kind tells unreachable, time-out,
    overloaded (with its retry time), unknown model, and all else apart.
    """

    @property
    def id(self) -> str:
        """Return the name before the slash of its models: such as `lmstudio`."""

    @property
    def name(self) -> str:
        """Return what people call it."""

    @property
    def capabilities(self) -> Capabilities:
        """Return what its models can do at best."""

    async def list_models(self) -> list[ListedModel]:
        """Ask which models it serves."""

    def complete(self, request: CompletionRequest) -> AsyncIterator[CompletionEvent]:
        """Ask for an answer, and yield it as it comes: ends with `Finished`, usage before it.

        Closing the iterator closes the socket. Repeats what may be repeated only while nothing
        has been yielded.
        """

    async def close(self) -> None:
        """Give up every connection."""
