import random

import pytest

from palaver.domain.events import EventKind, Segment
from palaver.streaming.channel import Channel
from palaver.streaming.followers import Replay
from palaver.streaming.segments import (
    PIECE_MAX,
    BeyondTheEnd,
    clip,
    merge,
    number,
    outline_of,
    restore,
    stitch,
)
from tests.streaming.helpers import read_all, text

WORDS = ("a", "word ", "你好、世界", "👩‍👩‍👧‍👦", "é́", "𝄞\n", "x" * 50, "naïve ")
SPANS = (EventKind.TEXT, EventKind.TEXT, EventKind.TEXT, EventKind.REASONING)

Said = list[tuple[EventKind, str]]


def chatter(rng: random.Random) -> Said:
    """A run's events: spans of two kinds, some statuses between them, and an end."""
    said: Said = []
    for _ in range(rng.randrange(1, 40)):
        if rng.random() < 0.08:
            said.append((EventKind.STATUS, '{"text":"searching"}'))
        else:
            said.append((rng.choice(SPANS), rng.choice(WORDS)))
    return [*said, (EventKind.USAGE, "{}"), (EventKind.FINISHED, '{"reason":"stop"}')]


def remerge(rng: random.Random, segments: list[Segment]) -> list[Segment]:
    """Cut and merge a sequence at random places, as flushes, folds and repeats do."""
    cuts = sorted(rng.choices(range(segments[-1].until + 1), k=rng.randrange(6)))
    again: list[Segment] = []
    for after, before in zip([0, *cuts], [*cuts, segments[-1].until], strict=True):
        part = [piece for piece in stitch(segments, after) if piece.start < before]
        if part and part[-1].until > before:
            last = part.pop()
            part.append(Segment(last.start, before, last.kind, last.body[: before - last.start]))
        again += merge(part)
    if rng.random() < 0.3:
        again.insert(rng.randrange(len(again)), again[0])  # a row that landed twice
    return again


def spelled(segments: list[Segment]) -> list[tuple[int, EventKind, str]]:
    """Every number with what it stands for: equal for equal runs, however they are cut."""
    return [
        (piece.start + offset, piece.kind, body)
        for piece in segments
        for offset, body in enumerate(
            piece.body if piece.kind in (EventKind.TEXT, EventKind.REASONING) else [piece.body]
        )
    ]


@pytest.mark.parametrize("seed", range(10))
def test_every_reader_gets_exactly_what_it_missed_however_the_log_was_merged(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(300):
        said = chatter(rng)
        whole = number(said, 0)
        truth = spelled(whole)
        log = remerge(rng, whole)
        after = rng.randrange(whole[-1].until + 1)

        assert spelled(stitch(log, after)) == truth[after:]
        assert spelled(merge(stitch(log, 0))) == truth

        channel = Channel(1, base=0, keeps_all=True)
        rows = stitch(log, 0)
        for first in range(0, len(rows), 2):
            channel.publish(rows[first : first + 2])
        seen: list[Segment] = []
        at = after
        while at < channel.until:
            seen += channel.since(at)
            at = seen[-1].until
        assert spelled(seen) == truth[after:]


def test_neighbours_merge_and_numbers_count_code_points() -> None:
    events = [(EventKind.TEXT, "你"), (EventKind.TEXT, "👍"), (EventKind.USAGE, "{}")]
    assert number(events, 5) == [
        Segment(5, 7, EventKind.TEXT, "你👍"),
        Segment(7, 8, EventKind.USAGE, "{}"),
    ]


def test_no_segment_is_larger_than_a_reader_takes_at_once() -> None:
    pieces = number([(EventKind.TEXT, "x" * (2 * PIECE_MAX + 1))], 0)
    assert [len(piece.body) for piece in pieces] == [PIECE_MAX, PIECE_MAX, 1]
    assert pieces[-1].until == 2 * PIECE_MAX + 1


def test_a_clip_holds_no_more_than_one_piece_of_text() -> None:
    pieces = [Segment(n * 100, n * 100 + 100, EventKind.TEXT, "x" * 100) for n in range(400)]
    clipped = clip(pieces, 50)
    assert clipped == [Segment(50, 16_400, EventKind.TEXT, "x" * 16_350)]


@pytest.mark.parametrize("seed", range(3))
def test_an_outline_with_the_message_gives_the_log_back(seed: int) -> None:
    rng = random.Random(seed)
    for _ in range(200):
        whole = number(chatter(rng), 0)
        outline = outline_of(stitch(remerge(rng, whole), 0))
        again = restore(outline, text=text(whole), reasoning=text(whole, EventKind.REASONING))
        assert again == whole


async def test_a_replay_goes_on_from_any_number() -> None:
    whole = number([(EventKind.TEXT, "héllo wörld"), (EventKind.FINISHED, "{}")], 0)
    assert text(await read_all(Replay(whole, after=6))) == "wörld"
    assert await read_all(Replay(whole, after=12)) == []


def test_a_replay_refuses_a_number_beyond_the_end() -> None:
    with pytest.raises(BeyondTheEnd):
        Replay(number([(EventKind.TEXT, "abc")], 0), after=4)


async def test_a_replay_comes_in_pieces() -> None:
    whole = number([(EventKind.TEXT, "x" * 40_000)], 0)
    replay = Replay(whole, after=10)
    sizes = []
    while segments := await replay.next():
        sizes.append(sum(len(piece.body) for piece in segments))
    assert max(sizes) <= PIECE_MAX
    assert sum(sizes) == 39_990
