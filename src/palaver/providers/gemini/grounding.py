"""What Google's own search found, and where an answer rests on it.

Shapes: https://ai.google.dev/api/generate-content#GroundingMetadata. The metadata come after most
of the text, which has been shown by then and cannot be changed. So the newest bit of an answer that
searches is held back until the next one is here:

- a mark whose place lies in what is held stands exactly there, and so do all marks of an answer
  that is not streamed;
- marks that come too late are gathered in a closing line of their own, "[1] [3]".
"""

from typing import Final

import msgspec

from palaver.domain.events import SourceFound, TextDelta
from palaver.domain.providers import CompletionEvent
from palaver.providers.sources import MOST_SOURCES, web_source

_NOTE: Final = "Found by Google's own search."


class Page(msgspec.Struct, gc=False, rename="camel"):
    """A page; `uri` is an address of Google's that leads there."""

    uri: str | None = None
    title: str | None = None


class GroundingChunk(msgspec.Struct, gc=False, rename="camel"):
    """One thing found: we search the web alone."""

    web: Page | None = None


class Segment(msgspec.Struct, gc=False, rename="camel"):
    """A span of the answer, in bytes of UTF-8; a start of 0 is left out."""

    start_index: int = 0
    end_index: int = 0
    text: str = ""


class Support(msgspec.Struct, gc=False, rename="camel"):
    """What a span rests on: places in the list of chunks."""

    segment: Segment | None = None
    grounding_chunk_indices: list[int] | None = None


class Metadata(msgspec.Struct, gc=False, rename="camel"):
    """What is known of the grounding so far: a later one holds what earlier ones did."""

    grounding_chunks: list[GroundingChunk] | None = None
    grounding_supports: list[Support] | None = None


class Weaver:
    """Puts marks into the text of one answer as it passes; numbers sources by their address."""

    __slots__ = ("_chunks", "_first", "_late", "_marked", "_marks", "_numbers", "_shown", "_text")

    def __init__(self, first_source: int) -> None:
        self._first = first_source
        self._chunks: list[GroundingChunk] = []
        self._numbers: dict[str, int] = {}  # by address
        self._text = bytearray()  # the whole answer: Google counts its bytes
        self._shown = 0  # of those
        self._marks: dict[int, list[int]] = {}  # by the place after which they stand
        self._marked: set[int] = set()
        self._late: dict[int, None] = {}

    def weave(self, text: str, metadata: Metadata | None) -> list[CompletionEvent]:
        """Take the next text and what is known now; return what may be shown."""
        newest_at = len(self._text)
        self._text += text.encode()
        events = [] if metadata is None else self._found(metadata)
        return events + (self._show(newest_at) if text else [])

    def rest(self) -> list[CompletionEvent]:
        """Return what is still held, and the closing line."""
        events = self._show(len(self._text))
        late = [number for number in self._late if number not in self._marked]
        if late and self._text:
            events.append(TextDelta("\n\n" + " ".join(f"[{number}]" for number in sorted(late))))
        self._late.clear()
        return events

    def _found(self, metadata: Metadata) -> list[CompletionEvent]:
        self._chunks = metadata.grounding_chunks or self._chunks
        events: list[CompletionEvent] = []
        for chunk in self._chunks:
            if chunk.web is not None:
                events += self._tell(chunk.web)
        for support in metadata.grounding_supports or ():
            end = None if support.segment is None else self._end_of(support.segment)
            for place in support.grounding_chunk_indices or ():
                if (cited := self._number(place)) is not None:
                    self._mark(cited, end)
        return events

    def _tell(self, page: Page) -> list[CompletionEvent]:
        if not page.uri or page.uri in self._numbers or len(self._numbers) >= MOST_SOURCES:
            return []
        number = self._first + len(self._numbers)
        source = web_source(number, page.uri, page.title, "", _NOTE)
        if source is None:
            return []
        self._numbers[page.uri] = number
        return [SourceFound(source)]

    def _mark(self, number: int, end: int | None) -> None:
        if end is None or end < self._shown:
            self._late[number] = None
        elif number not in (marks := self._marks.setdefault(end, [])):
            marks.append(number)

    def _number(self, place: int) -> int | None:
        if not 0 <= place < len(self._chunks):
            return None
        web = self._chunks[place].web
        return None if web is None else self._numbers.get(web.uri or "")

    def _end_of(self, segment: Segment) -> int | None:
        """Return where a segment ends; None where it is not in the text.

        The figures may count from the start of a part, or count thoughts: the words decide.
        """
        start, end, text = segment.start_index, segment.end_index, self._text
        if segment.text:
            words = segment.text.encode("utf-8", "replace")
            if start >= 0 and text.startswith(words, start):
                return start + len(words)
            at = text.find(words)
            return None if at < 0 else at + len(words)
        if not 0 < end <= len(text):
            return None
        while end < len(text) and text[end] & 0xC0 == 0x80:  # within a character
            end += 1
        return end

    def _show(self, until: int) -> list[CompletionEvent]:
        """Return the text up to a place that lies between characters, with its marks."""
        pieces: list[str] = []
        for end in sorted(self._marks):
            if end > until:
                break
            pieces.append(self._text[self._shown : end].decode())
            numbers = self._marks.pop(end)
            pieces += (f" [{number}]" for number in numbers)
            self._marked.update(numbers)
            self._shown = end
        pieces.append(self._text[self._shown : until].decode())
        self._shown = until
        text = "".join(pieces)
        return [TextDelta(text)] if text else []
