"""Retrieval: what the one search store finds for a question, and how sure it is."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from palaver.domain.search import SearchKind


class Hit(msgspec.Struct, frozen=True, gc=False):
    """A memory or a chunk that was found; the ranks count from 1, None = not found that way."""

    kind: SearchKind
    ref: int  # the id of the memory or the chunk
    score: float  # fused, the higher the better
    text_rank: int | None
    vector_rank: int | None


class Retrieved(msgspec.Struct, frozen=True):
    """Hits, best first; `note` says why there was no search by meaning, None where there was."""

    hits: Sequence[Hit]
    note: str | None = None


class Finder(Protocol):
    """Finds among what one user has stored."""

    async def find(
        self, owner_id: int, text: str, *, kind: SearchKind, limit: int, type: str | None = None
    ) -> Retrieved:
        """Return the best hits of a kind, of memories those of a type, or of all types."""
