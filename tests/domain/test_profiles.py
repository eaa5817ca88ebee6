"""What names tell: unknown ones tell nothing."""

import pytest

from palaver.domain.models import ModelProfile, ModelType
from palaver.domain.profiles import is_chat_model, profile_by_name


@pytest.mark.parametrize("name", ["", "unheard-of", "my-o3-clone", "vendor/thing:latest", "o30"])
def test_an_unknown_name_tells_nothing(name: str) -> None:
    assert profile_by_name(name) == ModelProfile()


@pytest.mark.parametrize(
    ("name", "thinks", "sees"),
    [
        ("gpt-4o", False, True),
        ("gpt-4o-mini-2024-07-18", False, True),
        ("gpt-4", False, False),
        ("gpt-3.5-turbo", False, False),
        ("gpt-5-mini", True, True),
        ("gpt-5-chat-latest", False, True),
        ("gpt-oss:20b", True, False),
        ("openai/gpt-oss-120b", True, False),
        ("o1", True, True),
        ("o3-mini", True, False),
        ("o4-mini-2025-04-16", True, True),
        ("anthropic/claude-3.5-sonnet", False, True),
        ("claude-sonnet-4-5", True, True),
        ("anthropic/claude-sonnet-4.5", True, True),
        ("google/gemini-2.5-pro", True, True),
        ("gemini-2.0-flash", False, True),
        ("deepseek-r1:8b", True, False),
        ("deepseek-reasoner", True, False),
        ("deepseek-chat", False, False),
        ("qwen3:4b", True, False),
        ("qwen3-coder", False, False),
        ("qwen/qwen2.5-vl-7b", False, True),
        ("llava:13b", False, True),
        ("llama3.2:3b", False, False),
        ("llama3.2-vision:11b", False, True),
        ("gemma3:4b", False, True),
        ("gemma3:1b", False, False),
        ("mistral-small3.2", False, True),
        ("Mistral-7B-Instruct", False, False),
        ("gpt-6.1-sol", True, True),
        ("gpt-5-search-api", False, False),
        ("claude-haiku-5-5", True, True),
        ("claude-mythos-preview", True, True),
        ("anthropic/claude-3.7-sonnet", True, True),
        ("gemini-3.8-flash", True, True),
        ("gemini-flash-latest", True, True),
        ("gemini-1.5-flash", False, True),
        ("google/gemma-4-31b-it", True, True),
        ("google/gemma-7b-it", False, False),
        ("qwen/qwen3.5-397b-a17b", True, True),
        ("qwen3-30b-a3b-instruct-2507", False, False),
        ("deepseek-v4-pro", True, False),
        ("deepseek/deepseek-chat-v3.1", True, False),
        ("x-ai/grok-4.5", True, True),
        ("grok-4-fast-non-reasoning", False, True),
        ("z-ai/glm-4.5v", True, True),
        ("microsoft/phi-4-reasoning", True, False),
    ],
)
def test_known_names_tell_whether_a_model_thinks_and_sees(
    name: str, *, thinks: bool, sees: bool
) -> None:
    profile = profile_by_name(name)
    assert (profile.thinks, profile.sees) == (thinks, sees)


@pytest.mark.parametrize(
    ("name", "context_tokens", "max_answer_tokens"),
    [
        ("gpt-4", 8_192, 4_096),
        ("gpt-4-turbo-2024-04-09", 128_000, 4_096),
        ("gpt-4.1-nano", 1_047_576, 32_768),
        ("gpt-4o-2024-08-06", 128_000, 16_384),
        ("o1-mini", 128_000, 65_536),
        ("claude-3-5-haiku-latest", 200_000, 8_192),
        ("claude-opus-4-1-20250805", 200_000, 32_000),
        ("gpt-5-chat-latest", 128_000, 16_384),
        ("gpt-5.2", 400_000, 128_000),
        ("gpt-5.5", 1_050_000, 128_000),
        ("claude-haiku-4-5", 200_000, 64_000),
        ("claude-opus-5-5", 1_000_000, 128_000),
        ("gemini-3-flash-preview", 1_048_576, 65_536),
        ("llama3.2", None, None),
        ("gemma3:4b", None, None),
    ],
)
def test_sizes_are_told_for_models_that_their_maker_alone_hosts(
    name: str, context_tokens: int | None, max_answer_tokens: int | None
) -> None:
    profile = profile_by_name(name)
    assert (profile.context_tokens, profile.max_answer_tokens) == (
        context_tokens,
        max_answer_tokens,
    )


