"""The chapter "Models": the six names, and what they stand for."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from palaver.config import Settings
from palaver.config.providers import DEMO, SETTINGS
from palaver.domain.aliases import ALIASES
from palaver.domain.providers import ProviderSettings
from palaver.domain.users import SYSTEM
from tests.contracts import document
from tests.dialects.platform.helpers import (
    CHATS,
    COMPLETIONS,
    a_chat,
    assert_refused,
    saying,
    streamed,
    turns_of,
)
from tests.fakes.upstream import Upstream
from tests.http import Palaver, running

House = Callable[..., AbstractAsyncContextManager[Palaver]]
QUICK = msgspec.structs.replace(DEMO, word_delay_seconds=0.0)


def provider(upstream: Upstream, id: str, *, is_local: bool = False) -> ProviderSettings:
    """Return the simulator under another name."""
    return ProviderSettings(
        id=id,
        name=id,
        protocol="openai",
        base_url=upstream.base_url,
        is_local=is_local,
        backoff_seconds=0.0,
    )


@pytest.fixture
def house(settings: Settings, tmp_path: Path) -> House:
    """Give what opens a house with these providers."""

    @asynccontextmanager
    async def open(*providers: ProviderSettings, **more: object) -> AsyncIterator[Palaver]:
        changes = {"model_aliases": (), "default_model": None} | more
        chosen = msgspec.structs.replace(settings, providers=providers, **changes)
        async with running(chosen) as palaver:
            await palaver.services.models.list_providers(SYSTEM)
            yield palaver

    return open


def lists(upstream: Upstream, *names: str) -> None:
    upstream.models = [{"id": name, "object": "model", "owned_by": "x"} for name in names]


def test_the_six_names_are_those_of_the_document() -> None:
    assert list(ALIASES) == re.findall(r"^- `([a-z0-9.-]+)` - ", document("platform"), re.MULTILINE)


def test_for_every_name_there_is_a_setting_that_helps() -> None:
    for targets in ALIASES.values():
        assert {target.partition("/")[0] for target in targets} & SETTINGS.keys()


async def test_with_no_provider_at_all_the_demo_answers_by_its_own_name(house: House) -> None:
    async with house(QUICK) as palaver:
        owner = await palaver.person("owner")
        for name in ALIASES:
            id = await a_chat(owner, model=name)
            answer = await owner.post(COMPLETIONS, saying("x", chat_id=id, model=name))
            assert (answer.status, answer.json["model"]) == (200, "demo")
            assert (await owner.get(f"{CHATS}/{id}")).json["model"] == name
            _, said = (await owner.get(f"{CHATS}/{id}/messages")).json
            assert said["model"] == "demo"
        answer = await owner.post(COMPLETIONS, saying("x", chat_id=id))
        assert answer.json["model"] == "demo"
        *_, done = await streamed(owner, saying("x", model="gemma-7b"))
        assert done.data["message"]["model"] == "demo"


async def test_the_demo_is_named_as_it_was_asked_for(house: House) -> None:
    async with house(QUICK) as palaver:
        owner = await palaver.person("owner")
        for name in ("demo", "demo/demo"):
            id = await a_chat(owner, model=name)
            assert (await owner.get(f"{CHATS}/{id}")).json["model"] == name
        answer = await owner.post(COMPLETIONS, saying("x", model="demo"))
        assert answer.json["model"] == "demo"


async def test_the_first_provider_that_is_there_is_asked(house: House, upstream: Upstream) -> None:
    lists(upstream, "anthropic/claude-sonnet-4.5", "google/gemma-7b-it", "gemma:7b")
    async with house(provider(upstream, "ollama"), provider(upstream, "openrouter")) as palaver:
        owner = await palaver.person("owner")
        upstream.requests.clear()
        answer = await owner.post(COMPLETIONS, saying("x", model="gemma-7b"))
        assert answer.json["model"] == "gemma-7b"
        await owner.post(COMPLETIONS, saying("y", model="claude-sonnet-4.5"))
        asked = [seen.body["model"] for seen in upstream.requests]
        assert asked == ["google/gemma-7b-it", "anthropic/claude-sonnet-4.5"]


async def test_a_local_server_is_asked_where_it_answers(house: House, upstream: Upstream) -> None:
    lists(upstream, "gemma:2b")
    async with house(provider(upstream, "ollama", is_local=True), QUICK) as palaver:
        owner = await palaver.person("owner")
        answer = await owner.post(COMPLETIONS, saying("Hi", model="gemma-2b"))
        assert (answer.status, answer.json["model"]) == (200, "gemma-2b")
        assert turns_of(upstream.requests[-1]) == [("user", "Hi")]
        # It is a provider: the demo does not stand in for what it lacks.
        answer = await owner.post(COMPLETIONS, saying("x", model="gemini-2.5-pro"))
        assert_refused(answer, 400, "bad_request")


async def test_a_local_server_that_is_not_there_is_none(house: House) -> None:
    async with Upstream() as gone:
        away = provider(gone, "ollama", is_local=True)
    async with house(away, QUICK) as palaver:
        owner = await palaver.person("owner")
        answer = await owner.post(COMPLETIONS, saying("x", model="gemma-2b"))
        assert answer.json["model"] == "demo"


@pytest.mark.parametrize(
    ("name", "settings_named"),
    [
        ("claude-opus-4.1", ["ANTHROPIC_API_KEY", "OPENROUTER_API_KEY"]),
        ("gemini-2.5-flash", ["GEMINI_API_KEY", "OPENROUTER_API_KEY"]),
        ("gemma-7b", ["OPENROUTER_API_KEY", "OLLAMA_BASE_URL"]),
    ],
)
async def test_where_nobody_serves_a_name_the_settings_are_named(
    house: House, upstream: Upstream, name: str, settings_named: list[str]
) -> None:
    async with house(provider(upstream, "sim"), QUICK) as palaver:
        owner = await palaver.person("owner")
        id = await a_chat(owner)
        for path, body in (
            (CHATS, {"model": name}),
            (COMPLETIONS, saying("x", model=name)),
            (COMPLETIONS, saying("x", model=name, chat_id=id)),
        ):
            answer = await owner.post(path, body)
            assert_refused(answer, 400, "bad_request")
            for setting in settings_named:
                assert setting in answer.json["message"]


async def test_the_operator_can_say_what_a_name_stands_for(
    house: House, upstream: Upstream
) -> None:
    aliases = ("gemma-7b=sim/sim", "mine=sim/sim", "lost=nobody/x")
    async with house(provider(upstream, "sim"), model_aliases=aliases) as palaver:
        owner = await palaver.person("owner")
        for name in ("gemma-7b", "mine"):
            answer = await owner.post(COMPLETIONS, saying("x", model=name))
            assert (answer.status, answer.json["model"]) == (200, name)
        answer = await owner.post(COMPLETIONS, saying("x", model="lost"))
        assert_refused(answer, 400, "bad_request")
        assert "PALAVER_MODEL_ALIASES" in answer.json["message"]
