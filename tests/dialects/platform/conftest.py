"""The house of all contracts, in which the document's model is the simulated one."""

import msgspec
import pytest

from palaver.config import Settings
from palaver.kit.clock import HOUR, SECOND
from tests.dialects.platform.helpers import ALIAS
from tests.http import MovableClock


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of the house."""
    return msgspec.structs.replace(settings, model_aliases=(f"{ALIAS}=sim/sim",))


@pytest.fixture
def clock() -> MovableClock:
    """Give a clock at the beginning of an hour, so that no limit's window ends by itself."""
    clock = MovableClock()
    clock.move(seconds=(HOUR - clock() % HOUR) / SECOND + 1)
    return clock
