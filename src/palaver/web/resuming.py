"""Where a reader of a stream stands: what a client says of how much it has seen."""

from palaver.domain.errors import Fault, InvalidInput
from palaver.web.bodies import INT64_MAX
from palaver.web.call import Call


def last_seen(call: Call, after: int | None) -> int | None:
    """Return the number up to which the client has read; the header is newer than the URL.

    `after` is the URL's. Raises `InvalidInput` for a `Last-Event-ID` that no event of ours has.
    """
    header = call.header(b"last-event-id")
    if not header:
        return after
    if not (header.isascii() and header.isdigit() and len(header) <= 19):
        raise _no_event_number()
    if (number := int(header)) > INT64_MAX:
        raise _no_event_number()
    return number


def _no_event_number() -> InvalidInput:
    message = "This is the id of no event."
    return InvalidInput.of("Last-Event-ID", Fault.WRONG_FORMAT, message, place="header")
