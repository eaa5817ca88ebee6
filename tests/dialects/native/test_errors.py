"""How the contract words each kind of failure."""

import re

import pytest

from palaver.dialects.native import DIALECT
from palaver.dialects.native.errors import status_of
from palaver.domain.errors import ErrorKind
from tests.contracts import FOLDER

_ROW = re.compile(r"^\| (\d{3}(?:, \d{3})*) \| (.*) \|$", re.MULTILINE)
DOCUMENTED = {
    code: [int(status) for status in statuses.split(", ")]
    for statuses, codes in _ROW.findall((FOLDER / "native.md").read_text(encoding="utf-8"))
    for code in re.findall(r"`([A-Z_]+)`", codes)
}


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_kind_of_failure_has_the_status_that_is_documented(kind: ErrorKind) -> None:
    assert status_of(kind) in DIALECT.error_shapes
    assert status_of(kind) in DOCUMENTED[kind.name]
