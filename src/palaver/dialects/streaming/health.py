"""The chapter "Health"."""

from starlette.responses import Response

from palaver.dialects.streaming import wire
from palaver.web.answers import json_answer
from palaver.web.call import Call


async def check(call: Call) -> wire.Health:  # noqa: ARG001  # every handler is given its call
    """Say that the server answers. Contract: "Health Check"."""
    return wire.Health("healthy")


async def version(call: Call) -> wire.Version:
    """Return which version this is. Contract: "Version"."""
    return wire.Version(call.settings.version)


async def check_deeply(call: Call) -> wire.DeepHealth | Response:
    """Say whether the database answers as well; 503 when it does not. Beyond the document."""
    db = await call.services.health.database(call.actor)
    if db.ok:
        return wire.DeepHealth("healthy", db)
    return json_answer(wire.DeepHealth("unhealthy", db), 503)
