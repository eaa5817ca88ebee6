"""The six names' Claude, asked in its own protocol: by name, with search, with thoughts, stopped."""

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest

from palaver.config import Settings
from palaver.config.providers import DEMO
from palaver.domain.providers import ProviderSettings
from palaver.domain.users import SYSTEM
from tests.dialects.platform.helpers import (
    CHATS,
    COMPLETIONS,
    HELLO,
    a_chat,
    messages_of,
    saying,
    streamed,
    text_of,
)
from tests.fakes.claude import FOUND, SONNET, Claude, ClaudeScript
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, running

ALIAS = "claude-sonnet-4.5"
WIKIPEDIA = "https://en.example.org/wiki/Claude_Shannon"


@pytest.fixture
async def claude() -> AsyncIterator[Claude]:
    async with Claude() as claude:
        yield claude


@pytest.fixture
async def palaver(settings: Settings, claude: Claude, upstream: Upstream) -> AsyncIterator[Palaver]:
    """Open the house with Anthropic and OpenRouter."""
    providers = (
        ProviderSettings(
            id="openrouter", name="OpenRouter", protocol="openai", base_url=upstream.base_url
        ),
        ProviderSettings(
            id="anthropic", name="Anthropic", protocol="anthropic", base_url=claude.base_url
        ),
        DEMO,
    )
    chosen = msgspec.structs.replace(
        settings, providers=providers, model_aliases=(), default_model=None
    )
    async with running(chosen) as palaver:
        await palaver.services.models.list_providers(SYSTEM)
        claude.requests.clear()
        yield palaver


@pytest.fixture
async def owner(palaver: Palaver) -> Visitor:
    return await palaver.person("owner")


async def test_its_name_leads_to_anthropic_before_openrouter(
    owner: Visitor, claude: Claude
) -> None:
    answer = await owner.post(COMPLETIONS, saying("Hi", model=ALIAS))
    assert (answer.json["model"], answer.json["message"]["content"]) == (ALIAS, HELLO)
    assert claude.requests[0].body["model"] == SONNET["id"]


@pytest.mark.parametrize("is_in_chat", [True, False])
async def test_what_it_finds_on_the_web_is_cited_with_its_words(
    owner: Visitor, claude: Claude, *, is_in_chat: bool
) -> None:
    claude.plan(ClaudeScript(blocks=FOUND))
    chat = {"chat_id": await a_chat(owner)} if is_in_chat else {}
    asked = saying("When was Shannon born?", model=ALIAS, use_web_grounding=True, **chat)
    events = await streamed(owner, asked)
    message = events[-1].data["message"]
    assert message["content"] == text_of(events)
    assert "April 30, 1916 [1], in Michigan." in message["content"]
    (citation,) = message["citations"]
    assert (citation["kind"], citation["url"]) == ("web", WIKIPEDIA)
    assert citation["quote"].startswith("Claude Elwood Shannon")


async def test_its_thoughts_are_no_part_of_the_answer(owner: Visitor, claude: Claude) -> None:
    claude.plan(Script(reasoning=("Let", " me", " think.")))
    asked = saying("Why?", model=ALIAS, use_extended_thinking=True, max_tokens=4_000)
    answer = await owner.post(COMPLETIONS, asked)
    assert answer.json["message"]["content"] == HELLO
    assert answer.json["message"]["thinking"] == "Let me think."
    assert claude.requests[0].body["thinking"] == {"type": "enabled", "budget_tokens": 2_000}


async def test_a_whole_conversation_is_told_and_its_end_is_cached(
    owner: Visitor, claude: Claude
) -> None:
    id = await a_chat(owner, model=ALIAS, system_prompt="Be brief.")
    for question in ("One?", "Two?"):
        await owner.post(COMPLETIONS, saying(question, chat_id=id, model=ALIAS))
    body = claude.requests[-1].body
    assert [block["text"] for block in body["system"]] == ["Be brief."]
    said = [(turn["role"], turn["content"][0]["text"]) for turn in body["messages"]]
    assert said == [("user", "One?"), ("assistant", HELLO), ("user", "Two?")]
    assert "cache_control" in body["messages"][-1]["content"][0]


async def test_who_stops_an_answer_stops_claude(owner: Visitor, claude: Claude) -> None:
    claude.plan(Script(words=(" word",) * 1_000, delay_seconds=0.01))
    id = await a_chat(owner, model=ALIAS)
    asked = saying("Go on.", chat_id=id, model=ALIAS, stream=True)
    async with owner.events(COMPLETIONS, asked) as events:
        await anext(aiter(events))
        seen = await claude.request()
        await owner.delete(f"{CHATS}/{id}")
        async with asyncio.timeout(1):
            await seen.closed()
    assert not seen.is_answered


async def test_what_it_refuses_is_told(owner: Visitor, claude: Claude) -> None:
    id = await a_chat(owner, model=ALIAS)
    claude.plan(ClaudeScript(blocks=({"type": "text", "text": ""},), finish_reason="refusal",
                             explanation="That would be harmful."))  # fmt: skip
    answer = await owner.post(COMPLETIONS, saying("Do harm.", chat_id=id, model=ALIAS))
    assert answer.json["finish_reason"] == "error"  # the nearest word that the contract has
    assert (await messages_of(owner, id))[-1] == ("assistant", "That would be harmful.")
