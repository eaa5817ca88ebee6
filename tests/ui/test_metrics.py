"""`GET /metrics`: who may read it, and what it tells of a house that has worked."""

import re

import pytest
from msgspec import structs

from palaver.config import Settings
from tests.fakes.scripts import Script
from tests.fakes.upstream import Upstream
from tests.http import Palaver, Visitor, running

SAMPLE = re.compile(r'(\w+)(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})? -?[0-9.e+-]+')


async def numbers(visitor: Visitor) -> dict[str, float]:
    """Return every sample by its name and labels."""
    answer = await visitor.get("/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = answer.content.decode().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples)
    names = [line.rpartition(" ")[0] for line in samples]
    assert len(set(names)) == len(names)
    return {name: float(line.rpartition(" ")[2]) for name, line in zip(names, samples, strict=True)}


async def test_only_administrators_read_it(
    palaver: Palaver, owner: Visitor, admin: Visitor
) -> None:
    assert (await palaver.visitor().get("/metrics")).status == 401
    assert (await owner.get("/metrics")).status == 403
    wrong = {"Authorization": "Bearer nonsense"}
    assert (await palaver.visitor().get("/metrics", headers=wrong)).status == 401
    assert await numbers(admin)


async def test_a_key_needs_the_scope_for_it(admin: Visitor, palaver: Palaver) -> None:
    for scopes, status in ((["admin"], 200), (["read"], 403)):
        made = await admin.post("/api/palaver/api-keys", {"name": "watch", "scopes": scopes})
        headers = {"Authorization": f"Bearer {made.json['key']}"}
        assert (await palaver.visitor().get("/metrics", headers=headers)).status == status


async def test_it_counts_what_a_provider_fails(
    admin: Visitor, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(status=401))
    created = (await owner.post("/api/palaver/conversations", {})).json
    path = f"/api/palaver/conversations/{created['id']}/messages"
    sent = await owner.post(path, {"content": "Hello"})
    await owner.get(f"/api/palaver/generations/{sent.json['generation']['id']}/events")
    found = await numbers(admin)
    assert found['palaver_generations_total{outcome="failed"}'] == 1
    assert found['palaver_provider_errors_total{provider="sim",kind="provider_failed"}'] == 1
    assert not any(name.startswith("palaver_tokens_total") for name in found)


@pytest.mark.parametrize(
    ("address", "status"),
    [("10.2.0.7", 200), ("::ffff:10.2.0.7", 200), ("10.3.0.1", 401), ("nonsense", 401)],
)
async def test_who_watches_reads_it_unasked(settings: Settings, address: str, status: int) -> None:
    watched = structs.replace(settings, metrics_allow=("10.2.0.0/16",))
    async with running(watched) as palaver:
        headers = {"X-Forwarded-For": address}
        answer = await palaver.visitor().get("/metrics", headers=headers)
        assert answer.status == status
        # Of the same address nothing else is open.
        listed = await palaver.visitor().get("/api/palaver/admin/users", headers=headers)
        assert listed.status == 401


async def test_it_counts_requests_by_contract_method_and_status(
    admin: Visitor, owner: Visitor
) -> None:
    for _ in range(3):
        await owner.get("/conversations")
    await owner.get("/conversations/12345")
    await owner.request("PURGE", "/conversations")
    found = await numbers(admin)
    count = "palaver_http_request_duration_seconds_count"
    assert found[f'{count}{{contract="streaming",method="GET",status="2xx"}}'] == 3
    assert found[f'{count}{{contract="streaming",method="GET",status="4xx"}}'] == 1
    assert found[f'{count}{{contract="streaming",method="other",status="4xx"}}'] == 1
    bucket = "palaver_http_request_duration_seconds_bucket"
    assert found[f'{bucket}{{contract="streaming",method="GET",status="2xx",le="+Inf"}}'] == 3
    assert found["palaver_database_commit_duration_seconds_count"] > 0
    assert found["process_cpu_seconds_total"] > 0


async def test_it_counts_answers_tokens_and_failures_but_no_people(
    admin: Visitor, owner: Visitor, upstream: Upstream
) -> None:
    created = (await owner.post("/api/palaver/conversations", {})).json
    path = f"/api/palaver/conversations/{created['id']}/messages"
    sent = await owner.post(path, {"content": "a secret question"})
    assert sent.status == 201, sent
    events = f"/api/palaver/generations/{sent.json['generation']['id']}/events"
    await owner.get(events)
    found = await numbers(admin)
    assert found["palaver_generations_live"] == 0
    assert found['palaver_generations_total{outcome="finished"}'] == 1
    assert found['palaver_tokens_total{provider="sim",direction="in"}'] > 0
    assert found['palaver_tokens_total{provider="sim",direction="out"}'] > 0
    text = (await admin.get("/metrics")).content.decode()
    for told in ("secret", "owner", str(created["id"])):
        assert told not in text
