"""Grounding: from a question to passages of the web that an answer can cite."""

import asyncio
from collections.abc import Sequence

import pytest

from palaver.domain.errors import ErrorKind, InvalidInput, ProviderError
from palaver.domain.events import Status
from palaver.domain.extraction import Extracted
from palaver.domain.sources import Source, SourceKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageEntry, UsageKind
from palaver.domain.web import Page, WebHit
from palaver.services import grounding
from palaver.services.grounding import GroundingService, query_of
from palaver.storage.database import Database
from tests.cast import Cast, a_cast
from tests.fakes.extractor import PlainExtractor
from tests.services.test_calls import no_ledger

QUESTION = "How tall is the tower of Ulm?"
TALL = "The tower of Ulm Minster is 161.53 metres tall, the tallest of all churches."


class Engine:
    """Finds what a test says."""

    name = "Fake"

    def __init__(self, *hits: WebHit) -> None:
        self.hits = list(hits)
        self.error: ProviderError | None = None
        self.hangs = False
        self.queries: list[str] = []

    async def search(self, query: str, *, limit: int) -> Sequence[WebHit]:
        self.queries.append(query)
        if self.hangs:
            await asyncio.Event().wait()
        if self.error:
            raise self.error
        return self.hits[:limit]

    async def close(self) -> None:
        pass


class Web:
    """Pages by their addresses; None = it never comes."""

    def __init__(self, **pages: str | None) -> None:
        self.pages = {f"https://{name}.example/": page for name, page in pages.items()}
        self.fetched: list[str] = []
        self.now = self.most = self.left = 0
        self.stuck = asyncio.Event()

    async def fetch(self, url: str) -> Page:
        self.fetched.append(url)
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(0)
            page = self.pages.get(url, "")
            if page is None:
                self.stuck.set()
                await asyncio.Event().wait()
            if not page:
                raise ProviderError("It answered with status 404.")
            extracted = await PlainExtractor().extract(page.encode(), "text/html")
            return Page(url, extracted.title or "", extracted)
        except asyncio.CancelledError:
            self.left += 1
            raise
        finally:
            self.now -= 1

    async def close(self) -> None:
        pass


def hit(name: str, snippet: str = "") -> WebHit:
    return WebHit(f"https://{name}.example/", f"Hit {name}", snippet)


class Case:
    """A service over an engine and a web, the cast, and what readers were told."""

    def __init__(self, db: Database, cast: Cast) -> None:
        self.db = db
        self.cast = cast
        self.engine = Engine()
        self.web = Web()
        self.told: list[str] = []

    def service(self, **given: object) -> GroundingService:
        return GroundingService(self.db, **{"search": self.engine, "fetcher": self.web, **given})  # type: ignore[arg-type]

    async def find(
        self,
        question: str = QUESTION,
        *,
        budget_tokens: int = 4_000,
        previous: str = "",
        **given: object,
    ) -> list[tuple[Source, str]]:
        def tell(status: Status) -> None:
            self.told.append(status.text)

        service = self.service(**given)
        found = await service.find(
            self.cast.owner.owner_id,
            question,
            previous=previous,
            budget_tokens=budget_tokens,
            tell=tell,
        )
        await service.close()
        return found

    async def entries(self, owner_id: int) -> list[UsageEntry]:
        async with self.db.read() as tx:
            return await tx.usage.list(owner_id=owner_id)


@pytest.fixture
async def case(db: Database) -> Case:
    return Case(db, await a_cast(db))


async def test_the_passage_that_answers_comes_first_and_is_quoted_exactly(case: Case):
    text = "<title>Ulm</title>" + "".join(f"<p>{'Beer and bread. ' * 90}{n}" for n in range(5))
    case.web = Web(ulm=f"{text}<p>{TALL}{' More on it.' * 60}", other="<p>Towers are tall.")
    case.engine.hits = [hit("other"), hit("ulm")]
    (source, passage), *_ = await case.find()
    assert TALL in passage
    assert (source.kind, source.index) == (SourceKind.WEB, 0)
    assert source.id == source.url == "https://ulm.example/"
    assert source.title == "Ulm"
    page = (await case.web.fetch(source.url)).extracted.text
    assert page[source.start : source.end] == passage
    assert source.quote == passage[:500]
    assert len(source.quote) <= 500
    assert source.reason.text_rank == 1
    assert source.score > 0


