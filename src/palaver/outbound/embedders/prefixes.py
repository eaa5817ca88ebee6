"""What some models want to read before a query, and before a text that is searched.

Each was trained with words of its own, which its card names; without them it finds less.
"""

import re
from typing import Final

import msgspec

_INSTRUCT: Final = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
)
_REPRESENT: Final = "Represent this sentence for searching relevant passages: "


class Prefixes(msgspec.Struct, frozen=True):
    """What comes before each text."""

    query: str = ""
    passage: str = ""

    def put(self, text: str, *, is_query: bool) -> str:
        """Return a text as the model wants to read it."""
        return (self.query if is_query else self.passage) + text


_KNOWN: Final = [
    (re.compile(pattern), prefixes)
    for pattern, prefixes in (
        (r"\be5-.*instruct", Prefixes(_INSTRUCT)),
        (r"\be5-", Prefixes("query: ", "passage: ")),
        (r"\bnomic-embed-text", Prefixes("search_query: ", "search_document: ")),
        (r"\bbge-.*\bzh\b", Prefixes("为这个句子生成表示以用于检索相关文章：")),  # noqa: RUF001  # Chinese
        (r"\bbge-.*\ben\b", Prefixes(_REPRESENT)),
        (r"\bmxbai-embed", Prefixes(_REPRESENT)),
        (r"\barctic-embed.*v2|\barctic-embed2", Prefixes("query: ")),
        (r"\barctic-embed", Prefixes(_REPRESENT)),
        (r"\bqwen3-embedding", Prefixes(_INSTRUCT)),
        (
            r"\bembedding-?gemma",
            Prefixes("task: search result | query: ", "title: none | text: "),
        ),
    )
]


def prefixes_of(model: str) -> Prefixes:
    """Return the prefixes of a model by its name; of one that is not known, none."""
    name = model.lower().replace("_", "-")
    return next((found for pattern, found in _KNOWN if pattern.search(name)), Prefixes())
