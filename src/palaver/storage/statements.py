"""Statements: SQL as text, written once for both engines, beside the type of its rows.

`:name` marks a value; it becomes `?1` for SQLite and `$1` for PostgreSQL when the module that holds
the statement is imported. Where the engines differ by a word, a macro stands in the text:

    {for_update}   locks the selected rows; nothing on SQLite, whose writer is alone
    {skip_locked}  passes over rows that another transaction holds
    {now}          the database's clock, in microseconds (it moves on while a statement waits)
    {in_numbers x} is one of the numbers that the value `:x` lists as JSON
    {in_texts x}   is one of the texts that the value `:x` lists as JSON
"""

import enum
import re
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any, Final, Generic, TypeVar

R = TypeVar("R")

_NAME: Final = re.compile(r"(?<![:\w]):([a-z_][a-z0-9_]*)")
_LISTED: Final = re.compile(r"\{in_(numbers|texts) (\w+)\}")


class Engine(enum.StrEnum):
    """The databases that Palaver runs on."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


_MACROS: Final[dict[Engine, dict[str, str]]] = {
    Engine.SQLITE: {
        "{for_update}": "",
        "{skip_locked}": "",
        "{now}": "cast(unixepoch('subsec') * 1000000 as integer)",
    },
    Engine.POSTGRESQL: {
        # Not `for update`: a row that refers to the locked one may be inserted meanwhile, and
        # two that have done so and then lock it wait for each other for ever.
        "{for_update}": "for no key update",
        "{skip_locked}": "for no key update skip locked",
        "{now}": "(extract(epoch from clock_timestamp()) * 1000000)::bigint",
    },
}


def _nothing(*_: object) -> None:
    return None


class Statement(Generic[R]):
    """One SQL statement and what its rows become: `row(*columns)`, in the order of the select.

    `sqlite` or `postgresql` give an engine its own text where one text cannot serve both. A `slow`
    statement leaves the event loop: it runs in a thread on SQLite, in a read transaction only.
    """

    __slots__ = ("names", "postgresql", "row", "slow", "sqlite", "values")

    values: Callable[[Mapping[str, Any]], tuple[Any, ...]]
    """Puts values by name in the order of their places; raises `KeyError` for a missing one."""

    def __init__(
        self,
        sql: str = "",
        row: Callable[..., R] = _nothing,  # type: ignore[assignment]  # no rows: R is None
        *,
        sqlite: str | None = None,
        postgresql: str | None = None,
        slow: bool = False,
    ) -> None:
        self.row = row
        self.slow = slow
        names: dict[str, int] = {}
        self.sqlite = _compile(sqlite or sql, Engine.SQLITE, names)
        self.postgresql = _compile(postgresql or sql, Engine.POSTGRESQL, names)
        self.names: tuple[str, ...] = tuple(names)
        self.values = _in_order(self.names)


def _in_order(names: tuple[str, ...]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    if len(names) > 1:
        return itemgetter(*names)  # three times faster than a loop, and on every statement's way
    if names:
        (name,) = names
        return lambda given: (given[name],)
    return lambda _: ()


def _compile(sql: str, engine: Engine, names: dict[str, int]) -> str:
    for macro, text in _MACROS[engine].items():
        sql = sql.replace(macro, text)
    sql = _LISTED.sub(lambda match: _is_one_of(match[2], match[1], engine), sql)
    mark = "?" if engine is Engine.SQLITE else "$"

    def place(match: re.Match[str]) -> str:
        number = names.setdefault(match[1], len(names) + 1)
        return f"{mark}{number}"

    return _NAME.sub(place, " ".join(sql.split()))


def _is_one_of(name: str, kind: str, engine: Engine) -> str:
    if engine is Engine.SQLITE:
        return f"in (select value from json_each(:{name}))"
    # An array, not a subselect: so it becomes a search through an index, whatever the planner
    # thinks of the table.
    value = "value::bigint" if kind == "numbers" else "value"
    return f"= any(array(select {value} from json_array_elements_text(cast(:{name} as json))))"
