"""The built-in demo: no language model, and it says so; it quotes what the prompt holds."""

import asyncio
import re
from collections.abc import AsyncGenerator, Sequence
from typing import Final

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.events import (
    Finished,
    FinishReason,
    ReasoningDelta,
    TextDelta,
    UsageReported,
)
from palaver.domain.models import ListedModel, ModelProfile
from palaver.domain.passages import Passage, parse_passages
from palaver.domain.providers import (
    Capabilities,
    CompletionEvent,
    CompletionRequest,
    ImageRequest,
    MadeImage,
    Provider,
    ProviderSettings,
    Turn,
    makes_no_images,
)
from palaver.domain.tokens import PROMPT_OVERHEAD_TOKENS, estimate_tokens, estimate_turn_tokens
from palaver.kit.text import fold

MODEL: Final = "demo"
CONTEXT_TOKENS: Final = 32_768
MAX_QUOTES: Final = 3
MAX_QUOTE_LENGTH: Final = 400
MAX_ECHO_LENGTH: Final = 120

_WORD: Final = re.compile(r"\w+")
_SENTENCE_END: Final = re.compile(r"(?<=[.!?])\s+|\n+|(?<=[\u3002\uff01\uff1f])")
_PIECE: Final = re.compile(r"\s*\S+\s*$|\s*\S+")  # a word with the space before it


def build(settings: ProviderSettings) -> Provider:
    """Return the demo."""
    return DemoProvider(settings)


class DemoProvider:
    """Answers without a key, a network, or any understanding."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings

    @property
    def id(self) -> str:
        """Return the name before the slash of its model."""
        return self.settings.id

    @property
    def name(self) -> str:
        """Return what people call it."""
        return self.settings.name

    @property
    def capabilities(self) -> Capabilities:
        """Return what it can do: stream."""
        return Capabilities(max_context_tokens=CONTEXT_TOKENS)

    async def close(self) -> None:
        """Do nothing: it holds no connection."""

    async def list_models(self) -> list[ListedModel]:
        """Return its one model."""
        label = "Demo (no language model)"
        return [ListedModel(MODEL, label, ModelProfile(context_tokens=CONTEXT_TOKENS, thinks=True))]

    async def make_image(self, request: ImageRequest) -> MadeImage:  # noqa: ARG002  # it makes none
        """Refuse."""
        raise makes_no_images(self.name)

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        """Answer word by word, at a pace that shows that it streams."""
        if request.model != MODEL:
            sentence = f'{self.name} has no model named "{request.model}".'
            raise ProviderError(sentence, kind=ErrorKind.MODEL_NOT_FOUND)
        text, thought = "", ""
        reason = FinishReason.STOP
        if request.thinking_tokens is not None:
            thought = think(request.turns)
            yield ReasoningDelta(thought)
        for piece in _PIECE.findall(compose(request.turns)):
            if (
                request.max_tokens is not None
                and estimate_tokens(thought + text + piece) > request.max_tokens
            ):
                reason = FinishReason.LENGTH
                break
            await asyncio.sleep(self.settings.word_delay_seconds)
            text += piece
            yield TextDelta(piece)
        prompt_tokens = sum(estimate_turn_tokens(turn.text) for turn in request.turns)
        yield UsageReported(
            prompt_tokens=prompt_tokens + PROMPT_OVERHEAD_TOKENS,
            completion_tokens=estimate_tokens(thought) + estimate_tokens(text),
            reasoning_tokens=estimate_tokens(thought),
            is_estimate=True,
        )
        yield Finished(reason)


def think(turns: Sequence[Turn]) -> str:
    """Return what the demo thinks: what it has to go by."""
    passages = len(_passages(turns))
    if not passages:
        return "No passages came with this question. I can only say what I am."
    noun = "passage" if passages == 1 else "passages"
    return (
        f"{passages} {noun} came with this question. "
        "I look for the sentences that share the most words with it."
    )


def compose(turns: Sequence[Turn]) -> str:
    """Return the demo's answer: quotes from the passages of the prompt, else what it is."""
    question = next((turn.text for turn in reversed(turns) if turn.role == "user"), "")
    if passages := _passages(turns):
        return _quote(question, passages)
    return _introduce(question)


def _passages(turns: Sequence[Turn]) -> list[Passage]:
    # Only the service writes system turns: what a question looks like does not matter.
    told = [turn.text for turn in turns if turn.role == "system"]
    return [passage for text in told for passage in parse_passages(text)]


def _quote(question: str, passages: Sequence[Passage]) -> str:
    words = _words(question)
    ranked = sorted(passages, key=lambda passage: -_likeness(words, passage.text))
    ranked = [each for each in ranked if _likeness(words, each.text)] or ranked[:1]
    quotes = "\n\n".join(
        f"> {_nearest_sentences(words, passage.text)} [{passage.index}]\n>\n> — {passage.title}"
        for passage in ranked[:MAX_QUOTES]
    )
    return (
        "I am Palaver's demo, not a language model, so I cannot put this into my own words. "
        f"These passages came with your question:\n\n{quotes}"
    )


def _introduce(question: str) -> str:
    echo = " ".join(question.split())
    if len(echo) > MAX_ECHO_LENGTH:
        echo = echo[:MAX_ECHO_LENGTH].rstrip() + "…"
    asked = f"You wrote: “{echo}” " if echo else ""
    return (
        "I am Palaver's demo: no language model, only a stand-in that shows how an answer "
        f"arrives. {asked}I did not understand it, and I cannot.\n\n"
        "For real answers, start Palaver with one of these, and choose its model:\n\n"
        "- `OPENAI_API_KEY`, `OPENROUTER_API_KEY`, `ANTHROPIC_API_KEY` or `GEMINI_API_KEY`, set to "
        "your key;\n"
        "- LM Studio or Ollama running on this computer: both are found by themselves;\n"
        "- any other server that speaks OpenAI's protocol, in the settings file."
    )


def _nearest_sentences(words: set[str], text: str) -> str:
    """Return the part of a passage that shares the most words with the question, on one line."""
    sentences = [
        line for sentence in _SENTENCE_END.split(text) if (line := " ".join(sentence.split()))
    ]
    if not sentences:
        return "(an empty passage)"
    best = max(range(len(sentences)), key=lambda at: (_likeness(words, sentences[at]), -at))
    quote = sentences[best]
    for sentence in sentences[best + 1 :]:
        if len(quote) + len(sentence) >= MAX_QUOTE_LENGTH:
            break
        quote = f"{quote} {sentence}"
    if len(quote) > MAX_QUOTE_LENGTH:
        quote = quote[:MAX_QUOTE_LENGTH].rstrip() + "…"
    return quote


def _likeness(words: set[str], text: str) -> int:
    return len(words & _words(text))


def _words(text: str) -> set[str]:
    """Return the words that tell something: the short ones are mostly grammar."""
    return {word for word in _WORD.findall(fold(text)) if len(word) > 3 or not word.isascii()}
