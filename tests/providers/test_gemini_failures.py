"""Gemini's protocol when things go wrong: what is said, what is tried again, what is kept."""

import json
import logging
import socket
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import FinishReason, ReasoningDelta, TextDelta
from palaver.providers import transport
from palaver.providers.gemini import GeminiProvider
from tests.fakes.gemini import Gemini, GeminiScript, error_body, reason, refusal, retry_in
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildGemini
from tests.providers.helpers import ask, outcome

F = ErrorKind.PROVIDER_FAILED
NO_MODEL = (
    "models/sim is not found for API version v1beta, or is not supported for generateContent."
)


async def test_a_server_that_is_not_there_is_unreachable(build_gemini: BuildGemini) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    got = await outcome(build_gemini(base_url=f"http://127.0.0.1:{port}"))
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (refusal(400, "Bad field."), F, "Simulator refused the request with status 400: Bad field."),
        (refusal(400, "API key not valid. Please pass a valid API key.", details=[reason("API_KEY_INVALID")]), F, "Simulator refused the key: check SIM_API_KEY."),
        (refusal(400, "API key expired. Please renew the API key."), F, "Simulator refused the key: check SIM_API_KEY."),
        (refusal(401, "Wrong key secret"), F, "Simulator refused the key: check SIM_API_KEY."),
        (refusal(403, "secret was reported as leaked."), F, "Simulator does not allow this with the key in SIM_API_KEY: [key] was reported as leaked."),
        (refusal(400, "User location is not supported for the API use.", name="FAILED_PRECONDITION"), F, "Simulator refused the request with status 400: User location is not supported for the API use."),
        (refusal(400, "The input token count (9) exceeds the maximum number of tokens allowed (8)."), F, "Simulator refused the request with status 400: The input token count (9) exceeds the maximum number of tokens allowed (8)."),
        (refusal(400, "Search Grounding is not supported."), F, "Simulator refused the request with status 400: Search Grounding is not supported."),
        (refusal(404, NO_MODEL), ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (refusal(404, "This model models/sim is no longer available to new users."), ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (refusal(400, "* GenerateContentRequest.model: unexpected model name format"), ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (refusal(429, "Quota exceeded for metric: x, limit: 0, model: sim", details=[retry_in("1s")]), F, "Simulator has no credit left for this account: Quota exceeded for metric: x, limit: 0, model: sim"),
        (refusal(429, "Your prepayment credits are depleted."), F, "Simulator has no credit left for this account: Your prepayment credits are depleted."),
        (refusal(504, "Deadline expired."), ErrorKind.PROVIDER_TIMEOUT, "Simulator did not come to an end in time: Deadline expired."),
        (Script(status=404, body=b"<html>404</html>", content_type="text/html"), F, "Simulator has no such address: is its base URL right?"),
        (Script(status=404, body=b""), F, "Simulator has no such address: is its base URL right?"),
        (refusal(413, ""), F, "Simulator refused the request with status 413."),
        (refusal(301, ""), F, "Simulator has moved (status 301): its base URL is not right."),
        (Script(status=400, body=json.dumps([error_body(400, "In a list.")]).encode()), F, "Simulator refused the request with status 400: In a list."),
        (Script(status=400, body=b'{"error": {"message": {"odd": 1}, "details": [7, {"retryDelay": {}}, {"reason": 9}], "code": "x"}}'), F, 'Simulator refused the request with status 400: {"odd":1}'),
        (Script(body=b"<html>Sign in</html>", content_type="text/html"), F, "Simulator answered with a web page: is its base URL right?"),
        (Script(body=b"", content_type="text/event-stream"), F, "What Simulator sent cannot be read as an answer."),
        (Script(body=b"[]"), F, "What Simulator sent cannot be read as an answer."),
        (Script(body=b"{}"), F, "What Simulator sent cannot be read as an answer."),
        (Script(failure=Failure.NO_HTTP), F, "What answers at the address of Simulator does not speak HTTP."),
    ],
)  # fmt: skip
async def test_refusals_are_told_apart_and_not_repeated(
    build_gemini: BuildGemini, gemini: Gemini, script: Script, kind: ErrorKind, sentence: str
) -> None:
    gemini.plan(script)
    got = await outcome(build_gemini(api_key="secret"))
    assert (got.refusal.kind, got.refusal.message) == (kind, sentence)
    assert (len(gemini.requests), got.events) == (1, [])


@pytest.mark.parametrize("name", ["", "a b", "../files", "models/x", "x/../y", "x?key=1", "a%2e"])
async def test_a_name_that_cannot_stand_in_an_address_is_no_model(
    google: GeminiProvider, gemini: Gemini, name: str
) -> None:
    got = await outcome(google, ask(model=name))
    assert got.refusal.kind is ErrorKind.MODEL_NOT_FOUND
    assert gemini.requests == []


async def test_a_missing_key_is_named(google: GeminiProvider, gemini: Gemini) -> None:
    message = "Method doesn't allow unregistered callers (callers without established identity)."
    gemini.plan(refusal(403, message))
    assert (await outcome(google)).refusal.message == "Simulator wants a key: set SIM_API_KEY."


@pytest.mark.parametrize(
    ("delay", "headers", "seconds"),
    [
        ("34.074824224s", {}, 35),
        ("7s", {"Retry-After": "99"}, 7),
        ("99999999s", {}, 86_400),
        (None, {"Retry-After": "30"}, 30),
        ("nonsense", {"Retry-After": "30"}, 30),
        ("nan", {"Retry-After": "30"}, 30),
        ("infs", {"Retry-After": "30"}, 30),
    ],
)
async def test_who_has_too_much_to_do_for_long_is_not_asked_again(
    google: GeminiProvider, gemini: Gemini, delay: str | None, headers: dict[str, str], seconds: int
) -> None:
    details = [{"@type": "type.googleapis.com/google.rpc.Help"}]
    details += [retry_in(delay)] if delay else []
    gemini.plan(refusal(429, "Too much.", details=details, headers=headers))
    got = await outcome(google)
    assert got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert got.refusal.message == "Simulator has too much to do at the moment: Too much."
    assert got.refusal.retry_after_seconds == seconds
    assert len(gemini.requests) == 1


async def test_who_has_too_much_to_do_for_a_moment_is_asked_again_after_it(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.plan(refusal(429, "Too much.", details=[retry_in("0.2s")]))
    assert (await outcome(google)).text == "Hello, world!"
    first, second = gemini.requests
    assert second.received_at - first.received_at >= 1


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        (refusal(429, "Too much."), ErrorKind.PROVIDER_OVERLOADED),
        (refusal(503, "The model is overloaded."), ErrorKind.PROVIDER_OVERLOADED),
        (Script(status=503, body=b"<html>"), F),
        (refusal(500, "An internal error has occurred."), F),
        (Script(failure=Failure.HANG_UP), ErrorKind.PROVIDER_UNREACHABLE),
        (Script(failure=Failure.RESET, after=0), ErrorKind.PROVIDER_UNREACHABLE),
        (Script(failure=Failure.CUT, after=0), ErrorKind.PROVIDER_UNREACHABLE),
        (Script(failure=Failure.ERROR, after=0), F),
        (Script(failure=Failure.ERROR, after=0, error={"code": 503, "message": "Busy.", "status": "UNAVAILABLE"}), ErrorKind.PROVIDER_OVERLOADED),
        (Script(words=(), finish_reason="MALFORMED_FUNCTION_CALL"), F),
        (Script(words=(), finish_reason="OTHER"), F),
    ],
    ids=lambda value: str(value.failure or value.status) if isinstance(value, Script) else "",
)  # fmt: skip
async def test_what_may_pass_is_tried_twice_more(
    google: GeminiProvider, gemini: Gemini, script: Script, kind: ErrorKind
) -> None:
    gemini.plan(script, script)
    assert (await outcome(google)).text == "Hello, world!"
    assert len(gemini.requests) == 3

    gemini.plan(script, script, script)
    got = await outcome(google)
    assert (len(gemini.requests), got.events) == (6, [])
    assert got.refusal.kind is kind
    assert (got.refusal.retry_after_seconds is not None) == (kind is ErrorKind.PROVIDER_OVERLOADED)


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
    google: GeminiProvider, gemini: Gemini, failure: Failure, kind: ErrorKind
) -> None:
    gemini.plan(Script(failure=failure))
    got = await outcome(google)
    assert got.events == [TextDelta("Hello"), TextDelta(",")]
    assert got.refusal.kind is kind
    assert len(gemini.requests) == 1


