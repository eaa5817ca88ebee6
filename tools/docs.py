"""Writes what the docs take from the code, or tells (`--check`) which page is behind it.

    python -m tools.docs [--check]

A page is either made as a whole (`PAGES`), or holds blocks between two comments (`BLOCKS`):

    <!-- settings: made by `make docs` -->
    …
    <!-- end of settings -->
"""

import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

import msgspec

from palaver.config.providers import BUILTIN
from palaver.config.settings import CONFIG_FILE, FIELDS, PREFIX, about, wanted
from palaver.dialects import DIALECTS
from palaver.ui import PAGES as PAGES_OF_THE_UI
from palaver.web.app import rows_of

ROOT: Final = Path(__file__).parent.parent


def settings() -> str:
    """Every setting: its variable, default, values and meaning."""
    rows = [
        (
            f"`{CONFIG_FILE}`",
            "unset",
            "a TOML file",
            "Where further settings stand: the same names in lower case, without the prefix.",
        )
    ]
    rows += [
        (f"`{PREFIX}{key.upper()}`", _default(field.default), wanted(field), about(field))
        for key, field in FIELDS.items()
    ]
    return table(("Variable", "Default", "Must be", "What it does"), rows)


def providers() -> str:
    """The providers that need no section, with their variables and usual addresses."""
    rows = [
        (
            builtin.name,
            f"`{id}/…`",
            f"`{id.upper()}_API_KEY`",
            f"`{id.upper()}_BASE_URL`",
            f"`{builtin.base_url}`",
            "always" if builtin.is_local else "its key or its address is set",
        )
        for id, builtin in BUILTIN.items()
    ]
    return table(("Provider", "Models", "Key", "Address", "Default", "Used when"), rows)


def routes() -> str:
    """Every URL, contract by contract, with who may call it and the function that answers."""
    parts = [
        "# Routes\n\n"
        "Made by `make docs`; `palaver routes` prints the same with line numbers. A path answers\n"
        "in its other slash form as well, where no contract owns that one."
    ]
    for dialect in (*DIALECTS, PAGES_OF_THE_UI):
        rows = [
            (
                row.endpoint.method,
                f"`{row.endpoint.path}`",
                row.endpoint.access.name.lower(),
                _place(row.endpoint.handler),
            )
            for row in rows_of((dialect,))
        ]
        if rows:
            head = ("Method", "Path", "Who", "Handler")
            parts.append(f"## {dialect.name}\n\n{table(head, rows)}")
    return "\n\n".join(parts) + "\n"


def _place(handler: Callable[..., Any]) -> str:
    module = inspect.unwrap(handler).__module__.removeprefix("palaver.")
    return f"`{module}.{handler.__name__}`"


BLOCKS: Final[dict[str, Callable[[], str]]] = {"settings": settings, "providers": providers}
PAGES: Final[dict[str, Callable[[], str]]] = {"docs/routes.md": routes}


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a Markdown table."""
    head = tuple(head)
    lines = [head, tuple("---" for _ in head), *map(tuple, rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', '⏐') for cell in line)} |" for line in lines)


def _default(value: Any) -> str:
    if value is None or value == ():
        return "unset"
    if isinstance(value, tuple):
        return f"`{','.join(value)}`"
    text = value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value, enc_hook=str))
    return f"`{text.strip(chr(34))}`"


def renewed(text: str) -> str:
    """Return a page with its blocks made anew; raises `KeyError` for a block of no maker."""

    def block(match: re.Match[str]) -> str:
        return f"{match[1]}\n\n{BLOCKS[match[2]]()}\n\n{match[4]}"

    pattern = r"(<!-- (\w+): made by `make docs` -->)(.*?)(<!-- end of \2 -->)"
    return re.sub(pattern, block, text, flags=re.DOTALL)


def stale(root: Path = ROOT) -> dict[Path, str]:
    """Return the pages that are behind the code, each with what it should hold."""
    wanted_pages = {root / name: make() for name, make in PAGES.items()}
    for path in (*root.glob("*.md"), *root.glob("docs/**/*.md")):
        if path not in wanted_pages:
            wanted_pages[path] = renewed(path.read_text(encoding="utf-8"))
    return {
        path: text
        for path, text in wanted_pages.items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }


def main(arguments: list[str]) -> int:
    """Write the pages that are stale, or only name them; returns the exit status."""
    found = stale()
    for path, text in found.items():
        if "--check" in arguments:
            print(f"{path.relative_to(ROOT)} is behind the code: run `make docs`.", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(ROOT)} written.")
    return 1 if found and "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
