"""What the simulated provider is told to do with a request, and all the ways in which it can fail."""

import base64
import enum
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

COUNTED: Mapping[str, Any] = {}
"""Stands for usage that the simulator counts by itself: a word of the prompt or a delta is a token."""
HUGE_BYTES = 64 * 1024 * 1024
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)
"""What a simulated model paints: a PNG of one pixel."""


class Failure(enum.StrEnum):
    """What goes wrong. All but the first four happen after `Script.after` deltas."""

    HANG_UP = "hang-up"  # closes the connection instead of answering
    SILENT = "silent"  # takes the request and never answers
    HEAD_ONLY = "head-only"  # sends the head of an answer, and nothing more
    NO_HTTP = "no-http"  # speaks something else
    STALL = "stall"  # falls silent
    DRIP = "drip"  # goes on with comments alone
    EMPTY = "empty"  # goes on with deltas that hold nothing
    RESET = "reset"  # resets the connection
    CUT = "cut"  # closes the connection
    NO_DONE = "no-done"  # ends the body properly, without reason or end mark
    MALFORMED = "malformed"  # sends an event that is no JSON
    WRONG_SHAPE = "wrong-shape"  # sends JSON of another shape
    ERROR = "error"  # sends an error as an event
    HUGE = "huge"  # sends a line that does not end


@dataclass(frozen=True)
class Script:
    """What to do with one request."""

    words: tuple[str, ...] = ("Hello", ",", " world", "!")
    reasoning: tuple[str, ...] = ()
    reasoning_field: str = "reasoning_content"
    annotations: tuple[Mapping[str, Any], ...] = ()  # of the answer, in its last delta
    annotates_first: bool = False  # or in its first
    found: Mapping[str, Any] = field(default_factory=dict)  # beside the choices of every event
    picture: bytes = PICTURE
    picture_address: str | None = None  # given in place of the picture
    delay_seconds: float = 0.0  # before each delta
    finish_reason: str | None = "stop"
    usage: Mapping[str, Any] | None = field(default_factory=lambda: COUNTED)
    is_varied: bool = False  # each request's words tell its number: no two answers are alike
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str | None = None  # None: as the answer is
    body: bytes | None = None  # sent as it is, in place of an answer
    answers_whole: bool = False  # answers as a JSON document, whatever was asked for
    has_done: bool = True
    failure: Failure | None = None
    after: int = 2  # deltas before the failure
    error: Mapping[str, Any] = field(
        default_factory=lambda: {"message": "Something broke.", "type": "server_error"}
    )
    piece_bytes: int | None = None  # cut what is sent into pieces of so many bytes
    line_end: str = "\n"

    def deltas(self, number: int) -> Iterator[dict[str, Any]]:
        """Return what the deltas of the `number`th request hold, in order."""
        tag = f" {number}." if self.is_varied else ""
        annotated = {"annotations": [dict(annotation) for annotation in self.annotations]}
        if self.annotations and self.annotates_first:
            yield annotated
        for text in self.reasoning:
            yield {self.reasoning_field: text}
        for at, text in enumerate(self.words):
            yield {"content": f"{tag}{at}{text}" if tag else text}
        if self.annotations and not self.annotates_first:
            yield annotated


def error(status: int, message: str, **more: Any) -> Script:
    """Return the script of a refusal with OpenAI's error body."""
    headers = more.pop("headers", {})
    body = {"error": {"message": message, "type": None, "param": None, "code": None, **more}}
    return Script(status=status, headers=headers, body=json.dumps(body).encode())


def cited(url: str, start: int = 0, end: int = 0, **more: Any) -> dict[str, Any]:
    """Return the annotation of a page, in OpenAI's words; `content` is what OpenRouter adds."""
    citation = {"url": url, "title": "A page", "start_index": start, "end_index": end, **more}
    return {"type": "url_citation", "url_citation": citation}


_LONG = tuple(f" word{at}" for at in range(400))
MODELS: Mapping[str, Script] = {
    "fast": Script(),
    "slow": Script(words=_LONG, delay_seconds=0.05),
    "varied": Script(words=_LONG, delay_seconds=0.02, is_varied=True),
    "thinking": Script(reasoning=("Let", " me", " think."), delay_seconds=0.1),
    "thinking-in-tags": Script(words=("<th", "ink>Let me", " see.</think>", "\n\nHello", "!")),
    "searching": Script(
        words=("It rained ", "([A page](https://a.example/rain))", "."),
        annotations=(cited("https://a.example/rain", 10, 46),),
    ),
    "tools": Script(words=(), finish_reason="tool_calls"),
    "whole": Script(answers_whole=True),
    **{failure.value: Script(failure=failure) for failure in Failure},
    **{
        f"status-{status}": error(status, f"This is a {status}.", headers={"Retry-After": "2"})
        for status in (400, 401, 403, 404, 429, 500, 503, 529)
    },
}
"""Scripts by the model that is asked for, when the simulator runs by hand."""
