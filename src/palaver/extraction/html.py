"""HTML: what a reader of the page reads, in the order in which it stands there.

lexbor builds the tree as browsers do. Scripts, styles, forms and navigation are left out; where a
page says what its main part is, that alone is taken.
"""

import re
import signal
from collections.abc import Callable, Iterator
from typing import Final

from selectolax.lexbor import LexborHTMLParser, LexborNode

from palaver.domain.extraction import BlockKind, Extracted, ExtractionError
from palaver.extraction.encodings import charset_of, decode
from palaver.extraction.magic import kind_of, refuse
from palaver.extraction.writer import Writer, title_of

MAX_DEPTH: Final = 512
"""As deep as browsers go."""

_UNREAD: Final = frozenset(
    "script style template noscript svg canvas math iframe object embed audio video map"  # noqa: SIM905
    " select textarea button input datalist dialog head".split()
)
_AROUND: Final = frozenset({"nav", "aside", "footer", "form", "menu"})
_AROUND_ROLES: Final = frozenset({"navigation", "banner", "contentinfo", "search", "complementary"})
_HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
_BLOCKS: Final[dict[str, BlockKind]] = {
    "li": "list",
    "dt": "list",
    "dd": "list",
    "pre": "code",
    "blockquote": "quote",
    "table": "table",
}
_BREAKS: Final = frozenset(
    "p div section article main header footer nav aside ul ol dl figure figcaption address"  # noqa: SIM905
    " form fieldset details summary hgroup body html center hr caption".split()
)
_LINE_BREAK: Final = "\x1e"  # in no text: line ends of the source are spaces
_SPACES: Final = re.compile(r"\s+")
_META_CHARSET: Final = re.compile(
    rb"<(?:meta|\?xml)\b[^>]{0,200}?(?:charset|encoding)\s*=[^>]{0,60}"
)
_HEAD_BYTES: Final = 2048
_PARSING_SECONDS: Final = 0.5
_PARSING_SECONDS_PER_CODE_POINT: Final = 1e-6
"""A page of nothing but tags takes a fifth of this."""

_ENOUGH: Final = 200
"""Code points of a main part that is worth more than its page."""


def text_of_html(
    content: bytes, *, charset: str | None = None, is_page: bool = True
) -> tuple[str | None, Extracted]:
    """Return the title of a page and its text, of its main part where it has one.

    `charset` is what came with it. Raises `ExtractionError`.
    """
    if kind_of(content):
        raise refuse(content, "HTML")
    tree = _tree(decode(content, charset or _declared(content)))
    if tree.body is None:
        raise refuse(content, "HTML")
    title = title_of(found.text() if (found := tree.css_first("title")) else None)
    writer = _best(tree, tree.body) if is_page else _Page(is_page=False).read(tree.body)
    extracted = writer.end(title=title)
    return extracted.title, extracted


def _tree(html: str) -> LexborHTMLParser:
    """Return the tree of a page. A parser that takes far too long ends the process.

    For many a tag it looks through all that are open, so that a small page whose tags are never
    closed would take minutes. No Python runs meanwhile: the signal's own effect ends it, and its
    number tells why.
    """
    seconds = _PARSING_SECONDS + len(html) * _PARSING_SECONDS_PER_CODE_POINT
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        return LexborHTMLParser(html)
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _best(tree: LexborHTMLParser, body: LexborNode) -> Writer:
    """Return the main part where there is just one with enough in it, else the page, else all."""
    for selector in ("main, [role=main]", "article"):
        found = tree.css(selector)
        if len(found) == 1 and (main := _Page(is_page=True).read(found[0])).length >= _ENOUGH:
            return main
    page = _Page(is_page=True).read(body)
    return page if page.length >= _ENOUGH else _Page(is_page=False).read(body)


def _declared(content: bytes) -> str | None:
    """Return the charset that a page names in its first lines."""
    found = _META_CHARSET.search(content[:_HEAD_BYTES].lower())
    if found is None:
        return None
    return charset_of(found[0].decode("latin-1").replace("encoding", "charset"))


