"""What an answer rests on: the passages that were found for it, and the spans that it cites.

Contract `platform`: "Send Message"; decisions: "platform" (Citation).
"""

import enum
from bisect import bisect_right

import msgspec


class SourceKind(enum.StrEnum):
    """Where a passage comes from."""

    DOCUMENT = "document"
    WEB = "web"
    MEMORY = "memory"


class Reason(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """Why a source was chosen: its places, from 1, by full text and by meaning."""

    text_rank: int | None = None
    vector_rank: int | None = None
    note: str | None = None  # what a person should know: "Full text alone: no embedder is set up."


class Source(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One passage that an answer may rest on, cited as `[index]`; its text is not copied.

    `start` and `end` are code points of the extracted text, end exclusive.
    """

    index: int  # from 1, in the order of the prompt
    kind: SourceKind
    id: str  # the uuid of a document or a memory, the address of a page
    title: str
    url: str | None = None
    page: int | None = None  # on which it begins, from 1, where its document has pages
    start: int = 0
    end: int = 0
    score: float = 0.0  # the higher the better; comparable within one answer only
    reason: Reason = Reason()
    quote: str = ""  # what a page on the web says, as it was found
    ref: int | None = None  # the id of the chunk or the memory
    page_starts: tuple[int, ...] = ()  # where later pages begin within it, in its document's text

    def page_at(self, place: int) -> int | None:
        """Return the page on which a place of its text lies."""
        return None if self.page is None else self.page + bisect_right(self.page_starts, place)


class Citation(msgspec.Struct, frozen=True, gc=False):
    """A span that an answer cites as `[index]`: `quote` is `text[start:end]` of its source."""

    index: int
    kind: SourceKind
    id: str
    title: str
    url: str | None
    page: int | None  # on which the quote begins
    quote: str
    start: int
    end: int
    score: float
