"""Numbered, frozen steps from one schema to the next."""

from collections.abc import Callable
from typing import Final

from palaver.storage.migrations import m0001_initial, m0002_plans, m0003_knowledge

STEPS: Final[tuple[tuple[str, Callable[[str], list[str]]], ...]] = (
    ("initial", m0001_initial.statements),
    ("plans", m0002_plans.statements),
    ("knowledge", m0003_knowledge.statements),
)
"""Name and statements of each step, in order; the first has number 1. Only ever appended to."""
