"""The adapter of Anthropic's wire protocol: the Messages API of the Claude models."""

from palaver.providers.anthropic.adapter import AnthropicProvider, build

__all__ = ["AnthropicProvider", "build"]
