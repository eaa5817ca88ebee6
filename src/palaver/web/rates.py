"""Rate limits of a contract: each request is counted, and every answer tells what is left."""

from collections.abc import Mapping
from typing import Final

from starlette.responses import Response

from palaver.domain.users import Actor
from palaver.kit.clock import SECOND
from palaver.web.call import Call

RATE_HEADERS: Final[Mapping[str, str]] = {
    "X-RateLimit-Limit": "Requests that the tighter one of the limits allows.",
    "X-RateLimit-Remaining": "How many of them are left.",
    "X-RateLimit-Reset": "When it begins anew: seconds since the epoch.",
}


async def count_request(call: Call) -> None:
    """Count a request of somebody who may make it. Raises `DomainError` (`RATE_LIMITED`)."""
    call.allowance = await call.services.rates.count(call.actor)


async def show_allowance(call: Call, response: Response) -> None:
    """Tell what is left; whoever was refused before their request counted is told as well."""
    allowance = call.allowance
    if allowance is None:
        actor = call.actor if call.actor.user_id is not None else Actor.anonymous(call.client)
        allowance = await call.services.rates.standing(actor)
    if allowance is not None:
        values = (allowance.limit, allowance.remaining, allowance.reset_at // SECOND)
        for name, value in zip(RATE_HEADERS, values, strict=True):
            response.headers[name] = str(value)
