"""What a model's name tells about it, where its provider says nothing.

A table of names that mean the same wherever they are served. What it does not know does not think
and does not see. Sizes stand only for models that their maker alone hosts: a local server cuts the
context of open models as its operator likes. Facts are from the makers' own model pages.
"""

import re
from typing import Final

from palaver.domain.models import ModelProfile, ModelType

_VENDOR: Final = re.compile(r"^(?:[\w.-]+/)+")

_THINKS: Final = re.compile(
    r"o[134](-|$)|gpt-5(?!.*chat)|gpt-oss|codex-mini"
    r"|claude-(3-7|(opus|sonnet|haiku|fable)-[4-9])|gemini-(2\.5|[3-9])"
    r"|deepseek-(r1|reasoner)|qwq|qwen-?3(?!.*(instruct|coder|embed))|.*-thinking|.*-reason(ing|er)"
    r"|magistral|grok-(3-mini|4)|glm-(4\.[5-9]|[5-9])|minimax-m[1-9]|smollm3|nemotron.*nano"
)
_SEES: Final = re.compile(
    r"gpt-(4o|4\.1|4\.5|4-turbo|5)(?!.*(audio|realtime|transcribe|tts|search))|chatgpt-4o"
    r"|o[134](-(?!mini|preview)|$)|o4-mini|claude-(3|opus|sonnet|haiku|fable)|gemini-"
    r"|llava|bakllava|moondream|minicpm-v|internvl|pixtral|molmo|.*[-.\d]vl(-|:|$)|.*vision"
    r"|gemma-?3(?!.*(:|-)(270m|1b))|gemma-?3n|llama-?4|mistral-small-?3\.[1-9]|mistral-medium-3"
    r"|grok-(2-vision|4)|phi-?(3(\.5)?-vision|4-multimodal)|kimi-vl|granite.*vision"
)
_TOOLS: Final = re.compile(
    r"gpt-(3\.5-turbo|4|5|oss)|o[134](-(?!preview)|$)|claude-|gemini-|mistral|ministral|codestral"
    r"|llama-?(3\.[1-9]|4)|qwen-?(2\.5|3)|grok-|deepseek|command-r|glm-4|kimi-k2"
)
_IMAGES: Final = re.compile(r"dall-e|gpt-image|chatgpt-image|imagen|flux|stable-diffusion|sdxl")
_NO_CHAT: Final = re.compile(
    r"embed|whisper|tts|transcribe|realtime|moderation|-audio|audio-|sora|veo-|rerank"
    r"|davinci|babbage|computer-use|deep-research|bge-|-instruct-0914|gpt-3\.5-turbo-instruct"
)
_SIZES: Final[tuple[tuple[re.Pattern[str], int, int], ...]] = tuple(
    (re.compile(pattern), context_tokens, max_answer_tokens)
    for pattern, context_tokens, max_answer_tokens in (
        (r"gpt-5.*chat", 128_000, 16_384),
        (r"gpt-5", 400_000, 128_000),
        (r"gpt-4\.1", 1_047_576, 32_768),
        (r"gpt-4o|chatgpt-4o", 128_000, 16_384),
        (r"gpt-4-(turbo|\d{4}-preview)", 128_000, 4_096),
        (r"gpt-4(-|$)", 8_192, 4_096),
        (r"gpt-3\.5-turbo", 16_385, 4_096),
        (r"o1-mini", 128_000, 65_536),
        (r"o1-preview", 128_000, 32_768),
        (r"o[134](-|$)", 200_000, 100_000),
        (r"claude-3-(opus|sonnet|haiku)", 200_000, 4_096),
        (r"claude-3-5", 200_000, 8_192),
        (r"claude-opus-4(-0|-1|-2025|$)", 200_000, 32_000),
        (r"claude-", 200_000, 64_000),
        (r"gemini-2\.0", 1_048_576, 8_192),
        (r"gemini-(2\.5|[3-9])", 1_048_576, 65_536),
    )
)


def profile_by_name(name: str) -> ModelProfile:
    """Return what is known of a model by its name; a vendor before a slash makes no difference."""
    name = _bare(name)
    if _IMAGES.match(name):
        return ModelProfile(type=ModelType.IMAGE)
    sizes = next((sizes for sizes in _SIZES if sizes[0].match(name)), None)
    return ModelProfile(
        context_tokens=sizes[1] if sizes else None,
        max_answer_tokens=sizes[2] if sizes else None,
        sees=_SEES.match(name) is not None,
        thinks=_THINKS.match(name) is not None,
        has_tools=_TOOLS.match(name) is not None,
    )


def is_chat_model(name: str) -> bool:
    """Tell whether a listed model is one to talk with (or to have pictures made by)."""
    return _NO_CHAT.search(_bare(name)) is None


def _bare(name: str) -> str:
    return _VENDOR.sub("", name.lower())
