import asyncio
import math
from collections.abc import Sequence

import pytest

from palaver.domain.conversations import MessageRole
from palaver.domain.errors import DomainError, ErrorKind, InvalidInput, NotFound, ProviderError
from palaver.domain.events import (
    Canceled,
    Event,
    Failed,
    Finished,
    FinishReason,
    Interrupted,
    ReasoningDelta,
    TextDelta,
    UsageReported,
    unpack,
)
from palaver.domain.generations import GenerationState, Options
from palaver.domain.models import ModelProfile
from palaver.domain.tokens import ESTIMATE_SHARE, estimate_tokens
from palaver.domain.usage import UsageKind
from palaver.services.driver import MAX_ATTEMPTS
from palaver.services.models import ResolvedModel
from palaver.services.settlement import Output, finish
from palaver.services.starting import Choice
from palaver.storage.database import Database, StatementFailed
from palaver.storage.statements import Statement
from tests.cast import a_cast
from tests.fakes.provider import HOLD, ScriptedProvider, words
from tests.services.conftest import Talk, a_worker

USAGE = UsageReported(prompt_tokens=7, completion_tokens=3)
ANY = Choice()


async def asked(talk: Talk, text: str = "Hello?") -> int:
    """Return a new conversation with a question."""
    conversation = await talk.conversations.create(talk.owner)
    await talk.conversations.append(talk.owner, conversation.id, text=text)
    return conversation.id


async def read(talk: Talk, uuid: str, *, after: int = 0) -> list[Event]:
    """Read a run to its end."""
    stream = await talk.generations.follow(talk.owner, uuid, after=after)
    events: list[Event] = []
    while segments := await stream.next():
        events += map(unpack, segments)
    return events


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, TextDelta))


async def shown(talk: Talk, conversation_id: int) -> list[tuple[str, str]]:
    messages = await talk.conversations.messages(talk.owner, conversation_id)
    return [(message.role, message.text) for message in messages]


async def test_an_answer_is_streamed_and_then_stored(talk: Talk) -> None:
    talk.provider.scripts = [words("Good ", "day.", usage=USAGE)]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    events = await read(talk, generation.uuid)
    assert text_of(events) == "Good day."
    assert events[-2:] == [USAGE, Finished(FinishReason.STOP)]
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Good day.")]


async def test_an_answer_is_hidden_until_it_ends(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Wait"), HOLD, *words("ed.")]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    assert await shown(talk, conversation) == [("user", "Hello?")]
    talk.provider.go.set()
    await read(talk, generation.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Waited.")]


async def test_asking_again_while_it_runs_gives_the_same_run(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("One"), HOLD, *words(".")]]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    again = await asyncio.gather(
        *(talk.generations.answer(talk.owner, conversation, ANY) for _ in range(5))
    )
    assert {generation.uuid for generation in again} == {first.uuid}
    talk.provider.go.set()
    await read(talk, first.uuid)
    assert len(talk.provider.requests) == 1


async def test_many_who_ask_at_once_start_one_run(talk: Talk) -> None:
    talk.provider.scripts = [words("One.")]
    conversation = await asked(talk)
    runs = await asyncio.gather(
        *(talk.generations.answer(talk.owner, conversation, ANY) for _ in range(8))
    )
    assert len({generation.uuid for generation in runs}) == 1
    await read(talk, runs[0].uuid)
    assert len(talk.provider.requests) == 1


async def test_a_completed_run_is_replayed_and_not_started_again(talk: Talk) -> None:
    talk.provider.scripts = [words("Once.", usage=USAGE)]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    live = await read(talk, first.uuid)
    second = await talk.generations.answer(talk.owner, conversation, ANY)
    assert second.uuid == first.uuid
    assert await read(talk, first.uuid) == live


async def test_a_replay_continues_after_any_number(talk: Talk) -> None:
    talk.provider.scripts = [
        [ReasoningDelta("Hm, 中文?"), *words("Good 😀 day.", " Bye.", usage=USAGE)]
    ]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, generation.uuid)
    whole = "Hm, 中文?" + "Good 😀 day. Bye."
    for after in range(len(whole) + 1):
        events = await read(talk, generation.uuid, after=after)
        spans = [e.text for e in events if isinstance(e, TextDelta | ReasoningDelta)]
        assert "".join(spans) == whole[after:]
        assert events[-1] == Finished(FinishReason.STOP)
    assert await read(talk, generation.uuid, after=len(whole) + 2) == []
    with pytest.raises(InvalidInput):
        await read(talk, generation.uuid, after=len(whole) + 3)


