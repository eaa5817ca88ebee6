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
        ("llama3.2", None, None),
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


def test_makers_of_pictures_are_told_apart() -> None:
    assert profile_by_name("dall-e-3").type is ModelType.IMAGE
    assert profile_by_name("black-forest-labs/flux-1.1-pro").type is ModelType.IMAGE


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