@pytest.mark.parametrize("in_list", [False, True], ids=["object", "list"])
@pytest.mark.parametrize("piece_bytes", [None, 5])
async def test_an_error_without_the_frame_of_an_event_is_understood(
    google: GeminiProvider, gemini: Gemini, *, in_list: bool, piece_bytes: int | None
) -> None:
    said = b'data: {"candidates":[{"content":{"parts":[{"text":"Hel"}]}}]}\n\n'
    given: Any = error_body(429, "Gone.", details=[retry_in("9s")])
    error = json.dumps([given] if in_list else given, indent=2).encode()
    body = said + error + b"\n"
    gemini.plan(Script(body=body, content_type="text/event-stream", piece_bytes=piece_bytes))
    got = await outcome(google)
    assert got.events == [TextDelta("Hel")]
    assert got.refusal.message == "Simulator has too much to do at the moment: Gone."
    assert got.refusal.retry_after_seconds == 9


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
    ids=lambda value: str(value.failure) if isinstance(value, Script) else str(value),
)
async def test_silence_is_a_time_out_and_bytes_without_news_are_silence(
    build_gemini: BuildGemini, gemini: Gemini, script: Script, at: int
) -> None:
    gemini.plan(script)
    got = await outcome(build_gemini(idle_timeout_seconds=0.4, whole_timeout_seconds=0.5))
    assert len(got.events) == at
    assert got.refusal.kind is ErrorKind.PROVIDER_TIMEOUT
    assert len(gemini.requests) == 1
    await gemini.requests[0].closed()


