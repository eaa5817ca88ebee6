"""OpenAI's protocol when things go wrong: what is said, what is tried again, what is kept."""

import json
import logging
import socket
from email.utils import formatdate
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import FinishReason, TextDelta
from palaver.providers import transport
from palaver.providers.openai import OpenAIProvider
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.providers.conftest import Build
from tests.providers.helpers import ask, outcome

F = ErrorKind.PROVIDER_FAILED


async def test_a_server_that_is_not_there_is_unreachable(build: Build) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    got = await outcome(build(base_url=f"http://127.0.0.1:{port}/v1"))
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE
    assert got.refusal.message == (
        "Simulator cannot be reached: nothing accepts connections at its address."
    )


async def test_a_host_that_does_not_exist_is_unreachable(build: Build) -> None:
    got = await outcome(build(base_url="http://does-not-exist.invalid/v1", retries=0))
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE


async def test_an_address_that_is_none_is_told(build: Build) -> None:
    assert (await outcome(build(base_url="ftp://example.invalid/v1"))).refusal.kind is F


async def test_plain_http_where_https_is_wanted_is_unreachable(
    build: Build, upstream: Upstream
) -> None:
    got = await outcome(build(base_url=upstream.base_url.replace("http:", "https:"), retries=0))
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE


@pytest.mark.parametrize(
    ("status", "more", "kind", "sentence"),
    [
        (400, {"message": "Bad field."}, F, "Simulator refused the request with status 400: Bad field."),
        (402, {"message": "Pay."}, F, "Simulator has no credit left for this account: Pay."),
        (429, {"message": "Pay.", "code": "insufficient_quota"}, F, "Simulator has no credit left for this account: Pay."),
        (401, {"message": "Wrong key sk-secret"}, F, "Simulator refused the key: check SIM_API_KEY."),
        (403, {"message": "sk-secret may not."}, F, "Simulator does not allow this with the key in SIM_API_KEY: [key] may not."),
        (404, {"message": "The model `sim` does not exist.", "code": "model_not_found"}, ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (404, {"message": 'model "sim" not found, try pulling it first'}, ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (400, {"message": "sim is not a valid model ID", "code": 400}, ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (404, {"message": "No such thing."}, F, "Simulator has no such address (No such thing.): is its base URL right?"),
        (413, {"message": ""}, F, "Simulator refused the request with status 413."),
        (301, {"message": ""}, F, "Simulator has moved (status 301): its base URL is not right."),
    ],
)  # fmt: skip
async def test_refusals_are_told_apart_and_not_repeated(
    build: Build, upstream: Upstream, status: int, more: dict[str, Any], kind: ErrorKind, sentence: str
) -> None:  # fmt: skip
    upstream.plan(error(status, **more))
    got = await outcome(build(api_key="sk-secret"))
    assert (got.refusal.kind, got.refusal.message) == (kind, sentence)
    assert (len(upstream.requests), got.events) == (1, [])


async def test_a_missing_key_is_named(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.plan(error(401, "No key."))
    assert (await outcome(provider)).refusal.message == "Simulator wants a key: set SIM_API_KEY."


@pytest.mark.parametrize(
    ("status", "headers", "seconds"),
    [
        (429, {"Retry-After": "30"}, 30),
        (429, {"Retry-After": "29.1"}, 30),
        (529, {"Retry-After": "1000000"}, 86_400),
        (503, {"Retry-After": "6"}, 6),
        (503, {"Retry-After": formatdate(4_102_444_800, usegmt=True)}, 86_400),
    ],
)
async def test_who_has_too_much_to_do_for_long_is_not_asked_again(
    provider: OpenAIProvider, upstream: Upstream, status: int, headers: dict[str, str], seconds: int
) -> None:
    upstream.plan(error(status, "Too much.", headers=headers))
    got = await outcome(provider)
    assert got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert got.refusal.retry_after_seconds == seconds
    assert len(upstream.requests) == 1


async def test_who_has_too_much_to_do_for_a_moment_is_asked_again_after_it(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(error(429, "Too much.", headers={"Retry-After": "1"}))
    assert (await outcome(provider)).text == "Hello, world!"
    first, second = upstream.requests
    assert second.received_at - first.received_at >= 1


@pytest.mark.parametrize("after", ["nonsense", "nan", "-3"])
async def test_a_retry_after_that_is_none_does_no_harm(
    build: Build, upstream: Upstream, after: str
) -> None:
    upstream.plan(error(429, "Too much.", headers={"Retry-After": after}))
    got = await outcome(build(retries=0))
    assert got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert got.refusal.retry_after_seconds in (1, 10)


@pytest.mark.parametrize(
    "script",
    [
        error(429, "Too much."),
        error(500, "Oops."),
        error(502, "Oops."),
        error(503, "Loading model"),
        error(529, "Overloaded."),
        Script(failure=Failure.HANG_UP),
        Script(failure=Failure.RESET, after=0),
        Script(failure=Failure.CUT, after=0),
        Script(failure=Failure.NO_DONE, after=0),
        Script(failure=Failure.ERROR, after=0, error={"message": "Busy.", "code": 502}),
    ],
    ids=lambda script: script.failure or script.status,
)
async def test_what_may_pass_is_tried_twice_more(
    provider: OpenAIProvider, upstream: Upstream, script: Script
) -> None:
    upstream.plan(script, script)
    assert (await outcome(provider)).text == "Hello, world!"
    assert len(upstream.requests) == 3

    upstream.plan(script, script, script)
    got = await outcome(provider)
    assert (len(upstream.requests), got.events) == (6, [])
    overloaded = got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert (got.refusal.retry_after_seconds is not None) == overloaded


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Failure.RESET, ErrorKind.PROVIDER_UNREACHABLE),
        (Failure.CUT, ErrorKind.PROVIDER_UNREACHABLE),
        (Failure.NO_DONE, F),
        (Failure.MALFORMED, F),
        (Failure.WRONG_SHAPE, F),
        (Failure.ERROR, F),
        (Failure.HUGE, F),
    ],
)
async def test_what_has_begun_is_kept_and_never_asked_for_again(
    provider: OpenAIProvider, upstream: Upstream, failure: Failure, kind: ErrorKind
) -> None:
    upstream.plan(Script(failure=failure))
    got = await outcome(provider)
    assert got.events == [TextDelta("Hello"), TextDelta(",")]
    assert got.refusal.kind is kind
    assert len(upstream.requests) == 1


async def test_what_came_in_one_piece_with_the_error_is_kept(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    body = b'data: {"choices":[{"delta":{"content":"Hel"}}]}\n\ndata: {"error":{"message":"Gone.","code":429}}\n\n'
    upstream.plan(Script(body=body, content_type="text/event-stream"))
    got = await outcome(provider)
    assert got.events == [TextDelta("Hel")]
    assert got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert got.refusal.message == "Simulator has too much to do at the moment: Gone."


@pytest.mark.parametrize(
    ("script", "at"),
    [
        (Script(failure=Failure.SILENT), 0),
        (Script(failure=Failure.HEAD_ONLY), 0),
        (Script(failure=Failure.STALL, after=0), 0),
        (Script(failure=Failure.STALL), 2),
        (Script(failure=Failure.DRIP), 2),
        (Script(failure=Failure.EMPTY), 2),
        (Script(failure=Failure.HEAD_ONLY, content_type="application/json"), 0),
    ],
    ids=lambda value: value.failure if isinstance(value, Script) else str(value),
)
async def test_silence_is_a_time_out_and_bytes_without_news_are_silence(
    build: Build, upstream: Upstream, script: Script, at: int
) -> None:
    upstream.plan(script)
    got = await outcome(build(idle_timeout_seconds=0.4, whole_timeout_seconds=0.5))
    assert len(got.events) == at
    assert got.refusal.kind is ErrorKind.PROVIDER_TIMEOUT
    assert len(upstream.requests) == 1
    await upstream.requests[0].closed()


async def test_the_first_delta_may_be_given_more_time(build: Build, upstream: Upstream) -> None:
    upstream.plan(Script(failure=Failure.STALL, after=1, delay_seconds=0.4))
    got = await outcome(build(idle_timeout_seconds=0.1, first_timeout_seconds=20))
    assert (len(got.events), got.refusal.kind) == (1, ErrorKind.PROVIDER_TIMEOUT)


async def test_a_whole_answer_has_a_time_out_of_its_own(build: Build, upstream: Upstream) -> None:
    upstream.plan(Script(delay_seconds=0.05), Script(failure=Failure.SILENT))
    provider = build(streams=False, idle_timeout_seconds=0.1, whole_timeout_seconds=1)
    assert (await outcome(provider)).text == "Hello, world!"
    assert (await outcome(provider)).refusal.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_an_answer_that_said_why_it_ended_is_complete_whatever_follows(
    build: Build, upstream: Upstream
) -> None:
    said = b'data: {"choices":[{"delta":{"content":"All."},"finish_reason":"stop"}]}\n\n'
    head = {"Content-Length": "100000"}  # more than ever comes
    upstream.plan(Script(body=said, content_type="text/event-stream", headers=head))
    got = await outcome(build(idle_timeout_seconds=0.2))
    assert (got.text, got.reason) == ("All.", FinishReason.STOP)


@pytest.mark.parametrize(
    ("content_type", "body", "sentence"),
    [
        ("text/html", b"<html>Sign in</html>", "Simulator answered with a web page: is its base URL right?"),
        ("text/event-stream", b"", "What Simulator sent cannot be read as an answer."),
        ("text/plain", b"hello", "What Simulator sent cannot be read as an answer."),
        ("application/json", b"", "What Simulator sent cannot be read as an answer."),
        ("application/json", b"{}", "What Simulator sent cannot be read as an answer."),
        ("application/json", b"[" * 100_000, "What Simulator sent cannot be read as an answer."),
        ("application/json", b'{"choices": 7}', "What Simulator sent cannot be read as an answer."),
        # LM Studio answers so, with status 200, where there is nothing.
        ("application/json", b'{"error": "Unexpected endpoint or method."}', "Simulator reports an error: Unexpected endpoint or method."),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_told(
    provider: OpenAIProvider, upstream: Upstream, content_type: str, body: bytes, sentence: str
) -> None:
    upstream.plan(Script(body=body, content_type=content_type))
    got = await outcome(provider)
    assert (got.refusal.kind, got.refusal.message, got.events) == (F, sentence, [])


async def test_who_does_not_speak_http_is_told(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.NO_HTTP))
    got = await outcome(provider)
    assert got.refusal.message == "What answers at the address of Simulator does not speak HTTP."


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b'{"error": "a text"}', "400: a text"),
        (b'{"detail": "FastAPI"}', "400: FastAPI"),
        (b'{"object":"error","message":"vLLM","code":400}', "400: vLLM"),
        (b"plain\r\n\x00text\x1b[31m", "400: plain text [31m"),
        (b"<html><body>Bad gateway</body></html>", "400."),
        (b'{"error": {"message": "\\ud83d"}}', '400: {"error": {"message": "\\ud83d"}}'),
        (b'"' + b"x" * 1_000_000, "400: \"" + "x" * 299 + "…"),
        (b"[" * 100_000, "400: " + "[" * 300 + "…"),
        (b"", "400."),
    ],
)  # fmt: skip
async def test_what_an_error_says_is_shown_as_one_short_line(
    provider: OpenAIProvider, upstream: Upstream, body: bytes, sentence: str
) -> None:
    upstream.plan(Script(status=400, body=body))
    got = await outcome(provider)
    assert got.refusal.message == f"Simulator refused the request with status {sentence}"


def _frames(*contents: str) -> bytes:
    """Return a stream of deltas; the contents are JSON as it stands."""
    frames = [b'data: {"choices":[{"delta":{"content":%s}}]}\n\n' % c.encode() for c in contents]
    return b"".join(frames) + b"data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ([r'"a\u0000b"'], "a\N{REPLACEMENT CHARACTER}b"),
        ([r'"\ud83d\ude00"'], "😀"),
        ([r'"x\ud83d"', r'"\ude00y"'], "x😀y"),  # cut at UTF-16 units
        ([r'"x\ud83d"', '"y"'], "x\N{REPLACEMENT CHARACTER}y"),
        ([r'"\ude00y"'], "\N{REPLACEMENT CHARACTER}y"),
        ([r'"x\ud83d"'], "x\N{REPLACEMENT CHARACTER}"),
        ([r'"\ud83d"', r'"\ud83d"', r'"\ude00"'], "\N{REPLACEMENT CHARACTER}😀"),
        (['[{"type":"text","text":"pa"},{"type":"text","text":"rts"}]'], "parts"),
    ],
)
async def test_text_that_no_database_takes_is_made_fit(
    provider: OpenAIProvider, upstream: Upstream, contents: list[str], text: str
) -> None:
    upstream.plan(Script(body=_frames(*contents), content_type="text/event-stream"))
    got = await outcome(provider)
    assert (got.text, got.reason) == (text, FinishReason.STOP)
    got.text.encode()


