"""Search engines: what they find, and every way in which they do not."""

from collections.abc import AsyncIterator, Callable

import pytest

from palaver.domain.errors import ErrorKind, ProviderError
from palaver.domain.web import WebHit, WebSearch
from palaver.outbound.web_search import ENGINES, build, client
from palaver.outbound.web_search.client import plain, retry_after_seconds, shortened
from tests.fakes.search_engines import KEY, SearchEngines

KEYED = ("brave", "tavily")
Opened = Callable[..., WebSearch]


@pytest.fixture
async def engines() -> AsyncIterator[SearchEngines]:
    found = [(f"https://example.org/{n}", f"Page {n}", f"It says {n}.") for n in range(12)]
    async with SearchEngines(*found) as engines:
        yield engines


@pytest.fixture
async def opened(engines: SearchEngines) -> AsyncIterator[Opened]:
    made: list[WebSearch] = []

    def make(engine: str, *, key: str | None = KEY) -> WebSearch:
        made.append(build(engines.settings(engine, key=key)))
        return made[-1]

    yield make
    for engine in made:
        await engine.close()


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, opened: Opened) -> WebSearch:
    return opened(request.param)


async def refusal(engine: WebSearch) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await engine.search("palaver", limit=5)
    assert KEY not in caught.value.message
    assert caught.value.message.endswith((".", "?"))
    return caught.value


async def test_the_best_come_first_and_no_more_than_wanted(
    engine: WebSearch, engines: SearchEngines
):
    hits = await engine.search("what is a palaver?", limit=3)
    assert hits[0] == WebHit("https://example.org/0", "Page 0", "It says 0.")
    assert [hit.url[-1] for hit in hits] == ["0", "1", "2"]
    assert engines.queries == ["what is a palaver?"]


async def test_nothing_found_is_no_failure(engine: WebSearch, engines: SearchEngines):
    engines.found.clear()
    assert list(await engine.search("palaver", limit=5)) == []


async def test_a_query_is_cut_to_what_the_engine_takes(engine: WebSearch, engines: SearchEngines):
    await engine.search("word " * 500, limit=50)
    assert len(engines.queries[0]) <= 400


async def test_what_is_found_is_plain_text_and_addresses_of_the_web(
    engine: WebSearch, engines: SearchEngines
):
    engines.found = [
        ("javascript:alert(1)", "Bad", ""),
        ("https://example.org/a b", "Bad", ""),
        ("https://example.org/a", "A <b>title</b> &amp; more", "x\x00y\n<script>z</script>\ud800"),
        ("https://example.org/a", "Again", ""),
        ("ftp://example.org/", "Bad", ""),
    ]
    assert list(await engine.search("palaver", limit=5)) == [
        WebHit("https://example.org/a", "A title & more", "x y z")
    ]


@pytest.mark.parametrize("engine_id", KEYED)
@pytest.mark.parametrize(
    ("key", "said"), [("other", "refused the key: check"), (None, "wants a key: set")]
)
async def test_a_key_that_is_refused_names_its_setting(
    opened: Opened, engine_id: str, key: str | None, said: str
):
    error = await refusal(opened(engine_id, key=key))
    assert said in error.message
    assert f"{engine_id.upper()}_API_KEY" in error.message


async def test_searxng_without_json_is_told_what_to_change(opened: Opened, engines: SearchEngines):
    engines.gives_json = False
    error = await refusal(opened("searxng"))
    assert "add `json` to `search.formats` in its settings.yml" in error.message


async def test_searxng_whose_own_engines_are_silent_has_failed(
    opened: Opened, engines: SearchEngines
):
    engines.found.clear()
    engines.unresponsive = [["google", "access denied"], ["bing", "timeout"]]
    assert (await refusal(opened("searxng"))).message.startswith("None of the engines behind")


