"""The contracts' documents, read for their examples: what a test holds an answer against."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "contracts"

_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
# A document may end without closing its last fence.
_EXAMPLE = re.compile(
    r"\*\*(Request|Response)[^*]*\*\*:?\s*```json\n(.*?)(?:^\s*```|\Z)", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Chapter:
    """A heading of a document with its examples, None where it shows none."""

    request: Any
    response: Any


def examples(contract: str) -> dict[str, Chapter]:
    """Return the examples of a contract by their headings."""
    text = (FOLDER / f"{contract}.md").read_text(encoding="utf-8")
    _, *parts = _HEADING.split(text)
    chapters = {}
    for heading, content in zip(parts[::2], parts[1::2], strict=True):
        found = {kind: json.loads(example) for kind, example in _EXAMPLE.findall(content)}
        chapters[heading] = Chapter(found.get("Request"), found.get("Response"))
    return chapters


def shape(value: Any) -> Any:
    """Return a JSON value with types in place of its leaves; the order of keys counts."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__
