"""A whole visit in a real browser with its scripts switched off."""

from pathlib import Path

import pytest

from palaver.domain.users import Role
from tests import chromium
from tests.cast import PASSWORD
from tests.dialects.sessions.helpers import SESSIONS
from tests.fakes.scripts import error
from tests.fakes.upstream import Upstream
from tests.http import Palaver

pytestmark = pytest.mark.skipif(chromium.PATH is None, reason="there is no chromium here")


async def test_one_registers_asks_is_refused_asks_again_and_leaves(
    palaver: Palaver, upstream: Upstream, tmp_path: Path
) -> None:
    await palaver.person("admin", role=Role.ADMIN)
    async with chromium.a_tab(tmp_path / "browser") as tab:
        await tab.goto(palaver.base_url)
        await tab.click("main a")
        await tab.write("#username", "ada")
        await tab.write("#email", "ada@example.org")
        await tab.write("#password", PASSWORD)
        await tab.write("#confirm_password", "something else")
        await tab.click("form button")
        html = await tab.html()
        assert "The two passwords differ." in html
        assert 'value="ada"' in html
        await tab.write("#password", PASSWORD)
        await tab.write("#confirm_password", PASSWORD)
        await tab.click("form button")

        upstream.plan(error(418, "It is on fire."))
        await tab.write("#text", "Hello,\nare you there?")
        await tab.click(".send")
        assert "It is on fire." in await tab.html()
        await tab.click(".send")
        html = await tab.html()
        assert "Hello, world!" in html
        assert "It is on fire." not in html

        await tab.click(".who button")
        assert "Sign in" in await tab.html()

    visitor = palaver.visitor()
    body = {"username": "ada@example.org", "password": PASSWORD}
    token = (await visitor.post("/api/v1/auth/login/", body)).json["access"]
    (session,) = (await visitor.get(SESSIONS, headers={"Authorization": f"Bearer {token}"})).json[
        "results"
    ]
    assert [(chat["message"], chat["response"]) for chat in session["chats"]] == [
        ("Hello,\nare you there?", "Hello, world!")
    ]
