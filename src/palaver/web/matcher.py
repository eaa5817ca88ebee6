"""One matcher over the paths of every contract: literal segments before parameters.

Where no contract owns the other slash form of a path, that form answers as well; there is never a
redirect between the two.
"""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class _Node(Generic[T]):
    __slots__ = ("is_owned", "leaf", "literals", "parameter")

    def __init__(self) -> None:
        self.literals: dict[str, _Node[T]] = {}
        self.parameter: _Node[T] | None = None
        self.leaf: Leaf[T] | None = None
        self.is_owned = False


class Leaf(Generic[T]):
    """A path that exists, with what answers each method."""

    __slots__ = ("methods", "template")

    def __init__(self, template: str) -> None:
        self.template = template
        self.methods: dict[str, T] = {}

    @property
    def allow(self) -> str:
        """Return the value of the `Allow` header (RFC 9110, 10.2.1)."""
        return ", ".join(sorted(self.methods))


class Matcher(Generic[T]):
    """Finds the row for a path; built once from `(method, path template, row)`.

    What lies at or below an `owned` path is never taken for the value of a parameter there.
    """

    def __init__(self, rows: Iterable[tuple[str, str, T]], *, owned: Iterable[str] = ()) -> None:
        self._root: _Node[T] = _Node()
        leaves: dict[str, Leaf[T]] = {}
        for method, template, row in rows:
            leaf = self._leaf(template)
            if method in leaf.methods:
                raise ValueError(f"two rows for {method} {template}")
            leaf.methods[method] = row
            leaves[template] = leaf
        for path in owned:
            self._node(path).is_owned = True
        for template, leaf in leaves.items():
            if template != "/":
                self._adopt(template[:-1] if template.endswith("/") else template + "/", leaf)

    def find(self, segments: list[str]) -> tuple[Leaf[T], list[str]] | None:
        """Return the leaf of a path and the values of its parameters in order, or None.

        The path is given as its segments, the first one empty: `["", "conversations", "7"]`.
        """
        return _search(self._root, segments, 0, [])

    def _node(self, template: str) -> _Node[T]:
        node = self._root
        for segment in template.split("/"):
            if segment.startswith("{"):
                node.parameter = node.parameter or _Node()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _Node())
        return node

    def _leaf(self, template: str) -> Leaf[T]:
        node = self._node(template)
        node.leaf = node.leaf or Leaf(template)
        return node.leaf

    def _adopt(self, twin: str, leaf: Leaf[T]) -> None:
        node = self._node(twin)
        if node.leaf is None:
            node.leaf = leaf


def _search(
    node: _Node[T], segments: list[str], index: int, values: list[str]
) -> tuple[Leaf[T], list[str]] | None:
    if index == len(segments):
        return None if node.leaf is None else (node.leaf, values)
    segment = segments[index]
    if (child := node.literals.get(segment)) is not None:
        found = _search(child, segments, index + 1, values)
        if found is not None or child.is_owned:
            return found
    if node.parameter is None or not segment:
        return None
    return _search(node.parameter, segments, index + 1, [*values, segment])