async def test_readers_see_what_it_is_busy_with(case: Case):
    case.web = Web(ulm=TALL)
    case.engine.hits = [hit("ulm")]
    await case.find()
    assert case.told == [f"Searching the web for “{QUESTION}” …", "Reading ulm.example …"]


async def test_pages_are_read_side_by_side_and_the_next_takes_the_place_of_a_bad_one(case: Case):
    case.web = Web(c=f"C {TALL}", d=f"D {TALL}", e=f"E {TALL}", f=f"F {TALL}", g=f"G {TALL}")
    case.engine.hits = [hit(name) for name in "abcdefg"]
    found = await case.find()
    assert {source.title for source, _ in found} == {"Hit c", "Hit d", "Hit e", "Hit f"}
    assert case.web.most == 4
    assert "https://g.example/" not in case.web.fetched


async def test_for_a_page_that_cannot_be_read_the_engine_speaks(case: Case):
    case.engine.hits = [hit("a", TALL), hit("b")]
    ((source, text),) = await case.find()
    assert text == source.quote == TALL
    assert (source.start, source.end) == (0, len(TALL))
    assert "was not read" in (source.reason.note or "")


async def test_who_waits_gets_what_is_there(case: Case, monkeypatch):
    monkeypatch.setattr(grounding, "WHOLE_SECONDS", 0.1)
    case.web = Web(a=None, b=TALL)
    case.engine.hits = [hit("a", "A snippet on the tower."), hit("b")]
    found = await case.find()
    assert [source.title for source, _ in found] == ["Hit b", "Hit a"]
    assert case.web.left == 1


async def test_three_pages_are_enough_to_leave_the_slowest(case: Case, monkeypatch):
    monkeypatch.setattr(grounding, "GRACE_SECONDS", 0.01)
    case.web = Web(a=None, b=TALL, c=TALL + " C", d=TALL + " D")
    case.engine.hits = [hit(name) for name in "abcd"]
    assert len(await case.find()) == 3
    assert case.web.left == 1


async def test_who_goes_away_leaves_nothing_running(case: Case):
    case.web = Web(a=None, b=None)
    case.engine.hits = [hit("a"), hit("b")]
    task = asyncio.ensure_future(case.find())
    await case.web.stuck.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (case.web.now, case.web.left) == (0, 2)


async def test_a_search_that_fails_is_told_and_costs_nothing(case: Case):
    case.engine.error = ProviderError("Fake refused the key: check FAKE_KEY.")
    with pytest.raises(ProviderError, match="check FAKE_KEY"):
        await case.find()
    assert await case.entries(case.cast.owner.owner_id) == []


async def test_a_search_that_hangs_is_told(case: Case, monkeypatch):
    monkeypatch.setattr(grounding, "SEARCH_SECONDS", 0.02)
    case.engine.hangs = True
    with pytest.raises(ProviderError) as caught:
        await case.find()
    assert caught.value.kind is ErrorKind.PROVIDER_TIMEOUT


async def test_nothing_found_is_nothing_to_cite(case: Case):
    assert await case.find() == []
    assert case.told[-1] == "Nothing was found on the web."


async def test_a_search_is_a_line_of_its_owners_ledger(case: Case):
    await case.find(cost_micro_usd=5_000)
    await case.find()
    first, second = await case.entries(case.cast.owner.owner_id)
    assert (first.kind, first.model, first.cost_micro_usd) == (UsageKind.SEARCH, "web/fake", 5_000)
    assert (first.messages, first.charged_tokens, second.cost_micro_usd) == (0, 0, 0)
    assert await case.entries(case.cast.stranger.owner_id) == []


async def test_a_ledger_that_refuses_takes_nothing_from_an_answer(case: Case):
    case.web = Web(a=TALL)
    case.engine.hits = [hit("a")]
    async with no_ledger(case.db):
        assert len(await case.find()) == 1
    assert await case.entries(case.cast.owner.owner_id) == []


async def test_who_goes_away_after_the_search_has_paid_for_it(case: Case):
    case.web = Web(a=None)
    case.engine.hits = [hit("a")]
    service = case.service()
    searching = asyncio.ensure_future(
        service.find(case.cast.owner.owner_id, QUESTION, budget_tokens=9, tell=lambda _: None)
    )
    await case.web.stuck.wait()
    searching.cancel()
    await asyncio.wait([searching])
    await service.close()
    assert len(await case.entries(case.cast.owner.owner_id)) == 1


