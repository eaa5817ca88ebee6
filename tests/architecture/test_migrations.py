"""The rule of migrations, tried on code that keeps it and code that breaks it."""

import ast

from tools.lints import migrations

STEP = "src/palaver/storage/migrations/m0002_notes.py"


def lines(code: str, path: str = STEP) -> list[int]:
    return [finding.line for finding in migrations.check(ast.parse(code), path)]


def test_the_standard_library_is_fine():
    assert lines("import json\nfrom collections.abc import Iterator\n") == []


def test_whatever_is_ours_is_found():
    assert lines("import palaver.kit.ids\nfrom palaver.domain import users\n") == [1, 2]


def test_the_runner_beside_the_steps_is_not_meant():
    path = "src/palaver/storage/migrations/__init__.py"
    assert lines("from palaver.storage import database\n", path) == []
