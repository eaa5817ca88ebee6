"""Titles that a model gives: what it is asked, and what is kept of its answer."""

import re
from typing import Final

from palaver.domain.conversations import TITLE_MAX_LENGTH
from palaver.domain.providers import Turn

MAX_WORDS: Final = 5
EXCERPT_MAX_LENGTH: Final = 1_000  # of the question, and of the answer
LINE_MAX_LENGTH: Final = 1_000  # of what is read of a line: a title is not further behind

_ASKED: Final = """\
Give this conversation a title of at most five words, in its own language. Answer with the title \
alone: no quotation marks, no Markdown, no full stop.

The user said:
{question}

The assistant said:
{answer}"""

_THOUGHTS: Final = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.I)
# Linear: what one start of a match has read, the next one does not read again.
_LINK: Final = re.compile(r"!?\[([^\[\]]*+)\]\([^()]*+(?:\([^()]*+\)[^()]*+)*+\)")
_MARKS: Final = re.compile(r"[*`~]++|\b_++|(?<!_)_++\b")
_LABEL: Final = re.compile(
    r"^(?:the )?(?:title|titel|titre|titolo|t[i\u00ed]tulo|\u6807\u9898|\u6a19\u984c)\s*[:\uff1a]",
    re.I,
)
_QUOTES: Final = (
    "\"'\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a\u00ab\u00bb"
    "\u300a\u300b\u300c\u300d\u300e\u300f"
)
_BEFORE: Final = f" #>|-\u2013\u2014\u2022{_QUOTES}"
_BEHIND: Final = f" .,;:|-\u2013\u2014\u2026\u3001\u3002\uff0c\uff1a\uff1b{_QUOTES}"


def title_request(question: str, answer: str) -> Turn:
    """Return the one turn that asks for a title."""
    return Turn("user", _ASKED.format(question=_excerpt(question), answer=_excerpt(answer)))


def title_of(text: str) -> str | None:
    """Return the title that a text gives: its first words, without what is around them.

    None where it gives none.
    """
    heading = ""
    for line in _THOUGHTS.sub("", text).splitlines():
        if plain := _plain(line[:LINE_MAX_LENGTH]):
            heading = plain
            if not plain.endswith((":", "\uff1a")):  # "Here is a title:" is not the title
                break
    words = _LABEL.sub("", heading).lstrip(_BEFORE).split()
    return " ".join(words[:MAX_WORDS])[:TITLE_MAX_LENGTH].rstrip(_BEHIND) or None


def _plain(line: str) -> str:
    line = _MARKS.sub("", _LINK.sub(r"\1", line))
    line = "".join(letter if letter.isprintable() else " " for letter in line)
    return line.lstrip(_BEFORE).rstrip()


def _excerpt(text: str) -> str:
    text = text.strip()
    return text if len(text) <= EXCERPT_MAX_LENGTH else f"{text[:EXCERPT_MAX_LENGTH]}…"
