"""Why an OpenAI-compatible server gave no answer, told apart and put into sentences."""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.providers import failures
from palaver.providers.failures import readable

_NO_CREDIT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_NO_MODEL: Final = re.compile(
    r"model\b.{0,200}\b(not found|does not exist|not exist|not loaded|unknown)"
    r"|(invalid|unknown|no such|not a valid) model",
    re.IGNORECASE | re.DOTALL,
)
_NOT_TAKEN: Final = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown|unexpected|not permitted"
    r"|not allowed|cannot both|deprecated|extra (inputs|fields)"
    r"|mandatory|input should be|must be one of|no endpoints found that support",
    re.IGNORECASE,
)
_VALUE: Final = re.compile(
    r"unsupported_value|\bvalues?\b|literal_error|input should be|must be one of|mandatory",
    re.IGNORECASE,
)
_THINKING: Final = re.compile(r"reasoning|\bthink", re.IGNORECASE)
_THINK_VALUE: Final = re.compile(r"\bthink value\b")  # Ollama calls it a fault of its own
WAYS_TO_THINK: Final = ("reasoning_effort", "reasoning", "thinking")
_OVERLOADED: Final = re.compile(r"rate_?limit|overload|too_many|capacity", re.IGNORECASE)
_OWN_FAULT: Final = re.compile(r"server_?error|internal|api_error", re.IGNORECASE)
_OPTIONAL: Final = frozenset(
    {
        "temperature",
        "top_p",
        "stream_options",
        "usage",
        "max_tokens",
        "max_completion_tokens",
        "user",
        "chat_template_kwargs",
        *WAYS_TO_THINK,
        "modalities",
        "response_format",
    }
)


class Refusal(msgspec.Struct, frozen=True):
    """What an error's body says; every field may be missing there."""

    message: str = ""
    code: str = ""
    param: str = ""
    status: int | None = None  # errors within a stream may have one of their own


def parse(body: Any) -> Refusal:
    """Return what an error says, whatever form it has: OpenAI's, FastAPI's, or a plain text."""
    if isinstance(body, bytes):
        try:
            body = msgspec.json.decode(body)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace")
            # The page that a proxy makes of an error is nothing for a sentence.
            body = "" if text.lstrip().startswith("<") else text
    if isinstance(body, dict) and body.get("error"):
        body = body["error"]
    if not isinstance(body, dict):
        return Refusal(message=readable(body))
    given: dict[str, Any] = body
    code = given.get("code")
    is_status = isinstance(code, int) and 400 <= code < 600
    return Refusal(
        message=readable(given.get("message") or given.get("detail") or given.get("msg")),
        code="" if isinstance(code, int) else readable(code) or readable(given.get("type")),
        param=readable(given.get("param")),
        status=code if is_status else None,
    )


def rejected_field(status: int, refusal: Refusal, sent: Mapping[str, object]) -> str | None:
    """Return the field of the request that a server says it does not know or take, if any."""
    said = f"{refusal.code} {refusal.message}"
    if status not in (400, 404, 422) and not _THINK_VALUE.search(said):
        return None
    if not _NOT_TAKEN.search(said):
        return None
    if refusal.param in _OPTIONAL:
        return refusal.param if refusal.param in sent else None
    # "… 'max_tokens' is not supported, use 'max_completion_tokens'": what comes first is meant.
    words = re.findall(r"[a-z]+_[a-z_]+|temperature|thinking|modalities", refusal.message)
    field = next((word for word in words if word in _OPTIONAL and word in sent), None)
    if field is None and _THINKING.search(refusal.message):
        field = next((field for field in WAYS_TO_THINK if field in sent), None)
    return field


def rejects_value_alone(refusal: Refusal) -> bool:
    """Tell whether the field itself is known, and another value of it may be taken."""
    return _VALUE.search(f"{refusal.code} {refusal.message}") is not None


def status_of(refusal: Refusal) -> int | None:
    """Return the status that an error within a stream would have had, if that can be told."""
    if refusal.status is not None:
        return refusal.status
    if refusal.code in _NO_CREDIT:
        return 402
    if _OVERLOADED.search(refusal.code):
        return 429
    return 500 if not refusal.message or _OWN_FAULT.search(refusal.code) else None


def failure(
    settings: ProviderSettings,
    status: int | None,
    refusal: Refusal,
    *,
    model: str | None = None,
    retry_after_seconds: int | None = None,
) -> ProviderError:
    """Return the error of a refused request, or of one that broke in the middle."""
    if model is not None and _names_no_model(status, refusal):
        return failures.no_model(settings, model)
    if refusal.code in _NO_CREDIT and status is not None:
        return failures.no_credit(settings, refusal.message)
    return failures.of_status(
        settings, status, refusal.message, retry_after_seconds=retry_after_seconds
    )


def _names_no_model(status: int | None, refusal: Refusal) -> bool:
    if refusal.code == "model_not_found":
        return True
    return status in (None, 400, 404) and _NO_MODEL.search(refusal.message) is not None
