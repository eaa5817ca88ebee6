"""The rule of use cases, tried on code that keeps it and code that breaks it."""

import ast

import pytest

from tools.lints import use_cases

PATH = "src/palaver/services/notes.py"


def messages(method: str, *, path: str = PATH, exceptions: dict[str, str] | None = None):
    tree = ast.parse(f"class NoteService:\n    {method}\n")
    return [finding.message for finding in use_cases.check(tree, path, exceptions or {})]


@pytest.mark.parametrize(
    "method",
    [
        "async def get(self, actor, id): ...",
        "def get(self, actor, id): ...",
        "def __init__(self, db): ...",
        "async def _load(self, tx, id): ...",
    ],
)
def test_a_use_case_that_knows_its_caller_is_fine(method):
    assert messages(method) == []


@pytest.mark.parametrize(
    "method",
    [
        "async def get(self, id): ...",
        "async def get(self, id, actor): ...",
        "async def get(self, *, actor): ...",
        "async def get(self): ...",
    ],
)
def test_a_use_case_of_nobody_is_found(method):
    assert messages(method) == [
        "NoteService.get does not begin with `actor`: a use case knows who calls it"
    ]


def test_an_async_generator_is_found():
    (message,) = messages("async def follow(self, actor):\n        yield 1")
    assert message.startswith("NoteService.follow is an async generator")


def test_a_generator_that_is_only_defined_inside_is_none():
    method = (
        "async def follow(self, actor):\n"
        "        async def later():\n            yield 1\n"
        "        return later()"
    )
    assert messages(method) == []


def test_an_exception_is_taken():
    assert messages("async def close(self): ...", exceptions={"NoteService.close": "why"}) == []


def test_an_exception_that_nothing_needs_is_found():
    tree = ast.parse("class NoteService:\n    async def close(self, actor): ...\n")
    assert use_cases.stale({PATH: tree}, {"NoteService.close": "why"}) == ["NoteService.close"]


def test_other_layers_are_not_meant():
    assert messages("async def get(self, id): ...", path="src/palaver/storage/notes.py") == []
