"""What the people of the chaos have been told: every acknowledgement, and every frame they saw."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, NamedTuple


class Frame(NamedTuple):
    """An event of a stream, as a reader saw it."""

    number: int
    name: str
    data: dict[str, Any]


@dataclass
class Reading:
    """One connection to one run: from the number `after` on, until it broke or came to an end."""

    after: int
    generation: str | None = None  # the uuid, from the first frame
    expected: str | None = None  # the uuid that a reader who comes back came for
    frames: list[Frame] = field(default_factory=list)
    ended_cleanly: bool = False  # the response came to its end, rather than being cut off
    was_left: bool = False  # by its reader
    was_refused: bool = False  # by a limit, before it began
    is_over: bool = False

    @property
    def at(self) -> int:
        """Return the last number that was seen."""
        return self.frames[-1].number if self.frames else self.after

    @property
    def done(self) -> str | None:
        """Return the status of `done`, None where it has not come."""
        last = self.frames[-1] if self.frames else None
        return last.data["status"] if last and last.name == "done" else None


@dataclass
class Sent:
    """A message that somebody has sent, once or, with a key, as often as it took."""

    text: str
    id: int | None = None  # once it was acknowledged


@dataclass
class Talk:
    """A conversation as its owner believes it to be."""

    title: str
    id: int | None = None
    titles: set[str] = field(default_factory=set)  # which may stand: several after a lost answer
    sent: list[Sent] = field(default_factory=list)
    retries: int = 0  # tried
    retried: list[int] = field(default_factory=list)  # the acknowledged siblings
    is_deleted: bool = False  # acknowledged
    may_be_deleted: bool = False
    is_busy: bool = False


@dataclass
class Record:
    """Everything that was promised or shown."""

    talks: list[Talk] = field(default_factory=list)
    readings: list[Reading] = field(default_factory=list)
    canceled: set[str] = field(default_factory=set)
    attempts: Counter[str] = field(default_factory=Counter)  # requests by what they wanted
    acknowledged: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)  # by a limit of the plan
    odd: list[str] = field(default_factory=list)  # answers that should not have come
