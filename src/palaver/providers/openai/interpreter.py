"""The events that an OpenAI-compatible server's answer means."""

from typing import ClassVar, Final

import msgspec
from msgspec.structs import replace

from palaver.domain.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from palaver.domain.providers import CompletionEvent
from palaver.domain.tokens import estimate_tokens
from palaver.kit.text import REPLACEMENT, is_storable, storable
from palaver.providers.answers import ErrorSent, decode_leniently
from palaver.providers.openai.citing import Citer
from palaver.providers.openai.thoughts import Thoughts
from palaver.providers.openai.wire import Chunk, Delta

_DONE: Final = b"[DONE]"
_REASONS: Final = {
    "length": FinishReason.LENGTH,
    "max_tokens": FinishReason.LENGTH,
    "content_filter": FinishReason.CONTENT_FILTER,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
_FAILURES: Final = frozenset({"error", "insufficient_system_resource"})

_decode = msgspec.json.Decoder(Chunk).decode


class Interpreter:
    """Turns the data of one answer's events into ours, text made fit to be stored.

    `reason` is why it ended, None as long as that was not said; `is_done` tells whether the
    stream's own end mark came.
    """

    __slots__ = ("_half", "_is_plain", "_reasoning", "_thoughts", "is_done", "reason", "usage")
    _looks_into_all: ClassVar[bool] = False

    def __init__(self) -> None:
        self.reason: FinishReason | None = None
        self.usage: UsageReported | None = None
        self.is_done = False
        self._thoughts: Thoughts | None = Thoughts()  # until they are over
        self._reasoning: list[str] = []
        self._half = ""  # the first half of a surrogate pair that was cut in two
        self._is_plain = False  # what comes is the answer's text, as it stands

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data. Raises `WrongShape`, `ErrorSent`."""
        if data == _DONE or self.is_done:
            self.is_done = True
            return []
        try:
            chunk = _decode(data)
        except (ValueError, RecursionError):
            chunk = decode_leniently(data, Chunk)
        if chunk.error:
            raise ErrorSent(chunk.error)
        if chunk.usage is not None:
            self.usage = chunk.usage.reported() or self.usage
        if not chunk.choices:
            return []
        choice = chunk.choices[0]
        delta = choice.delta or choice.message
        events = [] if delta is None else self._events(delta)
        if choice.finish_reason:
            self._finish(choice.finish_reason)
        return events

    def ending(self) -> list[CompletionEvent]:
        """Return what closes every answer: usage, where it was given, and the reason."""
        events = self._rest()
        if self.usage is not None:
            events.append(self._with_reasoning(self.usage))
        events.append(Finished(self.reason or FinishReason.STOP))
        return events

    def _rest(self) -> list[CompletionEvent]:
        """Return what was held back."""
        events: list[CompletionEvent] = []
        if self._half:
            self._half = ""
            events += self._text(REPLACEMENT)
        if self._thoughts is not None:
            events += self._told(self._thoughts.ending())
        return events

    def _finish(self, reason: str) -> None:
        if reason in _FAILURES:
            raise ErrorSent(None)
        self.reason = _REASONS.get(reason, FinishReason.STOP)

    def _events(self, delta: Delta) -> list[CompletionEvent]:
        content = delta.content
        reasoning = delta.reasoning_content or delta.reasoning
        # Nearly every delta is a bit of plain text, and nothing else.
        if isinstance(content, str) and not (reasoning or delta.refusal):
            if self._is_plain and is_storable(content):
                return [TextDelta(content)] if content else []
            return self._text(content)
        events: list[CompletionEvent] = []
        # Some servers send the same reasoning under both names.
        if reasoning:
            events.append(self._thought(reasoning))
        if isinstance(content, str):
            events += self._text(content)
        for piece in content if isinstance(content, list) else ():
            if thinking := "".join(thought.text or "" for thought in piece.thinking or ()):
                events.append(self._thought(thinking))
            events += self._text(piece.text or "")
        if delta.refusal:
            events.append(TextDelta(storable(delta.refusal)))
        return events

    def _thought(self, text: str) -> ReasoningDelta:
        delta = ReasoningDelta(storable(text))
        self._reasoning.append(delta.text)
        return delta

    def _text(self, text: str) -> list[CompletionEvent]:
        """Return what a bit of text means that has to be looked into."""
        text = self._whole(text)
        if not text:
            return []
        thoughts = self._thoughts
        if thoughts is None:
            events = self._answered(text)
        else:
            events = self._told(thoughts.take(text))
            if thoughts.are_over:
                self._thoughts = None
        self._is_plain = not (self._half or self._thoughts or self._looks_into_all)
        return events

    def _told(self, deltas: list[ReasoningDelta | TextDelta]) -> list[CompletionEvent]:
        events: list[CompletionEvent] = []
        for delta in deltas:
            if isinstance(delta, ReasoningDelta):
                self._reasoning.append(delta.text)
                events.append(delta)
            else:
                events += self._answered(delta.text)
        return events

    def _answered(self, text: str) -> list[CompletionEvent]:
        return [TextDelta(text)]

    def _whole(self, text: str) -> str:
        """Return the text without halves of surrogate pairs: a cut pair is put together again."""
        if text and (self._half or not is_storable(text)):
            self._is_plain = False
            text = self._half + text
            self._half = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
            return storable(text.removesuffix(self._half))
        return text

    def _with_reasoning(self, usage: UsageReported) -> UsageReported:
        """Return it with what was thought; most local servers count that in, and do not tell.

        How much of the answer's tokens it is, is then our estimate; how many they are, is not.
        """
        if usage.reasoning_tokens or not self._reasoning:
            return usage
        thought = estimate_tokens("".join(self._reasoning))
        return replace(usage, reasoning_tokens=min(thought, usage.completion_tokens))


class SearchingInterpreter(Interpreter):
    """The same for an answer that rests on a search: with its sources, and marks in its text."""

    __slots__ = ("_citer",)
    _looks_into_all = True

    def __init__(self, citer: Citer) -> None:
        super().__init__()
        self._citer = citer

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data, sources first. Raises as its base does."""
        sources = self._citer.found(data)
        return sources + super().take(data)

    def _answered(self, text: str) -> list[CompletionEvent]:
        return self._citer.take(text)

    def _rest(self) -> list[CompletionEvent]:
        return super()._rest() + self._citer.ending()
