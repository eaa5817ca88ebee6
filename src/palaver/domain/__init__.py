"""The nouns: entities and their rules, errors, events, and the ports that the edges implement."""
