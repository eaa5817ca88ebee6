"""Anthropic's protocol when things go wrong: what is said, what is tried again, what is kept."""

import json
import logging
import socket
from contextlib import suppress
from random import Random
from typing import Any

import msgspec
import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import FinishReason, TextDelta
from palaver.providers import transport
from palaver.providers.answers import ErrorSent, WrongShape
from palaver.providers.anthropic import AnthropicProvider
from palaver.providers.anthropic.searching import Search
from palaver.providers.anthropic.wire import Interpreter
from tests.fakes.claude import FOUND, Claude, refusal
from tests.fakes.scripts import Failure, Script
from tests.providers.conftest import BuildClaude
from tests.providers.helpers import ask, outcome

F = ErrorKind.PROVIDER_FAILED
STREAM = "text/event-stream"
PAGE = b"<!doctype html><title>Welcome</title>"


async def test_a_server_that_is_not_there_is_unreachable(build_claude: BuildClaude) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    got = await outcome(build_claude(base_url=f"http://127.0.0.1:{port}"))
    assert got.refusal.kind is ErrorKind.PROVIDER_UNREACHABLE


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (refusal(400, "Bad field."), F, "Simulator refused the request with status 400: Bad field."),
        (refusal(400, "Your credit balance is too low to access the Anthropic API."), F, "Simulator has no credit left for this account: Your credit balance is too low to access the Anthropic API."),
        (refusal(400, "prompt is too long: 210000 tokens > 200000 maximum"), F, "This is more than the model of Simulator can hold: prompt is too long: 210000 tokens > 200000 maximum"),
        (refusal(400, "This model does not support assistant message prefill."), F, "Simulator refused the request with status 400: This model does not support assistant message prefill."),
        (refusal(401, "invalid x-api-key sk-ant-secret"), F, "Simulator refused the key: check SIM_API_KEY."),
        (refusal(402, "Pay."), F, "Simulator has no credit left for this account: Pay."),
        (refusal(403, "sk-ant-secret may not."), F, "Simulator does not allow this with the key in SIM_API_KEY: [key] may not."),
        (refusal(404, "model: sim"), ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        (refusal(404, "Not Found"), F, "Simulator has no such address (Not Found): is its base URL right?"),
        (refusal(413, "Request exceeds the maximum size"), F, "Simulator does not take a request of this size: Request exceeds the maximum size"),
        (Script(status=413, body=PAGE, content_type="text/html"), F, "Simulator does not take a request of this size."),
        (Script(status=301, body=b"", headers={"Location": "https://elsewhere.invalid/"}), F, "Simulator has moved (status 301): its base URL is not right."),
        (Script(status=400, body=b"plain\r\ntext\x1b[31m"), F, "Simulator refused the request with status 400: plain text [31m"),
        (Script(status=400, body=b'{"error": "of a proxy"}'), F, "Simulator refused the request with status 400: of a proxy"),
        (Script(status=400, body=b"[" * 100_000), F, "Simulator refused the request with status 400: " + "[" * 300 + "…"),
    ],
)  # fmt: skip
async def test_refusals_are_told_apart_and_not_repeated(
    build_claude: BuildClaude, claude: Claude, script: Script, kind: ErrorKind, sentence: str
) -> None:
    claude.plan(script)
    got = await outcome(build_claude(api_key="sk-ant-secret"))
    assert (got.refusal.kind, got.refusal.message) == (kind, sentence)
    assert (len(claude.requests), got.events) == (1, [])


async def test_a_missing_key_is_named(anthropic: AnthropicProvider, claude: Claude) -> None:
    claude.plan(refusal(401, "x-api-key header is required"))
    assert (await outcome(anthropic)).refusal.message == "Simulator wants a key: set SIM_API_KEY."
    assert "x-api-key" not in claude.requests[0].headers


@pytest.mark.parametrize(("status", "seconds"), [(429, 30), (529, 86_400)])
async def test_who_has_too_much_to_do_for_long_is_not_asked_again(
    anthropic: AnthropicProvider, claude: Claude, status: int, seconds: int
) -> None:
    claude.plan(refusal(status, "Too much.", headers={"Retry-After": str(seconds)}))
    got = await outcome(anthropic)
    assert got.refusal.kind is ErrorKind.PROVIDER_OVERLOADED
    assert got.refusal.retry_after_seconds == seconds
    assert len(claude.requests) == 1


