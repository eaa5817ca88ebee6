"""Pictures: clean ones keep their pixels, and no other tells more than it shows."""

import io
import struct
import zlib

import pytest
from PIL import Image, ImageCms, PngImagePlugin

from palaver.domain.extraction import CleanImage, ExtractionError
from palaver.outbound.extractor import ChildExtractor

SECRET = b"SECRET-PLACE"
WIDE = Image.linear_gradient("L").resize((300, 200)).convert("RGB")


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """Return a picture as a file."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def opened(picture: CleanImage) -> Image.Image:
    """Return a clean picture, which must be what it says."""
    image = Image.open(io.BytesIO(picture.content))
    assert image.size == (picture.width, picture.height)
    assert Image.MIME[image.format or ""] == picture.media_type
    assert not image.getexif()
    assert not {"icc_profile", "exif", "xmp", "comment"} & image.info.keys()
    return image


def exif(orientation: int = 1) -> bytes:
    """Return metadata with a secret in it."""
    data = Image.Exif()
    data[0x0112] = orientation
    data[0x010E] = SECRET.decode()
    data.get_ifd(0x8825)[1] = "N"
    return data.tobytes()


def noted(format: str, **options: object) -> bytes:
    """Return a picture full of notes."""
    if format == "PNG":
        notes = PngImagePlugin.PngInfo()
        notes.add_text("Comment", SECRET.decode(), zip=False)
        return encoded(WIDE, format, pnginfo=notes, exif=exif(), **options)
    if format == "GIF":
        return encoded(WIDE, format, comment=SECRET, **options)
    xmp = b"<x:xmpmeta>" + SECRET + b"</x:xmpmeta>"
    return encoded(WIDE, format, exif=exif(), xmp=xmp, **options)


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF"])
async def test_what_a_picture_tells_of_its_maker_is_gone(
    extractor: ChildExtractor, format: str
) -> None:
    content = noted(format) + SECRET
    picture = await extractor.clean_image(content)
    assert SECRET not in picture.content
    assert picture.media_type == ("image/png" if format == "GIF" else f"image/{format.lower()}")
    assert opened(picture).size == WIDE.size


async def test_a_jpeg_that_is_right_keeps_its_very_pixels(extractor: ChildExtractor) -> None:
    for options in ({"progressive": True}, {"quality": 30}, {"restart_marker_blocks": 2}):
        content = encoded(WIDE, "JPEG", comment=SECRET, exif=exif(), **options)
        picture = await extractor.clean_image(content)
        assert len(picture.content) < len(content)
        assert opened(picture).tobytes() == Image.open(io.BytesIO(content)).tobytes()
        again = await extractor.clean_image(picture.content)
        assert again.content == picture.content


async def test_a_picture_is_turned_upright(extractor: ChildExtractor) -> None:
    for format in ("JPEG", "PNG", "WEBP"):
        picture = await extractor.clean_image(encoded(WIDE, format, exif=exif(orientation=6)))
        assert opened(picture).size == (200, 300)


async def test_colours_need_no_profile(extractor: ChildExtractor) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for format in ("JPEG", "PNG", "WEBP"):
        image = opened(await extractor.clean_image(encoded(WIDE, format, icc_profile=profile)))
        assert abs(image.getpixel((150, 100))[0] - WIDE.getpixel((150, 100))[0]) < 6
    broken = encoded(WIDE, "PNG", icc_profile=b"no profile at all")
    assert opened(await extractor.clean_image(broken)).tobytes() == WIDE.tobytes()
    four = opened(await extractor.clean_image(encoded(WIDE.convert("CMYK"), "JPEG")))
    assert four.mode == "RGB"


async def test_a_large_picture_becomes_smaller(extractor: ChildExtractor) -> None:
    for format in ("JPEG", "PNG", "WEBP", "GIF"):
        picture = await extractor.clean_image(encoded(WIDE.resize((3000, 1500)), format))
        assert opened(picture).size == (2048, 1024)


async def test_a_photograph_that_is_too_large_as_png_becomes_a_jpeg(
    extractor: ChildExtractor,
) -> None:
    noise = Image.effect_noise((1400, 1400), 100)
    grainy = Image.merge("RGB", [noise, noise.rotate(90), noise.rotate(180)])
    picture = await extractor.clean_image(encoded(grainy, "PNG"))
    assert picture.media_type == "image/jpeg"
    assert len(picture.content) < 3_900_000
    clear = grainy.convert("RGBA")
    clear.putalpha(noise)
    assert (await extractor.clean_image(encoded(clear, "PNG"))).media_type == "image/png"


async def test_what_is_clear_stays_clear(extractor: ChildExtractor) -> None:
    clear = Image.new("RGBA", (2, 2), (255, 0, 0, 0))
    for format in ("PNG", "WEBP", "GIF"):
        shown = opened(await extractor.clean_image(encoded(clear, format)))
        assert shown.convert("RGBA").getpixel((0, 0))[3] == 0


async def test_sixteen_bits_a_pixel_become_eight(extractor: ChildExtractor) -> None:
    deep = Image.new("I;16", (2, 2), 0x8000)
    assert opened(await extractor.clean_image(encoded(deep, "PNG"))).getpixel((0, 0)) == 0x80


async def test_of_a_moving_picture_the_first_frame_is_kept(extractor: ChildExtractor) -> None:
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "green", "blue")]
    for format in ("GIF", "WEBP", "PNG"):
        content = encoded(frames[0], format, save_all=True, append_images=frames[1:], lossless=True)
        image = opened(await extractor.clean_image(content))
        assert getattr(image, "n_frames", 1) == 1
        assert image.convert("RGB").getpixel((4, 4))[0] > 250


def a_png(width: int, height: int, rows: bytes) -> bytes:
    """Return a PNG written by hand."""

    def chunk(name: bytes, data: bytes) -> bytes:
        body = name + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = zlib.compress(rows)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


async def test_a_picture_that_swells_is_refused(extractor: ChildExtractor) -> None:
    for width, height in ((50_001, 1_000), (0x7FFFFFFF, 0x7FFFFFFF), (60_000, 60_000)):
        with pytest.raises(ExtractionError, match=r"50 million|damaged"):
            await extractor.clean_image(a_png(width, height, b"\0" * 100_000))


async def test_what_is_broken_or_no_picture_is_refused(extractor: ChildExtractor) -> None:
    jpeg, png = encoded(WIDE, "JPEG"), encoded(WIDE, "PNG")
    for content in (jpeg[: len(jpeg) // 2], png[: len(png) // 2], encoded(WIDE, "WEBP")[:200]):
        with pytest.raises(ExtractionError, match="damaged"):
            await extractor.clean_image(content)
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'/>"
    for content in (b"", svg, b"%PDF-1.7", encoded(WIDE, "BMP"), encoded(WIDE, "TIFF"), jpeg[:10]):
        with pytest.raises(ExtractionError, match=r"is no PNG|damaged"):
            await extractor.clean_image(content)
