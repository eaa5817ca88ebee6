"""What pages load: our own styles and scripts, and Swagger UI's from its package."""

import gzip
import hashlib
import importlib.util
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

_OURS: Final = Path(__file__).parent / "files"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


class File(NamedTuple):
    """A file as it is served: packed once, unpacked for the few who cannot take it so."""

    packed: bytes
    tag: str
    media_type: str


def url(name: str) -> str:
    """Return the address of a file, which changes with its content."""
    return f"/app/files/{name}?v={load(name).tag}"


@cache
def load(name: str) -> File:
    """Read and pack a file, once."""
    path = _path(name)
    content = path.read_bytes()
    tag = hashlib.sha256(content).hexdigest()[:16]
    return File(gzip.compress(content, mtime=0), tag, _TYPES[path.suffix])


def _path(name: str) -> Path:
    if name not in SWAGGER_UI:
        return _OURS / name
    # Only the files are wanted: importing the package would read all of them into memory.
    spec = importlib.util.find_spec("offapi")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package offapi is not installed")
    return Path(spec.submodule_search_locations[0]) / SWAGGER_UI[name]


SWAGGER_UI: Final = {
    "swagger-ui.css": "swagger_style.css",
    "swagger-ui-bundle.js": "swagger_bundle.js",
}
"""The address of each file, and what its package calls it."""

NAMES: Final = SWAGGER_UI.keys() | {path.name for path in _OURS.iterdir() if path.suffix in _TYPES}
