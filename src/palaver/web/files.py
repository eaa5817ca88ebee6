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
    # Only the files are wanted: importing the package would load template engines and more.
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError("the package swagger-ui-py is not installed")
    return Path(spec.submodule_search_locations[0]) / "static" / name


SWAGGER_UI: Final = frozenset({"swagger-ui.css", "swagger-ui-bundle.js"})
NAMES: Final = SWAGGER_UI | {path.name for path in _OURS.iterdir() if path.suffix in _TYPES}
