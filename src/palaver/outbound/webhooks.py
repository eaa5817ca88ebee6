"""Sends webhooks: the port, through the outbound gate."""

from collections.abc import Mapping
from typing import Final

from palaver import __version__
from palaver.domain.webhooks import Answered
from palaver.outbound.gate import Gate, Limits

LIMITS: Final = Limits(
    max_bytes=4_096,
    whole_seconds=15.0,
    connect_seconds=10.0,
    silence_seconds=15.0,
)
"""An endpoint has 15 seconds in all; of what it answers, the log keeps the beginning."""
_HEADERS: Final = {
    "Content-Type": "application/json",
    "User-Agent": f"Palaver-Webhooks/{__version__}",
}


class GatedSender:
    """Sends to addresses of the public internet, and of the operator's networks."""

    def __init__(self, gate: Gate, *, limits: Limits = LIMITS) -> None:
        self.gate = gate
        self.limits = limits

    async def check(self, url: str) -> None:
        """Raise `ProviderError` for an address to which nothing would be sent."""
        await self.gate.check(url)

    async def send(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answered:
        """Send a POST, and return its answer: a redirect as well. Raises `ProviderError`."""
        answer = await self.gate.send(
            "POST", url, headers={**_HEADERS, **headers}, body=body, limits=self.limits
        )
        text = answer.body.decode("utf-8", "replace")
        return Answered(answer.status, text, answer.headers.get("Retry-After"))

    async def close(self) -> None:
        """Give up every connection."""
        await self.gate.close()
