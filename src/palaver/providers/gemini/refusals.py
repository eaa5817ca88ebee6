"""Why Gemini gave no answer, told apart and put into sentences.

Shapes: https://cloud.google.com/apis/design/errors.
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.providers import failures
from palaver.providers.failures import readable
from palaver.providers.gemini.wire import Withheld
from palaver.providers.transport import PassingError

_STATUSES: Final[Mapping[str, int]] = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "RESOURCE_EXHAUSTED": 429,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_BAD_KEY: Final = re.compile(r"API key (not valid|not found|expired)", re.IGNORECASE)
_NO_MODEL: Final = re.compile(
    r"\bmodels?\b.{0,200}\b(not found|not exist|no longer available)|unexpected model name",
    re.IGNORECASE | re.DOTALL,
)
_NO_CREDIT: Final = re.compile(
    r"\blimit: 0\b|credits? (is|are) depleted|spending (cap|limit)", re.IGNORECASE
)


class Refusal(msgspec.Struct, frozen=True):
    """What an error's body says; every field may be missing there."""

    message: str = ""
    code: int | None = None
    status: str = ""  # such as RESOURCE_EXHAUSTED
    reason: str = ""  # such as API_KEY_INVALID
    retry_after_seconds: int | None = None


def parse(body: Any) -> Refusal:
    """Return what an error says: an object, or a list of one where a stream should be."""
    if isinstance(body, bytes):
        try:
            body = msgspec.json.decode(body)
        except (ValueError, RecursionError):
            text = body.decode("utf-8", "replace")
            # The page that a proxy makes of an error is nothing for a sentence.
            body = "" if text.lstrip().startswith("<") else text
    if isinstance(body, list) and body:
        body = body[0]
    if isinstance(body, dict) and body.get("error"):
        body = body["error"]
    if not isinstance(body, dict):
        return Refusal(message=readable(body))
    given: dict[str, Any] = body
    code = given.get("code")
    details = given.get("details")
    details = [it for it in details if isinstance(it, dict)] if isinstance(details, list) else []
    return Refusal(
        message=readable(given.get("message")),
        code=code if isinstance(code, int) and 400 <= code < 600 else None,
        status=readable(given.get("status")),
        reason=next((readable(it["reason"]) for it in details if it.get("reason")), ""),
        retry_after_seconds=next(
            (_seconds(it["retryDelay"]) for it in details if it.get("retryDelay")), None
        ),
    )


def status_of(refusal: Refusal) -> int | None:
    """Return the status that an error within a stream would have had, if that can be told."""
    return refusal.code or _STATUSES.get(refusal.status)


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
    pause = refusal.retry_after_seconds or retry_after_seconds
    # A wrong key is an invalid argument here, as a wrong number is.
    if refusal.reason == "API_KEY_INVALID" or _BAD_KEY.search(message):
        return failures.key_refused(settings, knows_key=False)
    if model is not None and status in (None, 400, 404) and _NO_MODEL.search(message):
        return failures.no_model(settings, model)
    if status == 429 and _NO_CREDIT.search(message):
        return failures.no_credit(settings, message)
    if status == 503 and refusal.status == "UNAVAILABLE":
        return failures.overloaded(settings, message, retry_after_seconds=pause)
    if status == 504:
        said = failures.quoted(message, settings)
        sentence = f"{settings.name} did not come to an end in time{said}"
        return ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT)
    return failures.of_status(settings, status, message, retry_after_seconds=pause)


def withheld(settings: ProviderSettings, it: Withheld) -> ProviderError:
    """Return the error of an answer that Gemini itself has stopped."""
    name = settings.name
    said = failures.quoted(readable(it.message), settings)
    reason = readable(it.reason)
    if it.is_prompt:
        return ProviderError(f"{name} does not answer this: its filters block it ({reason}){said}")
    if it.is_filter:
        return ProviderError(f"{name} gave no answer: its filters stopped it ({reason}){said}")
    return PassingError(f"{name} broke its answer off ({reason}){said}")


def _seconds(delay: object) -> int | None:
    """Return a duration as Google writes it, such as "34.07s", in whole seconds."""
    try:
        seconds = float(str(delay).removesuffix("s"))
    except ValueError:
        return None
    return None if math.isinf(seconds) else failures.whole_seconds(seconds)
