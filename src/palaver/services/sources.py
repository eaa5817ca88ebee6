"""What answers rest on: the sources that were found for one, and the spans that it cites."""

from collections.abc import Sequence
from typing import Final

import msgspec

from palaver.domain.errors import NotFound
from palaver.domain.events import EventKind, SourceFound
from palaver.domain.generations import Generation, OutlineItem
from palaver.domain.sources import Citation, Source
from palaver.domain.users import Actor
from palaver.storage.database import Database

_outline: Final = msgspec.json.Decoder(list[OutlineItem]).decode
_found: Final = msgspec.json.Decoder(SourceFound).decode
_citations: Final = msgspec.json.Decoder(list[Citation]).decode


class AnswerSources(msgspec.Struct, frozen=True):
    """What was found for an answer, and what of it the answer cites; both by their numbers."""

    sources: Sequence[Source]
    citations: Sequence[Citation]


class SourceService:
    """The sources of one's own answers."""

    def __init__(self, db: Database) -> None:
        self.db = db

    async def of_answer(self, actor: Actor, uuid: str) -> AnswerSources:
        """Return what a shown answer rests on. Raises `NotFound`."""
        async with self.db.read(snapshot=True) as tx:
            answer = await tx.messages.answer(uuid, owner_id=actor.owner_id)
            if answer is None:
                raise NotFound("message")
            id, cited = answer
            generation = await tx.generations.of_answer(id)
        return AnswerSources(
            sources=[] if generation is None else _sources(generation),
            citations=_citations(cited) if cited else [],
        )


def _sources(generation: Generation) -> list[Source]:
    """Return what a run has told of; one that never came to it, what it was begun with."""
    if generation.outline is None:
        return list(generation.recipe.sources)
    return [
        _found(item.body).source
        for item in _outline(generation.outline)
        if item.kind is EventKind.SOURCE and item.body is not None
    ]
