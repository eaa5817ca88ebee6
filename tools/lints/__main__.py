"""Runs every rule over the source: prints what it finds, exits 1 if there is anything."""

import ast
import sys
from pathlib import Path
from typing import Final

from tools.lints import blocks, migrations, use_cases
from tools.lints.finding import Finding

ROOT: Final = Path(__file__).parent.parent.parent
RULES: Final = (blocks.check, use_cases.check, migrations.check)


def findings(root: Path = ROOT) -> list[Finding]:
    """Return every broken rule, in the order of the files."""
    trees = {
        path.relative_to(root).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in sorted((root / "src").rglob("*.py"))
    }
    found = [
        finding for path, tree in trees.items() for rule in RULES for finding in rule(tree, path)
    ]
    services = {path: tree for path, tree in trees.items() if path.startswith(use_cases.FOLDER)}
    unneeded = use_cases.stale(services, use_cases.EXCEPTIONS)
    message = "is an exception that no method needs any more"
    return found + [
        Finding("tools/lints/use_cases.py", 1, f"{name} {message}") for name in unneeded
    ]


if __name__ == "__main__":
    found = findings()
    for finding in found:
        print(finding, file=sys.stderr)
    sys.exit(1 if found else 0)
