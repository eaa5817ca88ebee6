"""How the contract words each kind of failure, and each event of a run."""

import pytest

from palaver.dialects.streaming.errors import meaning as streaming_meaning
from palaver.dialects.streaming.stream import StreamFrames
from palaver.dialects.subscriptions import DIALECT
from palaver.dialects.subscriptions.errors import meaning
from palaver.dialects.subscriptions.stream import RunFrames, SessionFrames
from palaver.domain.errors import ErrorKind
from palaver.domain.events import (
    Canceled,
    Event,
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
from palaver.domain.users import SYSTEM
from palaver.services.live import LiveService, LiveStream, Running, Waiting
from tests.dialects.streaming.test_stream import GENERATION

ANSWER = "0199c8f0-0000-7000-8000-000000000002"
PROVIDER_FAILS = [
    ErrorKind.PROVIDER_UNREACHABLE,
    ErrorKind.PROVIDER_TIMEOUT,
    ErrorKind.PROVIDER_OVERLOADED,
    ErrorKind.PROVIDER_FAILED,
    ErrorKind.MODEL_NOT_FOUND,
    ErrorKind.PROVIDER_NOT_FOUND,
    ErrorKind.INTERNAL,
]


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_a_phrase_and_a_documented_status(kind: ErrorKind) -> None:
    status, phrase = meaning(kind)
    assert status in DIALECT.error_shapes
    assert 0 < len(phrase) < 30
    assert not phrase.endswith(".")


def test_a_status_says_the_same_in_both_contracts_that_sign_in_by_cookie() -> None:
    different = {kind for kind in ErrorKind if meaning(kind)[0] != streaming_meaning(kind)[0]}
    assert different == {ErrorKind.NOT_IN_PLAN}  # 400 there, by the decisions


def segment(event: Event, start: int = 10) -> Segment:
    kind, body = pack(event)
    return Segment(start, start + length(kind, body), kind, body)


def frames(after: int = 0) -> RunFrames:
    return RunFrames(Running(GENERATION, ANSWER), after=after)


@pytest.mark.parametrize(
    "event",
    [
        TextDelta('Hello, "world"\n\u2028'),
        ReasoningDelta("Hm."),
        Status("searching"),
        UsageReported(3, 4),
        Canceled(),
        Interrupted(),
        *(Failed(kind, "No.") for kind in PROVIDER_FAILS),
        Failed("a kind of a newer version", "No."),
    ],
)
def test_an_event_is_told_as_streaming_tells_it(event: Event) -> None:
    ours, theirs = frames(), StreamFrames(GENERATION, after=0)
    assert ours.encode([segment(event)]) == theirs.encode([segment(event)])
    assert ours.heartbeat() == theirs.heartbeat()


def test_success_names_the_answer_as_this_contract_does() -> None:
    sent = frames().encode([segment(Finished(FinishReason.STOP))])
    assert sent == (
        b'id: 11\nevent: done\ndata: {"generation_id":"%b","status":"ok","message_id":"%b"}\n\n'
        % (GENERATION.uuid.encode(), ANSWER.encode())
    )


def test_several_pieces_are_told_in_order() -> None:
    one, two = segment(TextDelta("a")), segment(TextDelta("b"), start=11)
    assert frames().encode([one, two]) == frames().encode([one]) + frames().encode([two])


def test_silence_is_a_comment_until_a_run_has_begun() -> None:
    stream = LiveStream(LiveService(None, None, Waiting()), SYSTEM, 1, newer_than=0)  # type: ignore[arg-type]  # it is never read
    waiting = SessionFrames(stream)
    assert waiting.opening() == waiting.heartbeat() == b": \n\n"
    stream.running = Running(GENERATION, ANSWER)
    ping = frames().heartbeat()
    delta = segment(TextDelta("a"), start=0)
    assert waiting.encode([delta]) == ping + frames().encode([delta])
    assert waiting.encode([segment(TextDelta("b"), start=1)]).startswith(b"id: 2\nevent: delta\n")
    assert waiting.heartbeat() == ping.replace(b"id: 0", b"id: 2")
    assert SessionFrames(stream).opening() == ping
