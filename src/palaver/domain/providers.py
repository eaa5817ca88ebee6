"""The port to LLM providers: what a run sends, what comes back, and how it can fail."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from palaver.domain.conversations import MessageRole
from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import (
    Finished,
    ReasoningDelta,
    SourceFound,
    Status,
    TextDelta,
    UsageReported,
)
from palaver.domain.models import ListedModel


class ImageRef(msgspec.Struct, frozen=True, gc=False):
    """A picture that goes with a turn, by its name: what it holds comes with the request."""

    name: str
    media_type: str  # `image/png`, `image/jpeg`, `image/webp` or `image/gif`
    width: int
    height: int


class Turn(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One message of a prompt."""

    role: MessageRole
    text: str
    images: tuple[ImageRef, ...] = ()


class CompletionRequest(msgspec.Struct, frozen=True):
    """One request to one provider.

    With `thinking_tokens` the model thinks first, with at most so many of its `max_tokens`; without
    it does not, where that can be said. With `searches_web` the provider's own search is on: what
    it finds comes as `SourceFound`, numbered from `first_source`, and the text holds `[index]`.
    The numbers before it are those of the passages in the turns.
    """

    model: str  # the provider's own id
    turns: tuple[Turn, ...]
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    user: str | None = None  # an opaque id of the person, for the provider's abuse detection
    thinking_tokens: int | None = None
    searches_web: bool = False
    first_source: int = 1
    images: Mapping[str, bytes] = {}  # as base64, by the names in the turns


class ImageRequest(msgspec.Struct, frozen=True):
    """One picture asked of one provider."""

    model: str  # the provider's own id
    prompt: str
    user: str | None = None


class MadeImage(msgspec.Struct, frozen=True):
    """A picture as its provider sent it: not looked into yet."""

    content: bytes
    usage: UsageReported | None = None


CompletionEvent: TypeAlias = (
    TextDelta | ReasoningDelta | SourceFound | Status | UsageReported | Finished
)


class ProviderSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where a provider is and how it wants to be spoken to; its adapter's `build` takes this."""

    id: str  # the name before the slash of its models
    name: str  # what people call it
    protocol: str  # a key of `palaver.providers.PROTOCOLS`
    base_url: str = ""  # as the vendor's own SDK takes it, without a slash at its end
    api_key: str | None = None
    key_setting: str | None = None  # where the key is set, for sentences: `OPENAI_API_KEY`
    idle_timeout_seconds: float = 60.0  # of silence between two deltas
    first_timeout_seconds: float | None = None  # until the first delta; None = the idle time-out
    whole_timeout_seconds: float = 600.0  # for an answer that is not streamed
    streams: bool = True  # False: it is asked for whole answers only
    is_local: bool = False  # guessed to be there, not configured: its absence is no fault
    retries: int = 2  # further tries, while nothing has been yielded
    backoff_seconds: float = 0.5  # before the first of them; doubles, with jitter
    max_tokens_field: Literal["max_tokens", "max_completion_tokens"] | None = None
    word_delay_seconds: float = 0.02  # the demo's pace

    def __repr__(self) -> str:
        """Leave the key out: what is shown may be logged."""
        return f"ProviderSettings({self.id!r}, {self.protocol!r}, {self.base_url!r})"


class Capabilities(msgspec.Struct, frozen=True):
    """What a provider's models can do at best, for those who list providers."""

    streaming: bool = True
    vision: bool = False
    tools: bool = False
    json_mode: bool = False
    max_context_tokens: int | None = None


def best_of(models: Sequence[ListedModel], *, streams: bool) -> Capabilities:
    """Return the best of what a provider's models can do."""
    profiles = [model.profile for model in models]
    return Capabilities(
        streaming=streams,
        vision=any(profile.sees for profile in profiles),
        tools=any(profile.has_tools for profile in profiles),
        json_mode=any(profile.has_json_mode for profile in profiles),
        max_context_tokens=max(
            (p.context_tokens for p in profiles if p.context_tokens), default=None
        ),
    )


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

    def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Ask for an answer, and yield it as it comes: ends with `Finished`, usage before it.

        Without the provider's own figures no usage is yielded: whoever asked has to count.
        Closing the generator closes the socket. Repeats what may be repeated only while nothing
        has been yielded.
        """

    async def make_image(self, request: ImageRequest) -> MadeImage:
        """Have a picture made. One that makes none says `MODEL_NOT_FOUND`."""

    async def close(self) -> None:
        """Give up every connection."""


def makes_no_images(name: str) -> ProviderError:
    """Return the refusal of a provider, by its name, that makes no pictures."""
    return ProviderError(f"{name} makes no images.", kind=ErrorKind.MODEL_NOT_FOUND)
