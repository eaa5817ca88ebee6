"""OpenAI, OpenRouter, LM Studio, Ollama, vLLM, llama.cpp …: everything with `/chat/completions`."""

from collections.abc import AsyncGenerator
from typing import Final
from urllib.parse import urlsplit

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.models import ListedModel
from palaver.domain.providers import (
    Capabilities,
    CompletionEvent,
    CompletionRequest,
    ImageRequest,
    MadeImage,
    Provider,
    ProviderSettings,
    best_of,
    makes_no_images,
)
from palaver.providers.answers import Answer
from palaver.providers.openai import listing, refusals
from palaver.providers.openai.wire import Interpreter
from palaver.providers.transport import Reply, Transport

LIST_TIMEOUT_SECONDS: Final = 15.0
ERROR_TIMEOUT_SECONDS: Final = 5.0
MAX_ERROR_BYTES: Final = 64 * 1024
MAX_LIST_BYTES: Final = 16 * 1024 * 1024
_TOKEN_LIMITS: Final = ("max_tokens", "max_completion_tokens")


def build(settings: ProviderSettings) -> Provider:
    """Return the adapter of a server. Opens no connection yet."""
    return OpenAIProvider(settings)


class OpenAIProvider:
    """One server that speaks OpenAI's protocol, with its address and key."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        key = settings.api_key
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._transport = Transport(settings, headers=headers)
        host = urlsplit(settings.base_url).hostname or ""
        self._is_openrouter = host == "openrouter.ai" or host.endswith(".openrouter.ai")
        # OpenAI's reasoning models refuse the older name, all others may not know the newer one.
        is_openai = host.endswith((".openai.com", ".openai.azure.com"))
        self._token_limit = settings.max_tokens_field or _TOKEN_LIMITS[is_openai]
        # What a model has refused to be told, so that it is asked only once in vain.
        self._rejected: dict[str, set[str]] = {}
        self._capabilities = Capabilities(streaming=settings.streams)

    @property
    def id(self) -> str:
        """Return the name before the slash of its models."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.settings.name

    @property
    def capabilities(self) -> Capabilities:
        """Return what its models can do at best, as far as they have been listed."""
        return self._capabilities

    async def close(self) -> None:
        """Give up every connection."""
        await self._transport.close()

    async def list_models(self) -> list[ListedModel]:
        """Ask which models it serves, in its own order. Raises `ProviderError`; tries once."""
        reply = await self._transport.open("GET", "/models", wait_seconds=LIST_TIMEOUT_SECONDS)
        try:
            if reply.status != 200:
                raise await self._failure(reply)
            body = await reply.whole(max_bytes=MAX_LIST_BYTES)
        finally:
            reply.close()
        try:
            models, error = listing.parse(body)
        except (ValueError, RecursionError) as cause:
            message = f"What {self.name} sent is no list of models: is its base URL right?"
            raise ProviderError(message) from cause
        if error is not None:
            raise self._refused(refusals.parse(error))
        self._capabilities = best_of(models, streams=self.settings.streams)
        return models

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Ask for an answer, and yield it as it comes; see the port."""
        # All that may be repeated happens before the first event is in our hands.
        answer, events = await self._transport.repeated(lambda: self._begin(request))
        try:
            while events:
                for event in events:
                    yield event
                events = await answer.read()
        finally:
            answer.close()

    async def make_image(self, request: ImageRequest) -> MadeImage:  # noqa: ARG002  # not yet
        """Refuse."""
        raise makes_no_images(self.name)

    async def _begin(self, request: CompletionRequest) -> tuple[Answer, list[CompletionEvent]]:
        """Send the request and wait for the first events of the answer."""
        settings = self.settings
        wait_seconds = settings.first_timeout_seconds or settings.idle_timeout_seconds
        if not settings.streams:
            wait_seconds = settings.whole_timeout_seconds
        while True:
            sent = self._body(request)
            reply = await self._transport.open(
                "POST",
                "/chat/completions",
                body=msgspec.json.encode(sent),
                wait_seconds=wait_seconds,
            )
            try:
                if reply.status == 200:
                    answer = Answer(
                        settings,
                        reply,
                        Interpreter(),
                        sent=lambda error: self._refused(
                            refusals.parse(error), model=request.model
                        ),
                    )
                    return answer, await answer.read()
                refusal = await self._refusal(reply)
            except BaseException:
                reply.close()
                raise
            reply.close()
            if not self._learns(
                request.model, refusals.rejected_field(reply.status, refusal, sent)
            ):
                raise self._refused(refusal, reply, model=request.model)

    def _body(self, request: CompletionRequest) -> dict[str, object]:
        rejected = self._rejected.get(request.model, ())
        token_limit = self._token_limit
        if token_limit in rejected:
            token_limit = _TOKEN_LIMITS[token_limit == _TOKEN_LIMITS[0]]
        streams = self.settings.streams
        body: dict[str, object] = {
            "model": request.model,
            "messages": [{"role": turn.role, "content": turn.text} for turn in request.turns],
            "stream": streams,
            "stream_options": {"include_usage": True} if streams else None,
            token_limit: request.max_tokens,
            "temperature": request.temperature,
            "top_p": request.top_p,
            "user": request.user,
            "usage": {"include": True} if self._is_openrouter else None,
        }
        return {
            name: value
            for name, value in body.items()
            if value is not None and (name not in rejected or name == token_limit)
        }

    def _learns(self, model: str, field: str | None) -> bool:
        """Remember a field that this model does not take; False where that is nothing new."""
        if field is None:
            return False
        rejected = self._rejected.setdefault(model, set())
        # A cap on the answer is never left out: it is what was reserved. It has two names.
        if field in rejected or (field in _TOKEN_LIMITS and not rejected.isdisjoint(_TOKEN_LIMITS)):
            return False
        rejected.add(field)
        return True

    async def _failure(self, reply: Reply) -> ProviderError:
        return self._refused(await self._refusal(reply), reply)

    async def _refusal(self, reply: Reply) -> refusals.Refusal:
        """Read what the body of an error says, as far as it comes soon."""
        reply.heard(ERROR_TIMEOUT_SECONDS)
        try:
            return refusals.parse(await reply.whole(max_bytes=MAX_ERROR_BYTES))
        except ProviderError:
            return refusals.Refusal()

    def _refused(
        self, refusal: refusals.Refusal, reply: Reply | None = None, *, model: str | None = None
    ) -> ProviderError:
        return refusals.failure(
            self.settings,
            refusals.status_of(refusal) if reply is None else reply.status,
            refusal,
            model=model,
            retry_after_seconds=None
            if reply is None
            else refusals.retry_after_seconds(reply.headers),
        )
