"""How many tokens a text is likely to have, where no provider has counted."""

_ASCII_CHARACTERS_PER_TOKEN = 3.2
TURN_OVERHEAD_TOKENS = 4
PROMPT_OVERHEAD_TOKENS = 3
ESTIMATE_SHARE = 0.9
"""A local estimate is at least this share of what a provider would count."""


def estimate_tokens(text: str) -> int:
    """Return a local estimate, meant to err upwards.

    ASCII counts 3.2 characters a token (English prose has about 4.5, code about 3); everything
    else counts by its UTF-8 bytes: two bytes (Greek, Cyrillic, Arabic …) 0.6 tokens a character,
    three or four (CJK, emoji …) one token a character.
    """
    if text.isascii():
        return int(len(text) / _ASCII_CHARACTERS_PER_TOKEN) + 1 if text else 0
    size = len(text.encode("utf-8", "surrogatepass"))
    ascii_count = len(text.encode("ascii", "ignore"))
    other_count = len(text) - ascii_count
    bytes_per_other = (size - ascii_count) / other_count
    per_other = 0.6 if bytes_per_other < 2.5 else 1.0
    return int(ascii_count / _ASCII_CHARACTERS_PER_TOKEN + other_count * per_other) + 1


def estimate_turn_tokens(text: str) -> int:
    """Return the estimate of one turn of a prompt, with what frames it."""
    return estimate_tokens(text) + TURN_OVERHEAD_TOKENS
