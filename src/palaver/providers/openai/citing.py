"""The sources of an answer whose provider searched the web for it, and the marks in its text.

Vendors tell of a source in three ways, and each is understood:

- `annotations` (OpenAI, OpenRouter): a page, and the span of the answer that rests on it. They come
  with the last delta, when the text has long been read, and what was yielded cannot be changed;
- links in the text itself, `[title](address)`, which the same vendors write at that very place;
- `citations` or `search_results` (Perplexity, xAI): a list, to which `[1]` in the text refers.

So a mark follows a link, stands for a number of the vendor's, and closes an annotated span that is
known in time (as in an answer that is not streamed). What was annotated too late, and is not marked
anywhere, is named at the end of the answer. Pages without a span are sources, and no marks.

Shapes: https://platform.openai.com/docs/guides/tools-web-search,
https://openrouter.ai/docs/features/web-search, https://docs.perplexity.ai/api-reference.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from palaver.domain.events import SourceFound, TextDelta
from palaver.domain.providers import CompletionEvent
from palaver.domain.sources import Reason, Source, SourceKind
from palaver.kit.text import storable
from palaver.providers.answers import WrongShape, decode_leniently
from palaver.providers.failures import readable

MOST_SOURCES: Final = 100
MAX_ADDRESS_LENGTH: Final = 2_000
MAX_TITLE_LENGTH: Final = 300
MAX_QUOTE_LENGTH: Final = 500
_LONGEST_LINK: Final = MAX_TITLE_LENGTH + MAX_ADDRESS_LENGTH
_ADDRESS: Final = r"https?://(?:[^()\[\]\s]|\([^()\[\]\s]*\))+"
_LINK: Final = rf"(?<!!)\[([^\[\]\n]+)\]\(({_ADDRESS})\)"
_MARKED: Final = re.compile(rf"{_LINK}|\[(\d{{1,3}})\](?!\()")
_WHOLE_LINK: Final = re.compile(_LINK)
_BEGUN: Final = re.compile(r"\[[^\]\n]*(?:\](?:\(\S*)?)?\Z")


class Page(msgspec.Struct, gc=False):
    """A page that was found; `content` and `snippet` are what stands there."""

    url: str
    title: str | None = None
    content: str | None = None  # OpenRouter
    snippet: str | None = None  # Perplexity
    start_index: int | None = None  # of the answer's characters
    end_index: int | None = None


class _Annotation(msgspec.Struct, gc=False):
    url_citation: Page | None = None


class _Text(msgspec.Struct, gc=False):
    annotations: Any = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Text | None = None
    message: _Text | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    citations: Any = None
    search_results: Any = None


_decode = msgspec.json.Decoder(_Chunk).decode


class Citer:
    """Finds the sources of one answer, numbers them, and marks them in its text."""

    def __init__(self, vendor: str, *, first: int, refers: bool = False) -> None:
        """Number from `first`; `refers` tells that `[1]` in the text is the vendor's own."""
        self.vendor = vendor
        self.first = first
        self.refers = refers
        self._numbers: dict[str, int] = {}  # by address
        self._told: set[int] = set()
        self._spans: list[tuple[int, int, int]] = []  # end, start, number: of text still to come
        self._late: list[int] = []
        self._marked: dict[int, int] = {}  # number → where its last mark stands
        self._held = ""
        self._position = 0  # how much of the vendor's text has been passed on

    def found(self, data: bytes) -> list[CompletionEvent]:
        """Return the sources that an event tells of; one that cannot be read tells of none."""
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            chunk = _decoded(data)
        events: list[CompletionEvent] = []
        listed = chunk.search_results or chunk.citations
        for at, page in enumerate(_pages(listed)):
            self._number(page, events, number=self.first + at)
            self.refers = True
        for choice in chunk.choices or ():
            text = choice.delta or choice.message or _Text()
            for page in _annotated(text.annotations):
                number = self._number(page, events)
                start, end = page.start_index or 0, page.end_index or 0
                if number is None or end <= 0:
                    continue
                if end > self._position:
                    self._spans.append((end, start, number))
                elif number not in self._late:
                    self._late.append(number)
        return events

    def take(self, text: str) -> list[CompletionEvent]:
        """Return more of the answer, marked; holds back what may be the beginning of a link."""
        text = self._held + text
        begun = _begun(text)
        text, self._held = text[:begun], text[begun:]
        return self._passed(text)

    def ending(self) -> list[CompletionEvent]:
        """Return what was held back, and the marks of what is cited, no longer known where."""
        text, self._held = self._held, ""
        events = self._passed(text)
        late = [*self._late, *(number for _, _, number in self._spans)]
        marks = [f"[{number}]" for number in dict.fromkeys(late) if number not in self._marked]
        if marks and self._position:
            events.append(TextDelta(f" {' '.join(marks)}"))
        return events

    def _passed(self, text: str) -> list[CompletionEvent]:
        if not text:
            return []
        events: list[CompletionEvent] = []
        marks: dict[tuple[int, int], int] = {}  # where the mark stands, of which number → start
        pieces: list[str] = []
        for match in _MARKED.finditer(text):
            title, address, reference = match.groups()
            if reference is None:
                page = Page(address, title)
                if (number := self._number(page, events, is_link=True)) is not None:
                    marks[match.end(), number] = match.start()
        end = self._position + len(text)
        for span in [span for span in self._spans if span[0] <= end]:
            self._spans.remove(span)
            marks.setdefault((span[0] - self._position, span[2]), span[1] - self._position)
        at = 0
        for (stop, number), start in sorted(marks.items()):
            pieces.append(self._referring(text[at:stop]))
            at = stop
            if self._marked.get(number, -1) < self._position + start:  # a link has its own mark
                pieces.append(f" [{number}]")
                self._marked[number] = self._position + stop
        pieces.append(self._referring(text[at:]))
        self._position = end
        events.append(TextDelta("".join(pieces)))
        return events

    def _referring(self, text: str) -> str:
        """Return the text with the vendor's own numbers, from 1, turned into ours."""
        if not self.refers:
            return text

        def renumbered(match: re.Match[str]) -> str:
            if match[3] is None or int(match[3]) < 1:
                return match[0]
            number = self.first - 1 + int(match[3])
            self._marked[number] = self._position
            return f"[{number}]"

        return _MARKED.sub(renumbered, text)

    def _number(
        self,
        page: Page,
        events: list[CompletionEvent],
        *,
        number: int | None = None,
        is_link: bool = False,
    ) -> int | None:
        """Return the number of a page; one that is new is told of, unless it is one too many."""
        address = page.url
        if number is None and address in self._numbers:
            return self._numbers[address]
        if number is None:
            number = max(self._told, default=self.first - 1) + 1
        if number in self._told:
            return number
        host = _host(address)
        if not host or number >= self.first + MOST_SOURCES:
            return None
        self._numbers.setdefault(address, number)
        self._told.add(number)
        note = "Linked in the answer of" if is_link else "Found by"
        source = Source(
            index=number,
            kind=SourceKind.WEB,
            id=address,
            title=readable(page.title)[:MAX_TITLE_LENGTH] or host,
            url=address,
            reason=Reason(note=f"{note} {self.vendor}'s own search."),
            quote=storable(page.content or page.snippet or "")[:MAX_QUOTE_LENGTH],
        )
        events.append(SourceFound(source))
        return number


