"""Why a provider gave no answer, put into sentences: what is the same in every protocol."""

import math
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.providers import ProviderSettings
from palaver.providers.transport import PassingError

MAX_MESSAGE_LENGTH: Final = 300
_LONGEST_RETRY_AFTER_SECONDS: Final = 86_400


def no_model(settings: ProviderSettings, model: str) -> ProviderError:
    """Return the refusal of a model that a provider does not have."""
    sentence = f'{settings.name} has no model named "{model}".'
    return ProviderError(sentence, kind=ErrorKind.MODEL_NOT_FOUND)


def no_credit(settings: ProviderSettings, message: str) -> ProviderError:
    """Return the refusal of an account that has to pay first."""
    said = quoted(message, settings)
    return ProviderError(f"{settings.name} has no credit left for this account{said}")


def overloaded(
    settings: ProviderSettings, message: str, *, retry_after_seconds: int | None
) -> ProviderError:
    """Return the refusal of a provider that may take the same request later."""
    return ProviderError(
        f"{settings.name} has too much to do at the moment{quoted(message, settings)}",
        kind=ErrorKind.PROVIDER_OVERLOADED,
        retry_after_seconds=retry_after_seconds,
    )


def key_refused(settings: ProviderSettings, message: str = "", *, knows_key: bool) -> ProviderError:
    """Return the refusal of a key, or of what it does not allow, with the name of its setting."""
    setting = settings.key_setting
    if settings.api_key is None:
        return ProviderError(
            f"{settings.name} wants a key" + (f": set {setting}." if setting else ".")
        )
    if not knows_key:
        # What the provider says here may quote the key.
        check = f": check {setting}." if setting else "."
        return ProviderError(f"{settings.name} refused the key{check}")
    where = f" with the key in {setting}" if setting else ""
    return ProviderError(f"{settings.name} does not allow this{where}{quoted(message, settings)}")


def of_status(
    settings: ProviderSettings,
    status: int | None,
    message: str,
    *,
    retry_after_seconds: int | None = None,
) -> ProviderError:
    """Return the error that a status means everywhere; None = one that came without any."""
    name, said = settings.name, quoted(message, settings)
    match status:
        case None:
            return ProviderError(f"{name} reports an error{said}")
        case 401 | 403:
            return key_refused(settings, message, knows_key=status == 403)
        case 402:
            return no_credit(settings, message)
        case 404:
            detail = f" ({said[2:]})" if message else ""
            return ProviderError(f"{name} has no such address{detail}: is its base URL right?")
        case 429 | 529:
            return overloaded(settings, message, retry_after_seconds=retry_after_seconds)
        case 503 if retry_after_seconds is not None:
            return overloaded(settings, message, retry_after_seconds=retry_after_seconds)
        case 408 | 500 | 502 | 503 | 504:
            return PassingError(f"{name} failed with status {status}{said}")
        case _ if 300 <= status < 400:
            return ProviderError(f"{name} has moved (status {status}): its base URL is not right.")
    return ProviderError(f"{name} refused the request with status {status}{said}")


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """Return what `Retry-After` asks for (RFC 9110: seconds or a date), at least 1."""
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    try:
        return whole_seconds(float(text))
    except ValueError:
        pass
    try:
        return whole_seconds(parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return None


def whole_seconds(seconds: float) -> int | None:
    """Return a pause that was asked for in whole seconds: from 1 to a day; None for NaN."""
    if math.isnan(seconds):
        return None
    return math.ceil(min(max(seconds, 1), _LONGEST_RETRY_AFTER_SECONDS))


def quoted(message: str, settings: ProviderSettings) -> str:
    """Return the end of a sentence that quotes the provider, never with the key in it."""
    if settings.api_key:
        message = message.replace(settings.api_key, "[key]")
    if len(message) > MAX_MESSAGE_LENGTH:
        message = message[:MAX_MESSAGE_LENGTH].rstrip() + "…"
    return f": {message}" if message else "."


def readable(value: object) -> str:
    """Return any value as one line of text that can be stored and shown."""
    if value is None:
        return ""
    text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
    text = text.encode("utf-8", "replace").decode()
    return " ".join("".join(c if c.isprintable() else " " for c in text[:4_000]).split())
