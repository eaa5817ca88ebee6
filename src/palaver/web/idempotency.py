"""`Idempotency-Key`: the same request, sent again, gets the first answer and does nothing."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import msgspec
from starlette.responses import Response

from palaver.domain.errors import Fault, FieldFault, InvalidInput
from palaver.services.idempotency import Attached, Fresh, Stored
from palaver.web.call import Call
from palaver.web.endpoint import Endpoint
from palaver.web.streams import EventStream

IDEMPOTENCY_KEY: Final = b"idempotency-key"
KEY_MAX_LENGTH: Final = 255
_KEPT_HEADERS: Final = ("content-type", "location")
_TOO_MANY_REQUESTS: Final = 429
_LONG: Final = 1 << 20  # bytes that take a millisecond to hash


async def once(
    call: Call,
    endpoint: Endpoint,
    key: str,
    content: bytes,
    run: Callable[[], Awaitable[Response]],
) -> Response:
    """Run a request at most once per user, route and key; `run` renders its own refusals.

    Of a stream its generation is kept, and a repeat follows that one (`call.resumes`); where there
    is none, what was sent is, once it has come to a good end.
    Raises `InvalidInput` for the key, `DomainError` (`CONFLICT` while the first is under way,
    `IDEMPOTENCY_MISMATCH` for another request).
    """
    _check_key(key)
    keys = call.services.idempotency
    begun = await keys.begin(
        call.actor,
        route=f"{endpoint.method} {endpoint.path}",
        key=key,
        body_hash=await _fingerprint(call, content),
    )
    if isinstance(begun, Stored):
        return _again(begun)
    if isinstance(begun, Attached):
        call.resumes = begun.generation_uuid
        return await run()
    # An attempt that died may have done everything but answer: what it made is found by its id.
    call.actor = msgspec.structs.replace(call.actor, repeat_key=begun.repeat_key)
    try:
        response = await run()
    except Exception:
        await keys.leave(call.actor, begun)
        raise
    await _keep(call, begun, response)
    return response


async def _keep(call: Call, fresh: Fresh, response: Response) -> None:
    keys = call.services.idempotency
    if isinstance(response, EventStream):
        if response.generation_uuid is None:
            response.keep = partial(_keep_sent, call, fresh, response)
        else:
            await keys.attach(call.actor, fresh, generation_uuid=response.generation_uuid)
    elif response.status_code == _TOO_MANY_REQUESTS:
        # It says "later", and nothing was done: the same key has to get through then.
        await keys.free(call.actor, fresh)
    else:
        await keys.finish(
            call.actor,
            fresh,
            status=response.status_code,
            headers=_kept_headers(response),
            body=bytes(response.body).decode(),
        )


async def _keep_sent(call: Call, fresh: Fresh, response: Response, sent: bytes | None) -> None:
    keys = call.services.idempotency
    if sent is None:
        await keys.leave(call.actor, fresh)
        return
    headers = _kept_headers(response)
    await keys.finish(
        call.actor, fresh, status=response.status_code, headers=headers, body=sent.decode()
    )


def _kept_headers(response: Response) -> list[tuple[str, str]]:
    return [(name, response.headers[name]) for name in _KEPT_HEADERS if name in response.headers]


def _again(stored: Stored) -> Response:
    return Response(stored.body, stored.status, headers=dict(stored.headers))


async def _fingerprint(call: Call, content: bytes) -> str:
    """Return what two requests have in common that are the same: path, query and body."""
    scope = call.request.scope
    # A path means the same with and without its last slash, where one route answers both.
    path: str = scope["path"].rstrip("/")
    head = f"{path}\n{scope['query_string'].decode('latin-1')}\n"
    found = hashlib.sha256(head.encode())
    if len(content) < _LONG:
        found.update(content)
    else:
        await asyncio.to_thread(found.update, content)
    return found.hexdigest()


def _check_key(key: str) -> None:
    if key.isascii() and key.isprintable() and 0 < len(key) <= KEY_MAX_LENGTH:
        return
    message = f"An idempotency key has 1 to {KEY_MAX_LENGTH} printable ASCII characters."
    fault = Fault.TOO_LONG if len(key) > KEY_MAX_LENGTH else Fault.WRONG_FORMAT
    limit = KEY_MAX_LENGTH if fault is Fault.TOO_LONG else None
    raise InvalidInput([FieldFault(("header", "Idempotency-Key"), fault, message, limit=limit)])
