"""The HTML pages that Palaver serves."""
