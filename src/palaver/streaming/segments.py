"""Segments as arithmetic: merging, cutting, stitching, and the outline that outlives the log."""

from collections.abc import Iterable, Sequence
from typing import Final

from palaver.domain.events import SPANS, EventKind, Segment
from palaver.domain.generations import OutlineItem

PIECE_MAX: Final = 16_384
"""Most code points of one segment: at most 64 KiB as UTF-8, so that no reader chokes on one."""


class BeyondTheEnd(ValueError):
    """A reader claims to have seen more than the log holds."""

    def __init__(self, after: int) -> None:
        super().__init__(f"nothing has the number {after} yet")
        self.after = after


def number(events: Sequence[tuple[EventKind, str]], start: int) -> list[Segment]:
    """Number packed events from `start` on: neighbouring spans merged, none above `PIECE_MAX`."""
    if len(events) == 1:  # a live token, usually
        kind, body = events[0]
        if (size := len(body)) <= PIECE_MAX:
            return [Segment(start, start + (size if kind in SPANS else 1), kind, body)]
    segments: list[Segment] = []
    gathered: list[str] = []
    span: EventKind | None = None
    for kind, body in events:
        if kind is not span and span is not None:
            start = _close(segments, span, gathered, start)
            gathered, span = [], None
        if kind in SPANS:
            gathered.append(body)
            span = kind
        else:
            segments.append(Segment(start, start + 1, kind, body))
            start += 1
    if span is not None:
        _close(segments, span, gathered, start)
    return segments


def _close(segments: list[Segment], kind: EventKind, bodies: list[str], start: int) -> int:
    body = bodies[0] if len(bodies) == 1 else "".join(bodies)
    for offset in range(0, len(body), PIECE_MAX):
        piece = body[offset : offset + PIECE_MAX]
        segments.append(Segment(start, start + len(piece), kind, piece))
        start += len(piece)
    return start


def merge(segments: Sequence[Segment]) -> list[Segment]:
    """Merge neighbours of a gapless sequence."""
    if not segments:
        return []
    return number([(segment.kind, segment.body) for segment in segments], segments[0].start)


def stitch(segments: Iterable[Segment], after: int) -> list[Segment]:
    """Return what lies beyond `after`, dropping what is repeated and cutting what overlaps."""
    rest = []
    for segment in segments:
        if segment.until > after:
            rest.append(segment.after(after))
            after = segment.until
    return rest


def clip(segments: Iterable[Segment], after: int) -> list[Segment]:
    """Return the next `PIECE_MAX` code points beyond `after`, merged; at least one segment."""
    taken: list[Segment] = []
    size = 0
    for segment in segments:
        piece = segment.after(after)
        size += len(piece.body)
        if taken and size > PIECE_MAX:
            break
        taken.append(piece)
    return merge(taken) if len(taken) > 1 else taken


def outline_of(segments: Iterable[Segment]) -> list[OutlineItem]:
    """Return a run in short: where each span ends, and in full what is no span."""
    items: list[OutlineItem] = []
    for segment in segments:
        is_span = segment.kind in SPANS
        if is_span and items and items[-1].kind is segment.kind:
            items.pop()
        items.append(OutlineItem(segment.kind, segment.until, None if is_span else segment.body))
    return items


def restore(outline: Iterable[OutlineItem], *, text: str, reasoning: str) -> list[Segment]:
    """Return the segments of an ended run from its outline and the bodies of its spans."""
    bodies = {EventKind.TEXT: text, EventKind.REASONING: reasoning}
    events: list[tuple[EventKind, str]] = []
    start = 0
    for item in outline:
        body = item.body
        if body is None:
            body, bodies[item.kind] = _split(bodies[item.kind], item.until - start)
        events.append((item.kind, body))
        start = item.until
    return number(events, 0)


def _split(body: str, size: int) -> tuple[str, str]:
    return body[:size], body[size:]


def text_of(segments: Iterable[Segment], kind: EventKind) -> str:
    """Return the joined bodies of one kind of span."""
    return "".join([segment.body for segment in segments if segment.kind is kind])


def end_of(segments: Sequence[Segment]) -> int:
    """Return the number at which a gapless sequence from 0 ends."""
    return segments[-1].until if segments else 0
