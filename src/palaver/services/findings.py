"""Findings: what was found for one answer, by the numbers under which it is cited."""

import asyncio
from collections.abc import Iterable
from typing import Final

from palaver.domain.citations import cite
from palaver.domain.sources import Citation, Source, SourceKind
from palaver.services.gathering import Gatherer
from palaver.services.prompts import Prompt

_LONG: Final = 20_000  # code points of an answer that is read beside the loop, not on it


class Findings:
    """Each number stands for one source, from the start of a run to its end, whoever drives it."""

    def __init__(self, known: Iterable[Source] = ()) -> None:
        self._sources = {source.index: source for source in known}
        self._texts: dict[int, str] = {}
        self._question = ""
        self._is_cited = True

    @property
    def has_pages(self) -> bool:
        """Tell whether some of it is of the web, whose text nobody has kept."""
        return any(source.kind is SourceKind.WEB for source in self._sources.values())

    def add(self, source: Source) -> bool:
        """Take a source in; False where it was known, and its readers have been told."""
        if source.index in self._sources:
            return False
        self._sources[source.index] = source
        return True

    def read(self, prompt: Prompt) -> None:
        """Keep the texts that went into a prompt, and what was asked with it."""
        self._texts |= {each.source.index: each.text for each in prompt.found}
        self._question = prompt.question
        self._is_cited = prompt.cites

    async def recall(self, gatherer: Gatherer, owner_id: int) -> None:
        """Read again what a worker that died had found, as far as it is still there."""
        if self._sources and not self._texts:
            found = await gatherer.again(owner_id, tuple(self._sources.values()))
            self._texts = {each.source.index: each.text for each in found}

    async def cited(self, answer: str) -> tuple[Citation, ...]:
        """Return what an answer cites."""
        if not self._sources or not self._is_cited or "[" not in answer:
            return ()
        sources = tuple(self._sources.values())
        if len(answer) < _LONG:
            return cite(answer, sources, self._texts, question=self._question)
        return await asyncio.to_thread(cite, answer, sources, self._texts, question=self._question)
