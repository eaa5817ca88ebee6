"""How the contract words each kind of failure, and each end of a run."""

import json

import pytest

from palaver.dialects.platform import DIALECT
from palaver.dialects.platform.errors import meaning, render_error
from palaver.dialects.platform.stream import Asked, CompletionFrames, completion_of
from palaver.domain.accounts import Taken
from palaver.domain.errors import DomainError, ErrorKind, Fault, InvalidInput, ProviderError
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
from palaver.streaming.followers import Replay
from tests.contracts import shape
from tests.dialects.platform.helpers import CHATS, FAILURES, assert_refused
from tests.http import Visitor

DONE = UsageReported(prompt_tokens=3, completion_tokens=4)


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_a_status_that_is_documented(kind: ErrorKind) -> None:
    status, code = meaning(kind)
    assert status in DIALECT.error_shapes
    assert code.islower()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidInput.of("field", Fault.BLANK, "validation error"), 400),
        (DomainError("", kind=ErrorKind.INVALID_TOKEN), 401),
        (DomainError("", kind=ErrorKind.NOT_FOUND), 404),
        (DomainError("", kind=ErrorKind.RATE_LIMITED), 429),
        (DomainError(""), 500),
    ],
)
def test_the_documents_examples_are_given_as_they_stand(error: DomainError, status: int) -> None:
    response = render_error(error, None)  # type: ignore[arg-type]  # it needs none
    assert response.status_code == status
    assert json.loads(bytes(response.body)) == FAILURES[status]


def test_names_that_are_taken_are_a_bad_request() -> None:
    response = render_error(Taken(("email",)), None)  # type: ignore[arg-type]  # as above
    assert response.status_code == 400
    assert shape(json.loads(bytes(response.body))) == shape(
        FAILURES[400] | {"details": {"email": ""}}
    )


async def test_malformed_json_is_a_bad_request(owner: Visitor) -> None:
    for content in (b"{", b'{"title": }', b"\xff", b"[" * 100_000, b"nul"):
        answer = await owner.post(CHATS, content=content)
        assert_refused(answer, 400, "bad_request", details=["body"])


async def test_what_the_contract_does_not_take_is_told(owner: Visitor) -> None:
    answer = await owner.post(CHATS, content=b" " * (2 * 1024 * 1024 + 1))
    assert_refused(answer, 413, "payload_too_large")
    answer = await owner.post(CHATS, content=b"x", headers={"Content-Type": "text/plain"})
    assert_refused(answer, 415, "unsupported_media_type")
    answer = await owner.request("PUT", CHATS, {})
    assert_refused(answer, 405, "method_not_allowed")
    assert answer.headers["allow"] == "GET, POST"


def segments_of(*events: Event) -> list[Segment]:
    packed = [pack(event) for event in events]
    return [Segment(at, at + 1, kind, body) for at, (kind, body) in enumerate(packed)]


def asked() -> Asked:
    return Asked("cmpl-1", "2", "x", Replay([], after=0), None)


def frames_of(*events: Event) -> list[dict[str, object]]:
    """Return what a reader gets of these events, each in a piece of its own."""
    frames = CompletionFrames(asked())
    sent = frames.opening()
    for segment in segments_of(*events):
        sent += frames.encode([segment])
    return [json.loads(frame.removeprefix(b"data: ")) for frame in sent.split(b"\n\n") if frame]


@pytest.mark.parametrize(
    ("ending", "reason"),
    [
        (Finished(FinishReason.STOP), "stop"),
        (Finished(FinishReason.LENGTH), "length"),
        (Finished(FinishReason.TOOL_CALLS), "stop"),
        (Finished(FinishReason.CONTENT_FILTER), "error"),
        (Canceled(), "canceled"),
    ],
)
def test_an_end_with_text_is_done(ending: Ending, reason: str) -> None:
    events = (TextDelta("Hel"), TextDelta("lo"), DONE, ending)
    *_, last = frames_of(*events)
    assert last == {
        "type": "done",
        "message": {
            "id": "2",
            "role": "assistant",
            "content": "Hello",
            "model": "x",
            "tokens_used": 7,
            "finish_reason": reason,
        },
    }
    whole = completion_of(asked(), segments_of(*events))
    assert (whole.message.content, whole.tokens_used, whole.finish_reason) == ("Hello", 7, reason)


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
def test_an_end_that_is_none_is_an_error(ending: Failed | Interrupted, code: str) -> None:
    *_, last = frames_of(TextDelta("Hel"), ending)
    assert list(last) == ["type", "error", "message"]
    assert (last["type"], last["error"]) == ("error", code)
    assert last["message"]
    with pytest.raises(ProviderError) as raised:
        completion_of(asked(), segments_of(ending))
    assert raised.value.kind is ending.kind


def test_only_the_answer_itself_is_shown() -> None:
    events = (ReasoningDelta("Hm."), Status("searching"), UsageReported(1, 2), TextDelta("Hi"))
    assert frames_of(*events) == [{"type": "content", "text": "Hi"}]


def test_silence_is_a_comment() -> None:
    heartbeat = CompletionFrames(asked()).heartbeat()
    assert heartbeat.startswith(b":")
    assert heartbeat.endswith(b"\n\n")
