"""The adapter of Google's Gemini API: `generateContent` and its stream."""

from palaver.providers.gemini.adapter import GeminiProvider, build

__all__ = ["GeminiProvider", "build"]