async def test_cancel_closes_the_provider_and_keeps_what_was_said(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Half"), HOLD]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.generations.cancel(talk.owner, generation.uuid)
    assert talk.provider.closed_early == 1
    events = await read(talk, generation.uuid)
    assert text_of(events) == "Half"
    assert events[-1] == Canceled()
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Half")]
    with pytest.raises(NotFound):
        await talk.generations.cancel(talk.owner, generation.uuid)


async def test_a_canceled_answer_without_words_is_hidden_and_asked_anew(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD], words("Now.")]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.generations.cancel(talk.owner, first.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?")]
    second = await talk.generations.answer(talk.owner, conversation, ANY)
    assert second.uuid != first.uuid
    await read(talk, second.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Now.")]


async def test_an_answer_after_a_canceled_one_takes_its_place_on_the_branch(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Half"), HOLD], words("Whole.")]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.generations.cancel(talk.owner, first.uuid)
    second = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, second.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Whole.")]


async def test_only_following_takes_the_newest_run_whatever_its_state(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Half"), HOLD]]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.generations.cancel(talk.owner, first.uuid)
    again = await talk.generations.answer(talk.owner, conversation, ANY, after=0)
    assert again.uuid == first.uuid


async def test_a_failure_before_the_first_word_costs_nothing_and_leaves_no_message(
    talk: Talk,
) -> None:
    talk.provider.scripts = [[ProviderError("gone", kind=ErrorKind.PROVIDER_UNREACHABLE)]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    events = await read(talk, generation.uuid)
    assert events == [Failed(ErrorKind.PROVIDER_UNREACHABLE, "gone")]
    assert await shown(talk, conversation) == [("user", "Hello?")]
    async with talk.db.read() as tx:
        assert await tx.usage.list(owner_id=talk.owner.owner_id) == []
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []


async def test_a_failure_in_the_middle_keeps_and_charges_what_was_said(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("So far"), ProviderError("cut off")]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    events = await read(talk, generation.uuid)
    assert text_of(events) == "So far"
    assert isinstance(events[-1], Failed)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "So far")]
    async with talk.db.read() as tx:
        (entry,) = await tx.usage.list(owner_id=talk.owner.owner_id)
    assert entry.kind is UsageKind.ANSWER
    assert entry.is_estimate
    assert entry.completion_tokens > 0


async def test_the_ledger_holds_what_the_provider_counted(talk: Talk) -> None:
    talk.provider.scripts = [words("Counted.", usage=USAGE)]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, generation.uuid)
    async with talk.db.read() as tx:
        (entry,) = await tx.usage.list(owner_id=talk.owner.owner_id)
        assert await tx.usage.held(owner_id=talk.owner.owner_id) == []
    assert (entry.prompt_tokens, entry.completion_tokens, entry.messages) == (7, 3, 1)
    assert not entry.is_estimate


async def test_the_worst_case_is_held_while_it_runs(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD, *words("Done.")]]
    conversation = await asked(talk)
    choice = Choice(options=Options(max_tokens=55))
    generation = await talk.generations.answer(talk.owner, conversation, choice)
    async with talk.db.read() as tx:
        (held,) = await tx.usage.held(owner_id=talk.owner.owner_id)
    prompt_tokens = math.ceil(generation.recipe.prompt_tokens / ESTIMATE_SHARE)
    assert held.generation_id == generation.id
    assert (held.messages, held.tokens) == (1, prompt_tokens + 55)
    talk.provider.go.set()
    await read(talk, generation.uuid)
    assert talk.provider.requests[0].max_tokens == 55


async def test_a_retry_is_a_sibling_with_an_answer_of_its_own(talk: Talk) -> None:
    talk.provider.scripts = [words("First."), words("Second.")]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, first.uuid)
    sibling, generation = await talk.generations.retry(talk.owner, conversation, ANY)
    attached = await talk.generations.answer(talk.owner, conversation, ANY)
    assert attached.uuid == generation.uuid
    await read(talk, generation.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Second.")]
    messages = await talk.conversations.messages(talk.owner, conversation)
    assert messages[0].id == sibling.id != first.message_id
    # The former answer stays where it was, off the branch.
    assert text_of(await read(talk, first.uuid)) == "First."


async def test_a_retry_cancels_and_settles_what_runs(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Old"), HOLD], words("New.")]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    _, second = await talk.generations.retry(talk.owner, conversation, ANY)
    assert (await read(talk, first.uuid))[-1] == Canceled()
    await read(talk, second.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "New.")]


async def test_deleting_a_conversation_stops_what_runs_in_it(talk: Talk) -> None:
    talk.provider.scripts = [[TextDelta("Old"), HOLD]]
    conversation = await asked(talk)
    await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.conversations.delete(talk.owner, conversation)
    assert talk.provider.closed_early == 1
    with pytest.raises(NotFound):
        await talk.conversations.get(talk.owner, conversation)


async def test_a_message_sent_meanwhile_hangs_below_the_answer(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD, *words("First.")], words("Second.")]
    conversation = await asked(talk)
    first = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    await talk.conversations.append(talk.owner, conversation, text="And?")
    second = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, second.uuid)
    assert [turn.text for turn in talk.provider.requests[1].turns] == ["Hello?", "And?"]
    talk.provider.go.set()
    await read(talk, first.uuid)
    assert await shown(talk, conversation) == [
        ("user", "Hello?"),
        ("assistant", "First."),
        ("user", "And?"),
        ("assistant", "Second."),
    ]


