"""The blocks of an answer and what is added to them: as they are read, and all as they came.

Shapes: https://platform.claude.com/docs/en/api/messages/create.
"""

from typing import Any, TypeVar

import msgspec

from palaver.kit.text import storable
from palaver.providers.answers import WrongShape

T = TypeVar("T")


class Citation(msgspec.Struct, gc=False):
    """What a text rests on: a page that the search has found."""

    url: str | None = None
    title: str | None = None
    cited_text: str | None = None

    @classmethod
    def of(cls, given: Any) -> "Citation":
        """Read a citation. Raises `WrongShape`."""
        return _converted(given, cls)


class Block(msgspec.Struct, gc=False):
    """A part of an answer: text, a thought, a search that the model asks for, what it found."""

    type: str = ""
    text: str | None = None
    thinking: str | None = None
    citations: list[Any] | None = None
    name: str | None = None  # of a tool
    input: Any = None  # for a tool
    content: Any = None  # from a tool

    @classmethod
    def of(cls, given: Any) -> "Block":
        """Read a block. Raises `WrongShape`."""
        return _converted(given, cls)


class StopDetails(msgspec.Struct, gc=False):
    """Why a model refused."""

    explanation: str | None = None


class Delta(msgspec.Struct, gc=False):
    """More of a block, or the end of the message."""

    text: str | None = None
    thinking: str | None = None
    signature: str | None = None
    partial_json: str | None = None
    citation: Any = None  # see `Citation`
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


def _converted(given: Any, shape: type[T]) -> T:
    try:
        return msgspec.convert(given, shape)
    except ValueError as error:  # a key that is no text is one as well
        raise WrongShape(str(error)) from error


class Content:
    """All blocks as they came: what a paused answer is gone on from, signatures and all."""

    def __init__(self, before: "Content | None" = None) -> None:
        self.blocks: list[dict[str, Any]] = list(before.blocks) if before else []
        self._newest: dict[str, Any] = {}
        self._input: list[str] = []

    def open(self, given: dict[str, Any]) -> None:
        """Begin a block. Raises `WrongShape`, where it could not be sent back."""
        self._newest = _copied(given)
        self._input = []
        self.blocks.append(self._newest)

    def add(self, delta: Delta) -> None:
        """Add to the newest block. Raises `WrongShape` as `open` does."""
        block = self._newest
        for field in ("text", "thinking", "signature"):
            if more := getattr(delta, field):
                block[field] = f"{block.get(field) or ''}{storable(more)}"
        if delta.partial_json:
            self._input.append(delta.partial_json)
        if delta.citation is not None:
            block["citations"] = [*(block.get("citations") or ()), _copied(delta.citation)]

    def close(self) -> None:
        """End the newest block: only now its input is whole."""
        if self._input:
            try:
                self._newest["input"] = msgspec.json.decode("".join(self._input))
            except (ValueError, RecursionError):
                self._newest["input"] = {}
        self._newest = {}
        self._input = []


def _copied(given: Any) -> Any:
    """Return a copy that surely can be sent: neither halves of characters nor endless depth."""
    try:
        return msgspec.json.decode(msgspec.json.encode(given))
    except (ValueError, RecursionError) as error:
        raise WrongShape(str(error)) from error
