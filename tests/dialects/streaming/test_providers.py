"""The chapter "Providers"."""

from msgspec import structs

from palaver.config import Settings
from palaver.domain.providers import ProviderSettings
from tests.dialects.streaming.helpers import assert_error
from tests.fakes.scripts import error
from tests.fakes.upstream import Upstream
from tests.http import Visitor, running

NOBODY = ProviderSettings(
    id="nobody",
    name="Nobody",
    protocol="openai",
    base_url="http://127.0.0.1:1/v1",
    retries=0,
)


async def test_providers_are_listed_with_their_models(owner: Visitor) -> None:
    answer = await owner.get("/providers")
    assert answer.status == 200
    (provider,) = answer.json
    assert list(provider) == ["provider_id", "name", "capabilities", "models"]
    assert (provider["provider_id"], provider["name"]) == ("sim", "Simulator")
    assert list(provider["capabilities"]) == [
        "streaming",
        "vision",
        "tools",
        "json_mode",
        "max_context_tokens",
    ]
    assert provider["capabilities"]["streaming"] is True
    assert provider["models"] == [{"id": "sim", "label": "sim"}]


async def test_a_provider_that_does_not_answer_is_listed_with_its_error(
    settings: Settings,
) -> None:
    more = structs.replace(settings, providers=(*settings.providers, NOBODY))
    async with running(more) as palaver:
        owner = await palaver.person("owner")
        there, missing = (await owner.get("/providers")).json
        assert "error" not in there
        assert list(missing) == ["provider_id", "name", "capabilities", "models", "error"]
        assert (missing["provider_id"], missing["models"]) == ("nobody", [])
        assert missing["error"]
        answer = await owner.get("/providers/nobody/models")
        assert_error(answer, 502, "PROVIDER_UNREACHABLE")
        health = (await owner.get("/providers/nobody/health")).json
        assert health["ok"] is False
        assert health["detail"]


async def test_the_models_of_one_provider_are_listed(owner: Visitor) -> None:
    answer = await owner.get("/providers/sim/models")
    assert (answer.status, answer.json) == (200, {"models": [{"id": "sim", "label": "sim"}]})


async def test_a_provider_is_asked_whether_it_is_well(owner: Visitor, upstream: Upstream) -> None:
    answer = await owner.get("/providers/sim/health")
    assert answer.status == 200
    assert list(answer.json) == ["ok", "detail"]
    assert answer.json["ok"] is True
    upstream.plan(error(400, "Oops"))
    answer = await owner.get("/providers/sim/health")
    assert answer.status == 200
    assert answer.json["ok"] is False


async def test_a_provider_that_is_not_there_is_not_found(owner: Visitor) -> None:
    for id in ("nobody", "%00", "x" * 300):
        for what in ("models", "health"):
            answer = await owner.get(f"/providers/{id}/{what}")
            assert_error(answer, 404, "PROVIDER_NOT_FOUND")
