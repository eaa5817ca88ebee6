"""What Anthropic lists, and what it means for the requests."""

import json
from typing import Any

import pytest

from palaver.domain.errors import ProviderError
from palaver.domain.models import ListedModel, ModelProfile
from palaver.domain.providers import Capabilities, ImageRequest
from palaver.providers.anthropic import AnthropicProvider
from palaver.providers.anthropic.facts import generation_of
from tests.fakes.claude import SONNET, Claude, refusal
from tests.fakes.scripts import Script
from tests.providers.conftest import BuildClaude
from tests.providers.helpers import ask, outcome

YES, NO = {"supported": True}, {"supported": False}


def entry(id: str, *, adaptive: bool, enabled: bool, disabled: bool) -> dict[str, Any]:
    """Return a model as it is listed nowadays, with all that it can do."""
    types = {
        "adaptive": {"supported": adaptive},
        "enabled": {"supported": enabled},
        "disabled": {"supported": disabled},
        "between_tools": NO,
    }
    return {
        "type": "model",
        "id": id,
        "display_name": id.title(),
        "created_at": "2026-02-04T00:00:00Z",
        "lifecycle": "active",
        "max_input_tokens": 1_000_000,
        "max_tokens": 128_000,
        "capabilities": {
            "image_input": YES,
            "structured_outputs": YES,
            "server_tools": {"supported": True, "web_search": YES, "code_execution": NO},
            "thinking": {"supported": True, "types": types},
            "effort": {"supported": True, "low": YES, "medium": YES, "high": YES, "max": YES},
        },
    }


async def test_a_model_is_known_by_its_listing_else_by_its_name(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.models = [
        entry("claude-next", adaptive=True, enabled=False, disabled=True),
        SONNET,
        {"type": "model", "id": "unheard-of", "display_name": None, "max_tokens": -1},
    ]
    new, known, unknown = await anthropic.list_models()
    assert new == ListedModel(
        "claude-next",
        "Claude-Next",
        ModelProfile(
            1_000_000,
            128_000,
            sees=True,
            thinks=True,
            has_tools=True,
            has_json_mode=True,
            searches=True,
        ),
    )
    assert (known.name, known.label) == (SONNET["id"], "Claude Sonnet 4.5")
    profile = known.profile
    assert (profile.context_tokens, profile.max_answer_tokens) == (200_000, 64_000)
    assert profile.sees
    assert profile.thinks
    assert profile.continues
    assert (unknown.label, unknown.profile.continues) == ("unheard-of", False)


async def test_the_pages_of_the_list_are_one_list(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    claude.models = [{**SONNET, "id": f"claude-{at}&ü"} for at in range(5)]
    claude.page_size = 2
    listed = [model.name for model in await anthropic.list_models()]
    assert listed == [f"claude-{at}&ü" for at in range(5)]
    paths = [seen.path for seen in claude.requests]
    assert paths[0] == "/v1/models?limit=1000"
    assert paths[1] == "/v1/models?limit=1000&after_id=claude-1%26%C3%BC"


async def test_a_list_without_end_ends(anthropic: AnthropicProvider, claude: Claude) -> None:
    claude.default = Script()
    claude.plan(*[Script(body=b'{"data":[],"has_more":true,"last_id":"x"}')] * 99)
    assert await anthropic.list_models() == []
    assert len(claude.requests) == 10


async def test_what_cannot_be_read_is_passed_over(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    names = ["a", 7, "", "line\nbreak", "x" * 1_000, "b", "a"]
    data = [*({"id": name} for name in names), {}, 7, None]
    claude.plan(Script(body=json.dumps({"data": data}).encode()))
    assert [model.name for model in await anthropic.list_models()] == ["a", "b"]


async def test_capabilities_are_the_best_of_what_was_listed(
    anthropic: AnthropicProvider, claude: Claude
) -> None:
    assert anthropic.capabilities == Capabilities()
    claude.models = [entry("claude-next", adaptive=True, enabled=True, disabled=True)]
    await anthropic.list_models()
    assert anthropic.capabilities == Capabilities(
        vision=True, tools=True, json_mode=True, max_context_tokens=1_000_000
    )


@pytest.mark.parametrize(
    ("takes", "asked", "sent"),
    [
        ({"adaptive": True, "enabled": True, "disabled": True}, 2_000, "adaptive"),
        ({"adaptive": False, "enabled": True, "disabled": True}, 2_000, "enabled"),
        ({"adaptive": False, "enabled": False, "disabled": True}, 2_000, "disabled"),
        ({"adaptive": True, "enabled": False, "disabled": True}, None, "disabled"),
        ({"adaptive": True, "enabled": False, "disabled": False}, None, None),
    ],
)
async def test_a_listing_tells_how_a_model_is_told_to_think(
    anthropic: AnthropicProvider,
    claude: Claude,
    takes: dict[str, bool],
    asked: int | None,
    sent: str | None,
) -> None:
    claude.models = [entry("claude-opus-5", **takes)]
    await anthropic.list_models()
    claude.plan(Script(), Script())
    await outcome(anthropic, ask(model="claude-opus-5", thinking_tokens=asked, max_tokens=9_000))
    assert claude.requests[1].body.get("thinking", {}).get("type") == sent


@pytest.mark.parametrize(
    ("name", "generation"),
    [
        ("claude-3-opus-20240229", (3, 0)),
        ("claude-3-5-sonnet-latest", (3, 5)),
        ("claude-opus-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-sonnet-4-5@20250929", (4, 5)),
        ("anthropic.claude-opus-4-6-v1", (4, 6)),
        ("claude-sonnet-4.6", (4, 6)),
        ("claude-opus-5", (5, 0)),
        ("claude-mythos-preview", None),
        ("unheard-of", None),
    ],
)
def test_a_name_tells_the_generation(name: str, generation: tuple[int, int] | None) -> None:
    assert generation_of(name) == generation


@pytest.mark.parametrize(
    ("script", "sentence"),
    [
        (refusal(401, "x"), "Simulator refused the key: check SIM_API_KEY."),
        (refusal(529, "Overloaded"), "Simulator has too much to do at the moment: Overloaded"),
        (Script(body=b"<html>", content_type="text/html"), "What Simulator sent is no list of models: is its base URL right?"),
        (Script(body=b"[" * 100_000), "What Simulator sent is no list of models: is its base URL right?"),
        (Script(body=b"{}"), "What Simulator sent is no list of models: is its base URL right?"),
    ],
)  # fmt: skip
async def test_a_list_that_does_not_come_is_asked_for_once(
    build_claude: BuildClaude, claude: Claude, script: Script, sentence: str
) -> None:
    claude.plan(script)
    with pytest.raises(ProviderError) as caught:
        await build_claude(api_key="sk-ant-secret").list_models()
    assert caught.value.message == sentence
    assert len(claude.requests) == 1


async def test_it_makes_no_pictures(anthropic: AnthropicProvider) -> None:
    with pytest.raises(ProviderError, match="makes no images"):
        await anthropic.make_image(ImageRequest("claude-opus-5", "A cat."))
