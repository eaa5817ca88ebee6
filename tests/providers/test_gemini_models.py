"""What Gemini lists, and what is made of it."""

import json
from typing import Any

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.models import ListedModel, ModelProfile, ModelType
from palaver.domain.providers import Capabilities
from palaver.providers.gemini import GeminiProvider
from tests.fakes.gemini import FLASH, Gemini, error_body, reason, refusal
from tests.fakes.scripts import Script
from tests.providers.conftest import BuildGemini

CHAT = ["generateContent", "countTokens"]
ENTRIES: list[tuple[dict[str, Any], ListedModel]] = [
    (
        FLASH,
        ListedModel(
            "gemini-2.5-flash",
            "Gemini 2.5 Flash",
            ModelProfile(
                1_048_576, 65_536, sees=True, thinks=True, has_tools=True, has_json_mode=True,
                searches=True, continues=True,
            ),
        ),
    ),
    (
        {"name": "models/gemini-3.6-flash", "supportedGenerationMethods": CHAT, "thinking": False},
        ListedModel(
            "gemini-3.6-flash",
            "gemini-3.6-flash",
            ModelProfile(
                1_048_576, 65_536, sees=True, has_tools=True, has_json_mode=True, searches=True
            ),
        ),
    ),
    (
        {
            "name": "models/gemma-3-1b-it",
            "displayName": "Gemma 3 1B",
            "inputTokenLimit": 32_768,
            "outputTokenLimit": 8_192,
            "supportedGenerationMethods": CHAT,
        },
        ListedModel("gemma-3-1b-it", "Gemma 3 1B", ModelProfile(32_768, 8_192)),
    ),
    (
        {
            "name": "models/gemini-2.5-flash-image",
            "displayName": "Nano Banana",
            "inputTokenLimit": 32_768,
            "supportedGenerationMethods": CHAT,
        },
        ListedModel(
            "gemini-2.5-flash-image", "Nano Banana", ModelProfile(type=ModelType.IMAGE)
        ),
    ),
    (
        {"name": "tunedModels/mine-1", "supportedGenerationMethods": CHAT, "inputTokenLimit": -1},
        ListedModel("tunedModels/mine-1", "tunedModels/mine-1"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("entry", "model"), ENTRIES, ids=lambda value: getattr(value, "name", ""))
async def test_a_model_is_known_by_googles_word_else_by_its_name(
    google: GeminiProvider, gemini: Gemini, entry: dict[str, Any], model: ListedModel
) -> None:
    gemini.models = [entry]
    assert await google.list_models() == [model]


async def test_what_cannot_be_talked_with_or_read_is_passed_over(
    google: GeminiProvider, gemini: Gemini
) -> None:
    gemini.models = [
        {"name": "models/gemini-embedding-001", "supportedGenerationMethods": ["embedContent"]},
        {"name": "models/imagen-4.0-generate-001", "supportedGenerationMethods": ["predict"]},
        {"name": "models/gemini-2.5-flash-live", "supportedGenerationMethods": ["bidiGenerateContent"]},
        {"name": "models/gemini-2.5-flash-preview-tts", "supportedGenerationMethods": CHAT},
        {"name": "models/veo-9", "supportedGenerationMethods": CHAT},
        {"name": "models/../../etc", "supportedGenerationMethods": CHAT},
        {"name": "models/" + "x" * 1000, "supportedGenerationMethods": CHAT},
        {"name": "models/no-methods"},
        {"name": 7},
        "text",
        None,
        {"name": "models/b", "supportedGenerationMethods": CHAT},
        {"name": "models/a", "supportedGenerationMethods": CHAT},
        {"name": "models/b", "supportedGenerationMethods": CHAT},
    ]  # fmt: skip
    assert [model.name for model in await google.list_models()] == ["b", "a"]


async def test_every_page_is_asked_for(google: GeminiProvider, gemini: Gemini) -> None:
    gemini.models = [{**FLASH, "name": f"models/gemini-{n}"} for n in range(5)]
    gemini.page_size = 2
    assert [model.name for model in await google.list_models()] == [f"gemini-{n}" for n in range(5)]
    assert [seen.path for seen in gemini.requests] == [
        "/v1beta/models?pageSize=1000",
        "/v1beta/models?pageSize=1000&pageToken=2",
        "/v1beta/models?pageSize=1000&pageToken=4",
    ]


async def test_a_list_without_end_ends(google: GeminiProvider, gemini: Gemini) -> None:
    tokens = [f"b&c={n}" for n in range(30)]
    pages = [json.dumps({"models": [FLASH], "nextPageToken": token}).encode() for token in tokens]
    gemini.plan(*(Script(body=page) for page in pages))
    assert len(await google.list_models()) == 1
    assert len(gemini.requests) == 20
    assert gemini.requests[1].path.endswith("&pageToken=b%26c%3D0")


async def test_capabilities_are_the_best_of_what_was_listed(
    google: GeminiProvider, gemini: Gemini
) -> None:
    assert google.capabilities == Capabilities()
    await google.list_models()
    assert google.capabilities == Capabilities(
        vision=True, tools=True, json_mode=True, max_context_tokens=1_048_576
    )


BAD_KEY = refusal(400, "API key not valid.", details=[reason("API_KEY_INVALID")])
NO_LIST = "What Simulator sent is no list of models: is its base URL right?"


@pytest.mark.parametrize(
    ("script", "kind", "sentence"),
    [
        (BAD_KEY, ErrorKind.PROVIDER_FAILED, "Simulator refused the key: check SIM_API_KEY."),
        (refusal(500, "Oops."), ErrorKind.PROVIDER_FAILED, "Simulator failed with status 500: Oops."),
        (Script(body=b"<html>", content_type="text/html"), ErrorKind.PROVIDER_FAILED, NO_LIST),
        (Script(body=b"[" * 100_000), ErrorKind.PROVIDER_FAILED, NO_LIST),
        (Script(body=b"{}"), ErrorKind.PROVIDER_FAILED, "Simulator reports an error: no list of models came"),
        (Script(body=json.dumps(error_body(403, "No.")).encode()), ErrorKind.PROVIDER_FAILED, "Simulator does not allow this with the key in SIM_API_KEY: No."),
    ],
)  # fmt: skip
async def test_a_list_that_does_not_come_is_asked_for_once(
    build_gemini: BuildGemini, gemini: Gemini, script: Script, kind: ErrorKind, sentence: str
) -> None:
    gemini.plan(script)
    with pytest.raises(ProviderError) as caught:
        await build_gemini(api_key="secret").list_models()
    assert (caught.value.kind, caught.value.message) == (kind, sentence)
    assert len(gemini.requests) == 1
