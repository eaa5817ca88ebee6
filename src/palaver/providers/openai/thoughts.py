"""What a model thinks, where its server leaves it in the answer: `<think>…</think>` at its head.

Many local servers do that with models whose template they do not know.
"""

from typing import Final, TypeAlias

from palaver.domain.events import ReasoningDelta, TextDelta

_TAGS: Final = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "[THINK]": "[/THINK]",
}

Deltas: TypeAlias = list[ReasoningDelta | TextDelta]


class Thoughts:
    """Takes the text of one answer from its beginning, until `are_over`: the rest is the answer.

    Only what opens the answer counts: the same words further on are somebody's text. What may be a
    part of a tag is held back, and so is the empty space around the tags.
    """

    __slots__ = ("_end", "_has_thought", "_held", "are_over")

    def __init__(self) -> None:
        self.are_over = False
        self._held = ""
        self._end: str | None = None  # the tag that ends them; None = not begun, "" = ended
        self._has_thought = False

    def take(self, text: str) -> Deltas:
        """Return what more of the text tells: thoughts, or the answer, or nothing yet."""
        text = self._held + text
        self._held = ""
        if self._end is None:
            opened = text.lstrip()
            if any(len(opened) < len(tag) and tag.startswith(opened) for tag in _TAGS):
                self._held = text
                return []
            tag = next(filter(opened.startswith, _TAGS), None)
            if tag is None:
                return self._answer(text)
            self._end = _TAGS[tag]
            text = opened[len(tag) :]
        if self._end == "":
            return self._answer(text.lstrip())
        thought, end, answer = text.partition(self._end)
        if not end:
            return self._think(text)
        self._end = ""
        return self._think(thought.rstrip()) + self._answer(answer.lstrip())

    def ending(self) -> Deltas:
        """Return what is held back still, once nothing more comes."""
        held, self._held = self._held, ""
        if self._end is None:
            return self._answer(held)
        return [ReasoningDelta(held.rstrip())] if held.strip() else []

    def _think(self, thought: str) -> Deltas:
        if self._end:
            cut = len(thought) - _begun(self._end, thought)
            said = thought[:cut].rstrip()
            self._held = thought[len(said) :]
            thought = said
        if not self._has_thought:
            thought = thought.lstrip()
            self._has_thought = bool(thought)
        return [ReasoningDelta(thought)] if thought else []

    def _answer(self, text: str) -> Deltas:
        self.are_over = bool(text)
        return [TextDelta(text)] if text else []


def _begun(tag: str, text: str) -> int:
    """Return how many characters at the end of a text may be the beginning of a tag."""
    lengths = range(min(len(tag) - 1, len(text)), 0, -1)
    return next((length for length in lengths if text.endswith(tag[:length])), 0)
