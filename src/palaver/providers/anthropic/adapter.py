"""Anthropic's Messages API: `/v1/messages` and `/v1/models`."""

from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Final
from urllib.parse import quote

from palaver.domain.errors import ProviderError
from palaver.domain.events import FinishReason
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
from palaver.domain.thinking import LEAST_THINKING_TOKENS
from palaver.providers.answers import Answer
from palaver.providers.anthropic import listing, refusals
from palaver.providers.anthropic.facts import Facts, facts_by_name
from palaver.providers.anthropic.request import cap_of, compose, trimmed_of
from palaver.providers.anthropic.searching import Search
from palaver.providers.anthropic.wire import Interpreter
from palaver.providers.bodies import encoded
from palaver.providers.failures import retry_after_seconds
from palaver.providers.habits import Habits
from palaver.providers.transport import (
    LIST_TIMEOUT_SECONDS,
    MAX_LIST_BYTES,
    Reply,
    Transport,
)

VERSION: Final = "2023-06-01"
MAX_PAGES: Final = 10
PAGE: Final = 1_000
MAX_PAUSES: Final = 5
"""So often a paused answer is gone on with: the search is bounded by itself, this is in case."""


def build(settings: ProviderSettings) -> Provider:
    """Return the adapter. Opens no connection yet."""
    return AnthropicProvider(settings)


class AnthropicProvider:
    """Anthropic, or whoever speaks its protocol, with its address and key."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        headers = {"anthropic-version": VERSION}
        if settings.api_key:
            headers["x-api-key"] = settings.api_key
        self._transport = Transport(settings, headers=headers)
        self._facts: dict[str, Facts] = {}
        self._habits = Habits()
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
        listed: dict[str, listing.Listed] = {}
        after = ""
        for _ in range(MAX_PAGES):
            page = await self._page(after)
            listed |= {each.model.name: each for each in listing.parse_entries(page)}
            if not page.has_more or not page.last_id:
                break
            after = f"&after_id={quote(page.last_id, safe='')}"
        models = [each.model for each in listed.values()]
        self._facts = {each.model.name: each.facts for each in listed.values()}
        self._capabilities = best_of(models, streams=self.settings.streams)
        return models

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Ask for an answer, and yield it as it comes; see the port."""
        paused: Interpreter | None = None
        pauses = 0
        while True:
            # All that may be repeated happens before the first event is in our hands.
            interpreter, answer, events = await self._transport.repeated(
                partial(self._begin, request, paused)
            )
            try:
                while events:
                    for event in events:
                        yield event
                    events = await answer.read()
            finally:
                answer.close()
            if not interpreter.is_paused:
                return
            paused = interpreter
            pauses += 1
            if pauses > MAX_PAUSES or not self._has_room(request, paused):
                for event in paused.closing(FinishReason.LENGTH):
                    yield event
                return

    async def make_image(self, request: ImageRequest) -> MadeImage:  # noqa: ARG002  # it makes none
        """Refuse."""
        raise makes_no_images(self.name)

    async def _begin(
        self, request: CompletionRequest, before: Interpreter | None
    ) -> tuple[Interpreter, Answer, list[CompletionEvent]]:
        """Send the request, or go on with a paused answer, and wait for its first events."""
        while True:
            known = self._habits.refused(request.model)
            sent = self._body(request, before, known)
            reply = await self._transport.open(
                "POST",
                "/v1/messages",
                body=await encoded(sent),
                wait_seconds=self._transport.patience_seconds,
            )
            try:
                if reply.status == 200:
                    interpreter = _interpreter(request, before)
                    answer = Answer(
                        self.settings,
                        reply,
                        interpreter,
                        sent=lambda error: self._refused(
                            refusals.parse(error), model=request.model
                        ),
                    )
                    return interpreter, answer, await answer.read()
                refusal = refusals.parse(await reply.complaint())
            except BaseException:
                reply.close()
                raise
            reply.close()
            field = refusals.rejected_field(reply.status, refusal, sent)
            if not self._habits.learn(request.model, field, known=known):
                raise self._refused(refusal, reply, model=request.model)

    def _body(
        self, request: CompletionRequest, before: Interpreter | None, refused: frozenset[str]
    ) -> dict[str, Any]:
        return compose(
            request,
            streams=self.settings.streams,
            facts=self._facts_of(request.model),
            refused=refused,
            so_far=before.content.blocks if before and before.content else (),
            spent_tokens=before.tally.spent_tokens if before else 0,
        )

    def _facts_of(self, model: str) -> Facts:
        return self._facts.get(model) or facts_by_name(model)

    def _has_room(self, request: CompletionRequest, paused: Interpreter) -> bool:
        """Tell whether the cap leaves enough to go on with: thoughts take a budget below it."""
        left = cap_of(request, self._facts_of(request.model)) - paused.tally.spent_tokens
        return left > (LEAST_THINKING_TOKENS if request.thinking_tokens else 0)

    async def _page(self, after: str) -> listing.Page:
        reply = await self._transport.open(
            "GET", f"/v1/models?limit={PAGE}{after}", wait_seconds=LIST_TIMEOUT_SECONDS
        )
        try:
            if reply.status != 200:
                raise self._refused(refusals.parse(await reply.complaint()), reply)
            body = await reply.whole(max_bytes=MAX_LIST_BYTES)
        finally:
            reply.close()
        try:
            return listing.parse_page(body)
        except (ValueError, RecursionError) as cause:
            message = f"What {self.name} sent is no list of models: is its base URL right?"
            raise ProviderError(message) from cause

    def _refused(
        self, refusal: refusals.Refusal, reply: Reply | None = None, *, model: str | None = None
    ) -> ProviderError:
        return refusals.failure(
            self.settings,
            refusals.status_of(refusal) if reply is None else reply.status,
            refusal,
            model=model,
            retry_after_seconds=None if reply is None else retry_after_seconds(reply.headers),
        )


def _interpreter(request: CompletionRequest, before: Interpreter | None) -> Interpreter:
    if before is not None and before.search is not None:
        return Interpreter(before.search.copy(), before=before)
    search = Search(request.first_source) if request.searches_web else None
    return Interpreter(search, trimmed=trimmed_of(request))
