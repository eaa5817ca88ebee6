"""What an OpenAI-compatible server is asked, in the words that it and the model take.

There are as many ways to say "think" as there are servers. Each is told what it is known to take;
where a server refuses a field, or a value of one, the next best is tried and remembered, so that a
model is asked only once in vain.

Facts: https://platform.openai.com/docs/guides/reasoning,
https://openrouter.ai/docs/use-cases/reasoning-tokens, https://docs.vllm.ai ("Reasoning Outputs"),
https://docs.ollama.com/api/openai-compatibility, https://api-docs.deepseek.com ("Thinking Mode").
"""

import enum
import re
from collections.abc import Collection, Iterator, Mapping, Sequence, Set
from itertools import groupby
from typing import Any, Final
from urllib.parse import urlsplit

from palaver.domain.profiles import profile_by_name
from palaver.domain.providers import CompletionRequest, ImageRequest, ProviderSettings, Turn
from palaver.providers.bodies import Inlined
from palaver.providers.habits import Habits
from palaver.providers.openai import refusals
from palaver.providers.turns import told_and_said

_TOKEN_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_IMAGE_WORDS: Final = (["image", "text"], ["image"])
_LONG_ANSWER: Final = 32_768
"""A cap beyond it is none: thinking has a share of what an answer takes."""
_LEAST_EFFORTS: Final = tuple(
    (re.compile(pattern), efforts)
    for pattern, efforts in (
        (r".*-pro(-|$)", ()),  # they know but one, and it is high
        (r"gpt-6-astra", ("low",)),
        (r"gpt-5\.[1-9]|gpt-[6-9]", ("none", "low")),
        (r"gpt-5", ("minimal", "low")),
        (r"", ("low",)),
    )
)
"""What OpenAI's models can be told at least, best first."""
_SWITCHED: Final = ("deepseek.com", "z.ai", "bigmodel.cn", "moonshot.ai", "moonshot.cn")
"""Hosts that switch thinking on and off by a field of their own."""
_B64_ALWAYS: Final = re.compile(r"(?:.*/)?(chat)?gpt-image")


class Server(enum.Enum):
    """Who it is that speaks the protocol: those who are spoken to in their own way."""

    OPENAI = enum.auto()
    OPENROUTER = enum.auto()
    SWITCHED = enum.auto()
    OTHER = enum.auto()

    @classmethod
    def at(cls, base_url: str) -> "Server":
        """Return who is at an address."""
        host = f".{urlsplit(base_url).hostname or ''}"
        if host.endswith(".openrouter.ai"):
            return cls.OPENROUTER
        if host.endswith((".openai.com", ".openai.azure.com")):
            return cls.OPENAI
        return cls.SWITCHED if host.endswith(tuple(f".{name}" for name in _SWITCHED)) else cls.OTHER


