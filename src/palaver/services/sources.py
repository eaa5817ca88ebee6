"""What answers rest on: the sources that were found for one, and the spans that it cites."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from palaver.domain.errors import NotFound
from palaver.domain.events import EventKind, SourceFound
from palaver.domain.generations import Generation, parse_outline
from palaver.domain.sources import Citation, Source, SourceKind
from palaver.domain.users import Actor
from palaver.storage.database import Database
from palaver.storage.tx import Tx

_OWN: Final = (SourceKind.DOCUMENT, SourceKind.MEMORY)
_found: Final = msgspec.json.Decoder(SourceFound).decode
_citations: Final = msgspec.json.Decoder(list[Citation]).decode


class AnswerSources(msgspec.Struct, frozen=True):
    """What was found for an answer, and what of it the answer cites; both by their numbers."""

    sources: Sequence[Source]
    citations: Sequence[Citation]
    gone: frozenset[int] = frozenset()  # the numbers of what was deleted since


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
            sources = [] if generation is None else _sources(generation)
            gone = await _gone(tx, actor.owner_id, sources)
        citations = _citations(cited) if cited else []
        return AnswerSources(
            sources=[_blank(each) if each.index in gone else each for each in sources],
            citations=[
                replace(each, title="", quote="") if each.index in gone else each
                for each in citations
            ],
            gone=gone,
        )


async def _gone(tx: Tx, owner_id: int, sources: Sequence[Source]) -> frozenset[int]:
    """Return the numbers of those documents and memories that were deleted since."""
    refs = [each.ref for each in sources if each.kind is SourceKind.MEMORY and each.ref]
    there = {memory.uuid for memory in await tx.memories.found(refs, owner_id=owner_id)}
    for uuid in {each.id for each in sources if each.kind is SourceKind.DOCUMENT}:
        if await tx.documents.find(uuid, owner_id=owner_id) is not None:
            there.add(uuid)
    return frozenset(each.index for each in sources if each.kind in _OWN and each.id not in there)


def _blank(source: Source) -> Source:
    """Return what is left of a source that was deleted: its number, and why it was chosen."""
    return replace(source, title="", quote="")


def _sources(generation: Generation) -> list[Source]:
    """Return what a run has told of; one that never came to it, what it was begun with."""
    if generation.outline is None:
        return list(generation.recipe.sources)
    return [
        _found(item.body).source
        for item in parse_outline(generation.outline)
        if item.kind is EventKind.SOURCE and item.body is not None
    ]
