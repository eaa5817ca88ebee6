"""A provider that lists what a test tells it to, or fails to, or keeps silent."""

import asyncio

from palaver.domain.errors import ProviderError
from palaver.domain.models import ListedModel
from tests.fakes.provider import ScriptedProvider


class ToldProvider(ScriptedProvider):
    """`models`, `error` and `is_silent` may change at any time; `asked` counts."""

    def __init__(
        self,
        id: str,
        *names: str,
        error: ProviderError | None = None,
        is_silent: bool = False,
    ) -> None:
        super().__init__(id=id, name=id.title())
        self.models = [ListedModel(name, name.title()) for name in names]
        self.error = error
        self.is_silent = is_silent
        self.asked = 0

    async def list_models(self) -> list[ListedModel]:
        """Answer as told."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.is_silent:
            await asyncio.Event().wait()
        if self.error is not None:
            raise self.error
        return self.models
