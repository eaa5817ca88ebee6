"""Pictures of chatbots that Palaver brings along; `tools/pictures.py` has drawn them."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from palaver.domain.errors import NotFound

MEDIA_TYPE: Final = "image/png"


class Picture(NamedTuple):
    """A picture as it is served; its tag changes with its content."""

    content: bytes
    tag: str


def load(name: str) -> Picture:
    """Return a picture by the name of its file. Raises `NotFound`."""
    if (picture := _PICTURES.get(name)) is None:
        raise NotFound("picture")
    return picture


def _read(path: Path) -> Picture:
    content = path.read_bytes()
    return Picture(content, hashlib.sha256(content).hexdigest()[:16])


_PICTURES: Final = {path.name: _read(path) for path in Path(__file__).parent.glob("*.png")}

NAMES: Final = frozenset(_PICTURES)
