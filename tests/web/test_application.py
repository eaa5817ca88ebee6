"""The application around the contracts: failures of ours, kept requests, who owns what is missing."""

import logging
from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
from msgspec import Struct
from starlette.responses import Response
from structlog.contextvars import get_contextvars

from palaver.domain.errors import DomainError, ErrorKind
from palaver.ui import PAGES
from palaver.web.answers import json_answer
from palaver.web.app import Application
from palaver.web.call import Call
from palaver.web.endpoint import Access, Dialect, Endpoint
from palaver.web.settings import WebSettings
from tests.http import Palaver, Visitor, served

KEY = {"Idempotency-Key": "a key"}


class Done(Struct):
    number: int


class Works:
    """Handlers that count, and fail when they are told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.failures: list[Exception] = []

    async def work(self, call: Call) -> Done:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return Done(self.calls)

    async def work_at(self, call: Call, name: str) -> Done:
        return await self.work(call)

    async def unheard_of_at(self, call: Call, name: str) -> Done:
        return await self.unheard_of(call)

    async def unheard_of(self, call: Call) -> Done:
        raise RuntimeError("a secret of ours")


def render_error(error: DomainError, call: Call) -> Response:
    statuses = {ErrorKind.NOT_FOUND: 404, ErrorKind.RATE_LIMITED: 429, ErrorKind.INTERNAL: 500}
    return json_answer({"told": error.message}, statuses.get(error.kind, 400))


def render_oddly(error: DomainError, call: Call) -> Response:
    return json_answer({"odd": error.message}, render_error(error, call).status_code)


@pytest.fixture
def works() -> Works:
    """Give the handlers."""
    return Works()


@pytest.fixture
async def visitor(palaver: Palaver, owner: Visitor, works: Works) -> AsyncIterator[Visitor]:
    """Give the owner's browser, at a server that has a contract of its own for these tests."""
    dialect = Dialect(
        name="tests",
        title="Tests",
        endpoints=(
            Endpoint("POST", "/work", works.work),
            Endpoint("GET", "/unheard-of", works.unheard_of, Access.PUBLIC),
            Endpoint("POST", "/odd/{name}", works.work_at, render_error=render_oddly),
            Endpoint("GET", "/odd/{name}", works.unheard_of_at, render_error=render_oddly),
        ),
        render_error=render_error,
        strays=("/ours/",),
    )
    app = Application((dialect,), palaver.services, WebSettings(), fallback=PAGES)
    async with served(app) as base_url:
        owner.base_url = base_url
        yield owner


@pytest.fixture
def quiet() -> Iterator[None]:
    """Keep what is logged of failures that are meant out of sight."""
    logger = logging.getLogger("palaver.web.app")
    logger.disabled = True
    yield
    logger.disabled = False


async def test_a_fault_of_ours_tells_nothing(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await visitor.get("/unheard-of")
    assert (answer.status, answer.json) == (500, {"told": "An unexpected error occurred."})
    assert "a secret of ours" in caplog.text
    assert "GET /unheard-of failed" in caplog.text


@pytest.mark.usefixtures("quiet")
async def test_after_a_fault_of_ours_the_key_is_free(visitor: Visitor, works: Works) -> None:
    works.failures = [RuntimeError("x")]
    assert (await visitor.post("/work", headers=KEY)).status == 500
    assert (await visitor.post("/work", headers=KEY)).json == {"number": 2}
    assert (await visitor.post("/work", headers=KEY)).json == {"number": 2}


async def test_who_is_told_to_come_later_may_come_with_the_same_key(
    visitor: Visitor, works: Works
) -> None:
    works.failures = [DomainError("later", kind=ErrorKind.RATE_LIMITED, retry_after_seconds=3)]
    answer = await visitor.post("/work", headers=KEY)
    assert (answer.status, answer.headers["retry-after"]) == (429, "3")
    assert (await visitor.post("/work", headers=KEY)).json == {"number": 2}


async def test_a_refusal_without_a_time_says_one_second(visitor: Visitor, works: Works) -> None:
    works.failures = [DomainError("later", kind=ErrorKind.RATE_LIMITED)]
    assert (await visitor.post("/work")).headers["retry-after"] == "1"


async def test_a_stray_is_worded_by_whoever_owns_its_prefix(visitor: Visitor) -> None:
    assert (await visitor.get("/ours/nothing")).json == {"told": "Route not found."}
    page = await visitor.get("/nothing")
    assert page.headers["content-type"].startswith("text/html")


@pytest.mark.usefixtures("quiet")
async def test_an_endpoint_may_word_every_failure_of_its_own(
    visitor: Visitor, works: Works
) -> None:
    works.failures = [DomainError("later", kind=ErrorKind.RATE_LIMITED, retry_after_seconds=3)] * 2
    refused = await visitor.post("/odd/x")
    assert (refused.status, refused.json) == (429, {"odd": "later"})
    assert refused.headers["retry-after"] == "3"
    assert (await visitor.post("/odd/x", headers=KEY)).json == {"odd": "later"}
    assert (await visitor.get("/odd/x")).json == {"odd": "An unexpected error occurred."}
    refused = await visitor.request("PUT", "/odd/x")
    assert refused.json == {"odd": 'Method "PUT" not allowed.'}


async def test_every_answer_names_its_request(visitor: Visitor) -> None:
    answers = [await visitor.get(path) for path in ("/", "/nothing", "/ours/x", "/work")]
    assert len({answer.headers["x-request-id"] for answer in answers}) == len(answers)


async def test_what_is_logged_of_a_request_bears_the_id_that_its_answer_names(
    visitor: Visitor, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    class Context(logging.Filter):
        def filter(self, record: logging.LogRecord) -> bool:
            seen.append(get_contextvars()["request_id"])
            return True

    with caplog.filtering(Context()):
        answers = [await visitor.get("/unheard-of") for _ in range(2)]
    assert seen == [answer.headers["x-request-id"] for answer in answers]


async def test_a_websocket_is_refused_properly(visitor: Visitor) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await visitor.session.ws_connect(f"{visitor.base_url}/nothing")
    assert caught.value.status == 404
