"""How the contract words each kind of failure, each fault of a field, and each end of a run."""

import json

import pytest

from palaver.dialects.companion import DIALECT
from palaver.dialects.companion.errors import meaning, render_fault
from palaver.dialects.companion.stream import ChatFrames
from palaver.domain.errors import ErrorKind, Fault, FieldFault
from palaver.domain.events import (
    Canceled,
    Ending,
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
    pack,
)

CONVERSATION = "01890a5d-ac96-774b-bcce-b302099a8057"
MESSAGE = "01890a5d-ac96-774b-bcce-b302099a8058"


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_a_status_that_is_documented(kind: ErrorKind) -> None:
    status, _ = meaning(kind)
    assert status in DIALECT.error_shapes


@pytest.mark.parametrize(
    ("fault", "type_", "message"),
    [
        (Fault.MISSING, "missing", "Field required"),
        (Fault.NULL, "string_type", "Input should be a valid string"),
        (Fault.WRONG_TYPE, "string_type", "Input should be a valid string"),
        (Fault.BLANK, "string_too_short", "String should have at least 1 character"),
        (Fault.TOO_SHORT, "string_too_short", "A sentence."),
        (Fault.TOO_LONG, "string_too_long", "A sentence."),
        (Fault.TOO_SMALL, "greater_than_equal", "Input should be greater than or equal to 5"),
        (Fault.TOO_LARGE, "less_than_equal", "Input should be less than or equal to 5"),
        (Fault.MALFORMED, "json_invalid", "JSON decode error"),
        (Fault.WRONG_FORMAT, "value_error", "Value error, A sentence."),
    ],
)
def test_every_fault_has_pydantics_words(fault: Fault, type_: str, message: str) -> None:
    problem = render_fault(FieldFault(("body", "x"), fault, "A sentence.", "str", 5))
    assert (problem.loc, problem.type, problem.msg) == (["body", "x"], type_, message)


def test_a_value_that_is_not_permitted_is_told_what_is() -> None:
    fault = FieldFault(("body", "x"), Fault.NOT_ALLOWED, "A sentence.", "one")
    assert render_fault(fault).msg == "Input should be 'one'"
    fault = FieldFault(("body", "x"), Fault.NOT_ALLOWED, "A sentence.")
    assert render_fault(fault).msg == "Value error, A sentence."


def test_a_type_without_words_of_pydantic_is_told_in_ours() -> None:
    fault = FieldFault(("body", "x"), Fault.WRONG_TYPE, "Expected `float`.", "float")
    assert render_fault(fault).type == "value_error"


def test_a_prompt_that_is_too_long_is_a_fault_of_the_messages() -> None:
    fault = FieldFault(("body", "content"), Fault.TOO_LONG, "Too long for the model.", limit=5)
    problem = render_fault(fault)
    assert (problem.loc, problem.msg) == (["body", "messages"], "Too long for the model.")


def frames_of(*events: Event) -> list[dict[str, str]]:
    """Return what a reader gets of these events, each in a piece of its own."""
    frames = ChatFrames(conversation_id=CONVERSATION, message_id=MESSAGE)
    sent = frames.opening()
    for at, event in enumerate(events):
        kind, body = pack(event)
        sent += frames.encode([Segment(at, at + 1, kind, body)])
    return [json.loads(frame.removeprefix(b"data: ")) for frame in sent.split(b"\n\n") if frame]


@pytest.mark.parametrize("ending", [Finished(FinishReason.STOP), Canceled()])
def test_an_end_with_text_is_done(ending: Ending) -> None:
    *_, last = frames_of(TextDelta("Hel"), TextDelta("lo"), ending)
    assert last == {
        "type": "done",
        "response": "Hello",
        "message_id": MESSAGE,
        "conversation_id": CONVERSATION,
    }


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Failed(ErrorKind.PROVIDER_FAILED, "No."), "provider_error"),
        (Failed(ErrorKind.PROVIDER_UNREACHABLE, "No."), "provider_error"),
        (Failed(ErrorKind.PROVIDER_TIMEOUT, "No."), "provider_timeout"),
        (Failed(ErrorKind.PROVIDER_OVERLOADED, "No."), "unavailable"),
        (Failed(ErrorKind.INTERNAL, "No."), "internal_error"),
        (Interrupted(), "unavailable"),
    ],
)
def test_an_end_that_is_none_is_an_error(ending: Ending, code: str) -> None:
    *_, last = frames_of(TextDelta("Hel"), ending)
    assert list(last) == ["type", "error", "message"]
    assert (last["type"], last["error"]) == ("error", code)
    assert last["message"]


def test_only_the_answer_itself_is_shown() -> None:
    events = (ReasoningDelta("Hm."), Status("searching"), UsageReported(1, 2), TextDelta("Hi"))
    assert frames_of(*events) == [{"type": "content", "text": "Hi"}]


def test_silence_is_a_comment() -> None:
    frames = ChatFrames(conversation_id=CONVERSATION, message_id=MESSAGE)
    assert frames.heartbeat().startswith(b":")
    assert frames.heartbeat().endswith(b"\n\n")
