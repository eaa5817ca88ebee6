"""The sources of an answer whose provider searched the web for it, and the marks in its text.

Vendors tell of a source in three ways, and each is understood:

- `annotations` (OpenAI, OpenRouter): a page, and the span of the answer that rests on it. They come
  with the last delta, when the text has long been read, and what was yielded cannot be changed;
- links in the text itself, `[title](address)`, which the same vendors write at that very place;
- `citations` or `search_results` (Perplexity, xAI): a list, to which `[1]` in the text refers.

So a mark follows a link, stands for a number of the vendor's, and closes an annotated span that is
known in time (as in an answer that is not streamed). What was annotated too late, and is not marked
anywhere, is named at the end of the answer. Pages without a span are sources, and no marks. A link
that is a number, `[[1]](address)` (xAI), is a mark itself.

The prompt may hold passages of ours, which the model is to cite by `[1]` as well. Vendors who are
known to refer by numbers of their own are shown these under numbers beyond theirs (`set_apart`), so
that each mark has one meaning. Where a list comes from somebody else, a number that a passage of
ours has is ours: that it may be the vendor's cannot be told.

Shapes: https://platform.openai.com/docs/guides/tools-web-search,
https://openrouter.ai/docs/features/web-search, https://docs.perplexity.ai/api-reference.
"""

import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from palaver.domain.events import SourceFound, TextDelta
from palaver.domain.passages import renumbered
from palaver.domain.providers import CompletionEvent, CompletionRequest, Turn
from palaver.providers.answers import WrongShape, decode_leniently
from palaver.providers.sources import (
    MAX_ADDRESS_LENGTH,
    MAX_TITLE_LENGTH,
    MOST_SOURCES,
    web_source,
)

_LONGEST_LINK: Final = MAX_TITLE_LENGTH + MAX_ADDRESS_LENGTH
_ADDRESS: Final = r"https?://(?:[^()\[\]\s]|\([^()\[\]\s]*\))+"
_LINK: Final = rf"(?<!!)\[([^\[\]\n]+|\[\d{{1,3}}\])\]\(({_ADDRESS})\)"
_MARKED: Final = re.compile(rf"{_LINK}|\[(\d{{1,3}}(?:, ?\d{{1,3}})*)\](?!\()")
_WHOLE_LINK: Final = re.compile(_LINK)
_BEGUN: Final = re.compile(r"\[(?:\[\d{0,3}\]?|[^\]\n]*)(?:\](?:\(\S*)?)?\Z")
_NUMBER: Final = re.compile(r"\d+")
_REFERRING: Final = (".perplexity.ai", ".x.ai")


def refers_by_number(base_url: str, request: CompletionRequest) -> bool:
    """Tell whether a vendor is known to cite what it finds as `[1]`, by its own count.

    Perplexity's Sonar does so unasked: it searches for every answer.
    """
    host = f".{urlsplit(base_url).hostname or ''}"
    return "sonar" in request.model or (request.searches_web and host.endswith(_REFERRING))


def set_apart(request: CompletionRequest) -> CompletionRequest:
    """Return a request whose passages have numbers that no page of the vendor's has."""

    def apart(turn: Turn) -> Turn:
        if turn.role != "system":
            return turn
        return replace(turn, text=renumbered(turn.text, by=MOST_SOURCES))

    return replace(request, turns=tuple(map(apart, request.turns)))


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
        """Number from `first`; `refers` tells that `[1]` in the text is the vendor's own.

        Then the passages before `first` were `set_apart`.
        """
        self.vendor = vendor
        self.first = first
        self.refers = refers
        self._are_apart = refers
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
            place = self.first + at  # unless a link took it, before the list was known
            self._number(page, events, number=None if place in self._told else place)
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
            title, address, _ = match.groups()
            if address is None:
                continue
            is_mark = title.startswith("[")
            number = self._number(Page(address, None if is_mark else title), events, is_link=True)
            if number is not None and not is_mark:
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
        return _MARKED.sub(self._meant, text)

    def _meant(self, match: re.Match[str]) -> str:
        title, address, _ = match.groups()
        if address is None:
            return _NUMBER.sub(lambda found: str(self._ours(int(found[0]))), match[0])
        if not title.startswith("["):
            return match[0]
        number = self._numbers.get(address)
        if number is None:
            return f"{title}({address})"  # a link as any other
        self._marked[number] = self._position
        return f"[{number}]"

    def _ours(self, number: int) -> int:
        """Return our number for one that stands in the text."""
        if self._are_apart and MOST_SOURCES < number < MOST_SOURCES + self.first:
            return number - MOST_SOURCES
        if not self.refers or number < 1 or (number < self.first and not self._are_apart):
            return number
        number += self.first - 1
        self._marked[number] = self._position
        return number

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
        note = "Linked in the answer of" if is_link else "Found by"
        quote = page.content or page.snippet or ""
        note = f"{note} {self.vendor}'s own search."
        source = web_source(number, address, page.title, quote, note)
        if source is None or number >= self.first + MOST_SOURCES:
            return None
        self._numbers.setdefault(address, number)
        self._told.add(number)
        events.append(SourceFound(source))
        return number


def _begun(text: str) -> int:
    """Return where a link may begin that has not ended; the length of the text where none does."""
    begun = text.rfind("[")
    begun -= text[:begun].endswith("[") if begun > 0 else 0
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