@pytest.mark.parametrize(
    "script",
    [
        refusal(429, "Too much."),
        refusal(500, "Internal server error"),
        refusal(504, "Timed out"),
        refusal(529, "Overloaded"),
        Script(failure=Failure.HANG_UP),
        Script(failure=Failure.RESET, after=0),
        Script(failure=Failure.CUT, after=0),
        Script(failure=Failure.NO_DONE, after=0),
        Script(failure=Failure.ERROR, after=0, error={"type": "overloaded_error", "message": "B"}),
        Script(failure=Failure.ERROR, after=0, error={"type": "api_error", "message": "B"}),
    ],
    ids=lambda script: script.failure or script.status,
)
async def test_what_may_pass_is_tried_twice_more(
    anthropic: AnthropicProvider, claude: Claude, script: Script
) -> None:
    claude.plan(script, script)
    assert (await outcome(anthropic)).text == "Hello, world!"
    assert len(claude.requests) == 3

    claude.plan(script, script, script)
    got = await outcome(anthropic)
    assert (len(claude.requests), got.events) == (6, [])
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
    anthropic: AnthropicProvider, claude: Claude, failure: Failure, kind: ErrorKind
) -> None:
    claude.plan(Script(failure=failure))
    got = await outcome(anthropic)
    assert got.events == [TextDelta("Hello"), TextDelta(",")]
    assert got.refusal.kind is kind
    assert len(claude.requests) == 1


@pytest.mark.parametrize(
    ("sent", "kind", "sentence"),
    [
        ({"type": "overloaded_error", "message": "Overloaded"}, ErrorKind.PROVIDER_OVERLOADED, "Simulator has too much to do at the moment: Overloaded"),
        ({"type": "rate_limit_error", "message": "Slow."}, ErrorKind.PROVIDER_OVERLOADED, "Simulator has too much to do at the moment: Slow."),
        ({"type": "billing_error", "message": "Pay."}, F, "Simulator has no credit left for this account: Pay."),
        ({"type": "timeout_error", "message": "Late."}, F, "Simulator failed with status 504: Late."),
        ({"type": "invalid_request_error", "message": "No."}, F, "Simulator reports an error: No."),
        ({"type": "not_found_error", "message": "model: x"}, ErrorKind.MODEL_NOT_FOUND, 'Simulator has no model named "sim".'),
        ({"odd": 1}, F, "Simulator reports an error."),
    ],
)  # fmt: skip
async def test_errors_within_a_stream_are_told_apart_by_their_types(
    anthropic: AnthropicProvider, claude: Claude, sent: dict[str, str], kind: ErrorKind, sentence: str
) -> None:  # fmt: skip
    claude.plan(Script(failure=Failure.ERROR, error=sent))
    got = await outcome(anthropic)
    assert (got.refusal.kind, got.refusal.message) == (kind, sentence)


@pytest.mark.parametrize(
    ("script", "at"),
    [
        (Script(failure=Failure.SILENT), 0),
        (Script(failure=Failure.HEAD_ONLY), 0),
        (Script(failure=Failure.STALL), 2),
        (Script(failure=Failure.DRIP), 2),  # pings
        (Script(failure=Failure.EMPTY), 2),
    ],
    ids=lambda value: value.failure if isinstance(value, Script) else str(value),
)
async def test_silence_is_a_time_out_and_pings_are_silence(
    build_claude: BuildClaude, claude: Claude, script: Script, at: int
) -> None:
    claude.plan(script)
    got = await outcome(build_claude(idle_timeout_seconds=0.4))
    assert len(got.events) == at
    assert got.refusal.kind is ErrorKind.PROVIDER_TIMEOUT
    assert len(claude.requests) == 1
    await claude.requests[0].closed()


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (Script(body=PAGE, content_type="text/html"), "Simulator answered with a web page: is its base URL right?"),
        (Script(body=b'{"a": 1}'), "What Simulator sent cannot be read as an answer."),
        (Script(body=b"[1]"), "What Simulator sent cannot be read as an answer."),
        (Script(body=b'{"type":"message","content":[7]}'), "What Simulator sent cannot be read as an answer."),
        (Script(body=b"", content_type=STREAM), "What Simulator sent cannot be read as an answer."),
        (Script(failure=Failure.NO_HTTP), "What answers at the address of Simulator does not speak HTTP."),
        (Script(body=b'{"type":"error","error":{"type":"invalid_request_error","message":"No."}}'), "Simulator reports an error: No."),
    ],
)  # fmt: skip
async def test_what_is_no_answer_is_told(
    anthropic: AnthropicProvider, claude: Claude, script: Script, sentence: str
) -> None:
    claude.plan(script)
    got = await outcome(anthropic)
    assert (got.refusal.kind, got.refusal.message) == (F, sentence)


