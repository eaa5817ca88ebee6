"""What the log of a run keeps, and what is read from it later."""

import pytest

from palaver.domain.errors import ErrorKind
from palaver.domain.events import EventKind, Failed, Interrupted, Segment, pack, unpack


def logged(body: str) -> Failed:
    event = unpack(Segment(0, 1, EventKind.FAILED, body))
    assert isinstance(event, Failed)
    return event


@pytest.mark.parametrize("kind", ErrorKind)
def test_a_failure_of_any_kind_is_read_as_it_was_logged(kind: ErrorKind) -> None:
    _, body = pack(Failed(kind, "No."))
    assert logged(body) == Failed(kind, "No.")
    assert logged(body).kind is kind


def test_the_log_holds_the_value_of_a_kind_whatever_its_name_becomes() -> None:
    _, body = pack(Failed(ErrorKind.PROVIDER_TIMEOUT, "Too slow."))
    assert body == '{"error":"provider_timeout","message":"Too slow."}'


def test_a_failure_whose_kind_nobody_knows_any_more_is_ours() -> None:
    assert logged('{"error":"moon_is_full","message":"No."}').kind is ErrorKind.INTERNAL


def test_an_interruption_says_of_what_kind_it_is_and_a_sentence() -> None:
    kind, body = pack(Interrupted())
    event = unpack(Segment(0, 1, kind, body))
    assert isinstance(event, Interrupted)
    assert event.kind is ErrorKind.INTERRUPTED
    assert event.message == "The server stopped in the middle of this answer."
