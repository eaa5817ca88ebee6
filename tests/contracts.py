"""The contracts' documents, read for their examples: what a test holds an answer against."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent.parent / "docs" / "contracts"

_HEADING = re.compile(r"^(?:#+ (.+?)|\d+\. \*\*(.+)\*\*)\s*$", re.MULTILINE)
_PART = re.compile(r"^## (.+)$", re.MULTILINE)
# A document may end without closing its last fence.
_EXAMPLE = re.compile(
    r"\b(Request|Response)\b[^\n]*\s*```json\n(.*?)(?:^\s*```|\Z)", re.DOTALL | re.MULTILINE
)
# `GET /path`, a line of its own with both, **GET** `/path` below a base, or URL and method apart.
_ROUTES = (
    re.compile(r"`(GET|POST|PUT|PATCH|DELETE) (/[^`?]*)"),
    re.compile(r"^(GET|POST|PUT|PATCH|DELETE) (/[^\s?]*)", re.MULTILINE),
    re.compile(r"\*\*(GET|POST|PUT|PATCH|DELETE)\*\* `(/[^`?]*)"),
    re.compile(r"URL: `(?P<path>/[^`?]*)`\s+- Method: (?P<method>[A-Z]+)"),
)
_BASES = {"platform": "/api/v1"}


@dataclass(frozen=True)
class Chapter:
    """A heading of a document with its examples, None where it shows none."""

    request: Any
    response: Any


def document(contract: str) -> str:
    """Return the document of a contract."""
    return (FOLDER / f"{contract}.md").read_text(encoding="utf-8")


def headings(contract: str) -> set[str]:
    """Return what a handler may cite."""
    return {match[1] or match[2] for match in _HEADING.finditer(document(contract))}


def routes(contract: str) -> set[tuple[str, str]]:
    """Return the method and path of every documented route, parameters as `{}`."""
    found = set()
    for pattern in _ROUTES:
        for match in pattern.finditer(document(contract)):
            named = match.groupdict()
            method, path = (named["method"], named["path"]) if named else match.groups()
            path = re.sub(r"\{[^}]*\}|<[^>]*>", "{}", path)
            found.add((method, _BASES.get(contract, "") + path))
    return found


def examples(contract: str, *, part: str | None = None) -> dict[str, Chapter]:
    """Return the examples of a contract by their headings.

    Where two chapters have the same name, `part` is the heading of the second level above one.
    """
    text = document(contract)
    if part is not None:
        _, *parts = _PART.split(text)
        text = dict(zip(parts[::2], parts[1::2], strict=True))[part]
    found = list(_HEADING.finditer(text))
    ends = [match.start() for match in found[1:]] + [len(text)]
    chapters = {}
    for match, end in zip(found, ends, strict=True):
        content = text[match.end() : end]
        given = {kind: json.loads(example) for kind, example in _EXAMPLE.findall(content)}
        chapters[match[1] or match[2]] = Chapter(given.get("Request"), given.get("Response"))
    return chapters


def shape(value: Any) -> Any:
    """Return a JSON value with types in place of its leaves; the order of keys counts."""
    if isinstance(value, dict):
        return [(key, shape(item)) for key, item in value.items()]
    if isinstance(value, list):
        return [shape(item) for item in value]
    return type(value).__name__
