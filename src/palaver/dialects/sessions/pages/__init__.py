"""The web routes: pages and forms that work without scripts, and the JSON beside them."""