@pytest.mark.parametrize(
    ("names", "profile"),
    [
        (
            ("claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4.5"),
            ModelProfile(200_000, 64_000, sees=True, thinks=True, has_tools=True, searches=True, continues=True),
        ),
        (
            ("claude-opus-4-1-20250805", "anthropic/claude-opus-4.1"),
            ModelProfile(200_000, 32_000, sees=True, thinks=True, has_tools=True, searches=True, continues=True),
        ),
        (
            ("gemini-2.5-flash", "google/gemini-2.5-flash", "gemini-2.5-pro", "google/gemini-2.5-pro"),
            ModelProfile(1_048_576, 65_536, sees=True, thinks=True, has_tools=True, searches=True),
        ),
        (
            ("gemma:7b", "google/gemma-7b-it", "gemma:2b", "google/gemma-2b-it"),
            ModelProfile(8_192),
        ),
    ],
)  # fmt: skip
def test_what_the_platforms_six_names_stand_for_is_known_under_each_spelling(
    names: tuple[str, ...], profile: ModelProfile
) -> None:
    assert {name: profile_by_name(name) for name in names} == dict.fromkeys(names, profile)


@pytest.mark.parametrize(
    ("name", "searches"),
    [
        ("gpt-4o-search-preview", True),
        ("gpt-5-search-api-2025-10-14", True),
        ("gpt-5.5", False),
        ("claude-3-5-haiku-latest", True),
        ("claude-3-haiku-20240307", False),
        ("gemini-2.0-flash", True),
        ("gemini-2.5-flash-preview-tts", False),
        ("gemini-1.5-pro", False),
        ("sonar-pro", True),
        ("research-sonar", False),
    ],
)
def test_known_names_tell_whether_their_makers_search_for_them(
    name: str, *, searches: bool
) -> None:
    assert profile_by_name(name).searches == searches


@pytest.mark.parametrize(
    ("name", "continues"),
    [
        ("claude-3-haiku-20240307", True),
        ("claude-opus-4-5-20251101", True),
        ("claude-opus-4-6", False),
        ("claude-sonnet-5", False),
        ("gpt-4o", False),
    ],
)
def test_only_a_claude_up_to_4_5_goes_on_from_a_beginning(name: str, *, continues: bool) -> None:
    assert profile_by_name(name).continues == continues


def test_makers_of_pictures_are_told_apart() -> None:
    assert profile_by_name("dall-e-3").type is ModelType.IMAGE
    assert profile_by_name("black-forest-labs/flux-1.1-pro").type is ModelType.IMAGE
    assert profile_by_name("gpt-image-2.5-flare").type is ModelType.IMAGE
    assert profile_by_name("google/gemini-2.5-flash-image").type is ModelType.IMAGE


@pytest.mark.parametrize(
    "name", ["text-embedding-ada-002", "whisper-1", "tts-1-hd", "omni-moderation-latest", "gpt-4o-realtime-preview", "babbage-002", "gpt-4o-audio-preview", "sora-2"]
)  # fmt: skip
def test_what_cannot_be_talked_with_is_known_by_its_name(name: str) -> None:
    assert not is_chat_model(name)


@pytest.mark.parametrize(
    "name", ["gpt-4o", "llama3.2:latest", "a/b", "dall-e-3", "mistral-7b-instruct"]
)
def test_all_else_may_be_talked_with(name: str) -> None:
    assert is_chat_model(name)
