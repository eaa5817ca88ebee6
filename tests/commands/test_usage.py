"""`palaver usage`: what an operator sees of limits, and counts anew."""

import asyncio
from pathlib import Path

import pytest

from palaver.commands import run
from palaver.storage.opening import open_database
from palaver.storage.statements import Statement
from tests.cast import a_cast
from tests.databases import new_sqlite
from tests.services.test_ledger import begin, limit


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = new_sqlite(tmp_path)
    monkeypatch.setenv("PALAVER_DATA_DIR", str(tmp_path))
    return url


async def prepare(url: str, *, is_wrong: bool = False) -> None:
    db = await open_database(url)
    cast = await a_cast(db)
    await limit(db, daily_max_messages=5, max_cost_micro_usd=2_000_000)
    await begin(db, cast.owner.owner_id)
    if is_wrong:
        async with db.transaction() as tx:
            await tx._connection.run(Statement("update usage_buckets set tokens = 7"))
    await db.close()


def test_it_shows_the_plan_its_limits_and_what_is_held(url, capsys):
    asyncio.run(prepare(url))
    assert run(["usage", "show", "owner"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("owner: Default\n")
    assert "max_openrouter_cost_usd" in shown
    assert "0.000100 USD of 2.000000 USD" in shown
    assert "held for answer: 100 tokens" in shown


def test_it_says_whose_sums_were_wrong_and_mends_them(url, capsys):
    asyncio.run(prepare(url, is_wrong=True))
    assert run(["usage", "recount"]) == 0
    assert "The sums of owner differed" in capsys.readouterr().out
    assert run(["usage", "recount", "owner"]) == 0
    assert "0 of them were wrong" in capsys.readouterr().out


def test_it_knows_nobody_of_that_name(url, capsys):
    assert run(["usage", "show", "nobody"]) == 1
    assert "There is no user nobody; `palaver user list`" in capsys.readouterr().err
