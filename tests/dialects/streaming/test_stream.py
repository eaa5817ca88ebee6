"""Frames: every event of a run, byte by byte, and the numbers that they bear."""

import pytest

from palaver.dialects.streaming.stream import StreamFrames
from palaver.domain.errors import ErrorKind
from palaver.domain.events import (
    Canceled,
    Event,
    EventKind,
    Failed,
    Finished,
    FinishReason,
    Interrupted,
    ReasoningDelta,
    Segment,
    Status,
    TextDelta,
    UsageReported,
    length,
    pack,
)
from palaver.domain.generations import Generation, GenerationState, Options, Recipe
from palaver.domain.usage import Terms

UUID = "0199c8f0-0000-7000-8000-000000000001"
GENERATION = Generation(
    id=1,
    uuid=UUID,
    owner_id=1,
    conversation_id=1,
    message_id=456,
    answer_id=457,
    model="sim/sim",
    state=GenerationState.RUNNING,
    worker=1,
    attempt=1,
    cancel_requested_at=None,
    options=Options(),
    recipe=Recipe(leaf_id=456, prompt_tokens=1, max_tokens=1),
    terms=Terms(),
    outline=None,
    created_at=0,
    finished_at=None,
)


def frames(after: int = 0) -> StreamFrames:
    return StreamFrames(GENERATION, after=after)


def segment(event: Event, start: int = 10) -> Segment:
    kind, body = pack(event)
    return Segment(start, start + length(kind, body), kind, body)


def written(id: int, name: str, rest: str) -> str:
    data = f'{{"generation_id":"{UUID}"{rest}}}'
    return f"id: {id}\nevent: {name}\ndata: {data}\n\n"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (TextDelta("Hé\n"), written(13, "delta", r',"delta":"Hé\n"')),
        (ReasoningDelta("hm"), ""),
        (Status("searching …"), ""),
        (UsageReported(100, 50), written(11, "usage", ',"usage":{"total_tokens":150}')),
        (
            Finished(FinishReason.LENGTH),
            written(11, "done", ',"status":"ok","message_id":457'),
        ),
        (Canceled(), written(11, "done", ',"status":"canceled"')),
        (
            Failed(ErrorKind.PROVIDER_TIMEOUT, "Too slow."),
            written(10, "error", ',"code":"PROVIDER_TIMEOUT","message":"Too slow."')
            + written(11, "done", ',"status":"error"'),
        ),
        (
            Interrupted(),
            written(
                10,
                "error",
                ',"code":"INTERRUPTED","message":"The server stopped in the middle of this answer."',
            )
            + written(11, "done", ',"status":"error"'),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_event_is_written_so(event: Event, expected: str) -> None:
    assert frames().encode([segment(event)]).decode() == expected


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_a_failure_of_any_kind_has_a_code(kind: ErrorKind) -> None:
    encoded = frames().encode([segment(Failed(kind, "No."))]).decode()
    assert '"code":"' in encoded
    assert encoded.count("event: ") == 2


def test_several_pieces_follow_each_other() -> None:
    pieces = [segment(TextDelta("ab"), 0), segment(ReasoningDelta("c"), 2), segment(Canceled(), 3)]
    assert frames().encode(pieces).decode() == (
        written(2, "delta", ',"delta":"ab"') + written(4, "done", ',"status":"canceled"')
    )


def test_a_ping_has_the_number_up_to_which_all_was_sent() -> None:
    one = frames(after=7)
    assert one.opening().decode() == written(7, "ping", "")
    one.encode([segment(TextDelta("ab"), 7)])
    assert one.heartbeat().decode() == written(9, "ping", "")
    # What is not shown counts: a reader who comes back does not wait for it again.
    one.encode([segment(ReasoningDelta("abc"), 9)])
    assert one.heartbeat().decode() == written(12, "ping", "")


def test_the_readers_of_one_piece_share_its_bytes() -> None:
    piece = segment(TextDelta("ab"))
    assert frames().encode([piece]) is frames(after=5).encode([piece])


def test_no_text_can_end_a_frame() -> None:
    text = "a\r\n\nb\rc\u2028d\u0085"
    (line,) = [
        line
        for line in frames().encode([segment(TextDelta(text))]).split(b"\n")
        if line.startswith(b"data: ")
    ]
    assert b"\r" not in line


def test_text_is_the_only_kind_with_a_way_of_its_own() -> None:
    piece = segment(TextDelta("ab"))
    assert piece.kind is EventKind.TEXT
    one = frames()
    assert one._rare_frames(piece) == one._frames(piece)
