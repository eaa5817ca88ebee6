"""Why Anthropic gave no answer, told apart.

Source: https://platform.claude.com/docs/en/api/errors.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from palaver.domain.errors import ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.providers.failures import (
    no_credit,
    no_model,
    of_status,
    quoted,
    readable,
)

_STATUSES: Final[Mapping[str, int]] = {
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""What an error within a stream would have had as its status."""

_NO_CREDIT: Final = re.compile(r"credit balance|spend limit", re.IGNORECASE)
_NO_MODEL: Final = re.compile(r"\bmodel\b", re.IGNORECASE)
_TOO_LONG: Final = re.compile(
    r"prompt is too long|exceeds? (the )?(context|maximum)", re.IGNORECASE
)
_NOT_TAKEN: Final = re.compile(
    r"not support|unsupported|not permitted|not allowed|deprecated|cannot|does not match"
    r"|unknown|unexpected|unrecognized",
    re.IGNORECASE,
)
_OPTIONAL: Final = re.compile(
    r"cache_control|thinking|effort|output_config|temperature|top_p|metadata"
)


class Refusal(msgspec.Struct, frozen=True):
    """What an error's body says; every field may be missing there."""

    message: str = ""
    type: str = ""


def parse(body: Any) -> Refusal:
    """Return what an error says: in Anthropic's form, or in that of whoever stands before it."""
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
        return Refusal(readable(body))
    return Refusal(readable(body.get("message")), readable(body.get("type")))


def rejected_field(status: int, refusal: Refusal, sent: Mapping[str, Any]) -> str | None:
    """Return what of a request a model says it does not take, if anything.

    It is the name of a field, or a way to think as `thinking:adaptive`.
    """
    if status != 400 or not _NOT_TAKEN.search(refusal.message):
        return None
    for field in _OPTIONAL.findall(refusal.message):
        # "… use "thinking.type.adaptive" and "output_config.effort"": what comes first is meant.
        if field == "thinking" and "thinking" in sent:
            return f"thinking:{sent['thinking']['type']}"
        if field in ("effort", "output_config") and "output_config" in sent:
            return "effort"
        if field == "cache_control" or field in sent:
            return str(field)
    return None


def status_of(refusal: Refusal) -> int | None:
    """Return the status that an error within a stream would have had, if that can be told."""
    return _STATUSES.get(refusal.type)


def failure(
    settings: ProviderSettings,
    status: int | None,
    refusal: Refusal,
    *,
    model: str | None = None,
    retry_after_seconds: int | None = None,
) -> ProviderError:
    """Return the error of a refused request, or of one that broke in the middle."""
    message = refusal.message
    if model is not None and status == 404 and _NO_MODEL.search(message):
        return no_model(settings, model)
    if status == 400 and _NO_CREDIT.search(message):
        return no_credit(settings, message)
    if status == 400 and _TOO_LONG.search(message):
        said = quoted(message, settings)
        return ProviderError(f"This is more than the model of {settings.name} can hold{said}")
    if status == 413:
        said = quoted(message, settings)
        return ProviderError(f"{settings.name} does not take a request of this size{said}")
    return of_status(settings, status, message, retry_after_seconds=retry_after_seconds)
