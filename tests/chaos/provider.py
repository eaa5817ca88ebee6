"""A provider for the chaos: another text with every request, so that nothing lost can come back.

A text is a row of words `<request>.<place>:<something> `. The same question asked again gets other
words, and whatever is missing, doubled or out of order shows in the text itself.
"""

import argparse
import asyncio
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import uvloop

from tests.fakes.scripts import Failure, Script
from tests.fakes.upstream import Seen, Upstream

SOUNDS: Final = (
    "a",
    "être",
    "字",
    "🙂",
    "e\u0301",
    "👩‍🚀",
    "line\nbreak",
    '"quoted"',
    "\u2028",
    "data: x",
)
"""What stands behind the colon: code points of every length, and what could break a frame."""

WORD_TOKENS: Final = 12
"""No word is estimated at more; so many are taken for one when an answer may not be longer."""

WORD: Final = re.compile(r"(\d+)\.(\d+):(.*?) (?=\d+\.\d+:|\Z)", re.DOTALL)


def word(request: int, place: int) -> str:
    """Return the word of a request at a place."""
    return f"{request}.{place}:{SOUNDS[(request + place) % len(SOUNDS)]} "


@dataclass(frozen=True)
class Speech(Script):
    """So many words, each telling its request and its place; thoughts first, where there are any."""

    count: int = 30
    thoughts: int = 0
    obeys: bool = True  # speaks no longer than the request allows

    def __post_init__(self) -> None:
        """Let as many tokens be reported as there are words."""
        object.__setattr__(self, "words", ("",) * self.count)
        object.__setattr__(self, "reasoning", ("",) * self.thoughts)

    def within(self, max_tokens: int) -> "Speech":
        """Return so much of it as an answer of so many tokens may have."""
        room = max_tokens // WORD_TOKENS
        if not self.obeys or room >= self.thoughts + self.count:
            return self
        thoughts = min(self.thoughts, room)
        return replace(self, thoughts=thoughts, count=room - thoughts, finish_reason="length")

    def deltas(self, number: int) -> Iterator[dict[str, Any]]:
        """Return what the deltas of the `number`th request hold, in order."""
        for place in range(self.thoughts):
            yield {"reasoning_content": f"t{word(number, place)}"}
        for place in range(self.count):
            yield {"content": word(number, place)}


SPEECHES: Final[Mapping[str, Speech]] = {
    "brisk": Speech(count=20, delay_seconds=0.01),
    "steady": Speech(count=50, delay_seconds=0.02),
    "long": Speech(count=300, delay_seconds=0.03),
    "burst": Speech(count=300),
    "thinking": Speech(count=20, thoughts=20, delay_seconds=0.02),
    "continuing": Speech(count=60, delay_seconds=0.02),
    "dying": Speech(count=60, delay_seconds=0.01, failure=Failure.RESET, after=15),
    "huge": Speech(count=80_000, obeys=False),
    "stillborn": Speech(failure=Failure.ERROR, after=0),
    "enduring": Speech(count=15, delay_seconds=1.0),
}
"""By the name of the model. What fails, fails in every attempt."""


def told(text: str) -> list[tuple[int, int]]:
    """Return the request and the last place of each unbroken row of words that a text is made of.

    Raises `ValueError` where a word is missing, doubled, altered or out of order.
    """
    rows: list[tuple[int, int]] = []
    at = 0
    for match in WORD.finditer(text):
        request, place = int(match[1]), int(match[2])
        if match.start() != at or match[0] != word(request, place):
            break
        if place == 0:
            rows.append((request, 0))
        elif rows and rows[-1] == (request, place - 1):
            rows[-1] = (request, place)
        else:
            raise ValueError(f"word {request}.{place} does not follow {rows[-1:]}")
        at = match.end()
    if at != len(text):
        raise ValueError(f"{text[at : at + 40]!r} was never said")
    return rows


class Speaker(Upstream):
    """Speaks until it is told to stop, by the one who listens or by the request."""

    def _script(self, seen: Seen) -> Script:
        script = super()._script(seen)
        return script.within(seen.body["max_tokens"]) if isinstance(script, Speech) else script


async def serve(port: int) -> None:
    """Serve until killed."""
    async with Speaker(port=port) as upstream:
        upstream.by_model.update(SPEECHES)
        upstream.models = [{"id": name, "object": "model", "owned_by": "sim"} for name in SPEECHES]
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    uvloop.run(serve(parser.parse_args().port))