class _Page:
    """Goes through a tree without recursion, and writes down what it reads."""

    def __init__(self, *, is_page: bool) -> None:
        self._is_page = is_page
        self._writer = Writer()
        self._words: list[str] = []
        self._open: list[tuple[BlockKind, int]] = []  # blocks that hold what is read, and levels
        self._lists: list[int | None] = []  # the next number of each list, None without numbers
        self._cells: list[str] = []
        self._rows: list[str] = []
        self._tables = 0  # how deep
        self._mark = ""  # what comes before the first words of an item

    def read(self, root: LexborNode) -> Writer:
        """Write down everything below a node."""
        for node, is_entered in _walk(root, self._is_unread):
            if node.is_text_node:
                self._words.append(node.text_content or "")
            elif is_entered:
                self._enter(node, node.tag or "")
            else:
                self._leave(node.tag or "")
        self._flush()
        return self._writer

    def _is_unread(self, node: LexborNode) -> bool:
        if node.is_text_node:
            return False
        tag = node.tag or ""
        if tag in _UNREAD or not node.is_element_node:
            return True
        attributes = node.attributes
        if "hidden" in attributes or attributes.get("aria-hidden") == "true":
            return True
        if not self._is_page:
            return False
        is_top = tag == "header" and node.parent is not None and node.parent.tag == "body"
        return tag in _AROUND or is_top or attributes.get("role") in _AROUND_ROLES

    def _enter(self, node: LexborNode, tag: str) -> None:
        if tag == "br":
            self._words.append(_LINE_BREAK)
        elif self._tables:
            self._tables += tag == "table"
            self._words.append(" " if tag in _BREAKS or tag in _BLOCKS else "")
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._flush()
            self._open.append((_BLOCKS.get(tag, "heading"), _HEADINGS.get(tag, 0)))
            self._tables += tag == "table"
            if tag == "li":
                self._mark = self._next_mark()
        elif tag in _BREAKS:
            self._flush()
        if tag in ("ul", "ol"):
            self._lists.append(_first_number(node) if tag == "ol" else None)

    def _leave(self, tag: str) -> None:
        if tag in ("ul", "ol") and self._lists:
            self._lists.pop()
        if tag == "table" and self._tables:
            self._tables -= 1
        if self._tables:
            self._leave_in_table(tag)
        elif tag in _HEADINGS or tag in _BLOCKS:
            self._flush()
            if self._open:
                self._open.pop()
        elif tag in _BREAKS:
            self._flush()

    def _leave_in_table(self, tag: str) -> None:
        if self._tables > 1:  # a table in a cell is words of the cell
            self._words.append(" ")
        elif tag in ("td", "th", "caption"):
            self._cells.append(_SPACES.sub(" ", "".join(self._words)).strip())
            self._words.clear()
        if self._tables == 1 and tag in ("tr", "caption") and any(self._cells):
            self._rows.append(" | ".join(self._cells))
        if tag in ("tr", "caption"):
            self._cells.clear()

    def _flush(self) -> None:
        """Write down what has been read since the last block began or ended."""
        kind, level = self._open[-1] if self._open else ("paragraph", 0)
        words = "".join(self._words)
        self._words.clear()
        if kind == "code":
            self._writer.add(kind, words.replace(_LINE_BREAK, "\n").expandtabs(8))
            return
        lines = (_SPACES.sub(" ", line).strip(" ") for line in words.split(_LINE_BREAK))
        text = "\n".join(line for line in lines if line)
        if kind == "table":
            self._writer.add(kind, "\n".join((*self._rows, *filter(None, [text]))))
            self._rows.clear()
        elif text:
            self._writer.add(kind, self._mark + text if kind == "list" else text, level=level)
            self._mark = ""

    def _next_mark(self) -> str:
        """Return what stands before an item, as Markdown has it."""
        number = self._lists[-1] if self._lists else None
        if number is None:
            return "- "
        self._lists[-1] = number + 1
        return f"{number}. "


def _walk(
    root: LexborNode, is_unread: Callable[[LexborNode], bool]
) -> Iterator[tuple[LexborNode, bool]]:
    """Yield each node below, and each element again when all within it has come."""
    path: list[LexborNode] = []
    node = root.first_child
    while True:
        if node is None:
            if not path:
                return
            yield path[-1], False
            node = path.pop().next
        elif is_unread(node):
            node = node.next
        else:
            yield node, True
            if node.is_text_node:
                node = node.next
                continue
            path.append(node)
            if len(path) > MAX_DEPTH:
                raise ExtractionError(
                    f"The file is nested deeper than {MAX_DEPTH} levels. Save it as text, and give "
                    "that."
                )
            node = node.first_child


def _first_number(node: LexborNode) -> int:
    start = node.attributes.get("start") or ""
    return int(start) if start.isascii() and start.isdigit() and len(start) < 8 else 1