async def test_a_conversation_without_a_question_cannot_be_answered(talk: Talk) -> None:
    conversation = await talk.conversations.create(talk.owner)
    with pytest.raises(DomainError) as caught:
        await talk.generations.answer(talk.owner, conversation.id, ANY)
    assert caught.value.kind is ErrorKind.NO_USER_MESSAGE


@pytest.mark.parametrize(
    ("choice", "kind"),
    [
        (Choice(provider_id="nobody", model="one"), ErrorKind.PROVIDER_NOT_FOUND),
        (Choice(provider_id="scripted", model="nothing"), ErrorKind.MODEL_NOT_FOUND),
    ],
)
async def test_an_unknown_model_is_refused_and_changes_nothing(
    talk: Talk, choice: Choice, kind: ErrorKind
) -> None:
    conversation = await asked(talk)
    with pytest.raises(DomainError) as caught:
        await talk.generations.answer(talk.owner, conversation, choice)
    assert caught.value.kind is kind
    async with talk.db.read() as tx:
        assert await tx.generations.live_of_conversation(conversation) == []
    assert await shown(talk, conversation) == [("user", "Hello?")]


async def test_a_question_too_long_for_the_model_is_refused(db: Database) -> None:
    provider = ScriptedProvider(profile=ModelProfile(context_tokens=100))
    async with a_worker(db, await a_cast(db), provider) as talk:
        conversation = await asked(talk, "word " * 2_000)
        with pytest.raises(InvalidInput):
            await talk.generations.answer(talk.owner, conversation, ANY)


async def test_history_beyond_the_context_is_left_out(db: Database) -> None:
    provider = ScriptedProvider([words("Yes.")], profile=ModelProfile(context_tokens=200))
    async with a_worker(db, await a_cast(db), provider) as talk:
        conversation = await asked(talk, "old " * 100)
        await talk.conversations.append(talk.owner, conversation, text="new?")
        choice = Choice(options=Options(max_tokens=100))
        generation = await talk.generations.answer(talk.owner, conversation, choice)
        await read(talk, generation.uuid)
        assert [turn.text for turn in provider.requests[0].turns] == ["new?"]


