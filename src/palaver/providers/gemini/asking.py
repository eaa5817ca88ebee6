"""What Gemini is asked: a prompt in its words, and how much it may think.

Shapes: https://ai.google.dev/api/generate-content.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from palaver.domain.providers import CompletionRequest, Turn
from palaver.providers.bodies import Inlined
from palaver.providers.turns import told_and_said

SYSTEM: Final = "systemInstruction"
BEGINNING: Final = "a beginning of the answer"
_GO_ON: Final = "Go on exactly where you stopped."

_BUDGETS: Final = (
    (re.compile(r"gemini-2\.5-pro"), 128, 32_768),
    (re.compile(r"gemini-2\.5-flash-lite"), 512, 24_576),
    (re.compile(r"gemini-2\.5-"), 1, 24_576),
)
"""The 2.5 line takes a budget from the least to the most tokens."""
_LEVELS: Final = (("HIGH", 24_576), ("MEDIUM", 8_192), ("LOW", 1_024))
"""Later lines take a level. The tokens are those for which Google's own door for clients of OpenAI
puts each of them: https://ai.google.dev/gemini-api/docs/openai, "Thinking"."""
_TAKES_LEVELS: Final = re.compile(r"gemini-(?![12][.-])|gemma-[4-9]")
_CANNOT_BE_STILL: Final = re.compile(r"gemini-.*pro")
_SHOWN: Final = {"includeThoughts": True}

_ABOUT_THINKING: Final = re.compile(r"thinking|thought|budget", re.IGNORECASE)
_ABOUT_INSTRUCTIONS: Final = re.compile(r"(developer|system)[_ ]?instruction", re.IGNORECASE)
_ABOUT_BEGINNINGS: Final = re.compile(r"end(ing|s)? with a (model|user)", re.IGNORECASE)
_NOT_TAKEN: Final = re.compile(
    r"not supported|unsupported|not (allowed|enabled|permitted)|unknown name|cannot|deprecated",
    re.IGNORECASE,
)


def body(request: CompletionRequest, *, rejected: Collection[str]) -> dict[str, Any]:
    """Return a request's body, without what its model has refused to be told."""
    told, said = told_and_said(request.turns)
    contents = _contents(said, request.images)
    system = [{"text": turn.text} for turn in told if turn.text]
    sent: dict[str, Any] = {"contents": contents}
    if system and (SYSTEM in rejected or not contents):
        # Gemma knows no instructions, and nobody answers a prompt without a question.
        if not contents or contents[0]["role"] != "user":
            contents.insert(0, {"role": "user", "parts": []})
        contents[0]["parts"][:0] = system
    elif system:
        sent[SYSTEM] = {"parts": system}
    if BEGINNING in rejected and contents and contents[-1]["role"] == "model":
        contents.append({"role": "user", "parts": [{"text": _GO_ON}]})
    if request.searches_web:
        sent["tools"] = [{"google_search": {}}]
    config = {
        # Thoughts are a part of it, as they are of the request's cap.
        "maxOutputTokens": request.max_tokens,
        "temperature": request.temperature,
        "topP": request.top_p,
        "thinkingConfig": _thinking(request, rejected),
    }
    config = {
        name: value for name, value in config.items() if value is not None and name not in rejected
    }
    if config:
        sent["generationConfig"] = config
    return sent


def rejected_part(message: str, sent: Mapping[str, Any]) -> str | None:
    """Return what a model does not take of a request, by its refusal; None for any other."""
    config: Mapping[str, Any] = sent.get("generationConfig", {})
    thinking = config.get("thinkingConfig")
    if thinking is not None and _ABOUT_THINKING.search(message):
        return _key(thinking)
    if SYSTEM in sent and _ABOUT_INSTRUCTIONS.search(message):
        return SYSTEM
    if (
        sent["contents"]
        and sent["contents"][-1]["role"] == "model"
        and _ABOUT_BEGINNINGS.search(message)
    ):
        return BEGINNING
    if _NOT_TAKEN.search(message):
        names = (("temperature", r"temperature"), ("topP", r"top_?p"))
        return next(
            (name for name, word in names if name in config and re.search(word, message, re.I)),
            None,
        )
    return None


def _contents(turns: Sequence[Turn], images: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return the conversation in turns that alternate, without what is empty."""
    contents: list[dict[str, Any]] = []
    for turn in turns:
        if not (parts := _parts(turn, images)):
            continue
        role = "model" if turn.role == "assistant" else "user"
        if contents and contents[-1]["role"] == role:
            contents[-1]["parts"] += parts
        else:
            contents.append({"role": role, "parts": parts})
    return contents


def _parts(turn: Turn, images: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return pictures before what is said of them, as Google advises.

    A picture that a model made is its answer, and not a question: it is not shown again.
    """
    shown = turn.images if turn.role == "user" else ()
    parts: list[dict[str, Any]] = [
        {"inlineData": {"mimeType": image.media_type, "data": Inlined(images[image.name])}}
        for image in shown
        if image.name in images
    ]
    if turn.text:
        parts.append({"text": turn.text})
    return parts


def _thinking(request: CompletionRequest, rejected: Collection[str]) -> dict[str, Any] | None:
    if request.thinking_tokens is None:
        steps = _still(request.model)
    else:
        steps = _thoughtful(request.model, request.thinking_tokens)
    return next((step for step in steps if _key(step) not in rejected), None)


def _still(model: str) -> list[dict[str, Any]]:
    """Return how a model is told not to think, or as little as can be: best first."""
    if any(pattern.match(model) for pattern, _, _ in _BUDGETS):
        return [{"thinkingBudget": _BUDGETS[0][1] if _CANNOT_BE_STILL.match(model) else 0}]
    if not _TAKES_LEVELS.match(model):
        return []
    levels = ["LOW"] if _CANNOT_BE_STILL.match(model) else ["MINIMAL", "LOW"]
    return [{"thinkingLevel": level} for level in levels]


def _thoughtful(model: str, tokens: int) -> list[dict[str, Any]]:
    """Return how a model is told to think and to show it, within so many tokens: best first."""
    for pattern, least, most in _BUDGETS:
        if pattern.match(model):
            budget = min(max(tokens, least), most)
            return [{"thinkingBudget": budget, **_SHOWN}, _SHOWN]
    levels = [level for level, taken in _LEVELS if taken <= tokens] or ["LOW"]
    return [*({"thinkingLevel": level, **_SHOWN} for level in levels), _SHOWN]


def _key(thinking: Mapping[str, Any]) -> str:
    """Return what a model refuses with it: all budgets are one, but for 0."""
    if (budget := thinking.get("thinkingBudget")) is not None:
        return "thinkingBudget" if budget else "thinkingBudget 0"
    return f"thinkingLevel {thinking.get('thinkingLevel', '')}".rstrip()
