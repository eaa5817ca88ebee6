"""A provider in this process that says exactly what a test tells it to."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass, field

from palaver.domain.events import Finished, FinishReason, TextDelta, UsageReported
from palaver.domain.models import ListedModel, ModelProfile
from palaver.domain.providers import (
    Capabilities,
    CompletionEvent,
    CompletionRequest,
    ImageRequest,
    MadeImage,
    makes_no_images,
)

HOLD = object()
"""In a script: wait until the test lets the provider go on."""


PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000010806000000f42252c0"
    "0000000e49444154789c63f8cfc0f01f8801000dfe02fe3e8a5bd40000000049454e44ae426082"
)
"""A picture of two pixels, as far as its beginning goes."""


@dataclass
class ScriptedProvider:
    """Yields each script in turn; the last one again and again. Counts how it was closed."""

    scripts: list[list[object]] = field(default_factory=list)
    id: str = "scripted"
    name: str = "Scripted"
    capabilities: Capabilities = field(default_factory=Capabilities)
    profile: ModelProfile = field(default_factory=ModelProfile)
    requests: list[CompletionRequest] = field(default_factory=list)
    pictures: list[object] = field(default_factory=list)
    asked_pictures: list[ImageRequest] = field(default_factory=list)
    closed_early: int = 0

    def __post_init__(self) -> None:
        self.go = asyncio.Event()
        self.held = asyncio.Event()

    async def list_models(self) -> list[ListedModel]:
        return [ListedModel("one", "One", self.profile), ListedModel("two", "Two", self.profile)]

    async def complete(self, request: CompletionRequest) -> AsyncGenerator[CompletionEvent, None]:
        script = self.scripts[min(len(self.requests), len(self.scripts) - 1)]
        self.requests.append(request)
        try:
            for step in script:
                if step is HOLD:
                    self.held.set()
                    await self.go.wait()
                elif isinstance(step, Exception):
                    raise step
                else:
                    yield step  # type: ignore[misc]
        except (GeneratorExit, asyncio.CancelledError):
            self.closed_early += 1
            raise

    async def make_image(self, request: ImageRequest) -> MadeImage:
        if not self.pictures:
            raise makes_no_images(self.name)
        self.asked_pictures.append(request)
        step = self.pictures[min(len(self.asked_pictures), len(self.pictures)) - 1]
        try:
            if step is HOLD:
                self.held.set()
                await self.go.wait()
                step = MadeImage(PNG)
        except asyncio.CancelledError:
            self.closed_early += 1
            raise
        if isinstance(step, Exception):
            raise step
        assert isinstance(step, MadeImage)
        return step

    async def close(self) -> None:
        pass


def words(*texts: str, usage: UsageReported | None = None) -> list[object]:
    """Return the script of an answer that ends well."""
    said: list[object] = [TextDelta(text) for text in texts]
    if usage is not None:
        said.append(usage)
    return [*said, Finished(FinishReason.STOP)]


def said_by(events: Iterable[object]) -> str:
    """Return the text of a script."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))
