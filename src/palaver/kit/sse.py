"""Server-sent events as bytes (WHATWG HTML, "Server-sent events")."""


def frame(data: bytes, *, event: str | None = None, id: str | None = None) -> bytes:
    """Encode one event; `data` must hold no line break (JSON from msgspec holds none)."""
    head = f"id: {id}\n" if id is not None else ""
    if event is not None:
        head = f"{head}event: {event}\n"
    return b"%bdata: %b\n\n" % (head.encode(), data)
