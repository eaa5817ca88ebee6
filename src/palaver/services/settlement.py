"""The end of a generation: one transaction makes the answer, its price and its last event true."""

from collections.abc import Sequence

import msgspec

from palaver.domain.events import (
    Ending,
    Failed,
    Finished,
    Segment,
    UsageReported,
    pack,
)
from palaver.domain.generations import ENDINGS, Generation, OutlineItem
from palaver.domain.search import SearchKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageEntry, UsageKind
from palaver.storage.database import Database
from palaver.streaming.segments import restore

_encode = msgspec.json.Encoder().encode


class Output(msgspec.Struct, frozen=True):
    """Everything that a run has logged, and what of it is not in the log yet."""

    outline: Sequence[OutlineItem]  # the whole output in short, the ending last
    unlogged: Sequence[Segment]  # the end of it, to be written in the same transaction
    text: str
    reasoning: str


def settle(
    generation: Generation,
    ending: Ending,
    reported: UsageReported | None,
    text: str,
    reasoning: str,
) -> UsageReported | None:
    """Return what a run has used: the provider's word, else our count; None = nothing is owed.

    A run that failed before its first event owes nothing.
    """
    if isinstance(ending, Failed) and not text and not reasoning:
        return None
    if reported is not None:
        return reported
    reasoning_tokens = estimate_tokens(reasoning)
    return UsageReported(
        prompt_tokens=generation.recipe.prompt_tokens,
        completion_tokens=estimate_tokens(text) + reasoning_tokens,
        reasoning_tokens=reasoning_tokens,
        is_estimate=True,
    )


async def finish(
    db: Database,
    generation: Generation,
    *,
    ending: Ending,
    usage: UsageReported | None,
    output: Output,
    earlier_calls: int,
    at: int,
) -> bool:
    """Store the end of a run; False, and nothing changed, if another attempt has it."""
    assert generation.worker is not None  # noqa: S101  # whoever finishes a run holds it
    kind, _ = pack(ending)
    async with db.transaction() as tx:
        # The conversation first, as whoever starts, retries or deletes in it: no deadlock.
        await tx.conversations.hold(generation.conversation_id)
        is_ours = await tx.generations.finish(
            generation.id,
            worker=generation.worker,
            attempt=generation.attempt,
            state=ENDINGS[kind],
            outline=_encode(output.outline).decode(),
            at=at,
        )
        if is_ours:
            await tx.log.append(generation.id, output.unlogged)
            await tx.messages.finish(
                generation.answer_id,
                text=output.text,
                reasoning=output.reasoning or None,
                prompt_tokens=None if usage is None else usage.prompt_tokens,
                completion_tokens=None if usage is None else usage.completion_tokens,
                # A completed answer is one, even without words (decisions, 25).
                is_hidden=not output.text and not isinstance(ending, Finished),
            )
            if output.text:
                await tx.search.enqueue(
                    owner_id=generation.owner_id,
                    kind=SearchKind.MESSAGE,
                    ref=generation.answer_id,
                )
            for entry in _entries(generation, usage, earlier_calls=earlier_calls, at=at):
                await tx.usage.append(entry)
            await tx.usage.release(generation.id)
            await tx.conversations.touch(generation.conversation_id, at=at)
    return is_ours


def _entries(
    generation: Generation, usage: UsageReported | None, *, earlier_calls: int, at: int
) -> list[UsageEntry]:
    """Return the lines of the ledger: the answer once, what earlier attempts cost beside it."""
    if usage is None:
        return []
    answer = UsageEntry(
        owner_id=generation.owner_id,
        conversation_id=generation.conversation_id,
        generation_id=generation.id,
        kind=UsageKind.ANSWER,
        model=generation.model,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
        reasoning_tokens=usage.reasoning_tokens,
        cached_tokens=usage.cached_tokens,
        cost_micro_usd=usage.cost_micro_usd,
        messages=1,
        is_estimate=int(usage.is_estimate),
        created_at=at,
    )
    attempt = msgspec.structs.replace(
        answer,
        kind=UsageKind.ATTEMPT,
        prompt_tokens=generation.recipe.prompt_tokens,
        completion_tokens=0,
        reasoning_tokens=0,
        cached_tokens=0,
        cost_micro_usd=None,
        messages=0,
        is_estimate=1,
    )
    return [answer, *[attempt] * earlier_calls]


_outline_of = msgspec.json.Decoder(list[OutlineItem])


def replayed(outline: str, *, text: str, reasoning: str) -> list[Segment]:
    """Return the whole log of an ended run, made from its message."""
    return restore(_outline_of.decode(outline), text=text, reasoning=reasoning)
