"""From bytes to text: what a file declares, what its bytes tell, and at last a guess.

A guess asks which letters beyond ASCII a language has, and whether whole words consist of them.
(`charset-normalizer` looks for noise, and takes every second of the texts of
`tests/extraction/languages.py` for something else: they are too short.)

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

_CHINESE: Final = "[的一是不了在人有我他這中大来來上國国个個到说說们們为為和地，。]"
_JAPANESE: Final = "[\u3040-\u30fa\u30fc、。]"
_CYRILLIC: Final = "[оаеинтсрвлкмдпуіъя]"
_GREEK: Final = "[αοιετσνηυρπκςίμλόήάδέ]"
_TYPICAL: Final = (
    # What a text in this encoding has most of beyond ASCII, and how much of that at the least.
    ("cp932", re.compile(_JAPANESE), 0.35),
    ("euc_jp", re.compile(_JAPANESE), 0.35),
    ("gb18030", re.compile(_CHINESE), 0.12),
    ("big5", re.compile(_CHINESE), 0.12),
    ("cp949", re.compile("[이다는을가에의고하지로한은어나를기사도시]"), 0.2),
)
_TYPICAL_OF_SCRIPTS: Final = (
    ("cp1251", re.compile(_CYRILLIC), 0.65),
    ("koi8_r", re.compile(_CYRILLIC), 0.65),
    ("cp1253", re.compile(_GREEK), 0.7),
    ("iso8859_7", re.compile(_GREEK), 0.7),
    ("cp1255", re.compile("[יוהלארתבשמנח]"), 0.6),
    ("cp1256", re.compile("[اليمنوتربةعدسفهك]"), 0.7),
    ("cp874", re.compile("[านรกเงมยลวดทสตะปบค\u0e48\u0e49\u0e34-\u0e39\u0e31\u0e4c]"), 0.65),
)
_LETTERS: Final = (
    # Which letters beyond ASCII a language has that is written in Latin ones. Where two explain a
    # text alike, the first one does: what most people write stands first.
    ("cp1252", "äöüßé"),
    ("cp1252", "àâæçéèêëîïôœùûüÿ"),
    ("cp1252", "áéíñóúü¿¡ªº"),
    ("cp1252", "áâãàçéêíóôú", "õ(?=e)"),
    ("cp1252", "àèéìîòóù"),
    ("cp1252", "åäöé"),
    ("cp1252", "æøåéóòô"),
    ("cp1252", "ëïéöüè"),
    ("cp1252", "àçèéíïòóúü·"),
    ("cp1254", "çğıöşüâîûİ"),
    ("cp1252", "áðéíóúýþæö"),
    ("cp1250", "ąćęłńóśźż"),
    ("cp1250", "áčďéěíňóřšťúůýž"),
    ("cp1250", "áéíóöőúüű"),
    ("cp1250", "ăâîşţ"),
    ("cp1250", "čćđšž"),
    ("cp1250", "áäčďéíĺľňóôŕšťúýž"),
    ("iso8859_2", "ąćęłńóśźż"),
    ("iso8859_2", "áčďéěíňóřšťúůýž"),
    ("iso8859_2", "áéíóöőúüű"),
    ("iso8859_2", "čćđšž"),
    ("iso8859_2", "áäčďéíĺľňóôŕšťúýž"),
    ("cp1257", "ąčęėįšųūž"),
    ("cp1257", "āčēģīķļņšūž"),
    ("cp1252", "äöüõšž"),
)
_ASCII: Final = re.compile("[\x00-\x7f]+")
_LATIN: Final = tuple(
    # Not by a flag: small dotless i is the same letter as i to one.
    (encoding, re.compile("|".join((f"[{letters}{_ASCII.sub('', letters.upper())}]", *more))))
    for encoding, letters, *more in _LETTERS
)
_PUNCTUATION: Final = re.compile(r"[^\x00-\x7f\w\x80-\x9f¹²³¼½¾¿¡·¶±¦´¸¨]")
"""What stands in texts of all languages alike; the rest is a letter of another encoding."""

_WORDS: Final = re.compile(rb"[A-Za-z\x80-\xff]+")
_ASCII_LETTERS: Final = bytes(range(65, 91)) + bytes(range(97, 123))
_SAMPLE_BYTES: Final = 1 << 16
_CUT_OFF: Final = "unexpected end of data"
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
    if len(_NO_TEXT.findall(sample)) > 1 + len(sample) * _MAX_SHARE_OF_NO_TEXT:
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
        # Cut off in a character, after others that were whole ones.
        is_utf_8 = error.reason == _CUT_OFF and not content[: error.start].isascii()
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
    """Return what a text is most like. Without a letter beyond ASCII, that is Western European."""
    candidates = _TYPICAL if _is_latin(sample) else _TYPICAL + _TYPICAL_OF_SCRIPTS
    best, most = "", 1.0
    for encoding, typical, least in candidates:
        points = _share(sample, encoding, typical) / least
        if points > most:
            best, most = encoding, points
    if best:
        return best
    shares = [_share(sample, encoding, letters) for encoding, letters in _LATIN]
    return _LATIN[shares.index(max(shares))][0]


def _is_latin(sample: bytes) -> bool:
    """Tell whether most bytes beyond ASCII stand in words that have letters of ASCII as well.

    Words of Cyrillic or Greek have none; a single letter, such as "à", tells nothing.
    """
    mixed = whole = 0
    for word in _WORDS.findall(sample):
        high = word.translate(None, _ASCII_LETTERS)
        if len(high) < len(word):
            mixed += len(high)
        elif len(high) > 1:
            whole += len(high)
    return mixed >= whole


def _share(sample: bytes, encoding: str, typical: re.Pattern[str]) -> float:
    """Return how many of a text's characters beyond ASCII are typical ones, from 0 to 1."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(sample)
    except UnicodeDecodeError:
        return 0.0
    others = len(_HIGH.findall(text)) - len(_PUNCTUATION.findall(text))
    return len(typical.findall(text)) / max(others, 1)
