"""`palaver routes`."""

import argparse
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import palaver
from palaver.dialects import DIALECTS
from palaver.ui import PAGES
from palaver.web.app import rows_of

SOURCE: Final = Path(palaver.__file__).parent.parent


async def routes(arguments: argparse.Namespace) -> int:
    """Print a line a route: contract, method, path, and where its handler stands."""
    for line in lines():
        if arguments.word in line:
            print(line)
    return 0


def lines() -> Iterator[str]:
    """Yield a line for every endpoint, in the order of the tables."""
    for row in rows_of((*DIALECTS, PAGES)):
        handler = inspect.unwrap(row.endpoint.handler)
        file = Path(inspect.getsourcefile(handler) or "").relative_to(SOURCE)
        place = f"{file}:{handler.__code__.co_firstlineno}"
        endpoint = row.endpoint
        yield f"{row.dialect.name:<14} {endpoint.method:<7} {endpoint.path:<52} {place}"