async def test_an_answer_that_said_why_it_ended_is_complete_whatever_follows(
    build_gemini: BuildGemini, gemini: Gemini
) -> None:
    said = (
        b'data: {"candidates":[{"content":{"parts":[{"text":"All."}]},"finishReason":"STOP"}]}\n\n'
    )
    head = {"Content-Length": "100000"}  # more than ever comes
    gemini.plan(Script(body=said, content_type="text/event-stream", headers=head))
    got = await outcome(build_gemini(idle_timeout_seconds=0.2))
    assert (got.text, got.reason) == ("All.", FinishReason.STOP)


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (GeminiScript(blocked="PROHIBITED_CONTENT"), "Simulator does not answer this: its filters block it (PROHIBITED_CONTENT)."),
        (GeminiScript(words=(), finish_reason="SAFETY", says="Not this."), "Simulator gave no answer: its filters stopped it (SAFETY): Not this."),
    ],
    ids=["prompt", "answer"],
)  # fmt: skip
async def test_who_gets_no_word_is_told_why(
    build_gemini: BuildGemini, gemini: Gemini, script: Script, sentence: str, *, streams: bool
) -> None:
    gemini.plan(script)
    got = await outcome(build_gemini(streams=streams))
    assert (got.refusal.message, got.events) == (sentence, [])
    assert len(gemini.requests) == 1


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_an_answer_that_ends_for_a_fault_has_failed_and_is_kept(
    build_gemini: BuildGemini, gemini: Gemini, *, streams: bool
) -> None:
    script = Script(reasoning=("Hm.",), finish_reason="MALFORMED_RESPONSE")
    gemini.plan(script)
    got = await outcome(build_gemini(streams=streams))
    assert got.events[0] == ReasoningDelta("Hm.")
    assert got.text == "Hello, world!"
    assert got.refusal.message == "Simulator broke its answer off (MALFORMED_RESPONSE)."
    assert len(gemini.requests) == 1


async def test_a_body_that_grows_without_end_is_cut_off(
    google: GeminiProvider, gemini: Gemini
) -> None:
    body = b'{"candidates": [{"content": {"parts": [{"text": "' + b"x" * 33 * 1024 * 1024
    gemini.plan(Script(body=body))
    assert (await outcome(google)).refusal.message == "Simulator sent an answer without end."


async def test_an_error_whose_body_does_not_come_is_told_without_it(
    google: GeminiProvider, gemini: Gemini, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ERROR_TIMEOUT_SECONDS", 0.1)
    gemini.plan(Script(status=400, failure=Failure.HEAD_ONLY))
    message = (await outcome(google)).refusal.message
    assert message == "Simulator refused the request with status 400."


async def test_the_key_is_in_no_address_sentence_repr_or_log(
    build_gemini: BuildGemini, gemini: Gemini, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = build_gemini(api_key="secret")
    for status in (400, 401, 403, 404, 429, 500, 503):
        gemini.plan(*[refusal(status, "The key secret is wrong.")] * 3)
        with pytest.raises(ProviderError) as caught:
            await anext(provider.complete(ask()))
        assert "secret" not in caught.value.message
    assert "secret" not in caplog.text + repr(provider.settings)
    assert not any("secret" in seen.path for seen in gemini.requests)


async def test_a_cap_is_never_left_out(google: GeminiProvider, gemini: Gemini) -> None:
    gemini.plan(refusal(400, "maxOutputTokens is not supported."))
    got = await outcome(google, ask(max_tokens=5, temperature=1.0))
    assert got.refusal.kind is F
    assert len(gemini.requests) == 1
