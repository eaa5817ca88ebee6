"""Palaver: a self-hosted AI chat platform, five API contracts over one store."""

__version__ = "0.1.0"
