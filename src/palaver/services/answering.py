"""Answering: one run asks its provider, and feeds the log with what is found and said."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Final

from palaver.domain.errors import DomainError, ErrorKind, ProviderError
from palaver.domain.events import (
    Canceled,
    Ending,
    Failed,
    Finished,
    FinishReason,
    SourceFound,
    TextDelta,
    UsageReported,
)
from palaver.domain.generations import Generation
from palaver.domain.log import Refused
from palaver.domain.models import ModelType
from palaver.domain.pictures import Picture
from palaver.domain.providers import CompletionEvent
from palaver.services.asking import Asker, Notice, Preliminary
from palaver.services.findings import Findings
from palaver.services.prompts import Prompt
from palaver.streaming.run import CancelRequested, Lost, Run

log = logging.getLogger(__name__)

UNSTORABLE: Final = Failed(
    ErrorKind.PROVIDER_FAILED, "The provider sent text that cannot be stored."
)


class LiveRun:
    """A run of this worker: its record, its channel, and the task that drives it."""

    __slots__ = (
        "earlier_calls",
        "findings",
        "generation",
        "notice",
        "picture",
        "prompt_tokens",
        "run",
        "task",
        "usage",
        "was_asked",
    )

    def __init__(self, generation: Generation, run: Run) -> None:
        self.generation = generation
        self.run = run
        self.earlier_calls = 0  # requests to the provider that died with their worker
        self.prompt_tokens = generation.recipe.prompt_tokens  # our estimate
        self.findings = Findings()
        self.notice = ""  # what its answer begins with of ours
        self.picture: Picture | None = None  # that it has made
        self.was_asked = False  # the provider, by this worker
        self.usage: UsageReported | None = None  # by the provider's word
        self.task: asyncio.Task[None] | None = None

    def tell(self, event: Preliminary) -> None:
        """Let readers know what there is before the provider has said anything."""
        match event:
            case Notice(text):
                self.notice = text
                self.run.feed(TextDelta(text))
            case SourceFound():
                if self.findings.add(event.source):
                    self.run.feed(event)
            case _:
                self.run.feed(event)


class Answerer:
    """Asks providers for runs."""

    def __init__(self, asker: Asker) -> None:
        self.asker = asker

    async def answer(self, live: LiveRun, prompt: Prompt, beginning: str) -> Ending:
        """Feed the log until the provider has finished, or the run is stopped."""
        try:
            async with live.run.guard():
                if prompt.resolved.model.model_type is ModelType.IMAGE:
                    return await self._paint(live, prompt)
                return await self._relay(live, prompt, beginning)
        except ProviderError as error:
            return failed(error)
        except CancelRequested:
            return Canceled()
        except Refused:
            return UNSTORABLE
        except Lost:
            raise
        except Exception:
            log.exception("generation %s: the provider adapter failed", live.generation.uuid)
            return Failed(ErrorKind.INTERNAL, "An unexpected error occurred.")

    async def _paint(self, live: LiveRun, prompt: Prompt) -> Ending:
        live.was_asked = True
        live.picture, live.usage = await self.asker.paint(
            live.generation.owner_id, prompt, tell=live.tell
        )
        return Finished(FinishReason.STOP)

    async def _relay(self, live: LiveRun, prompt: Prompt, beginning: str) -> Ending:
        request, prompt = await self.asker.prepare(
            live.generation.owner_id,
            prompt,
            live.generation.options,
            tell=live.tell,
            beginning=beginning,
        )
        live.findings.read(prompt)
        live.prompt_tokens = prompt.prompt_tokens
        live.was_asked = True
        async with aclosing(prompt.resolved.provider.complete(request)) as events:
            return await _pumped(live, events)


async def _pumped(live: LiveRun, events: AsyncIterator[CompletionEvent]) -> Ending:
    """Feed the run until the provider says that it has finished."""
    run = live.run
    async for event in events:
        if isinstance(event, UsageReported):
            live.usage = event
        elif isinstance(event, Finished):
            return event
        else:
            run.feed(event)
            if isinstance(event, SourceFound):
                live.findings.add(event.source)
            if run.is_full:
                return Finished(FinishReason.LENGTH)
            if run.is_crowded:
                await run.room()
    return Failed(ErrorKind.PROVIDER_FAILED, "The answer was cut off.")


def failed(error: DomainError) -> Failed:
    """Return the end of a run that an error has brought about."""
    return Failed(error.kind, error.message, error.retry_after_seconds)