async def test_a_strangers_generation_is_not_there(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD, *words("Mine.")]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    for attempt in (
        talk.generations.follow(talk.stranger, generation.uuid),
        talk.generations.cancel(talk.stranger, generation.uuid),
        talk.generations.answer(talk.stranger, conversation, ANY),
        talk.generations.retry(talk.stranger, conversation, ANY),
        talk.generations.wait(talk.stranger, generation.uuid),
        talk.generations.send(talk.stranger, conversation, [("user", "Hi")], ANY),
    ):
        with pytest.raises(NotFound):
            await attempt
    talk.provider.go.set()
    assert text_of(await read(talk, generation.uuid)) == "Mine."


async def test_waiting_gives_the_answer_or_its_failure(talk: Talk) -> None:
    talk.provider.scripts = [
        words("Yes."),
        [ProviderError("slow", kind=ErrorKind.PROVIDER_TIMEOUT)],
    ]
    _, _, good = await talk.generations.send(talk.owner, None, [("user", "Well?")], ANY)
    assert (await talk.generations.wait(talk.owner, good.uuid)).text == "Yes."
    _, _, bad = await talk.generations.send(talk.owner, None, [("user", "Well?")], ANY)
    with pytest.raises(ProviderError) as caught:
        await talk.generations.wait(talk.owner, bad.uuid)
    assert caught.value.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_a_run_of_a_dead_worker_that_said_nothing_starts_anew(db: Database) -> None:
    cast = await a_cast(db)
    async with a_worker(db, cast, ScriptedProvider([[HOLD]]), is_alone=False) as first:
        conversation = await asked(first)
        generation = await first.generations.answer(first.owner, conversation, ANY)
        await first.provider.held.wait()
    async with a_worker(db, cast, ScriptedProvider([words("Anew.")]), is_alone=False) as second:
        events = await read(second, generation.uuid)
        assert text_of(events) == "Anew."
        async with db.read() as tx:
            entries = await tx.usage.list(owner_id=cast.owner.owner_id)
    assert [entry.kind for entry in entries] == [UsageKind.ANSWER, UsageKind.ATTEMPT]
    assert sum(entry.messages for entry in entries) == 1


async def test_a_run_of_a_dead_worker_that_had_begun_is_interrupted_with_its_text_kept(
    db: Database,
) -> None:
    cast = await a_cast(db)
    provider = ScriptedProvider([[TextDelta("Half"), HOLD]])
    async with a_worker(db, cast, provider, is_alone=False) as first:
        conversation = await asked(first)
        generation = await first.generations.answer(first.owner, conversation, ANY)
        stream = await first.generations.follow(first.owner, generation.uuid)
        assert [unpack(s) for s in await stream.next() or []] == [TextDelta("Half")]
    async with a_worker(db, cast, ScriptedProvider(), is_alone=False) as second:
        events = await read(second, generation.uuid)
        assert text_of(events) == "Half"
        assert events[-1] == Interrupted()
        assert await shown(second, conversation) == [("user", "Hello?"), ("assistant", "Half")]


async def test_a_model_that_continues_goes_on_from_what_the_dead_worker_logged(
    db: Database,
) -> None:
    cast = await a_cast(db)
    profile = ModelProfile(continues=True)
    provider = ScriptedProvider([[TextDelta("Half"), HOLD]], profile=profile)
    async with a_worker(db, cast, provider, is_alone=False) as first:
        conversation = await asked(first)
        generation = await first.generations.answer(first.owner, conversation, ANY)
        stream = await first.generations.follow(first.owner, generation.uuid)
        await stream.next()
    provider = ScriptedProvider([words(" and whole.")], profile=profile)
    async with a_worker(db, cast, provider, is_alone=False) as second:
        assert text_of(await read(second, generation.uuid)) == "Half and whole."
        assert provider.requests[0].turns[-1].text == "Half"
        assert await shown(second, conversation) == [
            ("user", "Hello?"),
            ("assistant", "Half and whole."),
        ]
    async with db.read() as tx:
        found = await tx.generations.find(generation.uuid, owner_id=cast.owner.owner_id)
    assert found is not None
    assert found.state is GenerationState.COMPLETED


