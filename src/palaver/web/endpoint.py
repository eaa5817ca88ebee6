"""What a contract is made of: a table of endpoints, and how it words a failure."""

import enum
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from starlette.responses import Response

from palaver.domain.api_keys import Scope
from palaver.domain.errors import DomainError
from palaver.web.call import Call

JSON_MAX_BYTES: Final = 2 * 1024 * 1024

Handler: TypeAlias = Callable[..., Any]
"""An async function whose signature is the endpoint's schema: see `palaver.web.binding`."""


RenderError: TypeAlias = Callable[[DomainError, Call], Response]
"""Words a failure, with its status."""

Gate: TypeAlias = Callable[[Call], Awaitable[None]]
"""Raises `DomainError` where an endpoint is closed to everybody: a 403 comes before any 400."""


class Access(enum.Enum):
    """Who may call an endpoint."""

    PUBLIC = enum.auto()
    USER = enum.auto()
    ADMIN = enum.auto()


class Csrf(enum.Enum):
    """Whether a request that changes something by cookie must prove that our page sent it."""

    REQUIRED = enum.auto()
    OPTIONAL = enum.auto()  # checked when sent: the contract documents none


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row of a contract's table."""

    method: str
    path: str
    handler: Handler
    access: Access = Access.USER
    status: int = 200
    csrf: Csrf = Csrf.REQUIRED
    scope: Scope | None = None  # what an API key needs, where the rules of `scopes.py` do not say
    no_keys: bool = False  # for who signed in: no API key may call it
    lets_enrol: bool = False  # also for who has yet to set up the second factor that is required
    is_for_monitors: bool = False  # also for the addresses of `metrics_allow`, whoever they are
    gate: Gate | None = None  # refuses before the body is looked at
    takes_form: bool = False  # application/x-www-form-urlencoded as well as JSON
    max_bytes: int = JSON_MAX_BYTES
    is_documented: bool = True  # stands in the OpenAPI document
    refuses: tuple[int, ...] = ()  # statuses of failures that its signature does not tell of
    render_error: RenderError | None = None  # where it words failures unlike its contract
    events: tuple[type, ...] = ()  # the data of the events of an `EventStream`
    # What it answers with statuses that are no success, where that is not the contract's failure.
    answers: Mapping[int, type] = field(default_factory=dict, hash=False)

    @property
    def changes(self) -> bool:
        """Tell whether a call may change something."""
        return self.method not in {"GET", "HEAD", "OPTIONS"}


@dataclass(frozen=True, slots=True, eq=False)
class Dialect:
    """One wire contract; there is one of each."""

    name: str
    title: str
    endpoints: tuple[Endpoint, ...]
    render_error: RenderError
    error_shapes: dict[int, Any] = field(default_factory=dict)  # status → struct, for OpenAPI
    strays: tuple[str, ...] = ()  # prefixes whose unmatched paths this contract answers
    signs_in_by: str = "bearer"  # or "cookie": what its document tells clients to send
    headers: Mapping[str, str] = field(default_factory=dict)  # its own numbers: what each tells
    is_rate_limited: bool = False  # counts its requests; its headers are `RATE_HEADERS`
    description: str = ""
