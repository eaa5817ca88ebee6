"""A migration imports none of today's code.

It is frozen the day it merges; what it imports is not. The day that code changes, an old database
would be migrated to something that nobody has tried.
"""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final

from tools.lints.finding import Finding

FOLDER: Final = PurePosixPath("src/palaver/storage/migrations")


def check(tree: ast.Module, path: str) -> Iterator[Finding]:
    """Find imports of ours in a numbered step."""
    file = PurePosixPath(path)
    if file.parent != FOLDER or not file.name.startswith("m"):
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or "palaver"]
        else:
            continue
        for name in names:
            if name.split(".")[0] == "palaver":
                message = f"a migration is frozen, {name} is not: write out what it needs"
                yield Finding(path, node.lineno, message)
