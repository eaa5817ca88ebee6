"""Anthropic's own search of the web: what it found becomes sources, what is cited gets its mark.

A page is told of when it is first cited, since only the citation quotes it, and before the mark
that refers to it; pages that were found and never cited are told of at the end. The mark stands
behind the text block to which the citations belong.

Shapes: https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool.
"""

import json
from typing import Any, Final

from palaver.domain.events import SourceFound, Status, TextDelta
from palaver.domain.providers import CompletionEvent
from palaver.providers.anthropic.blocks import Block, Citation
from palaver.providers.failures import readable
from palaver.providers.sources import MOST_SOURCES, web_source

MAX_QUERY_LENGTH: Final = 200
_NOTE: Final = "Found by Anthropic's own search."


class Search:
    """The searches of one answer, over all its requests."""

    def __init__(self, first_source: int) -> None:
        self._last = ""  # the last character of the answer so far
        self._has_searched = False  # since
        self._next = first_source
        self._numbers: dict[str, int] = {}  # of the pages that were told of
        self._titles: dict[str, str | None] = {}  # of those that were found
        self._marks: list[int] = []
        self._query: list[str] | None = None
        self._block = Block()

    def copy(self) -> "Search":
        """Return one that goes on from here: a request may have to be repeated."""
        other = Search(self._next)
        other._last = self._last
        other._has_searched = self._has_searched
        other._numbers = dict(self._numbers)
        other._titles = dict(self._titles)
        return other

    def open(self, block: Block) -> None:
        """Begin a block."""
        self._block = block
        self._marks = []
        self._query = []
        if block.type == "web_search_tool_result" and isinstance(block.content, list):
            for result in block.content:
                if isinstance(result, dict) and isinstance(url := result.get("url"), str):
                    title = result.get("title")
                    self._titles.setdefault(url, title if isinstance(title, str) else None)

    def spaced(self, text: str) -> str:
        """Return more of the answer: what is said before and after a search is apart."""
        if self._has_searched and self._last and not (self._last.isspace() or text[0].isspace()):
            text = f"\n\n{text}"
        self._has_searched = False
        self._last = text[-1]
        return text

    def ask(self, partial_json: str) -> None:
        """Take more of what the model asks its search."""
        if self._query is not None:
            self._query.append(partial_json)

    def cite(self, citation: Citation) -> list[CompletionEvent]:
        """Note what the block rests on; return its source, where that was not told of yet."""
        url = citation.url
        if not url:
            return []
        title = citation.title or self._titles.get(url)
        events = self._tell(url, title, citation.cited_text or "")
        if (number := self._numbers.get(url)) is not None and number not in self._marks:
            self._marks.append(number)
        return events

    def close(self) -> list[CompletionEvent]:
        """End a block: return its mark, or what is being searched for."""
        block = self._block
        self._block = Block()
        self._has_searched |= block.type == "server_tool_use"
        if block.type == "server_tool_use" and block.name == "web_search":
            return self._searching(block.input)
        if block.type == "web_search_tool_result" and isinstance(block.content, dict):
            return [Status(f"The search of the web failed: {_error_of(block.content)}.")]
        if not self._marks:
            return []
        mark = "".join(f"[{number}]" for number in self._marks)
        mark = f"{mark} " if not self._last or self._last.isspace() else f" {mark}"
        self._marks = []
        self._last = mark[-1]
        return [TextDelta(mark)]

    def rest(self) -> list[CompletionEvent]:
        """Return the pages that were found and not told of."""
        events: list[CompletionEvent] = []
        for url, title in self._titles.items():
            events += self._tell(url, title, "")
        return events

    def _tell(self, url: str, title: str | None, quote: str) -> list[CompletionEvent]:
        if url in self._numbers or len(self._numbers) >= MOST_SOURCES:
            return []
        source = web_source(self._next, url, title, quote, _NOTE)
        if source is None:
            return []
        self._numbers[url] = self._next
        self._next += 1
        return [SourceFound(source)]

    def _searching(self, given: Any) -> list[CompletionEvent]:
        if self._query:
            try:
                given = json.loads("".join(self._query))
            except (ValueError, RecursionError):
                given = None
        query = given.get("query") if isinstance(given, dict) else None
        if not isinstance(query, str) or not query.strip():
            return [Status("Searching the web …")]
        return [Status(f"Searching the web for “{readable(query)[:MAX_QUERY_LENGTH]}” …")]


def _error_of(content: dict[str, Any]) -> str:
    code = content.get("error_code")
    return readable(code).replace("_", " ")[:100] if isinstance(code, str) else "no reason given"