@pytest.mark.parametrize("streams", [True, False], ids=["streamed", "whole"])
async def test_text_that_no_database_takes_is_made_fit(
    build_claude: BuildClaude, claude: Claude, *, streams: bool
) -> None:
    block = r'{"type":"text","text":"a\u0000b\ud83dc"}'
    whole = f'{{"type":"message","content":[{block}],"stop_reason":"end_turn"}}'
    events = [
        f'{{"type":"content_block_start","index":0,"content_block":{block}}}',
        '{"type":"message_delta","delta":{"stop_reason":"end_turn"}}',
    ]
    stream = "".join(f"data: {event}\n\n" for event in events)
    body, type = (stream, STREAM) if streams else (whole, "application/json")
    claude.plan(Script(body=body.encode(), content_type=type))
    assert (await outcome(build_claude(streams=streams))).text == "a\ufffdb\ufffdc"


async def test_the_key_is_in_no_sentence_repr_or_log(
    build_claude: BuildClaude, claude: Claude, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    provider = build_claude(api_key="sk-ant-secret")
    for status in (400, 401, 403, 404, 413, 429, 500, 529):
        claude.plan(
            *[refusal(status, "The key sk-ant-secret is wrong.", headers={"Retry-After": "99"})] * 3
        )
        with pytest.raises(ProviderError) as caught:
            await anext(provider.complete(ask()))
        assert "sk-ant-secret" not in caught.value.message
    assert "sk-ant-secret" not in caplog.text + repr(provider.settings) + json.dumps(
        str(caught.value)
    )


async def test_an_error_whose_body_does_not_come_is_told_without_it(
    anthropic: AnthropicProvider, claude: Claude, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "ERROR_TIMEOUT_SECONDS", 0.1)
    claude.plan(Script(status=400, failure=Failure.HEAD_ONLY))
    message = (await outcome(anthropic)).refusal.message
    assert message == "Simulator refused the request with status 400."


async def test_a_field_that_is_rejected_twice_is_told(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    said = "metadata: Extra inputs are not permitted"
    claude.plan(refusal(400, said), refusal(400, said))
    got = await outcome(anthropic, ask(user="u1"))
    assert got.refusal.message == f"Simulator refused the request with status 400: {said}"
    assert len(claude.requests) == 2


JUNK = [None, 7, -1, 1.5, "", "x", [], {}, [None], {"url": 5}, True, "\ud800", "https://x.example/"]
EVENTS: list[dict[str, Any]] = [
    {"type": "message_start", "message": {"usage": {"input_tokens": 1}}},
    *({"type": "content_block_start", "content_block": block} for block in FOUND),
    {"type": "content_block_delta", "delta": {"text": "half \ud83d"}},
    {"type": "content_block_delta", "delta": {"partial_json": '{"query":'}},
    {"type": "content_block_delta", "delta": {"signature": "x", "thinking": "x"}},
    {"type": "content_block_delta", "delta": {"citation": {"url": "https://x.example/"}}},
    {"type": "content_block_stop"},
    {"type": "message_delta", "delta": {"stop_reason": "pause_turn"}, "usage": {}},
    {"type": "message", "content": list(FOUND), "stop_reason": "refusal", "usage": {}},
]


def _spoiled(value: Any, random: Random) -> Any:
    if random.random() < 0.1:
        return random.choice(JUNK)
    if isinstance(value, dict):
        return {k: _spoiled(v, random) for k, v in value.items() if random.random() > 0.05}
    return [_spoiled(v, random) for v in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_is_read_or_is_told_to_be_wrong(seed: int) -> None:
    random = Random(seed)
    for _ in range(300):
        interpreter = Interpreter(Search(1), trimmed=" h")
        for _ in range(8):
            data = json.dumps(_spoiled(random.choice(EVENTS), random)).encode()
            with suppress(WrongShape, ErrorSent):
                msgspec.json.encode(interpreter.take(data))
        assert interpreter.content is not None
        msgspec.json.encode([interpreter.content.blocks, interpreter.closing(FinishReason.STOP)])
