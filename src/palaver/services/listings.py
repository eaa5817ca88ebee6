"""What a provider lists, cached: served at once, renewed in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import msgspec

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.models import ListedModel
from palaver.domain.providers import Provider
from palaver.kit.clock import MINUTE, SECOND, Clock
from palaver.kit.tasks import Tasks

log = logging.getLogger(__name__)

FRESH: Final = MINUTE
RETRY: Final = 5 * SECOND
"""How long a failure stands before the provider is asked again: it may just have been started."""
JUST_ASKED: Final = 2 * SECOND
PATIENCE_SECONDS: Final = 1.5
TIMEOUT_SECONDS: Final = 15.0
MODELS_MAX: Final = 5_000
NAME_MAX_LENGTH: Final = 300

Keep: TypeAlias = Callable[[str, Sequence[ListedModel]], Awaitable[None]]
"""Given a provider's id and its models, makes rows of them."""


class Listing:
    """One provider's list; one renewal at a time, and nobody waits for one without need."""

    def __init__(self, provider: Provider, *, keep: Keep, tasks: Tasks, clock: Clock) -> None:
        self.provider = provider
        self.names: tuple[str, ...] | None = None  # the provider's own; None = never answered
        self.error: ProviderError | None = None  # of the last renewal
        self._keep = keep
        self._tasks = tasks
        self._clock = clock
        self._asked_at: int | None = None
        self._renewal: asyncio.Task[None] | None = None

    def touch(self) -> None:
        """Begin a renewal, where one is due."""
        if self._is_older_than(FRESH if self.error is None else RETRY):
            self._begin()

    async def ensure(self) -> None:
        """Renew where that is due; wait, `PATIENCE_SECONDS`, only while nothing is known."""
        self.touch()
        if self.names is None:
            await self._wait(PATIENCE_SECONDS)

    async def refresh(self) -> None:
        """Ask now, unless that was done a moment ago, and wait up to `PATIENCE_SECONDS`."""
        if self._is_older_than(JUST_ASKED):
            self._begin()
        await self._wait(PATIENCE_SECONDS)

    async def ask(self, *, timeout_seconds: float) -> None:
        """Ask now; raises `ProviderError`."""
        self._begin()
        await self._wait(timeout_seconds)
        if self._renewal is not None:
            raise self.silence()
        if self.error is not None:
            raise self.error

    def silence(self) -> ProviderError:
        """Return what is wrong with a provider that has said nothing yet."""
        message = f"{self.provider.name} has not answered yet."
        return ProviderError(message, kind=ErrorKind.PROVIDER_TIMEOUT)

    def _is_older_than(self, age: int) -> bool:
        return self._asked_at is None or self._clock() - self._asked_at > age

    def _begin(self) -> None:
        if self._renewal is None:
            name = f"list models of {self.provider.id}"
            self._renewal = self._tasks.start(self._renew(), name=name)

    async def _wait(self, timeout_seconds: float) -> None:
        if self._renewal is not None:
            await asyncio.wait([self._renewal], timeout=timeout_seconds)

    async def _renew(self) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_SECONDS):
                models = storable(await self.provider.list_models())
            await self._keep(self.provider.id, models)
        except ProviderError as error:
            self.error = error
        except TimeoutError:
            self.error = self.silence()
        except Exception:
            log.exception("the models of %s cannot be listed", self.provider.id)
            self.error = ProviderError(f"{self.provider.name} could not be asked.")
        else:
            self.names = tuple(model.name for model in models)
            self.error = None
        finally:
            self._asked_at = self._clock()
            self._renewal = None


def storable(models: Sequence[ListedModel]) -> list[ListedModel]:
    """Return the models that can have a row: each name once, of sound text and bounded length."""
    sound: dict[str, ListedModel] = {}
    for model in models[:MODELS_MAX]:
        if _is_sound(model.name):
            label = model.label.strip()
            if not _is_sound(label):
                model = msgspec.structs.replace(model, label=model.name)
            sound.setdefault(model.name, model)
    return list(sound.values())


def _is_sound(text: str) -> bool:
    return text.isprintable() and 0 < len(text) <= NAME_MAX_LENGTH and text == text.strip()