def _begun(text: str) -> int:
    """Return where a link may begin that has not ended; the length of the text where none does."""
    begun = text.rfind("[")
    if (
        0 <= len(text) - begun <= _LONGEST_LINK
        and _BEGUN.match(text, begun)
        and not _WHOLE_LINK.match(text, begun)
    ):
        return begun - text[:begun].endswith("!")  # that makes it a picture
    return len(text) - text.endswith("!")


def _decoded(data: bytes) -> _Chunk:
    """Decode what is no strict JSON, as far as it can be read."""
    try:
        return decode_leniently(data, _Chunk)
    except WrongShape:
        return _Chunk()


def _pages(listed: Any) -> Iterator[Page]:
    """Return the pages of a list of addresses, or of objects; what is neither is passed over."""
    for item in listed if isinstance(listed, list) else ():
        try:
            yield Page(item) if isinstance(item, str) else msgspec.convert(item, Page)
        except msgspec.ValidationError:
            continue


def _annotated(annotations: Any) -> Iterator[Page]:
    for annotation in annotations if isinstance(annotations, list) else ():
        try:
            page = msgspec.convert(annotation, _Annotation).url_citation
        except msgspec.ValidationError:
            continue
        if page is not None:
            yield page


def _host(address: str) -> str:
    """Return the host of a web address that can be shown and stored; "" for any other."""
    if len(address) > MAX_ADDRESS_LENGTH or not address.isprintable() or " " in address:
        return ""
    try:
        parts = urlsplit(address)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
