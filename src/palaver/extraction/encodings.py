"""From bytes to text: what a file declares, what its bytes tell, and at last a guess.

No byte fails: what an encoding does not know becomes U+FFFD.
"""

# ruff: noqa: RUF001

import codecs
import re
from typing import Final

from palaver.extraction.magic import refuse
from palaver.extraction.writer import clean

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_READ_AS: Final = {
    # Names that stand for more than they say. Source: WHATWG "Encoding", "Names and labels".
    "ascii": "cp1252",
    "us-ascii": "cp1252",
    "iso-8859-1": "cp1252",
    "iso8859-1": "cp1252",
    "latin1": "cp1252",
    "latin-1": "cp1252",
    "iso-8859-9": "cp1254",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "shift_jis": "cp932",
    "shift-jis": "cp932",
    "x-sjis": "cp932",
    "euc-kr": "cp949",
    "ks_c_5601-1987": "cp949",
    "tis-620": "cp874",
    "x-gbk": "gb18030",
    "utf-16": "utf-16-le",
}

_TYPICAL: Final = (
    # What a text in this encoding has most of beyond ASCII, and how much of that at the least.
    ("cp932", re.compile("[\u3040-\u30fa\u30fc、。]"), 0.35),
    ("euc_jp", re.compile("[\u3040-\u30fa\u30fc、。]"), 0.35),
    ("gb18030", re.compile("[的一是不了在人有我他这中大来上国个到说们为和地，。]"), 0.12),
    ("big5", re.compile("[的一是不了在人有我他這中大來上國個到說們為和地，。]"), 0.12),
    ("cp949", re.compile("[이다는을가에의고하지로한은어나를기사도시]"), 0.2),
    ("cp1251", re.compile("[а-яё]"), 0.75),
    ("koi8_r", re.compile("[а-яё]"), 0.75),
    ("cp1256", re.compile("[اليمنوتربةعدسفهك]"), 0.7),
    ("cp1253", re.compile("[α-ωάέήίόύώ]"), 0.75),
)
_SAMPLE_BYTES: Final = 1 << 16
_HIGH: Final = re.compile("[^\x00-\x7f]")
_CHARSET: Final = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]{1,40})""", re.IGNORECASE)
_NO_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1a\x1c-\x1f\x7f\ufffd]")
_MAX_SHARE_OF_NO_TEXT: Final = 0.05


def charset_of(mime_type: str) -> str | None:
    """Return the charset of "text/html; charset=utf-8", None where none is named."""
    found = _CHARSET.search(mime_type)
    return found[1] if found else None


def decode(content: bytes, charset: str | None = None) -> str:
    """Return a file as text. Raises `ExtractionError` where its bytes are plainly none."""
    encoding, start = _encoding(content, charset)
    text = content[start:].decode(encoding, "replace")
    sample = text[:_SAMPLE_BYTES]
    if len(_NO_TEXT.findall(sample)) > len(sample) * _MAX_SHARE_OF_NO_TEXT:
        raise refuse(content, "text")
    return clean(text)


def _encoding(content: bytes, charset: str | None) -> tuple[str, int]:
    """Return the encoding, and how many bytes the mark takes that tells it."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding, len(mark)
    try:
        content.decode()
    except UnicodeDecodeError as error:
        is_utf_8 = error.start > 0 and error.end >= len(content) - 3  # cut off in a character
    else:
        is_utf_8 = True
    declared = _known(charset)
    if declared is not None and not (is_utf_8 and declared == "cp1252"):
        return declared, 0
    if _looks_like_utf_16(content):
        return ("utf-16-le" if content[1:512:2].count(0) else "utf-16-be"), 0
    return ("utf-8" if is_utf_8 else _guess(content[:_SAMPLE_BYTES])), 0


def _known(charset: str | None) -> str | None:
    if charset is None:
        return None
    try:
        codec = codecs.lookup(_READ_AS.get(charset.lower(), charset))
    except (LookupError, ValueError):
        return None
    # `rot13` and `hex` are codecs too, but no encodings of a text.
    return codec.name if codec._is_text_encoding and codec.name != "undefined" else None


def _looks_like_utf_16(content: bytes) -> bool:
    head = content[:512]
    return len(head) >= 4 and max(head[::2].count(0), head[1::2].count(0)) > len(head) * 0.3


def _guess(sample: bytes) -> str:
    best, most = "cp1252", 1.0
    for encoding, typical, least in _TYPICAL:
        try:
            text = codecs.getincrementaldecoder(encoding)().decode(sample)
        except UnicodeDecodeError:
            continue
        others = len(_HIGH.findall(text))
        points = len(typical.findall(text)) / max(others, 1) / least
        if points > most:
            best, most = encoding, points
    return best
