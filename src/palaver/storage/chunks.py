"""The text of documents, whole and in chunks.

The whole lies in pieces, so that no transaction holds SQLite's one writer for long.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from palaver.domain.documents import Chunk, FoundChunk, TextSpan
from palaver.storage.connection import Connection
from palaver.storage.statements import Statement

PIECE_LENGTH: Final = 50_000
"""Code points of a text in one row."""


class _Piece(msgspec.Struct, frozen=True, gc=False):
    starts: int
    text: str


def _id(id: int) -> int:
    return id


def _listed(numbers: Sequence[int]) -> str:
    return msgspec.json.encode(list(numbers)).decode()


def _found_chunk(*columns: Any) -> FoundChunk:
    found = FoundChunk(*columns[:-1])
    page_starts = columns[-1]
    if page_starts is None:
        return found
    return msgspec.structs.replace(found, page_starts=_numbers(page_starts))


_numbers: Final = msgspec.json.Decoder(tuple[int, ...]).decode


_INSERT: Final[Statement[None]] = Statement(
    """insert into chunks
        (document_id, owner_id, number, starts, ends, page, heading, text, text_tokens,
        page_starts)
    values (:document_id, :owner_id, :number, :start, :end, :page, :heading, :text, :text_tokens,
        :page_starts)"""
)
_IDS: Final = Statement(
    "select id from chunks where document_id = :document_id and number >= :number order by number",
    _id,
)
_REMOVE: Final = Statement(
    """delete from chunks where id in (
        select id from chunks where document_id = :document_id order by number desc limit :limit)
    returning id""",
    _id,
)
_FOUND: Final = Statement(
    # From the chunks to their documents: the planner would rather walk all that one has.
    """select c.id, d.uuid, d.title, c.number, c.starts, c.ends, c.page, c.heading,
        c.text, c.text_tokens, c.page_starts
    from chunks c cross join documents d
    where c.id {in_numbers ids} and c.owner_id = :owner_id and d.id = c.document_id
        and d.owner_id = :owner_id and d.status = 'ready' and d.deleted_at is null""",
    _found_chunk,
)
_PUT_PIECE: Final[Statement[None]] = Statement(
    """insert into document_texts (document_id, starts, text)
    values (:document_id, :starts, :text)"""
)
_PIECES: Final = Statement(
    """select starts, text from document_texts
    where document_id = :document_id and starts > cast(:start as bigint) - :piece and starts < :end
    order by starts""",
    _Piece,
)
_LENGTH: Final = Statement(
    """select starts + length(text) from document_texts
    where document_id = :document_id order by starts desc limit 1""",
    int,
)
_REMOVE_PIECES: Final = Statement(
    """delete from document_texts where document_id = :document_id and starts in (
        select starts from document_texts where document_id = :document_id
        order by starts desc limit :limit)
    returning starts""",
    _id,
)


class ChunkStore:
    """`chunks` and `document_texts`; whoever writes holds the document's row."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(
        self, document_id: int, *, owner_id: int, chunks: Sequence[tuple[Chunk, int]]
    ) -> list[int]:
        """Append chunks, each with the tokens of its text; return their ids in order."""
        rows = [
            {
                "document_id": document_id,
                "owner_id": owner_id,
                "text_tokens": tokens,
                **msgspec.structs.asdict(chunk),
                "page_starts": _listed(chunk.page_starts) if chunk.page_starts else None,
            }
            for chunk, tokens in chunks
        ]
        await self._connection.many(_INSERT, rows)
        return await self._connection.all(_IDS, document_id=document_id, number=chunks[0][0].number)

    async def remove(self, document_id: int, *, limit: int) -> list[int]:
        """Remove the last chunks of a document; return their ids."""
        return await self._connection.all(_REMOVE, document_id=document_id, limit=limit)

    async def found(self, ids: Sequence[int], *, owner_id: int) -> list[FoundChunk]:
        """Return the owner's chunks in the order of their ids, those that may be shown.

        That is, of documents that are ready and were not deleted.
        """
        listed = _listed(ids)
        rows = await self._connection.all(_FOUND, ids=listed, owner_id=owner_id)
        places = {id: place for place, id in enumerate(ids)}
        return sorted(rows, key=lambda row: places[row.id])

    async def add_text(self, document_id: int, *, start: int, text: str) -> None:
        """Keep a stretch of the whole text; `start` is a multiple of `PIECE_LENGTH`."""
        rows = [
            {
                "document_id": document_id,
                "starts": start + at,
                "text": text[at : at + PIECE_LENGTH],
            }
            for at in range(0, len(text), PIECE_LENGTH)
        ]
        await self._connection.many(_PUT_PIECE, rows)

    async def text(self, document_id: int, *, start: int, end: int) -> TextSpan:
        """Return `[start:end]` of the whole text, cut to what there is."""
        length = await self._connection.one(_LENGTH, document_id=document_id) or 0
        start, end = min(start, length), min(end, length)
        pieces = await self._connection.all(
            _PIECES, document_id=document_id, start=start, end=end, piece=PIECE_LENGTH
        )
        found = "".join(piece.text for piece in pieces)
        first = pieces[0].starts if pieces else start
        return TextSpan(start, end, length, found[start - first : end - first])

    async def remove_text(self, document_id: int, *, limit: int) -> int:
        """Remove pieces of the whole text; return how many."""
        return len(await self._connection.all(_REMOVE_PIECES, document_id=document_id, limit=limit))
