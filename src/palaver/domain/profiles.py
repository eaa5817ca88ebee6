"""What a model's name tells about it, where its provider says nothing.

A table of names that mean the same wherever they are served. What it does not know does not think,
does not see and does not search. Sizes stand for models that their maker alone hosts, and for those
whose architecture holds no more: a local server cuts the context of other open models as its
operator likes. Facts are from the makers' own model pages, as of November 2026.
"""

import re
from typing import Final

from palaver.domain.models import ModelProfile, ModelType

_VENDOR: Final = re.compile(r"^(?:[\w.-]+/)+")

_CLAUDE: Final = r"claude-(opus|sonnet|haiku|fable|mythos)-"
_OTHERWISE: Final = r"(?!.*(image|audio|tts|live|realtime|transcribe|embed))"
"""A name that goes on so is one of another kind, whatever it begins with."""

_THINKS: Final = re.compile(
    r"o[134](-|$)|gpt-[5-9](?!.*(chat|search|image|audio|realtime))|gpt-oss|codex-mini"
    rf"|claude-(3[-.]7|[4-9])|{_CLAUDE}([4-9]|preview)"
    rf"|gemini-(2\.5|[3-9]|(pro|flash|flash-lite)-latest){_OTHERWISE}|gemma-?4"
    r"|deepseek-(r\d|reasoner|(chat-)?v3\.[1-9]|v[4-9])|qwq|qwen-?3(?!.*(instruct|coder|embed))"
    r"|.*-thinking|(?!.*non-reason).*-reason(ing|er)|magistral|mistral-(medium-3[.-][5-9]|small-4)"
    r"|grok-(3-mini|[4-9])(?!.*non-reason)|glm-(4\.[5-9]|[5-9])|minimax-m[1-9]"
    r"|kimi-k(2\.[5-9]|[3-9])|smollm3|nemotron.*nano"
)
_SEES: Final = re.compile(
    r"gpt-(4o|4\.1|4\.5|4-turbo|[5-9])(?!.*(audio|realtime|transcribe|tts|search))|chatgpt-4o"
    rf"|o[134](-(?!mini|preview)|$)|o4-mini|claude-[3-9]|{_CLAUDE}([4-9]|preview)|gemini-"
    r"|llava|bakllava|moondream|minicpm-v|internvl|pixtral|molmo|.*[-.\d]vl(-|:|$)|.*vision"
    r"|gemma-?3(?!.*(:|-)(270m|1b))|gemma-?3n|gemma-?4|llama-?4|qwen-?3\.[5-9]"
    r"|mistral-(small-?(3\.[1-9]|4)|medium-3|large-3)|ministral-3"
    r"|grok-(2-vision|[4-9])|phi-?(3(\.5)?-vision|4-multimodal)|kimi-(vl|k2\.[5-9]|k[3-9])"
    r"|glm-[\d.]+v|granite.*vision"
)
_SEARCHES: Final = re.compile(
    rf"claude-(3[-.][57]|[4-9])|{_CLAUDE}([4-9]|preview)"
    rf"|gemini-(2(?!\.0-flash-lite)|[3-9]|(pro|flash|flash-lite)-latest){_OTHERWISE}"
    r"|gpt-(4o|[5-9]).*search|sonar"
)
_TOOLS: Final = re.compile(
    r"gpt-(3\.5-turbo|[4-9]|oss)|o[134](-(?!preview)|$)|claude-|gemini-|mistral|ministral|codestral"
    r"|llama-?(3\.[1-9]|4)|qwen-?(2\.5|3)|grok-|deepseek|command-r|glm-[4-9]|kimi-k2|gemma-?4"
)
_CONTINUES: Final = re.compile(rf"claude-3|{_CLAUDE}4([-.][015](?!\d)|-\d{{8}}|$)")
"""Claude goes on from a beginning of its answer up to 4.5; from 4.6 on the API refuses one."""
_IMAGES: Final = re.compile(
    r"dall-e|gpt-image|chatgpt-image|(gpt|gemini)-.*-image|imagen|flux|stable-diffusion|sdxl"
)
_NO_CHAT: Final = re.compile(
    r"embed|whisper|tts|transcribe|realtime|moderation|-audio|audio-|sora|veo-|rerank"
    r"|davinci|babbage|computer-use|deep-research|bge-|-instruct-0914|gpt-3\.5-turbo-instruct"
)
_SIZES: Final[tuple[tuple[re.Pattern[str], int, int | None], ...]] = tuple(
    (re.compile(pattern), context_tokens, max_answer_tokens)
    for pattern, context_tokens, max_answer_tokens in (
        (r"gpt-5.*(chat|search)", 128_000, 16_384),
        (r"gpt-5-pro", 400_000, 272_000),
        (r"gpt-5(\.[0-3])?(-|$)|gpt-[5-9].*(mini|nano|luna)", 400_000, 128_000),
        (r"gpt-[5-9]", 1_050_000, 128_000),
        (r"gpt-4\.1", 1_047_576, 32_768),
        (r"gpt-4o|chatgpt-4o", 128_000, 16_384),
        (r"gpt-4-(turbo|\d{4}-preview)", 128_000, 4_096),
        (r"gpt-4(-|$)", 8_192, 4_096),
        (r"gpt-3\.5-turbo", 16_385, 4_096),
        (r"o1-mini", 128_000, 65_536),
        (r"o1-preview", 128_000, 32_768),
        (r"o[134](-|$)", 200_000, 100_000),
        (r"claude-3-(opus|sonnet|haiku)", 200_000, 4_096),
        (r"claude-3[-.]5", 200_000, 8_192),
        (r"claude-3[-.]7", 200_000, 64_000),
        (r"claude-opus-4([-.][01]|-2025|$)", 200_000, 32_000),
        (rf"{_CLAUDE}4([-.]5|-2025|$)", 200_000, 64_000),
        (rf"{_CLAUDE}([4-9]|preview)", 1_000_000, 128_000),
        (r"claude-", 200_000, 4_096),
        (r"gemini-2\.0", 1_048_576, 8_192),
        (r"gemini-(2\.5|[3-9]|(pro|flash|flash-lite)-latest)", 1_048_576, 65_536),
        (r"gemma[:-]?(1\.1-)?[27]b|gemma-?2(-|:|$)|codegemma", 8_192, None),
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
        searches=_SEARCHES.match(name) is not None,
        continues=_CONTINUES.match(name) is not None,
    )


def is_chat_model(name: str) -> bool:
    """Tell whether a listed model is one to talk with (or to have pictures made by)."""
    return _NO_CHAT.search(_bare(name)) is None


def _bare(name: str) -> str:
    return _VENDOR.sub("", name.lower())
