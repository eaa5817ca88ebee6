"""Draws the pictures that Palaver brings along: `python -m tools.pictures`.

Shapes are distance functions (negative inside), so every edge is smooth at any size. The same code
gives the same bytes.
"""

import math
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, TypeAlias

FOLDER: Final = Path(__file__).parent.parent / "src" / "palaver" / "web" / "pictures"
SIZE: Final = 192
UNITS: Final = 256  # in which shapes are measured, whatever the size

Colour: TypeAlias = tuple[int, int, int]
TOP: Final[Colour] = (86, 106, 226)
BOTTOM: Final[Colour] = (38, 152, 164)
WHITE: Final[Colour] = (255, 255, 255)


def general() -> bytes:
    """Draw a speech bubble with three dots, white on a disc."""
    return png([bytes(channel for pixel in _row(y) for channel in pixel) for y in _centres()])


def _centres() -> Iterator[float]:
    return ((place + 0.5) * UNITS / SIZE for place in range(SIZE))


def _row(y: float) -> Iterator[tuple[int, int, int, int]]:
    ground = _mix(TOP, BOTTOM, y / UNITS)
    for x in _centres():
        disc = _cover(math.hypot(x - 128, y - 128) - 127)
        bubble = min(_box(x - 128, y - 120, 62, 44, radius=26), _tail(x, y))
        dots = min(math.hypot(x - 128 - shift, y - 120) - 10 for shift in (-32, 0, 32))
        white = _cover(bubble) * (1 - _cover(dots))
        yield (*_mix(ground, WHITE, white), round(255 * disc))


def _box(x: float, y: float, half_width: float, half_height: float, *, radius: float) -> float:
    """Return the distance from a box with round corners around the origin."""
    across, down = abs(x) - half_width + radius, abs(y) - half_height + radius
    outside = math.hypot(max(across, 0), max(down, 0))
    return outside + min(max(across, down), 0) - radius


def _tail(x: float, y: float) -> float:
    """Return the distance from the tip below the bubble: three half-planes."""
    return max(92 - x, 150 - y, (x - 92) * 0.75 + (y - 190) * 0.66)


def _cover(distance: float) -> float:
    return min(max(0.5 - distance * SIZE / UNITS, 0.0), 1.0)


def _mix(one: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(one, other, strict=True))
    return red, green, blue


def png(rows: list[bytes]) -> bytes:
    """Encode rows of RGBA pixels, each as its difference from the one above (PNG, filter 2)."""
    above = bytes(len(rows[0]))
    lines = bytearray()
    for row in rows:
        lines.append(2)
        lines += bytes((here - there) & 255 for here, there in zip(row, above, strict=True))
        above = row
    header = struct.pack(">IIBBBBB", len(rows[0]) // 4, len(rows), 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(lines), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "general.png").write_bytes(general())
