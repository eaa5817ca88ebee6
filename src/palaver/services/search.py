"""Search over one's own titles and messages."""

from typing import Final

from palaver.domain.errors import Fault, InvalidInput
from palaver.domain.search import (
    HITS_MAX,
    PAGE_MAX,
    SearchHit,
    SearchKind,
    SearchPage,
    excerpt,
)
from palaver.domain.users import Actor
from palaver.kit.words import QUERY_MAX_LENGTH, Query
from palaver.services.folding import WORDS_KINDS, Folder
from palaver.storage.database import Database
from palaver.storage.search import Found

OWN_ROWS_MAX: Final = 640  # that are folded before a search; only an import leaves more behind


class SearchService:
    """Finds what one has written, and what was answered."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self._folder = Folder(db)

    async def search(
        self, actor: Actor, q: str, *, cursor: str | None = None, limit: int = PAGE_MAX
    ) -> SearchPage:
        """Return the best hits, 200 in all, at most 50 a page.

        Every word of `q` must be in the title or the message; the last may be unfinished, words
        between quotation marks stand beside each other. What was stored before the call is found.
        Raises `InvalidInput` for a blank or too long `q`, a cursor that is none, a limit below 1.
        """
        query = _parse(q)
        offset = _parse_cursor(cursor)
        if limit < 1:
            message = "A page holds at least one hit."
            raise InvalidInput.of("limit", Fault.TOO_SMALL, message, place="query", limit=1)
        size = min(limit, PAGE_MAX, HITS_MAX - offset)
        if not query or size < 1:
            return SearchPage([], None)
        await self._folder.fold_own(actor.owner_id, WORDS_KINDS, rows_max=OWN_ROWS_MAX)
        async with self.db.read() as tx:
            found = await tx.search.find(
                query, owner_id=actor.owner_id, limit=size + 1, offset=offset
            )
        end = offset + size
        has_more = len(found) > size and end < HITS_MAX
        return SearchPage(
            [_hit(row, query) for row in found[:size]], str(end) if has_more else None
        )

    async def fold(self, actor: Actor) -> int:
        """Move what waits, of everybody, into the index; return how much it was. For jobs."""
        actor.require_admin()
        return await self._folder.fold()


def _parse(q: str) -> Query:
    if not q.strip():
        raise InvalidInput.of("q", Fault.BLANK, "Say what to look for.", place="query", limit=1)
    if len(q) > QUERY_MAX_LENGTH:
        message = f"At most {QUERY_MAX_LENGTH} characters can be looked for."
        raise InvalidInput.of("q", Fault.TOO_LONG, message, place="query", limit=QUERY_MAX_LENGTH)
    return Query(q)


def _parse_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 4):
        message = "This is not a cursor of this list."
        raise InvalidInput.of("cursor", Fault.WRONG_FORMAT, message, place="query")
    return int(cursor)


def _hit(row: Found, query: Query) -> SearchHit:
    return SearchHit(
        kind=SearchKind(row.kind),
        conversation_uuid=row.conversation_uuid,
        title=row.title,
        message_uuid=row.message_uuid,
        excerpt=excerpt(row.text, query),
        created_at=row.created_at,
    )
