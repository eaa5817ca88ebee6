"""The house of all contracts, in which the document's model is the simulated one."""

import msgspec
import pytest

from palaver.config import Settings
from tests.dialects.platform.helpers import ALIAS


@pytest.fixture
def settings(settings: Settings) -> Settings:
    """Give the settings of the house."""
    return msgspec.structs.replace(settings, model_aliases=(f"{ALIAS}=sim/sim",))
