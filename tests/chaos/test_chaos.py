"""The chaos in short: a few kills on each database, and controls that prove that it sees."""

import pytest

from tests.chaos.play import Plan, play

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
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
