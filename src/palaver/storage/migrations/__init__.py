"""Numbered, frozen steps from one schema to the next."""
