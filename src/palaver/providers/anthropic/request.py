"""What Anthropic is asked: turns, thinking and search in the words of its Messages API.

Shapes: https://platform.claude.com/docs/en/api/messages/create.
"""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any, Final

from palaver.domain.providers import CompletionRequest, Turn
from palaver.domain.thinking import LEAST_THINKING_TOKENS
from palaver.providers.anthropic.facts import Facts
from palaver.providers.bodies import Inlined
from palaver.providers.turns import told_and_said

DEFAULT_MAX_TOKENS: Final = 4_096
"""The API wants a cap; every model that it still serves takes this one."""
MOST_SEARCHES: Final = 5
"""Of the web, within one answer: each costs, and five find what there is."""
_MEDIUM_EFFORT_TOKENS: Final = 4_096
_HIGH_EFFORT_TOKENS: Final = 12_288
_LEFT_OUT: Final = "[…]"  # stands for the turns before a history that begins with an answer
_CACHED: Final = {"type": "ephemeral"}


def compose(
    request: CompletionRequest,
    *,
    streams: bool,
    facts: Facts,
    refused: frozenset[str],
    so_far: Sequence[dict[str, Any]] = (),
    spent_tokens: int = 0,
) -> dict[str, Any]:
    """Return the body of a request.

    `so_far` is the content of an answer that was paused to be gone on with, `spent_tokens` what it
    has used of its cap.
    """
    max_tokens = cap_of(request, facts) - spent_tokens
    told, said = told_and_said(request.turns)
    messages = _messages(said, request.images)
    begins = bool(messages) and messages[-1]["role"] == "assistant"
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": max_tokens,
        "messages": messages,
        "stream": streams,
        **_thought(request, max_tokens, facts, refused, begins=begins),
    }
    if system := [_text(turn.text) for turn in told if turn.text.strip()]:
        body["system"] = system
    if "thinking" not in body or body["thinking"]["type"] == "disabled":
        body |= _sampling(request, facts)
    if request.user:
        body["metadata"] = {"user_id": request.user}
    if request.searches_web:
        tool = {"type": "web_search_20250305", "name": "web_search", "max_uses": MOST_SEARCHES}
        body["tools"] = [tool]
    if "cache_control" not in refused:
        _mark_what_comes_again(request.turns, body)
    if so_far:
        messages.append({"role": "assistant", "content": list(so_far)})
    return {name: value for name, value in body.items() if name not in refused}


def cap_of(request: CompletionRequest, facts: Facts) -> int:
    """Return how long the answer may be in all: never above what the model takes."""
    most = facts.max_answer_tokens
    cap = request.max_tokens or most or DEFAULT_MAX_TOKENS
    return min(cap, most) if most else cap


def trimmed_of(request: CompletionRequest) -> str:
    """Return the space at the end of a given beginning: the API refuses it, so it is left out."""
    if request.turns and request.turns[-1].role == "assistant":
        text = request.turns[-1].text
        return text[len(text.rstrip()) :]
    return ""


def _messages(turns: Sequence[Turn], images: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Return what was said, by turns: neighbours of one role become one message."""
    messages: list[dict[str, Any]] = []
    last = len(turns) - 1
    for at, turn in enumerate(turns):
        is_beginning = at == last and turn.role == "assistant"
        text = turn.text.rstrip() if is_beginning else turn.text
        if not (content := _content(turn, images, text=text)):
            continue
        if messages and messages[-1]["role"] == turn.role:
            messages[-1]["content"] += content
        else:
            messages.append({"role": turn.role, "content": content})
    if not messages or messages[0]["role"] == "assistant":
        messages.insert(0, {"role": "user", "content": [_text(_LEFT_OUT)]})
    return messages


def _content(turn: Turn, images: Mapping[str, bytes], *, text: str) -> list[dict[str, Any]]:
    """Return the blocks of a turn: pictures first, as the documentation advises."""
    content: list[dict[str, Any]] = [
        {
            "type": "image",
            "source": {
                "type": "base64",
                "media_type": image.media_type,
                "data": Inlined(images[image.name]),
            },
        }
        for image in turn.images
        if image.name in images
    ]
    if text.strip():  # the API refuses a text of nothing but space
        content.append(_text(text))
    return content


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _thought(
    request: CompletionRequest,
    max_tokens: int,
    facts: Facts,
    refused: frozenset[str],
    *,
    begins: bool,
) -> dict[str, Any]:
    """Return what tells the model to think, or not to; nothing where that goes without saying."""
    budget = min(request.thinking_tokens or 0, max_tokens - 1)
    # A given beginning of an answer is taken only from those that do not think first.
    if budget >= LEAST_THINKING_TOKENS and not begins:
        for way in facts.ways_to_think:
            if f"thinking:{way}" in refused:
                continue
            if way == "enabled":
                return {"thinking": {"type": way, "budget_tokens": budget}}
            return {
                # Newer models send their thoughts only if asked to.
                "thinking": {"type": way, "display": "summarized"},
                **_effort(_effort_of(budget), refused),
            }
    if not facts.thinks_unasked:
        return {}
    if facts.can_be_stopped and "thinking:disabled" not in refused:
        return {"thinking": {"type": "disabled"}}
    return _effort("low", refused)


def _effort_of(budget: int) -> str:
    """Return the level that comes nearest to a budget: those who take one know no other measure."""
    if budget >= _HIGH_EFFORT_TOKENS:
        return "high"
    return "medium" if budget >= _MEDIUM_EFFORT_TOKENS else "low"


def _effort(level: str, refused: frozenset[str]) -> dict[str, Any]:
    return {} if "effort" in refused else {"output_config": {"effort": level}}


def _sampling(request: CompletionRequest, facts: Facts) -> dict[str, float]:
    """Return temperature or top_p: the newer models refuse both at once, the newest refuse each."""
    if not facts.takes_sampling:
        return {}
    temperature = request.temperature
    if temperature is not None:
        temperature = min(max(temperature, 0.0), 1.0)
    if request.top_p is not None and temperature in (None, 1.0):  # 1 is what they do anyway
        return {"top_p": request.top_p}
    return {} if temperature is None else {"temperature": temperature}


def _mark_what_comes_again(turns: Sequence[Turn], body: dict[str, Any]) -> None:
    """Have the prompt cached up to where the next question is likely to send the same.

    Writing to the cache costs a quarter more, reading from it a tenth, within five minutes. So what
    pays is: the first thing that the model is told, which every question repeats; and what was
    said, once a conversation goes on, up to what was found for one question alone (the further
    system turns).
    """
    system = body.get("system")
    if system:
        system[0]["cache_control"] = _CACHED
    goes_on = any(turn.role == "assistant" for turn in turns[:-1])
    if goes_on and (not system or len(system) == 1):
        messages = body["messages"]
        asked = max(at for at, message in enumerate(messages) if message["role"] == "user")
        if _is_told_more(turns):
            asked -= 1
        messages[asked]["content"][-1]["cache_control"] = _CACHED


def _is_told_more(turns: Sequence[Turn]) -> bool:
    """Tell whether the model is told something with the newest question."""
    asked = turns[:-1] if turns[-1].role == "assistant" else turns
    newest = takewhile(lambda turn: turn.role != "assistant", reversed(asked))
    return any(turn.role == "system" for turn in newest)