async def test_all_attempts_together_say_no_more_than_was_reserved(db: Database) -> None:
    cast = await a_cast(db)
    beginning = "A beginning of an answer, as long as one wants it. "
    profile = ModelProfile(continues=True, max_answer_tokens=estimate_tokens(beginning) + 5)
    provider = ScriptedProvider([[TextDelta(beginning), HOLD]], profile=profile)
    async with a_worker(db, cast, provider, is_alone=False) as first:
        generation = await first.generations.answer(first.owner, await asked(first), ANY)
        stream = await first.generations.follow(first.owner, generation.uuid)
        await stream.next()
    rest = "And more than there was room for."
    provider = ScriptedProvider([[TextDelta(rest), HOLD]], profile=profile)
    async with a_worker(db, cast, provider, is_alone=False) as second:
        behind = len(beginning)
        stream = await second.generations.follow(second.owner, generation.uuid, after=behind)
        await stream.next()
        assert provider.requests[0].max_tokens == 5
    provider = ScriptedProvider([words("never")], profile=profile)
    async with a_worker(db, cast, provider, is_alone=False) as third:
        events = await read(third, generation.uuid)
    assert text_of(events) == beginning + rest
    assert events[-1] == Finished(FinishReason.LENGTH)
    assert not provider.requests


@pytest.mark.parametrize("bad", ["nul \0 here", "lone \ud800 surrogate"])
async def test_text_that_cannot_be_stored_fails_its_run_alone(talk: Talk, bad: str) -> None:
    talk.provider.scripts = [[TextDelta("Good "), TextDelta(bad), *words("never")], words("Fine.")]
    broken = await asked(talk)
    generation = await talk.generations.answer(talk.owner, broken, ANY)
    events = await read(talk, generation.uuid)
    assert isinstance(events[-1], Failed)
    sound = await asked(talk)
    generation = await talk.generations.answer(talk.owner, sound, ANY)
    assert text_of(await read(talk, generation.uuid)) == "Fine."


async def test_prompt_and_answer_fit_into_the_models_context_together(db: Database) -> None:
    cast = await a_cast(db)
    for context in (512, 4096, 8192, 12_000):
        provider = ScriptedProvider(
            [words("Yes.")], profile=ModelProfile(context_tokens=context), id=f"c{context}"
        )
        async with a_worker(db, cast, provider) as talk:
            conversation = await asked(talk, "word " * 100)
            choice = Choice(provider_id=provider.id, model="one")
            generation = await talk.generations.answer(talk.owner, conversation, choice)
            async with db.read() as tx:
                held = await tx.usage.held(owner_id=talk.owner.owner_id)
            await read(talk, generation.uuid)
        (sent,) = provider.requests
        assert sent.max_tokens is not None
        assert sent.max_tokens >= context // 2
        assert sent.max_tokens + generation.recipe.prompt_tokens / 0.9 <= context
        assert all(hold.tokens <= context for hold in held)


async def test_a_long_history_is_read_no_further_than_the_context_reaches(db: Database) -> None:
    provider = ScriptedProvider([words("Yes.")], profile=ModelProfile(context_tokens=4_000))
    async with a_worker(db, await a_cast(db), provider) as talk:
        conversation = await asked(talk, "the first")
        for number in range(250):
            await talk.conversations.append(talk.owner, conversation, text=f"message {number}")
        generation = await talk.generations.answer(talk.owner, conversation, ANY)
        await read(talk, generation.uuid)
    sent = [turn.text for turn in provider.requests[0].turns]
    assert sent == [f"message {number}" for number in range(250 - len(sent), 250)]
    assert 100 < len(sent) < 250


