"""One folder per wire contract."""
