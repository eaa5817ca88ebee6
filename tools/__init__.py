"""What keeps this checkout in order; nothing here is installed with Palaver."""
