"""What a vendor's own search of the web has found, as sources: the same for every protocol."""

from typing import Final
from urllib.parse import urlsplit

from palaver.domain.sources import Reason, Source, SourceKind
from palaver.kit.text import storable
from palaver.providers.failures import readable

MOST_SOURCES: Final = 100
"""Of one answer."""
MAX_ADDRESS_LENGTH: Final = 2_000
MAX_TITLE_LENGTH: Final = 300
MAX_QUOTE_LENGTH: Final = 500


def web_source(index: int, url: str, title: str | None, quote: str, note: str) -> Source | None:
    """Return a page as a source; None for what is no web address that can be stored and followed.

    What a vendor sends is a stranger's word: a page without a title goes by its host, and what is
    too long is cut. `note` says who has found it.
    """
    host = _host(url)
    if not host:
        return None
    return Source(
        index=index,
        kind=SourceKind.WEB,
        id=url,
        title=readable(title)[:MAX_TITLE_LENGTH] or host,
        url=url,
        reason=Reason(note=note),
        quote=storable(quote)[:MAX_QUOTE_LENGTH],
    )


def _host(url: str) -> str:
    """Return the host of a web address; "" for any other, such as `javascript:`."""
    if len(url) > MAX_ADDRESS_LENGTH or not url.isprintable() or " " in url:
        return ""
    try:
        parts = urlsplit(url)
        return (parts.hostname or "") if parts.scheme in ("http", "https") else ""
    except ValueError:
        return ""
