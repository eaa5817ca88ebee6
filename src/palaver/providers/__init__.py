"""One file per LLM wire protocol."""
