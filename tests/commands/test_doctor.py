"""`palaver doctor`: it looks, and changes nothing."""

from pathlib import Path

import pytest
from msgspec import structs

from palaver.commands.doctor import findings
from palaver.config import Settings
from palaver.domain.embedders import EmbedderSettings
from palaver.domain.users import Role
from palaver.storage.database import Database
from palaver.storage.opening import open_database
from tests.cast import SECRET_KEY, a_user, identity_over
from tests.databases import new_sqlite
from tests.fakes.identity_provider import FakeIdentityProvider
from tests.fakes.search_engines import SearchEngines
from tests.fakes.tiny_model import a_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Give the settings of an installation that has never been started."""
    return Settings(data_dir=tmp_path / "data", providers=())


@pytest.fixture
def started(settings: Settings) -> Settings:
    """Give the settings of an installation with a database and no secrets."""
    settings.data_dir.mkdir()
    new_sqlite(settings.data_dir)
    return settings


async def told(settings: Settings, *, wrong: bool = False) -> str:
    return "\n".join([each.text async for each in findings(settings) if each.is_wrong is wrong])


def seen(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


async def with_somebody(settings: Settings, role: Role) -> None:
    db: Database = await open_database(settings.database)
    identity = identity_over(db)
    await a_user(identity, role=role)
    identity.passwords.close()
    await db.close()


async def test_before_the_first_start_it_leaves_nothing_behind(
    settings: Settings, tmp_path: Path
) -> None:
    assert "made at the first start" in await told(settings)
    elsewhere = structs.replace(settings, database_url=f"sqlite:///{tmp_path}/other.db")
    assert "Database: SQLite, made at the first start." in await told(elsewhere)
    assert await told(settings, wrong=True) == ""
    assert seen(tmp_path) == {}


@pytest.mark.parametrize("role", list(Role))
async def test_after_it_nothing_has_changed(started: Settings, tmp_path: Path, role: Role) -> None:
    before = seen(tmp_path)
    assert "no administrator yet; `palaver serve`" in await told(started)
    assert seen(tmp_path) == before
    await with_somebody(started, role)
    before = seen(tmp_path)
    is_admin = "there is an administrator" in await told(started)
    assert is_admin is (role is Role.ADMIN)
    assert seen(tmp_path) == before


async def test_without_the_key_that_signed_them_all_tokens_are_void(started: Settings) -> None:
    assert await told(started, wrong=True) == ""
    await with_somebody(started, Role.USER)
    sentence = await told(started, wrong=True)
    assert "PALAVER_SECRET_KEY" in sentence
    assert str(started.data_dir / "secret_key") in sentence
    assert await told(structs.replace(started, secret_key=SECRET_KEY), wrong=True) == ""
    (started.data_dir / "secret_key").write_text(SECRET_KEY)
    (started.data_dir / "secret_key").chmod(0o600)
    assert await told(started, wrong=True) == ""


async def test_an_empty_bootstrap_token_is_told_with_the_other_way(started: Settings) -> None:
    assert "palaver user create --admin" in await told(structs.replace(started, bootstrap_token=""))


async def test_a_database_that_cannot_be_opened_is_a_fault(
    settings: Settings, unused_tcp_port: int
) -> None:
    url = f"postgresql://127.0.0.1:{unused_tcp_port}/x"
    sentence = await told(structs.replace(settings, database_url=url), wrong=True)
    assert "cannot be reached" in sentence
    odd = structs.replace(settings, database_url="mysql://x")
    assert "mysql://" in await told(odd, wrong=True)


async def test_it_says_which_engine_searches_the_web_and_whether_it_answers(
    settings: Settings,
) -> None:
    assert "Web search: no engine set up" in await told(settings)
    assert "turned off" in await told(structs.replace(settings, web_search="off"))
    async with SearchEngines(("https://example.org/", "Palaver", "A talk.")) as engines:
        set_up = structs.replace(settings, search_engine=engines.settings("searxng"))
        assert f"Web search: SearXNG (http://127.0.0.1:{engines.site.port}/searxng): answers." in (
            await told(set_up)
        )
        engines.gives_json = False
        assert "add `json` to `search.formats`" in await told(set_up, wrong=True)


async def test_it_tells_which_embedder_is_set_up_and_whether_it_answers(
    settings: Settings, tmp_path: Path
) -> None:
    assert "Embedder: none set up" in await told(settings)
    folder = a_model(tmp_path / "tiny")
    given = structs.replace(settings, embedder=EmbedderSettings(model="tiny", folder=folder))
    assert "Embedder: local/tiny@" in await told(given)
    assert "answers, 3 dimensions." in await told(given)
    (folder / "model.onnx").write_bytes(b"nonsense")
    assert "did not embed" in await told(given, wrong=True)


async def test_it_tells_whether_discovery_answers(settings: Settings) -> None:
    async with FakeIdentityProvider() as there:
        given = structs.replace(settings, identity_providers=(there.settings(),))
        line = f"Single sign-on: fake ({there.issuer}): discovery answers."
        assert line in await told(given)
        there.metadata = {"issuer": "https://another.example.org"}
        assert "calls itself by another address" in await told(given, wrong=True)
    assert "Fake & Co cannot be reached" in await told(given, wrong=True)
