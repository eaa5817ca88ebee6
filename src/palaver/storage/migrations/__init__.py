"""Numbered, frozen steps from one schema to the next."""

from collections.abc import Callable
from typing import Final

from palaver.storage.migrations import (
    m0001_initial,
    m0002_plans,
    m0003_knowledge,
    m0004_sign_in,
    m0005_webhooks,
    m0006_single_sign_on,
)

STEPS: Final[tuple[tuple[str, Callable[[str], list[str]]], ...]] = (
    ("initial", m0001_initial.statements),
    ("plans", m0002_plans.statements),
    ("knowledge", m0003_knowledge.statements),
    ("sign_in", m0004_sign_in.statements),
    ("webhooks", m0005_webhooks.statements),
    ("single_sign_on", m0006_single_sign_on.statements),
)
"""Name and statements of each step, in order; the first has number 1. Only ever appended to."""
