"""Aliases: other names for models, by which clients of the `platform` contract ask."""

from collections.abc import Mapping
from typing import Final

ALIASES: Final[Mapping[str, tuple[str, ...]]] = {
    "claude-sonnet-4.5": (
        "anthropic/claude-sonnet-4-5-20250929",
        "anthropic/claude-sonnet-4-5",
        "openrouter/anthropic/claude-sonnet-4.5",
    ),
    "claude-opus-4.1": (
        "anthropic/claude-opus-4-1-20250805",
        "anthropic/claude-opus-4-1",
        "openrouter/anthropic/claude-opus-4.1",
    ),
    "gemini-2.5-flash": ("gemini/gemini-2.5-flash", "openrouter/google/gemini-2.5-flash"),
    "gemini-2.5-pro": ("gemini/gemini-2.5-pro", "openrouter/google/gemini-2.5-pro"),
    "gemma-7b": ("openrouter/google/gemma-7b-it", "ollama/gemma:7b"),
    "gemma-2b": ("openrouter/google/gemma-2b-it", "ollama/gemma:2b"),
}
"""The names that the document lists, each with the models that it may stand for, best first."""