async def test_too_many_searches_say_when_to_come_back(engine: WebSearch, engines: SearchEngines):
    engines.status = 429
    engines.headers = {"Retry-After": "30"}
    error = await refusal(engine)
    assert error.kind is ErrorKind.PROVIDER_OVERLOADED
    assert error.retry_after_seconds == 30


async def test_one_moment_is_waited(engine: WebSearch, engines: SearchEngines):
    engines.statuses = [429]
    engines.headers = {"Retry-After": "0"}
    assert await engine.search("palaver", limit=5)
    engines.statuses = [429, 429]
    assert (await refusal(engine)).kind is ErrorKind.PROVIDER_OVERLOADED


@pytest.mark.parametrize("engine_id", KEYED)
async def test_no_searches_left_is_not_too_many_at_once(
    opened: Opened, engines: SearchEngines, engine_id: str
):
    engines.status = 402 if engine_id == "brave" else 432
    error = await refusal(opened(engine_id))
    assert "has no searches left for this key" in error.message
    assert error.kind is ErrorKind.PROVIDER_FAILED


async def test_a_failure_of_the_engine_may_pass(engine: WebSearch, engines: SearchEngines):
    engines.status = 502
    error = await refusal(engine)
    assert "failed with status 502" in error.message
    assert error.may_be_repeated


@pytest.mark.parametrize(
    "body", [b"<!doctype html>", b"", b"[]", b'{"results": 7}', b'{"web": []}', b"[" * 100_000]
)
async def test_what_is_no_result_is_said(engine: WebSearch, engines: SearchEngines, body: bytes):
    engines.body = body
    error = await refusal(engine)
    assert "is no search result" in error.message
    assert "_URL right?" in error.message


async def test_a_wrong_address_names_its_setting(engine: WebSearch, engines: SearchEngines):
    engines.site.pages.clear()
    assert "_URL right?" in (await refusal(engine)).message


async def test_an_answer_without_end_is_left(engine: WebSearch, engines: SearchEngines):
    engines.body = b" " * 3_000_000
    assert "is too long" in (await refusal(engine)).message


async def test_silence_ends(engine: WebSearch, engines: SearchEngines, monkeypatch):
    monkeypatch.setattr(client, "WHOLE_SECONDS", 0.05)
    for path in engines.site.pages:
        engines.site.pages[path] = engines.site.hang
    error = await refusal(engine)
    assert error.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_where_nobody_listens_that_is_said(engine: WebSearch, engines: SearchEngines):
    await engines.site.__aexit__()
    error = await refusal(engine)
    assert error.kind is ErrorKind.PROVIDER_UNREACHABLE
    assert error.message.endswith("cannot be reached.")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": "soon"}, None),
        ({"X-RateLimit-Remaining": "0, 1999", "X-RateLimit-Reset": "1, 86400"}, 1),
        ({"X-RateLimit-Remaining": "0, 0", "X-RateLimit-Reset": "1, 86400"}, 86400),
        ({"X-RateLimit-Remaining": "1, 5", "X-RateLimit-Reset": "1, 86400"}, None),
        ({"X-RateLimit-Remaining": "x", "X-RateLimit-Reset": "1"}, None),
    ],
)
def test_the_pause_is_read_as_each_engine_says_it(headers, seconds):
    assert retry_after_seconds(headers) == seconds


@pytest.mark.parametrize(
    ("query", "max_length", "max_words", "cut"),
    [
        ("one two three", 100, 2, "one two"),
        ("one two three", 8, 9, "one two"),
        ("one two three", 7, 9, "one two"),
        ("unbreakable", 5, 9, "unbre"),
        ("  a \n b ", 100, 9, "a b"),
    ],
)
def test_a_query_ends_at_a_word(query, max_length, max_words, cut):
    assert shortened(query, max_length=max_length, max_words=max_words) == cut


def test_plain_text_has_no_direction_of_its_own_and_an_end():
    assert plain("a\u202eb &lt;i&gt; <em>c</em>", 100) == "a b <i> c"
    assert plain("x" * 1000, 10) == "x" * 10
