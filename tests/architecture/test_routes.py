"""Every table of routes keeps to its contract's document, and no two rows clash."""

import inspect
import re

import pytest

from palaver.dialects import DIALECTS
from palaver.ui import PAGES
from palaver.web.app import rows_of
from palaver.web.endpoint import Access
from palaver.web.matcher import Matcher
from palaver.web.scopes import needed
from tests import contracts

ROWS = [
    pytest.param(dialect, row, id=f"{dialect.name} {row.method} {row.path}")
    for dialect in DIALECTS
    for row in dialect.endpoints
]


SIGNED_IN = [
    pytest.param(row, id=f"{dialect.name} {row.method} {row.path}")
    for dialect in (*DIALECTS, PAGES)
    for row in dialect.endpoints
    if row.access is not Access.PUBLIC
]


def shape(path: str) -> str:
    """Return a path without the names of its parameters."""
    return re.sub(r"\{[^}]*\}", "{}", path)


def test_no_two_rows_are_the_same():
    Matcher((row.endpoint.method, row.endpoint.path, row) for row in rows_of((*DIALECTS, PAGES)))


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
def test_every_documented_route_stands_in_the_table(dialect):
    table = {(row.method, shape(row.path)) for row in dialect.endpoints}
    documented = contracts.routes(dialect.name)
    assert documented
    assert documented - table == set()


@pytest.mark.parametrize(("dialect", "row"), ROWS)
def test_every_handler_cites_a_heading_or_says_that_there_is_none(dialect, row):
    text = inspect.getdoc(row.handler) or ""
    if "Beyond the document" in text:
        return
    (heading,) = re.findall(r'Contract: "([^"]+)"', text)
    assert heading in contracts.headings(dialect.name)


@pytest.mark.parametrize("row", SIGNED_IN)
def test_every_row_says_what_an_api_key_needs(row):
    assert row.no_keys or needed(row)
