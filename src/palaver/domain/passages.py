"""Passages in a prompt: how what was found for a question is shown to a model, and read again."""

import re
from collections.abc import Sequence
from typing import Final

import msgspec

OVERHEAD_TOKENS: Final = 24
"""What frames a passage in a prompt: its number and its title, the title's text aside."""

_PASSAGE: Final = re.compile(
    r'<passage index="(\d{1,6})" title="([^"\n]*)">\n(.*?)\n</passage>', re.DOTALL
)
_NO_END: Final = "\N{SINGLE LEFT-POINTING ANGLE QUOTATION MARK}/passage"


class Passage(msgspec.Struct, frozen=True, gc=False):
    """A piece of text that an answer may rest on, cited as `[index]`."""

    index: int
    title: str
    text: str


def render_passages(passages: Sequence[Passage]) -> str:
    """Return the passages as a prompt holds them.

    A text cannot end its passage, nor a title its line: what would is written with U+2039 or an
    apostrophe in its place.
    """
    return "\n".join(
        f'<passage index="{passage.index}" title="{_title(passage.title)}">\n'
        f"{passage.text.replace('</passage', _NO_END)}\n</passage>"
        for passage in passages
    )


def parse_passages(prompt: str) -> list[Passage]:
    """Return the passages that `render_passages` has put into a prompt, in their order there."""
    return [Passage(int(index), title, text) for index, title, text in _PASSAGE.findall(prompt)]


def renumbered(prompt: str, *, by: int) -> str:
    """Return a prompt whose passages have larger numbers: for a model that uses the small ones."""
    return _PASSAGE.sub(
        lambda found: found[0].replace(found[1], str(int(found[1]) + by), 1), prompt
    )


def _title(title: str) -> str:
    return " ".join(title.split()).replace('"', "'")