async def test_a_run_started_between_halt_and_retry_is_stopped(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD], [HOLD], words("Last.")]
    conversation = await asked(talk)
    cancel, quick = talk.driver.cancel, []

    async def cancel_and_let_somebody_in(generation_ids: Sequence[int]) -> None:
        talk.driver.cancel = cancel  # type: ignore[method-assign]
        await cancel(generation_ids)
        turns: list[tuple[MessageRole, str]] = [("user", "Quick")]
        quick.append((await talk.generations.send(talk.owner, conversation, turns, ANY))[2])

    talk.driver.cancel = cancel_and_let_somebody_in  # type: ignore[method-assign]
    _, generation = await talk.generations.retry(talk.owner, conversation, ANY)
    async with talk.db.read() as tx:
        live = await tx.generations.live_of_conversation(conversation)
    assert [run.uuid for run in live] in ([generation.uuid], [])
    assert (await read(talk, quick[0].uuid))[-1] == Canceled()
    talk.provider.go.set()
    await read(talk, generation.uuid)


async def test_a_run_whose_driving_fails_unexpectedly_is_taken_over_and_can_be_cancelled(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    cast = await a_cast(db)
    async with a_worker(db, cast, ScriptedProvider([[HOLD]]), is_alone=False) as first:
        conversation = await asked(first)
        generation = await first.generations.answer(first.owner, conversation, ANY)
        await first.provider.held.wait()
    async with a_worker(db, cast, ScriptedProvider([words("At last.")]), is_alone=False) as second:
        stored = second.models.stored
        failures = 1

        async def stored_the_second_time(*args: object, **kwargs: object) -> ResolvedModel:
            nonlocal failures
            if failures:
                failures -= 1
                raise StatementFailed("the connection is gone")
            return await stored(*args, **kwargs)  # type: ignore[arg-type]

        second.models.stored = stored_the_second_time  # type: ignore[method-assign]
        async with asyncio.timeout(30):
            assert text_of(await read(second, generation.uuid)) == "At last."
    assert "is given up" in caplog.text


async def test_a_finish_that_comes_too_late_changes_nothing(db: Database) -> None:
    cast = await a_cast(db)
    async with a_worker(db, cast, ScriptedProvider([words("Done.")])) as talk:
        conversation = await asked(talk)
        generation = await talk.generations.answer(talk.owner, conversation, ANY)
        await read(talk, generation.uuid)
        before = await talk.conversations.get(talk.owner, conversation)
        is_ours = await finish(
            db,
            generation,
            ending=Canceled(),
            usage=None,
            output=Output([], [], "stale", ""),
            earlier_calls=0,
            at=before.updated_at + 1,
        )
        assert not is_ours
        assert await talk.conversations.get(talk.owner, conversation) == before
        assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "Done.")]


async def test_a_completed_answer_without_words_is_a_message(talk: Talk) -> None:
    talk.provider.scripts = [words(usage=USAGE)]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await read(talk, generation.uuid)
    assert await shown(talk, conversation) == [("user", "Hello?"), ("assistant", "")]


async def test_waiting_for_what_is_canceled_before_a_word_is_a_conflict(talk: Talk) -> None:
    talk.provider.scripts = [[HOLD]]
    conversation = await asked(talk)
    generation = await talk.generations.answer(talk.owner, conversation, ANY)
    await talk.provider.held.wait()
    waiting = asyncio.ensure_future(talk.generations.wait(talk.owner, generation.uuid))
    await talk.generations.cancel(talk.owner, generation.uuid)
    with pytest.raises(DomainError) as caught:
        await waiting
    assert caught.value.kind is ErrorKind.CONFLICT


async def test_a_run_that_no_attempt_could_finish_is_given_up(db: Database) -> None:
    cast = await a_cast(db)
    async with a_worker(db, cast, ScriptedProvider([[HOLD]]), is_alone=False) as first:
        conversation = await asked(first)
        generation = await first.generations.answer(first.owner, conversation, ANY)
        await first.provider.held.wait()
        async with db.transaction() as tx:
            raised: Statement[None] = Statement("update generations set attempt = :n")
            await tx._connection.run(raised, n=MAX_ATTEMPTS)
        first.runs.get(generation.id).attempt = MAX_ATTEMPTS  # type: ignore[union-attr]
    provider = ScriptedProvider([words("never")])
    async with a_worker(db, cast, provider, is_alone=False) as second:
        assert isinstance((await read(second, generation.uuid))[-1], Failed)
    assert provider.requests == []
