"""Asking: what has to be done between the start of a run and the first word of its provider.

The web is searched, pictures are read, and all of it becomes one request. A search takes seconds:
so it belongs to the run, whose readers see what it is busy with, and not to the start of it.
"""

import logging
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.events import SourceFound, Status, TextDelta, UsageReported
from palaver.domain.generations import Options
from palaver.domain.pictures import Picture, markdown_of
from palaver.domain.providers import CompletionRequest, Turn
from palaver.domain.users import Actor
from palaver.services.gathering import Found
from palaver.services.grounding import GroundingService
from palaver.services.pictures import PictureService
from palaver.services.prompts import Prompt

log = logging.getLogger(__name__)

WEB_TOKENS: Final = 4_000
"""Of a prompt: room for what is found on the web."""


class Notice(msgspec.Struct, frozen=True):
    """A sentence of ours at the beginning of an answer: shown, and not charged."""

    text: str


Preliminary: TypeAlias = Status | SourceFound | TextDelta | Notice
Tell: TypeAlias = Callable[[Preliminary], None]
"""Takes what readers see before the provider has said anything."""


class Asker:
    """Makes requests out of prompts, for runs and for calls alike."""

    def __init__(self, grounding: GroundingService, pictures: PictureService) -> None:
        self.grounding = grounding
        self.pictures = pictures

    @property
    def room_tokens(self) -> int:
        """Return how much of a prompt to keep free for what `prepare` may find on the web."""
        return WEB_TOKENS if self.grounding.has_engine else 0

    async def prepare(
        self,
        owner_id: int,
        prompt: Prompt,
        options: Options,
        *,
        tell: Tell,
        beginning: str = "",
    ) -> tuple[CompletionRequest, Prompt]:
        """Return the request, and the prompt as it has become; `tell` hears what is found.

        A search of the web that fails is told of at the beginning of the answer, which goes on
        without it.
        """
        for found in prompt.found:
            tell(SourceFound(found.source))
        searches = prompt.searches_web and not beginning
        if searches and self.grounding.has_engine:
            prompt = await self._search(owner_id, prompt, tell)
        turns, images = await self.pictures.shown(prompt.turns)
        request = CompletionRequest(
            model=prompt.resolved.model.upstream_name,
            turns=turns + ((Turn("assistant", beginning),) if beginning else ()),
            max_tokens=prompt.max_tokens,
            temperature=options.temperature,
            top_p=options.top_p,
            thinking_tokens=None if beginning else prompt.thinking_tokens,
            searches_web=searches and not self.grounding.has_engine,
            first_source=prompt.next_number,
            images=images,
        )
        return request, prompt

    async def paint(
        self, owner_id: int, prompt: Prompt, *, tell: Tell
    ) -> tuple[Picture, UsageReported]:
        """Have the question painted; its file is kept, its row not yet. Raises `ProviderError`."""
        tell(Status("Making a picture …"))
        picture, usage = await self.pictures.make(
            Actor(user_id=owner_id), prompt.resolved, prompt.question
        )
        tell(TextDelta(markdown_of(picture.url, prompt.question)))
        # Where nobody counts, a picture costs the tokens of its prompt.
        counted = UsageReported(prompt.prompt_tokens, completion_tokens=0, is_estimate=True)
        return picture, usage or counted

    async def _search(self, owner_id: int, prompt: Prompt, tell: Tell) -> Prompt:
        try:
            pages = await self.grounding.find(
                owner_id,
                prompt.question,
                previous=_previous(prompt),
                budget_tokens=prompt.room_tokens,
                tell=tell,
            )
        except ProviderError as error:
            log.info("an answer goes on without the web: %s", error.message)
            tell(Status("The search of the web failed."))
            tell(Notice(f"*The web could not be searched: {error.message}*\n\n"))
            return prompt.with_found([])
        known = len(prompt.found)
        prompt = prompt.with_found([Found.of(source, text) for source, text in pages])
        for found in prompt.found[known:]:
            tell(SourceFound(found.source))
        return prompt


def _previous(prompt: Prompt) -> str:
    """Return the question before this one, "" for the first."""
    asked = [turn.text for turn in prompt.turns if turn.role == "user"]
    return asked[-2] if len(asked) > 1 else ""
