"""The chapter "Health"."""

from palaver import __version__
from tests.contracts import shape
from tests.dialects.streaming.helpers import EXAMPLES
from tests.http import Palaver, Visitor


async def test_the_server_says_that_it_is_healthy(palaver: Palaver) -> None:
    answer = await palaver.visitor().get("/health")
    assert (answer.status, answer.json) == (200, EXAMPLES["Health Check"].response)


async def test_the_server_says_which_version_it_is(palaver: Palaver) -> None:
    answer = await palaver.visitor().get("/version")
    assert answer.status == 200
    assert shape(answer.json) == shape(EXAMPLES["Version"].response)
    assert answer.json == {"version": __version__}


async def test_a_deep_look_takes_in_the_database(palaver: Palaver) -> None:
    answer = await palaver.visitor().get("/health/deep")
    assert answer.status == 200
    assert list(answer.json) == ["status", "db"]
    assert list(answer.json["db"]) == ["ok", "dialect", "latency_ms"]
    assert (answer.json["status"], answer.json["db"]["ok"]) == ("healthy", True)
    assert answer.json["db"]["dialect"] == "sqlite"
    assert isinstance(answer.json["db"]["latency_ms"], float)


async def test_a_database_that_does_not_answer_is_a_503(palaver: Palaver) -> None:
    await palaver.house.db.close()
    answer = await palaver.visitor().get("/health/deep")
    assert answer.status == 503
    assert (answer.json["status"], answer.json["db"]["ok"]) == ("unhealthy", False)
    assert answer.headers["retry-after"] == "1"
    assert (await palaver.visitor().get("/health")).status == 200


async def test_whoever_is_signed_in_may_ask_as_well(owner: Visitor) -> None:
    for path in ("/health", "/health/deep", "/version"):
        assert (await owner.get(path)).status == 200
