"""Pictures: upright, not larger than anybody looks at, and without what they tell of their maker.

What is right already keeps its very pixels: only what stands around them goes.
"""

import io
import struct
from typing import Final

from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from palaver.domain.extraction import MAX_SIDE, ExtractionError
from palaver.domain.reading import Picture

LARGE_BYTES: Final = 3_900_000
"""A photograph as PNG may be larger, and then goes on as JPEG: Anthropic's models take no picture
of more than 5 MB as base64. Source: Anthropic, "Vision", "Evaluate image size".
"""
MAX_PIXELS: Final = 50_000_000
_ORIENTATION: Final = 0x0112
_JPEG_QUALITY: Final = 90
_FORMATS: Final = {"PNG": "image/png", "JPEG": "image/jpeg", "WEBP": "image/webp", "GIF": None}
_DAMAGED: Final = "The picture is damaged. Save it anew."

# What a JPEG needs to be seen: all but notes, and what only applications read. Of these the one
# that says how Adobe's colours are meant stays.
_NOTE: Final = 0xFE
_APPLICATIONS: Final = frozenset(range(0xE0, 0xF0)) - {0xEE}
_ALONE: Final = frozenset((*range(0xD0, 0xD8), 0x01))
_SCAN: Final = 0xDA
_END: Final = 0xD9


def clean(content: bytes, *, max_side: int = MAX_SIDE) -> Picture:
    """Return a picture that holds nothing but itself. Raises `ExtractionError`."""
    Image.MAX_IMAGE_PIXELS = None  # we count ourselves, before anything is decoded
    try:
        with Image.open(io.BytesIO(content), formats=list(_FORMATS)) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ExtractionError("The picture has more than 50 million pixels. Scale it down.")
            return _clean(image, content, max_side)
    except UnidentifiedImageError as error:
        raise ExtractionError("The file is no PNG, JPEG, WebP or GIF. Save it as one.") from error
    except (OSError, SyntaxError, ValueError, struct.error, IndexError, EOFError) as error:
        raise ExtractionError(_DAMAGED) from error


def _clean(image: Image.Image, content: bytes, max_side: int) -> Picture:
    is_jpeg = image.format in ("JPEG", "MPO")
    is_right = (
        max(image.size) <= max_side
        and image.getexif().get(_ORIENTATION, 1) in (0, 1)
        and not image.info.get("icc_profile")
    )
    if is_jpeg and not is_right:
        image.draft(None, (max_side, max_side))
    image.load()  # all of it can be decoded, whoever looks at it later
    if is_jpeg and is_right and image.mode in ("L", "RGB"):
        return Picture("image/jpeg", _bare_jpeg(content), image.width, image.height)
    if image.format == "WEBP" and is_right and content[12:16] in (b"VP8 ", b"VP8L"):
        size = int.from_bytes(content[4:8], "little") + 8  # such a file has no room for notes
        return Picture("image/webp", content[:size], image.width, image.height)
    return _encoded(_upright(image, max_side), "JPEG" if is_jpeg else image.format or "")


def _upright(image: Image.Image, max_side: int) -> Image.Image:
    """Return the first frame: upright, in the colours of screens, small enough."""
    upright = ImageOps.exif_transpose(image)
    upright = _in_srgb(upright, image.info.get("icc_profile"))
    if max(upright.size) > max_side:
        if upright.mode in ("P", "1"):
            upright = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
        upright.thumbnail((max_side, max_side), Image.Resampling.LANCZOS)
    return upright


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """Return a picture whose colours need no profile to be right."""
    if image.mode in ("I", "F", "I;16", "I;16B"):
        return image.convert("I").point(lambda value: value / 256).convert("L")
    target = "RGB" if image.mode in ("CMYK", "YCbCr", "LAB", "HSV") else None
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            srgb = ImageCms.createProfile("sRGB")
            converted = ImageCms.profileToProfile(image, source, srgb, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            converted = None  # a profile that nobody understands
        if converted is not None:
            return converted
    return image.convert(target) if target else image


def _encoded(image: Image.Image, format: str) -> Picture:
    # A GIF's first frame goes on as PNG, which has more colours and no notes.
    format = format if _FORMATS.get(format) else "PNG"
    out = io.BytesIO()
    if format == "JPEG":
        if image.mode not in ("L", "RGB"):
            image = image.convert("RGB")
        image.info = {}
        image.save(out, "JPEG", quality=_JPEG_QUALITY)
    elif format == "WEBP":
        image.info = {}
        image.save(out, "WEBP", quality=_JPEG_QUALITY)
    else:
        transparency = image.info.get("transparency")
        image.info = {} if transparency is None else {"transparency": transparency}
        image.save(out, "PNG")
        if out.tell() > LARGE_BYTES and not image.has_transparency_data:
            return _encoded(image, "JPEG")
    return Picture(_FORMATS[format] or "image/png", out.getvalue(), image.width, image.height)


def _bare_jpeg(content: bytes) -> bytes:
    """Return a JPEG without notes, and without what follows it; its pixels stay as they are.

    Source: ITU-T T.81, Annex B, "Compressed data formats".
    """
    kept = [content[:2]]
    at = 2
    while at + 4 <= len(content):
        if content[at] != 0xFF:
            raise ValueError("a marker was expected")
        marker = content[at + 1]
        if marker == 0xFF:  # filling
            at += 1
            continue
        if marker == _END:
            return b"".join((*kept, b"\xff\xd9"))
        end = at + 2
        if marker not in _ALONE:
            end += int.from_bytes(content[at + 2 : at + 4], "big")
        if marker == _SCAN:
            end = _end_of_scan(content, end)
        if marker != _NOTE and marker not in _APPLICATIONS:
            kept.append(content[at:end])
        at = end
    return b"".join((*kept, b"\xff\xd9"))


def _end_of_scan(content: bytes, at: int) -> int:
    """Return where the next marker stands that is none of the data's own."""
    while (at := content.find(b"\xff", at)) >= 0 and at + 1 < len(content):
        if content[at + 1] not in (0x00, *range(0xD0, 0xD8)):
            return at
        at += 2
    return len(content)
