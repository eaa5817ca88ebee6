"""The chaos in short: a few kills on each database, and controls that prove that it sees."""

import pytest

from tests.chaos.limits import RacePlan, race
from tests.chaos.play import Plan, play

pytestmark = pytest.mark.timeout(120)

each_engine = pytest.mark.parametrize("engine", ["sqlite", "postgresql"])


@each_engine
async def test_nothing_that_was_promised_or_shown_is_lost_by_kills(engine: str) -> None:
    plan = Plan(engine=engine, kills=2, terms=0, people=6, pause_seconds=0.5, insists_seconds=0)
    outcome = await play(plan)
    assert not outcome.verdict.violations, "\n".join(outcome.lines())
    assert not outcome.server_errors
    assert outcome.record.acknowledged["say"] > 0
    assert outcome.verdict.compared["frame that a reader saw is in the log"] > 0


async def test_a_fault_put_in_on_purpose_is_found() -> None:
    plan = Plan(
        kills=2, terms=0, people=6, pause_seconds=0.5, insists_seconds=0, control="shown-early"
    )
    outcome = await play(plan)
    assert outcome.verdict.violations["frame that a reader saw is in the log"], outcome.lines()


@each_engine
async def test_limits_and_sums_are_exact_whenever_the_kill_comes(engine: str) -> None:
    outcome = await race(RacePlan(engine=engine, rounds=3, requests=60, has_end=False))
    assert not outcome.verdict.violations, "\n".join(outcome.lines())
    assert not outcome.server_errors
    assert max(outcome.accepted) > 0


async def test_starts_that_do_not_wait_for_one_another_are_found() -> None:
    plan = RacePlan(
        engine="postgresql", rounds=2, kills_amid=False, has_end=False, control="unlocked"
    )
    outcome = await race(plan)
    assert outcome.verdict.violations["ledger: no window is above its limit"], outcome.lines()