async def test_bytes_that_are_no_utf8_become_replacement_characters(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    body = _frames('"x"').replace(b"x", b"\xff\xfe")
    upstream.plan(Script(body=body, content_type="text/event-stream"))
    assert (await outcome(provider)).text == "\N{REPLACEMENT CHARACTER}" * 2


async def test_a_body_that_grows_without_end_is_cut_off(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    body = b'{"choices": [{"message": {"content": "' + b"x" * 33 * 1024 * 1024
    upstream.plan(Script(body=body))
    got = await outcome(provider)
    assert got.refusal.message == "Simulator sent an answer without end."


async def test_the_key_is_in_no_sentence_repr_or_log(
    build: Build, upstream: Upstream, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = build(api_key="sk-secret")
    for status in (400, 401, 403, 404, 429, 500):
        upstream.plan(
            *[error(status, "The key sk-secret is wrong.", headers={"Retry-After": "99"})] * 3
        )
        with pytest.raises(ProviderError) as caught:
            await anext(provider.complete(ask()))
        assert "sk-secret" not in caught.value.message
    assert "sk-secret" not in caplog.text + repr(provider.settings) + json.dumps(str(caught.value))


@pytest.mark.parametrize(
    ("sent", "kind", "sentence", "requests"),
    [
        ({"message": "Slow down.", "type": "rate_limit_error"}, ErrorKind.PROVIDER_OVERLOADED, "Simulator has too much to do at the moment: Slow down.", 3),
        ({"message": "Pay.", "code": "insufficient_quota"}, F, "Simulator has no credit left for this account: Pay.", 1),
        ({"message": "Oops.", "type": "server_error"}, F, "Simulator failed with status 500: Oops.", 3),
        ({"message": "Not so.", "type": "invalid_request_error"}, F, "Simulator reports an error: Not so.", 1),
        ({"message": "No model x", "code": "model_not_found"}, ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".', 1),
    ],
)  # fmt: skip
async def test_errors_within_a_stream_are_told_apart_by_their_codes(
    provider: OpenAIProvider, upstream: Upstream, sent: dict[str, str], kind: ErrorKind, sentence: str, requests: int
) -> None:  # fmt: skip
    upstream.default = Script(failure=Failure.ERROR, after=0, error=sent)
    got = await outcome(provider)
    assert (got.refusal.kind, got.refusal.message) == (kind, sentence)
    assert len(upstream.requests) == requests


async def test_an_answer_that_ends_for_an_error_has_failed(
    provider: OpenAIProvider, upstream: Upstream
) -> None:
    upstream.plan(Script(finish_reason="error"))
    got = await outcome(provider)
    assert (got.text, got.refusal.kind) == ("Hello, world!", F)


async def test_an_error_whose_body_does_not_come_is_told_without_it(
    provider: OpenAIProvider, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ERROR_TIMEOUT_SECONDS", 0.1)
    upstream.plan(Script(status=400, failure=Failure.HEAD_ONLY))
    message = (await outcome(provider)).refusal.message
    assert message == "Simulator refused the request with status 400."


async def test_a_cap_is_never_left_out(provider: OpenAIProvider, upstream: Upstream) -> None:
    upstream.plan(
        error(400, "Unknown field.", param="max_tokens"),
        error(400, "Unknown field.", param="max_completion_tokens"),
    )
    got = await outcome(provider, ask(max_tokens=5))
    assert got.refusal.message == "Simulator refused the request with status 400: Unknown field."
    assert len(upstream.requests) == 2
