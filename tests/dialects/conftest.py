"""A running Palaver before a simulated provider, and the cast, each with a browser."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from palaver.config import Settings
from palaver.domain.providers import ProviderSettings
from palaver.domain.users import SYSTEM, Role
from tests.cast import SECRET_KEY
from tests.databases import new_sqlite
from tests.fakes.upstream import Upstream
from tests.http import MovableClock, Palaver, Visitor, running

BOOTSTRAP_TOKEN = "a token for the first administrator"


@pytest.fixture
def clock() -> MovableClock:
    """Give the clock of the house."""
    return MovableClock()


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """Give the provider `sim` with its one model `sim`."""
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture
def settings(upstream: Upstream, tmp_path: Path) -> Settings:
    """Give the settings of the house: a test that wants others overrides this."""
    new_sqlite(tmp_path)
    return Settings(
        data_dir=tmp_path,
        secret_key=SECRET_KEY,
        bootstrap_token=BOOTSTRAP_TOKEN,
        default_model="sim/sim",
        providers=(
            ProviderSettings(
                id="sim",
                name="Simulator",
                protocol="openai",
                base_url=upstream.base_url,
                backoff_seconds=0.0,
            ),
        ),
    )


@pytest.fixture
async def palaver(
    settings: Settings, clock: MovableClock, upstream: Upstream
) -> AsyncIterator[Palaver]:
    """Serve the house, which has asked the provider for its models already."""
    async with running(settings, clock=clock) as palaver:
        await palaver.services.models.list_providers(SYSTEM)
        upstream.requests.clear()
        yield palaver


@pytest.fixture
async def owner(palaver: Palaver) -> Visitor:
    """Give somebody who has things."""
    return await palaver.person("owner")


@pytest.fixture
async def stranger(palaver: Palaver) -> Visitor:
    """Give somebody who may not see them."""
    return await palaver.person("stranger")


@pytest.fixture
async def admin(palaver: Palaver) -> Visitor:
    """Give the administrator."""
    return await palaver.person("admin", role=Role.ADMIN)
