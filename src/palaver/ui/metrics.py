"""What Prometheus collects."""

from starlette.responses import Response

from palaver.kit.metrics import CONTENT_TYPE
from palaver.web.call import Call


async def show(call: Call) -> Response:
    """Show this worker's numbers, to administrators and to who may watch. No contract: ours."""
    text = await call.services.metrics.text(call.actor)
    return Response(text, headers={"content-type": CONTENT_TYPE})
