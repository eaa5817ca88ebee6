"""The turns of a prompt, as protocols take them that know no instructions between two turns."""

from collections.abc import Sequence
from itertools import takewhile

from msgspec.structs import replace

from palaver.domain.providers import Turn


def told_and_said(turns: Sequence[Turn]) -> tuple[list[Turn], list[Turn]]:
    """Return what a model is told before all else, and what was said.

    What it is told later, such as what was found for one question, goes with the user's words: so
    the turns before it stay as they were, and so does what a provider has cached of them.
    """
    told = list(takewhile(lambda turn: turn.role == "system", turns))
    said = turns[len(told) :]
    return told, [replace(turn, role="user") if turn.role == "system" else turn for turn in said]
