"""What Gemini sends, and the events that it means.

Shapes: https://ai.google.dev/api/generate-content. Unknown fields are passed over.
"""

from typing import Any, Final

import msgspec

from palaver.domain.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from palaver.domain.providers import CompletionEvent
from palaver.kit.text import storable
from palaver.providers.answers import MOST_TOKENS, ErrorSent, decode_leniently, token_count
from palaver.providers.gemini.grounding import Metadata, Weaver

_FILTERED: Final = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "LANGUAGE",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "ESCALATION",
        "PUP_LIMITED_DISABLED",
        "MODEL_ARMOR",
    }
)
_BROKEN: Final = frozenset(
    {
        "OTHER",
        "MALFORMED_FUNCTION_CALL",
        "MALFORMED_RESPONSE",
        "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS",
        "MISSING_THOUGHT_SIGNATURE",
    }
)
_NO_REASON: Final = frozenset({"", "FINISH_REASON_UNSPECIFIED"})


class Blob(msgspec.Struct, gc=False, rename="camel"):
    """Bytes in base64."""

    mime_type: str = ""
    data: bytes = b""


class Part(msgspec.Struct, gc=False, rename="camel"):
    """A piece of an answer, or of what was thought before it."""

    text: str | None = None
    thought: bool = False
    inline_data: Blob | None = None


class Content(msgspec.Struct, gc=False, rename="camel"):
    """More of an answer."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, gc=False, rename="camel"):
    """One of the answers asked for: we ask for one."""

    content: Content | None = None
    finish_reason: str | None = None
    finish_message: str | None = None
    grounding_metadata: Metadata | None = None


class PromptFeedback(msgspec.Struct, gc=False, rename="camel"):
    """Why a prompt gets no answer at all."""

    block_reason: str | None = None
    block_reason_message: str | None = None


class UsageMetadata(msgspec.Struct, gc=False, rename="camel"):
    """What was used so far; the cached tokens are a part of the prompt's."""

    prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    cached_content_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None

    def reported(self) -> UsageReported | None:
        """Return it in the domain's words, None where it holds no figures."""
        if self.prompt_token_count is None and self.candidates_token_count is None:
            return None
        # What a search has found goes into the prompt of the model's next step.
        prompt = token_count(self.prompt_token_count) + token_count(
            self.tool_use_prompt_token_count
        )
        thoughts = token_count(self.thoughts_token_count)
        return UsageReported(
            prompt_tokens=min(prompt, MOST_TOKENS),
            completion_tokens=min(token_count(self.candidates_token_count) + thoughts, MOST_TOKENS),
            reasoning_tokens=thoughts,
            cached_tokens=min(token_count(self.cached_content_token_count), prompt),
        )


class Chunk(msgspec.Struct, gc=False, rename="camel"):
    """One event of a stream, or a whole answer: they have one shape."""

    candidates: list[Candidate] | None = None
    prompt_feedback: PromptFeedback | None = None
    usage_metadata: UsageMetadata | None = None
    error: Any = None  # see `refusals.parse`


class Withheld(msgspec.Struct, frozen=True):
    """An answer that its maker has stopped, by its own word for the cause."""

    reason: str
    message: str = ""
    is_filter: bool = False
    is_prompt: bool = False  # what was asked is at fault, not what was answered


_decode = msgspec.json.Decoder(Chunk).decode


def decode(data: bytes) -> Chunk:
    """Return what an event or a document holds. Raises `WrongShape`."""
    try:
        return _decode(data)
    except (ValueError, RecursionError):
        return decode_leniently(data, Chunk)


class Interpreter:
    """Turns the data of one answer's events into ours, text made fit to be stored."""

    __slots__ = ("_broken", "_has_text", "_weaver", "reason", "usage")

    is_done = False  # the end of the stream is its end mark

    def __init__(self, weaver: Weaver | None = None) -> None:
        self.reason: FinishReason | None = None
        self.usage: UsageReported | None = None
        self._weaver = weaver
        self._has_text = False
        self._broken: Withheld | None = None

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data. Raises `WrongShape`, `ErrorSent`."""
        chunk = decode(data)
        if chunk.error:
            raise ErrorSent(chunk.error)
        if chunk.usage_metadata is not None:
            self.usage = chunk.usage_metadata.reported() or self.usage
        if not chunk.candidates:
            feedback = chunk.prompt_feedback
            if feedback is not None and feedback.block_reason:
                message = feedback.block_reason_message or ""
                raise ErrorSent(
                    Withheld(feedback.block_reason, message, is_filter=True, is_prompt=True)
                )
            return []
        candidate = chunk.candidates[0]
        events = self._events(candidate)
        self._finish(candidate)
        return events

    def rest(self) -> list[CompletionEvent]:
        """Return the text that is still held back, also once the answer has broken off."""
        return [] if self._weaver is None else self._weaver.rest()

    def ending(self) -> list[CompletionEvent]:
        """Return what closes every answer. Raises `ErrorSent` where it has none."""
        if self._broken is not None:
            raise ErrorSent(self._broken)
        events = self.rest()
        if self.usage is not None:
            events.append(self.usage)
        events.append(Finished(self.reason or FinishReason.STOP))
        return events

    def _finish(self, candidate: Candidate) -> None:
        reason = candidate.finish_reason or ""
        if reason in _NO_REASON:
            return
        self.reason = FinishReason.STOP
        is_filter = reason in _FILTERED
        if reason == "MAX_TOKENS":
            self.reason = FinishReason.LENGTH
        elif is_filter:
            self.reason = FinishReason.CONTENT_FILTER
        # Of what a filter has cut, the rest is an answer; of nothing, somebody wants to know why.
        if reason in _BROKEN or (is_filter and not self._has_text):
            self._broken = Withheld(reason, candidate.finish_message or "", is_filter)

    def _events(self, candidate: Candidate) -> list[CompletionEvent]:
        parts = (candidate.content and candidate.content.parts) or ()
        events: list[CompletionEvent] = [
            ReasoningDelta(storable(part.text)) for part in parts if part.thought and part.text
        ]
        text = storable("".join(part.text or "" for part in parts if not part.thought))
        if text:
            self._has_text = True
        if self._weaver is not None:
            events += self._weaver.weave(text, candidate.grounding_metadata)
        elif text:
            events.append(TextDelta(text))
        return events
