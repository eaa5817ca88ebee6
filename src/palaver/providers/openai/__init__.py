"""The adapter of OpenAI's wire protocol, which most servers of language models speak."""

from palaver.providers.openai.adapter import OpenAIProvider, build

__all__ = ["OpenAIProvider", "build"]
