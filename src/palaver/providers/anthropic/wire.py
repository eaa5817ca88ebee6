"""What Anthropic sends, and the events that it means.

Shapes: https://platform.claude.com/docs/en/build-with-claude/streaming. Unknown events, blocks and
fields are passed over.
"""

from typing import Any, Final

import msgspec

from palaver.domain.events import Finished, FinishReason, ReasoningDelta, TextDelta
from palaver.domain.providers import CompletionEvent
from palaver.kit.text import storable
from palaver.providers.answers import ErrorSent, WrongShape, decode_leniently
from palaver.providers.anthropic.blocks import Block, Citation, Content, Delta, StopDetails
from palaver.providers.anthropic.searching import Search
from palaver.providers.anthropic.usage import Tally, Usage

_REASONS: Final = {
    "max_tokens": FinishReason.LENGTH,
    "model_context_window_exceeded": FinishReason.LENGTH,
    "refusal": FinishReason.CONTENT_FILTER,
    "tool_use": FinishReason.TOOL_CALLS,
}
_PAUSE: Final = "pause_turn"
_DELTA: Final = "content_block_delta"


class Message(msgspec.Struct, gc=False):
    """The beginning of an answer."""

    usage: Usage | None = None


class Event(msgspec.Struct, gc=False):
    """One event of a stream, or a whole answer, whose type is "message"."""

    type: str = ""
    delta: Delta | None = None
    content_block: Any = None  # see `Block`
    message: Message | None = None
    usage: Usage | None = None
    error: Any = None
    content: list[Any] | None = None  # of a whole answer, as are the next two
    stop_reason: str | None = None
    stop_details: StopDetails | None = None


_decode = msgspec.json.Decoder(Event).decode


class Interpreter:
    """Turns the data of one request's events into ours, text made fit to be stored.

    An answer that its provider paused is gone on with by another request, and interpreted by
    another of these, which begins where `before` ended. `trimmed` is the space that was left out
    at the end of a given beginning: the answer does not say it again.
    """

    def __init__(
        self,
        search: Search | None,
        *,
        trimmed: str = "",
        before: "Interpreter | None" = None,
    ) -> None:
        self.reason: FinishReason | None = None
        self.is_done = False
        self.is_paused = False
        self.tally: Tally = Tally(before.tally if before else None)
        self.search = search
        # Only what may be paused has to be kept as it came.
        self.content: Content | None = None
        if search is not None:
            self.content = Content(before.content if before else None)
        self._trimmed = trimmed
        self._reasoning: list[str] = list(before._reasoning) if before else []
        self._has_text: bool = before is not None and before._has_text

    def take(self, data: bytes) -> list[CompletionEvent]:
        """Return the events of one event's data. Raises `WrongShape`, `ErrorSent`."""
        try:
            event = _decode(data)
        except (ValueError, RecursionError):
            event = decode_leniently(data, Event)
        # Nearly every event is a delta.
        return (
            self._more(event.delta) if event.type == _DELTA and event.delta else self._other(event)
        )

    def ending(self) -> list[CompletionEvent]:
        """Return what closes an answer: usage, and the reason. A paused one goes on."""
        return [] if self.is_paused else self.closing(self.reason or FinishReason.STOP)

    def closing(self, reason: FinishReason) -> list[CompletionEvent]:
        """Return what closes an answer for a reason."""
        events: list[CompletionEvent] = []
        if self.search is not None:
            events += self.search.rest()
        if (usage := self.tally.reported("".join(self._reasoning))) is not None:
            events.append(usage)
        events.append(Finished(reason))
        return events

    def _other(self, event: Event) -> list[CompletionEvent]:
        match event.type:
            case "content_block_start" if event.content_block is not None:
                return self._open(event.content_block)
            case "content_block_stop":
                return self._close()
            case "message_start" if event.message is not None:
                self._count(event.message.usage)
            case "message_delta" if event.delta is not None:
                self._count(event.usage)
                return self._stop(event.delta.stop_reason, event.delta.stop_details)
            case "message_stop":
                self.is_done = True
            case "message":
                return self._whole(event)
            case _ if event.error:
                raise ErrorSent(event.error)
            case "":
                raise WrongShape("neither an event nor a message")
            case _:
                pass
        return []

    def _whole(self, event: Event) -> list[CompletionEvent]:
        events: list[CompletionEvent] = []
        for block in event.content or ():
            events += self._open(block)
            events += self._close()
        self._count(event.usage)
        events += self._stop(event.stop_reason or "end_turn", event.stop_details)
        self.is_done = True
        return events

    def _count(self, usage: Usage | None) -> None:
        if usage is not None:
            self.tally.take(usage)

    def _stop(self, reason: str | None, details: StopDetails | None) -> list[CompletionEvent]:
        if not reason:
            return []
        self.is_paused = reason == _PAUSE and self.content is not None
        self.reason = _REASONS.get(reason, FinishReason.STOP)
        explanation = details.explanation if details is not None else None
        if reason == "refusal" and explanation and not self._has_text:
            return self._text(explanation)  # better than an answer of nothing
        return []

    def _open(self, given: Any) -> list[CompletionEvent]:
        """Begin a block; one of a whole answer comes with all that it holds."""
        block = Block.of(given)
        if self.content is not None:
            self.content.open(given)
        events: list[CompletionEvent] = []
        if block.thinking:
            events += self._thought(block.thinking)
        if block.text:
            events += self._text(block.text)
        if self.search is not None:
            self.search.open(block)
            for citation in block.citations or ():
                events += self.search.cite(Citation.of(citation))
        return events

    def _more(self, delta: Delta) -> list[CompletionEvent]:
        if self.content is not None:
            self.content.add(delta)
        if delta.text:
            return self._text(delta.text)
        if delta.thinking:
            return self._thought(delta.thinking)
        if self.search is not None:
            if delta.partial_json:
                self.search.ask(delta.partial_json)
            if delta.citation is not None:
                return self.search.cite(Citation.of(delta.citation))
        return []

    def _close(self) -> list[CompletionEvent]:
        if self.content is not None:
            self.content.close()
        return [] if self.search is None else self.search.close()

    def _text(self, text: str) -> list[CompletionEvent]:
        if self._trimmed:
            text = self._without_trimmed(text)
        if not text:
            return []
        self._has_text = True
        text = storable(text)
        if self.search is not None:
            text = self.search.spaced(text)
        return [TextDelta(text)]

    def _thought(self, text: str) -> list[CompletionEvent]:
        text = storable(text)
        self._reasoning.append(text)
        return [ReasoningDelta(text)]

    def _without_trimmed(self, text: str) -> str:
        known = self._trimmed
        while known and text and known[0] == text[0]:
            known, text = known[1:], text[1:]
        self._trimmed = "" if text else known
        return text
