import gc

from palaver.domain.events import EventKind, Segment
from palaver.streaming.channel import NEWEST_MAX, Channel
from palaver.streaming.segments import PIECE_MAX


def tokens(count: int, *, start: int = 0, body: str = "token") -> list[Segment]:
    size = len(body)
    return [
        Segment(n, n + size, EventKind.TEXT, body) for n in range(start, start + count * size, size)
    ]


def test_the_owner_keeps_all_in_few_pieces() -> None:
    channel = Channel(1, base=0, keeps_all=True)
    for token in tokens(10_000):
        channel.publish([token])
    pieces = channel.pieces()
    assert len(pieces) <= NEWEST_MAX + 10_000 * 5 // PIECE_MAX + 1
    assert "".join(piece.body for piece in pieces) == "token" * 10_000
    assert channel.since(0)[0].body == ("token" * 10_000)[: len(channel.since(0)[0].body)]


def test_a_tailing_channel_keeps_the_newest_and_says_from_where() -> None:
    channel = Channel(1, base=0, keeps_all=False)
    for token in tokens(1_000):
        channel.publish([token])
    pieces = channel.pieces()
    assert len(pieces) <= NEWEST_MAX
    assert channel.base == pieces[0].start
    assert channel.until == 5_000


def test_readers_at_one_place_share_the_piece_and_its_frame() -> None:
    channel = Channel(1, base=0, keeps_all=True)
    made = []

    def encode(segment: Segment) -> bytes:
        made.append(segment)
        return segment.body.encode()

    channel.publish(tokens(1))
    assert {channel.since(0)[0].framed("a", encode) for _ in range(3)} == {b"token"}
    channel.publish(tokens(2, start=5))
    assert {channel.since(5)[0].framed("a", encode) for _ in range(3)} == {b"tokentoken"}
    assert len(made) == 2
    assert channel.since(5)[0].framed("b", lambda _: b"other") == b"other"


def test_a_late_reader_gets_no_more_than_a_piece_at_a_time() -> None:
    channel = Channel(1, base=0, keeps_all=True)
    channel.publish(tokens(100, body="x" * 1_000))
    first = channel.since(10)
    assert sum(len(piece.body) for piece in first) <= PIECE_MAX
    assert first[0].start == 10


def test_the_owner_of_a_lost_run_keeps_what_a_tailing_channel_keeps() -> None:
    channel = Channel(1, base=0, keeps_all=True)
    for token in tokens(1_000):
        channel.publish([token])
    channel.forsake()
    assert channel.base > 0
    assert len(channel.pieces()) <= NEWEST_MAX
    assert channel.base == channel.pieces()[0].start
    channel.restart([Segment(0, 5_000, EventKind.TEXT, "token" * 1_000)])
    assert (channel.base, channel.until) == (0, 5_000)
    assert channel.since(4_999)[0].body == "n"


def test_pieces_are_nothing_to_the_garbage_collector() -> None:
    assert not any(gc.is_tracked(piece) for piece in tokens(3))
