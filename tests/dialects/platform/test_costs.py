"""What an answer cost by its provider's own word, in the ledger: OpenRouter gives such a figure."""

from typing import Any

import pytest

from tests.dialects.platform.helpers import COMPLETIONS, a_chat, saying, streamed
from tests.dialects.platform.test_relay import entries_of
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor

USAGE: dict[str, Any] = {
    "prompt_tokens": 194,
    "completion_tokens": 20,
    "total_tokens": 214,
    "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 100},
    "completion_tokens_details": {"reasoning_tokens": 12},
    "cost": 0.00095,
    "cost_details": {"upstream_inference_cost": 0.0019},
}


@pytest.mark.parametrize(
    ("usage", "cost_micro_usd"),
    [
        (USAGE, 950),
        (USAGE | {"is_byok": False}, 950),
        # The host bills the operator's own account there; OpenRouter's part is its fee alone.
        (USAGE | {"is_byok": True}, 2_850),
        (USAGE | {"is_byok": True, "cost_details": None}, 950),
        (USAGE | {"cost": 0}, 0),
        (USAGE | {"cost": None}, None),
    ],
)
@pytest.mark.parametrize("way", ["whole", "streamed", "chat"])
async def test_the_providers_own_figure_is_what_the_ledger_keeps(
    palaver: Palaver,
    owner: Visitor,
    upstream: Upstream,
    usage: dict[str, Any],
    cost_micro_usd: int | None,
    way: str,
) -> None:
    upstream.plan(Script(usage=usage))
    match way:
        case "streamed":
            await streamed(owner, saying("x"))
        case "chat":
            await owner.post(COMPLETIONS, saying("x", chat_id=await a_chat(owner)))
        case _:
            await owner.post(COMPLETIONS, saying("x"))
    entry, *_ = await entries_of(palaver, owner)
    assert (entry.prompt_tokens, entry.completion_tokens) == (194, 20)
    assert entry.cost_micro_usd == cost_micro_usd
