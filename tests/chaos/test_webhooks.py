"""Webhooks under SIGKILL, in short."""

import pytest

from tests.chaos.webhooks import WebhookPlan, play_webhooks

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_each_event_is_told_or_listed_as_failed_whenever_the_kill_comes(engine: str) -> None:
    plan = WebhookPlan(engine=engine, deliveries=400, kills=1, patience_seconds=0.5, step_hours=48)
    outcome = await play_webhooks(plan)
    # How fast they are is measured where nothing else runs: `make chaos ARGS=webhooks`.
    del outcome.violations["healthy endpoints are told within a second"]
    assert not outcome.violations, "\n".join(outcome.lines())
    assert outcome.kills == 1
    assert outcome.delivered >= 13 * 20
    assert outcome.failed >= 7 * 20


async def test_a_fault_put_in_on_purpose_is_found() -> None:
    plan = WebhookPlan(
        deliveries=400,
        kills=1,
        patience_seconds=0.5,
        step_hours=48,
        calm_seconds=3.0,
        fault="told-early",
    )
    outcome = await play_webhooks(plan)
    assert outcome.violations["what is listed as delivered was taken"], outcome.lines()