async def test_the_passages_fit_into_the_budget(case: Case):
    text = "".join(f"<p>The tower of Ulm, part {n}. {'It is tall. ' * 120}" for n in range(40))
    case.web = Web(a=text, b=text.replace("part", "piece"), c=text.replace("part", "bit"))
    case.engine.hits = [hit("a"), hit("b"), hit("c")]
    found = await case.find(budget_tokens=1_500)
    assert found
    assert sum(estimate_tokens(text) + estimate_tokens(s.title) + 24 for s, text in found) <= 1_500
    found = await case.find(budget_tokens=100_000)
    assert len(found) == 8
    assert max([s.url for s, _ in found].count(url) for url in case.web.pages) <= 3
    assert await case.find(budget_tokens=10) == []


async def test_one_page_under_two_addresses_is_one(case: Case):
    class Moved(Web):
        async def fetch(self, url: str) -> Page:
            return Page("https://a.example/", "A", Extracted(TALL, ()))

    case.web = Moved()
    case.engine.hits = [hit("a"), hit("b")]
    assert len(await case.find()) == 1


async def test_an_address_in_the_question_is_read_first(case: Case):
    case.web = Web(named=f"<title>Named</title>{TALL}", a="<p>Something else.")
    case.engine.hits = [hit("a")]
    found = await case.find("What does https://named.example/ say of the tower?")
    assert case.web.fetched[0] == "https://named.example/"
    assert found[0][0].title == "Named"
    assert case.engine.queries == ["What does say of the tower?"]


async def test_an_address_in_the_question_is_read_also_where_the_search_fails(case: Case):
    case.web = Web(named=f"<title>Named</title>{TALL}")
    case.engine.error = ProviderError("Fake is down.")
    ((source, _),) = await case.find("What does https://named.example/ say of the tower?")
    assert source.title == "Named"
    assert "The search of the web failed." in case.told
    assert await case.entries(case.cast.owner.owner_id) == []
    with pytest.raises(ProviderError, match="Fake is down"):
        await case.find("What does https://gone.example/ say of the tower?")


async def test_chinese_is_found_by_its_words(case: Case):
    case.web = Web(
        a="<p>面包和啤酒都很好。" * 3, b="<p>乌尔姆大教堂的塔高一百六十一米。", c="<p>塔。"
    )
    case.engine.hits = [hit("a"), hit("b"), hit("c")]
    (source, _), *_ = await case.find("乌尔姆大教堂的塔有多高？")  # noqa: RUF001
    assert source.url == "https://b.example/"


@pytest.mark.parametrize("is_off", [False, True])
@pytest.mark.parametrize("has_engine", [False, True])
@pytest.mark.parametrize("model_searches", [False, True])
def test_without_anybody_who_searches_the_setting_is_named(
    db: Database, *, is_off: bool, has_engine: bool, model_searches: bool
):
    service = GroundingService(db, Engine() if has_engine else None, Web(), is_off=is_off)
    assert service.has_engine is has_engine
    if not is_off and (has_engine or model_searches):
        service.require(model_searches=model_searches)
        return
    with pytest.raises(InvalidInput) as caught:
        service.require(model_searches=model_searches)
    (fault,) = caught.value.faults
    assert fault.field == "use_web_grounding"
    assert ("PALAVER_WEB_SEARCH" if is_off else "PALAVER_SEARXNG_URL") in fault.message


@pytest.mark.parametrize(
    ("question", "previous", "query"),
    [
        ("  What is\n a palaver? ", "", "What is a palaver?"),
        (
            "And in Bonn?",
            "How is the weather in Cologne?",
            "How is the weather in Cologne? And in Bonn?",
        ),
        ("A question of more than five words", "Before", "A question of more than five words"),
        ("Explain ```x = 1``` to me please now", "", "Explain to me please now"),
        ("```only code```", "", "```only code```"),
        ("https://example.org/a", "", "https://example.org/a"),
        ("Text. " * 100 + "Who wrote this? " + "Text. " * 100, "", "Who wrote this?"),
        ("Satz。" * 100 + "谁写的这些东西呢？" + "文。" * 200, "", "谁写的这些东西呢？"),  # noqa: RUF001
        ("word " * 100, "", ("word " * 60).strip()),
        ("x" * 1000, "", "x" * 300),
    ],
)
def test_a_query_is_what_is_asked(question, previous, query):
    assert query_of(question, previous) == query


def test_a_long_text_is_read_in_no_time():
    assert len(query_of("a" * 200_000 + " b" * 200_000 + "```" * 50_000 + "http" * 50_000)) <= 300
