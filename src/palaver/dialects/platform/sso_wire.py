"""The shapes of "SSO Login"."""

from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct

# RFC 7636, 4.2: 32 bytes of a hash in base64url.
Challenge: TypeAlias = Annotated[str, Meta(pattern="^([A-Za-z0-9_-]{43})?$")]
ChallengeMethod: TypeAlias = Literal["", "S256"]
Address: TypeAlias = Annotated[str, Meta(max_length=2000)]
State: TypeAlias = Annotated[str, Meta(max_length=500)]
Code: TypeAlias = Annotated[str, Meta(min_length=1, max_length=200)]


class Beginning(Struct):
    """Where to send the browser; `state` comes back with the code."""

    authorization_url: str
    state: str


class Exchange(Struct):
    """The code that came back, and the verifier of a client that sent a `code_challenge`."""

    code: Code
    code_verifier: Annotated[str, Meta(max_length=200)] | None = None
