"""Why an OpenAI-compatible server gave no answer, told apart and put into sentences."""

import math
import re
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.providers.transport import PassingError

MAX_MESSAGE_LENGTH: Final = 300
_LONGEST_RETRY_AFTER_SECONDS: Final = 86_400
_NO_CREDIT: Final = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_NO_MODEL: Final = re.compile(
    r"model\b.{0,200}\b(not found|does not exist|not exist|not loaded|unknown)"
    r"|(invalid|unknown|no such|not a valid) model",
    re.IGNORECASE | re.DOTALL,
)
_NOT_TAKEN: Final = re.compile(
    r"unsupported|not supported|does not support|unrecognized|unknown|unexpected|not permitted"
    r"|not allowed|cannot both|deprecated|extra (inputs|fields)",
    re.IGNORECASE,
)
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
        return Refusal(message=_readable(body))
    given: dict[str, Any] = body
    code = given.get("code")
    is_status = isinstance(code, int) and 400 <= code < 600
    return Refusal(
        message=_readable(given.get("message") or given.get("detail") or given.get("msg")),
        code="" if isinstance(code, int) else _readable(code) or _readable(given.get("type")),
        param=_readable(given.get("param")),
        status=code if is_status else None,
    )


def rejected_field(status: int, refusal: Refusal, sent: Mapping[str, object]) -> str | None:
    """Return the field of the request that a server says it does not know or take, if any."""
    if status not in (400, 422) or not _NOT_TAKEN.search(f"{refusal.code} {refusal.message}"):
        return None
    if refusal.param in _OPTIONAL:
        return refusal.param if refusal.param in sent else None
    # "… 'max_tokens' is not supported, use 'max_completion_tokens'": what comes first is meant.
    words = re.findall(r"[a-z]+_[a-z_]+|temperature", refusal.message)
    return next((word for word in words if word in _OPTIONAL and word in sent), None)


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
    name = settings.name
    said = _said(refusal, settings)
    if model is not None and _names_no_model(status, refusal):
        return ProviderError(
            f'{name} has no model named "{model}".', kind=ErrorKind.MODEL_NOT_FOUND
        )
    if status is None:
        return ProviderError(f"{name} reports an error{said}")
    if refusal.code in _NO_CREDIT or status == 402:
        return ProviderError(f"{name} has no credit left for this account{said}")
    if status in (401, 403):
        return ProviderError(_key_sentence(settings, status, said))
    if status in (429, 529) or (status == 503 and retry_after_seconds is not None):
        return ProviderError(
            f"{name} has too much to do at the moment{said}",
            kind=ErrorKind.PROVIDER_OVERLOADED,
            retry_after_seconds=retry_after_seconds,
        )
    if status == 404:
        detail = f" ({said[2:]})" if refusal.message else ""
        return ProviderError(f"{name} has no such address{detail}: is its base URL right?")
    if status in (408, 500, 502, 503, 504):
        return PassingError(f"{name} failed with status {status}{said}")
    if 300 <= status < 400:
        return ProviderError(f"{name} has moved (status {status}): its base URL is not right.")
    return ProviderError(f"{name} refused the request with status {status}{said}")


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return what `Retry-After` asks for (RFC 9110: seconds or a date), at least 1."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(text).timestamp() - time.time()
        except (ValueError, OverflowError):
            return None
    if math.isnan(seconds):
        return None
    return math.ceil(min(max(seconds, 1), _LONGEST_RETRY_AFTER_SECONDS))


def _key_sentence(settings: ProviderSettings, status: int, said: str) -> str:
    setting = settings.key_setting
    if settings.api_key is None:
        return f"{settings.name} wants a key" + (f": set {setting}." if setting else ".")
    if status == 401:
        # What the provider says here may quote the key.
        return f"{settings.name} refused the key" + (f": check {setting}." if setting else ".")
    where = f" with the key in {setting}" if setting else ""
    return f"{settings.name} does not allow this{where}{said}"


def _names_no_model(status: int | None, refusal: Refusal) -> bool:
    if refusal.code == "model_not_found":
        return True
    return status in (None, 400, 404) and _NO_MODEL.search(refusal.message) is not None


def _said(refusal: Refusal, settings: ProviderSettings) -> str:
    """Return the end of a sentence that quotes the provider, never with the key in it."""
    message = refusal.message
    if settings.api_key:
        message = message.replace(settings.api_key, "[key]")
    if len(message) > MAX_MESSAGE_LENGTH:
        message = message[:MAX_MESSAGE_LENGTH].rstrip() + "…"
    return f": {message}" if message else "."


def _readable(value: object) -> str:
    """Return any value as one line of text that can be stored and shown."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text[:4_000]).split())
