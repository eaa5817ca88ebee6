"""`palaver user`: what an operator does for people who cannot get in."""

import asyncio
import re
from pathlib import Path

import pytest

from palaver.commands import run
from palaver.domain import otp
from palaver.domain.users import Actor
from palaver.kit.clock import system_clock
from palaver.storage.opening import open_database
from tests.cast import HOME, PASSWORD, SECRET_KEY, a_cast, identity_over
from tests.databases import new_sqlite

NOBODY = Actor.anonymous(HOME)
NEW = "another good one"


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = new_sqlite(tmp_path)
    monkeypatch.setenv("PALAVER_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("PALAVER_SECRET_KEY", SECRET_KEY)
    return url


async def prepared(url: str, *, has_second_factor: bool = False) -> None:
    db = await open_database(url)
    cast = await a_cast(db)
    if has_second_factor:
        begun = await cast.identity.second_factor.enrol(cast.owner, password=PASSWORD)
        code = otp.code_of(begun.secret, otp.step_at(system_clock()))
        await cast.identity.second_factor.confirm(cast.owner, code=code)
    await db.close()


async def redeemed(url: str, token: str) -> None:
    db = await open_database(url)
    identity = identity_over(db)
    await identity.password_resets.redeem(NOBODY, token, password=NEW)
    await identity.sessions.sign_in(NOBODY, username="owner", password=NEW)
    await db.close()


async def signed_in(url: str) -> None:
    db = await open_database(url)
    await identity_over(db).sessions.sign_in(NOBODY, username="owner", password=PASSWORD)
    await db.close()


def test_it_prints_a_link_for_a_new_password(url, capsys, monkeypatch):
    asyncio.run(prepared(url))
    assert run(["user", "reset-password", "owner"]) == 0
    shown = capsys.readouterr().out
    (token,) = re.findall(r"  http://127\.0\.0\.1:8000/app/reset\?token=(\S+)\n", shown)
    asyncio.run(redeemed(url, token))
    monkeypatch.setenv("PALAVER_PUBLIC_URL", "https://chat.example.org")
    assert run(["user", "reset-password", "admin"]) == 0
    assert "  https://chat.example.org/app/reset?token=" in capsys.readouterr().out


def test_it_takes_off_a_lost_second_factor(url, capsys):
    asyncio.run(prepared(url, has_second_factor=True))
    assert run(["user", "remove-second-factor", "owner"]) == 0
    assert "owner signs in by the password alone now." in capsys.readouterr().out
    asyncio.run(signed_in(url))
    assert run(["user", "remove-second-factor", "owner"]) == 1
    assert "There is no second factor." in capsys.readouterr().err


def test_it_knows_nobody_of_that_name(url, capsys):
    assert run(["user", "reset-password", "nobody"]) == 1
    assert "User not found." in capsys.readouterr().err