class Wording:
    """Words the requests to one server, and learns what its models refuse to be told."""

    def __init__(self, settings: ProviderSettings) -> None:
        self.settings = settings
        self.server = Server.at(settings.base_url)
        self.thinkers: Collection[str] = ()  # models that the server itself lists as such
        # OpenAI's reasoning models refuse the older name, all others may not know the newer one.
        is_openai = self.server is Server.OPENAI
        self._token_limit = settings.max_tokens_field or _TOKEN_LIMITS[is_openai]
        self.habits = Habits()  # fields, and `field=value`

    def body(self, request: CompletionRequest) -> dict[str, object]:
        """Return the body of a request for an answer."""
        rejected = self.habits.refused(request.model)
        token_limit = self._token_limit
        if token_limit in rejected:
            token_limit = _TOKEN_LIMITS[token_limit == _TOKEN_LIMITS[0]]
        streams = self.settings.streams
        thinking = self._thinking(request, rejected)
        samples = self._takes_samplings(request, thinking)
        body: dict[str, object] = {
            "model": request.model,
            "messages": self._messages(request),
            "stream": streams,
            "stream_options": {"include_usage": True} if streams else None,
            token_limit: request.max_tokens,
            "temperature": request.temperature if samples else None,
            "top_p": request.top_p if samples else None,
            "user": request.user,
            "usage": {"include": True} if self.server is Server.OPENROUTER else None,
            **thinking,
            **(self._search() if request.searches_web else {}),
        }
        return {
            name: value
            for name, value in body.items()
            if value is not None and (name not in rejected or name == token_limit)
        }

    def image_body(self, request: ImageRequest) -> dict[str, object]:
        """Return the body of a request for a picture."""
        rejected = self.habits.refused(request.model)
        body: dict[str, object] = {"model": request.model, "user": request.user}
        if self.server is Server.OPENROUTER:
            body |= {
                "messages": [{"role": "user", "content": request.prompt}],
                "modalities": _untried("modalities", _IMAGE_WORDS, rejected),
                "usage": {"include": True},
            }
        else:
            body |= {"prompt": request.prompt, "n": 1}
            if not _B64_ALWAYS.match(request.model):
                body["response_format"] = "b64_json"
        return {
            name: value
            for name, value in body.items()
            if value is not None and name not in rejected
        }

    def _messages(self, request: CompletionRequest) -> list[dict[str, object]]:
        """Return the turns as the server takes them: many templates of models are strict.

        They take one system turn, at the beginning, and then the user and the model by turns; and
        OpenRouter asks whoever has the model. The vendors' own servers take one anywhere, where it
        has more weight than what a user says.
        """
        told, said = told_and_said(request.turns)
        if self.server in (Server.OPENAI, Server.SWITCHED):
            groups = [[turn] for turn in request.turns[len(told) :]]
        else:
            groups = [list(turns) for _, turns in groupby(said, key=lambda turn: turn.role)]
        return [_message(turns, request.images) for turns in (told, *groups) if turns]

    def _thinking(self, request: CompletionRequest, rejected: Collection[str]) -> dict[str, Any]:
        """Return how to say that the model is to think, or that it is not to."""
        budget = request.thinking_tokens
        if budget is None and not self._thinks(request.model):
            return {}
        ways = self._ways_not_to_think(request.model)
        if budget is not None:
            effort = _effort(budget, request.max_tokens)
            ways = self._ways_to_think(budget, effort)
        return {field: _untried(field, values, rejected) for field, values in ways.items()}

    def _ways_to_think(self, budget: int, effort: str) -> Mapping[str, Sequence[object]]:
        match self.server:
            case Server.OPENROUTER:
                budgeted = {"max_tokens": budget}
                return {"reasoning": (budgeted, {"effort": effort}, {"enabled": True})}
            case Server.OPENAI:
                return {"reasoning_effort": (effort, "high")}
            case Server.SWITCHED:
                return {"thinking": ({"type": "enabled"},), "reasoning_effort": (effort, "high")}
            case Server.OTHER:
                return {
                    "reasoning_effort": (effort, "high"),
                    "chat_template_kwargs": ({"enable_thinking": True, "thinking": True},),
                }

    def _ways_not_to_think(self, model: str) -> Mapping[str, Sequence[object]]:
        """Return how to say it; who cannot be told not to is told to think little."""
        match self.server:
            case Server.OPENROUTER:
                return {"reasoning": ({"effort": "none"}, {"effort": "low"})}
            case Server.OPENAI:
                efforts = (efforts for name, efforts in _LEAST_EFFORTS if name.match(model))
                return {"reasoning_effort": next(efforts)}
            case Server.SWITCHED:
                return {"thinking": ({"type": "disabled"},)}
            case Server.OTHER:
                return {
                    "reasoning_effort": ("none", "low"),
                    "chat_template_kwargs": ({"enable_thinking": False, "thinking": False},),
                }

    def _thinks(self, model: str) -> bool:
        return model in self.thinkers or profile_by_name(model).thinks

    def _takes_samplings(self, request: CompletionRequest, thinking: Mapping[str, Any]) -> bool:
        """Tell whether temperature and top_p are worth sending: models that think refuse them."""
        if self.server is Server.OPENAI:
            profile = profile_by_name(request.model)
            is_thinking = profile.thinks and thinking.get("reasoning_effort") != "none"
            return not (is_thinking or profile.searches)
        return request.thinking_tokens is None or "claude" not in request.model

    def _search(self) -> dict[str, object]:
        # The plugin searches once for every question, with every model; OpenRouter's server tool
        # leaves both to the model, which was not asked.
        if self.server is Server.OPENROUTER:
            return {"plugins": [{"id": "web"}]}
        return {"web_search_options": {}}


def rejected(
    status: int, refusal: refusals.Refusal, sent: Mapping[str, object], *, known: Set[str]
) -> str | None:
    """Return what a model says that it does not take, as `Wording.habits` keeps it, if anything.

    A cap on the answer is never left out: it is what was reserved. It has two names.
    """
    field = refusals.rejected_field(status, refusal, sent)
    if field in _TOKEN_LIMITS and not known.isdisjoint(_TOKEN_LIMITS):
        return None
    if field == "modalities" or (
        field in refusals.WAYS_TO_THINK and refusals.rejects_value_alone(refusal)
    ):
        return _said(field, sent[field])
    return field


def _message(turns: Sequence[Turn], images: Mapping[str, bytes]) -> dict[str, object]:
    """Return turns of one role as one message."""
    content: str | list[dict[str, object]]
    if any(turn.images for turn in turns):
        content = [part for turn in turns for part in _parts(turn, images)]
    else:
        content = "\n\n".join(turn.text for turn in turns if turn.text)
    return {"role": turns[0].role, "content": content}


def _parts(turn: Turn, images: Mapping[str, bytes]) -> Iterator[dict[str, object]]:
    if turn.text:
        yield {"type": "text", "text": turn.text}
    for image in turn.images:
        url = Inlined(images[image.name], before=f"data:{image.media_type};base64,")
        yield {"type": "image_url", "image_url": {"url": url}}


def _effort(thinking_tokens: int, max_tokens: int | None) -> str:
    """Return the word for a share of the answer's cap: a third, two thirds, or more of it."""
    thirds = 3 * thinking_tokens / min(max_tokens or _LONG_ANSWER, _LONG_ANSWER)
    return "low" if thirds <= 1 else "medium" if thirds <= 2 else "high"


def _untried(field: str, values: Sequence[object], rejected: Collection[str]) -> object:
    """Return the first value that the model has not refused, None where it has refused all."""
    return next((value for value in values if _said(field, value) not in rejected), None)


def _said(field: str, value: object) -> str:
    """Return how a refused value is remembered: a budget by its name, whatever its size."""
    return f"{field}={'max_tokens' if isinstance(value, dict) and 'max_tokens' in value else value}"
