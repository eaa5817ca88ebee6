"""The rule of transaction blocks, tried on code that keeps it and code that breaks it."""

import ast

import pytest

from tools.lints import blocks


def lines(code: str) -> list[int]:
    return [finding.line for finding in blocks.check(ast.parse(code), "x.py")]


def in_block(body: str) -> str:
    return f"async def f(self):\n    async with self.db.transaction() as tx:\n        {body}\n"


@pytest.mark.parametrize(
    "body",
    [
        "await tx.users.get(1)",
        "user = await tx.users.get(1)",
        "await helper(tx, 1)",
        "await self._helper(1, tx=tx)",
        "await version(tx.connection)",
        "return [await tx.users.get(id) for id in ids]",
        "later = lambda: (yield)",
        "self.wake()",
    ],
)
def test_what_is_of_the_transaction_is_fine(body):
    assert lines(in_block(body)) == []


@pytest.mark.parametrize(
    "body",
    [
        "await self.provider.ask()",
        "await asyncio.sleep(0)",
        "user = await self.users.get(await tx.users.newest())",
        "await future",
        "await asyncio.gather(tx.users.get(1), tx.users.get(2))",
        "yield 1",
        "[item async for item in events]",
        "async for item in events: pass",
        "async with asyncio.timeout(1): pass",
        "x = 1 if await self.may() else 2",
    ],
)
def test_anything_else_is_found(body):
    assert lines(in_block(body)) == [3]


@pytest.mark.parametrize("opener", ["read(snapshot=True)", "single()", "exclusive()"])
def test_other_blocks_are_meant_as_well(opener):
    code = f"async def f(db):\n  async with db.{opener} as tx:\n    await g()\n"
    assert lines(code) == [3]


def test_what_comes_after_the_block_is_free():
    code = in_block("await tx.jobs.enqueue()") + "    await self.worker.wake()\n"
    assert lines(code) == []


def test_a_function_that_takes_tx_is_part_of_the_body():
    code = "async def f(tx, provider):\n    await tx.users.get(1)\n    await provider.ask()\n"
    assert lines(code) == [3]


def test_a_function_that_is_only_defined_inside_is_not():
    body = "async def later():\n            await self.provider.ask()\n"
    assert lines(in_block(body)) == []


def test_a_transaction_is_opened_alone():
    code = "async def f(db):\n  async with db.transaction() as tx, lock:\n    await tx.a.b()\n"
    assert lines(code) == [2]


def test_reading_a_file_is_no_transaction():
    code = "async def f(file):\n  async with file.read(100) as tx:\n    await other()\n"
    assert lines(code) == []
