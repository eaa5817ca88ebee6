"""The end of a generation: one transaction makes the answer, its price and its last event true."""

from collections.abc import Sequence
from typing import Final

import msgspec
from msgspec.structs import replace

from palaver.domain.events import (
    Ending,
    Failed,
    Finished,
    Segment,
    UsageReported,
    pack,
)
from palaver.domain.generations import ENDINGS, Generation, OutlineItem, parse_outline
from palaver.domain.pictures import Picture, attach
from palaver.domain.search import SearchKind
from palaver.domain.sources import Citation
from palaver.domain.tokens import estimate_tokens
from palaver.domain.webhooks import WebhookEventKind
from palaver.services.ledger import Work, settle
from palaver.services.memory_extraction import enqueue_extraction
from palaver.services.outbox import emit
from palaver.storage.conversations import Afterwards
from palaver.storage.database import Database
from palaver.storage.tx import Tx
from palaver.streaming.segments import restore

TITLE_JOB: Final = "title_conversation"

_encode = msgspec.json.Encoder().encode


class Output(msgspec.Struct, frozen=True):
    """Everything that a run has logged, and what of it is not in the log yet."""

    outline: Sequence[OutlineItem]  # the whole output in short, the ending last
    unlogged: Sequence[Segment]  # the end of it, to be written in the same transaction
    text: str
    reasoning: str
    citations: Sequence[Citation] = ()
    picture: Picture | None = None  # its file is there
    is_empty: bool = False  # nobody said anything


def usage_of(
    generation: Generation,
    ending: Ending,
    reported: UsageReported | None,
    text: str,
    reasoning: str,
    *,
    prompt_tokens: int,
) -> UsageReported | None:
    """Return what a run has used: the provider's word, else our count; None = nothing is owed.

    A run that failed before its first event owes nothing. Our count errs upwards, and stops at the
    cap that the provider was given: nobody is charged more than was held.
    """
    if isinstance(ending, Failed) and not text and not reasoning:
        return None
    if reported is not None:
        return reported
    cap = generation.recipe.max_tokens
    reasoning_tokens = min(estimate_tokens(reasoning), cap)
    return UsageReported(
        prompt_tokens=prompt_tokens,
        completion_tokens=min(estimate_tokens(text) + reasoning_tokens, cap),
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
    work = Work(
        owner_id=generation.owner_id,
        model=generation.model,
        conversation_id=generation.conversation_id,
        generation_id=generation.id,
    )
    try:
        async with db.transaction() as tx:
            # The conversation first, as whoever starts, retries or deletes in it: no deadlock.
            afterwards = await tx.conversations.finish(generation.conversation_id, at=at)
            await _keep(tx, generation, ending, usage, output, at=at)
            if isinstance(ending, Finished):
                await _enqueue(tx, generation, afterwards, at=at)
            await settle(
                tx,
                work,
                generation.terms,
                usage,
                images=int(output.picture is not None),
                started_at=generation.created_at,
                further_attempts=earlier_calls,
                attempt_prompt_tokens=generation.recipe.prompt_tokens,
                at=at,
            )
    except _NotOurs:
        return False
    return True


class _NotOurs(Exception):
    """Another attempt has the run: whatever was done is undone."""


async def _keep(
    tx: Tx,
    generation: Generation,
    ending: Ending,
    usage: UsageReported | None,
    output: Output,
    *,
    at: int,
) -> None:
    """Store the answer and the end of its log. Raises `_NotOurs`."""
    assert generation.worker is not None  # noqa: S101  # whoever finishes a run holds it
    kind, _ = pack(ending)
    is_ours = await tx.generations.finish(
        generation.id,
        worker=generation.worker,
        attempt=generation.attempt,
        state=ENDINGS[kind],
        outline=_encode(output.outline).decode(),
        at=at,
    )
    if not is_ours:
        raise _NotOurs
    await tx.log.append(generation.id, output.unlogged)
    await tx.messages.finish(
        generation.answer_id,
        text=output.text,
        reasoning=output.reasoning or None,
        citations=_encode(output.citations).decode() if output.citations else None,
        prompt_tokens=None if usage is None else usage.prompt_tokens,
        completion_tokens=None if usage is None else usage.completion_tokens,
        images=None if output.picture is None else attach([output.picture]),
        # A completed answer is one, even without words (decisions, 25).
        is_hidden=output.is_empty and not isinstance(ending, Finished),
    )
    if output.picture is not None:
        await tx.pictures.insert(replace(output.picture, message_id=generation.answer_id))
    if output.text:
        await tx.search.enqueue(
            owner_id=generation.owner_id, kind=SearchKind.MESSAGE, ref=generation.answer_id
        )
        await emit(
            tx,
            generation.owner_id,
            WebhookEventKind.MESSAGE_CREATED,
            generation.answer_id,
            at=at,
        )


async def _enqueue(tx: Tx, generation: Generation, afterwards: Afterwards, *, at: int) -> None:
    """Ask for what is done once an answer is complete."""
    if afterwards.wants_title:
        id = generation.conversation_id
        await tx.jobs.enqueue(TITLE_JOB, {"conversation_id": id}, dedupe_key=f"title:{id}")
    if afterwards.wants_memories:
        await enqueue_extraction(tx, generation.owner_id, generation.message_id, at=at)


def replayed(outline: str, *, text: str, reasoning: str) -> list[Segment]:
    """Return the whole log of an ended run, made from its message."""
    return restore(parse_outline(outline), text=text, reasoning=reasoning)
