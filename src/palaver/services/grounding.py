"""Grounding: what the web says to a question, as passages that an answer can cite.

A search engine names pages, the best are fetched and cut, and the passages that are nearest to the
question by its words are taken; where no page can be read, what the engine says of it.
"""

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec

from palaver.domain.chunks import cut
from palaver.domain.errors import ErrorKind, Fault, InvalidInput, ProviderError
from palaver.domain.events import Status, UsageReported
from palaver.domain.passages import OVERHEAD_TOKENS
from palaver.domain.sources import Reason, Source, SourceKind
from palaver.domain.tokens import estimate_tokens
from palaver.domain.usage import UsageKind
from palaver.domain.web import Page, PageFetcher, WebHit, WebSearch
from palaver.kit.clock import Clock, system_clock
from palaver.kit.tasks import Tasks
from palaver.kit.words import words
from palaver.services.charges import Charges
from palaver.services.ledger import Work
from palaver.storage.database import Database

log = logging.getLogger(__name__)

Tell: TypeAlias = Callable[[Status], None]

HITS_MAX: Final = 8
PAGES_MAX: Final = 4
"""So many are read at once; for one that cannot be, the next is tried."""
PAGES_ENOUGH: Final = 3
"""Once so many are read, the others have a second more: somebody waits for the answer."""
PASSAGES_MAX: Final = 8
PASSAGES_READ_MAX: Final = 200
"""Of one page: some 250,000 characters."""
BREATH: Final = 8
"""So many passages are read at a stretch: other answers wait for that long, about 2 ms."""
PASSAGES_PER_PAGE_MAX: Final = 3
WHOLE_SECONDS: Final = 12.0
SEARCH_SECONDS: Final = 8.0
"""So long an engine may take: what it names, or the question itself, has to be read as well."""
GRACE_SECONDS: Final = 1.0
QUOTE_LENGTH: Final = 500
QUERY_LENGTH: Final = 300
SHOWN_LENGTH: Final = 80
FOLLOW_UP_WORDS: Final = 5
"""A question of so few words may be about what was asked before it."""

_URL: Final = re.compile(r"""https?://[^\s<>"'`)\]}]+""", re.IGNORECASE)
_CODE: Final = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_SENTENCES: Final = re.compile(r"(?<=[.!?。！？؟])")  # noqa: RUF001  # of all scripts
_ASKS: Final = ("?", "？", "؟")  # noqa: RUF001
_UNSET: Final = (
    "This server has no web search: set PALAVER_SEARXNG_URL, BRAVE_API_KEY or TAVILY_API_KEY, or "
    "choose a model whose provider searches by itself."
)
_OFF: Final = "Web search is turned off on this server (PALAVER_WEB_SEARCH)."
_SNIPPET: Final = "The page was not read: this is what the search engine says of it."

_K1: Final = 1.2
_B: Final = 0.75


class _Passage(msgspec.Struct, frozen=True):
    """A candidate: a stretch of a page, or what an engine says of it."""

    url: str
    title: str
    text: str
    start: int
    end: int
    place: int  # of its page among the hits
    note: str | None = None


class GroundingService:
    """Asks one search engine, and reads what it names.

    Runs ask it, for the owner of what they write; the passages are of the web, and nobody's.
    """

    def __init__(
        self,
        db: Database,
        search: WebSearch | None,
        fetcher: PageFetcher,
        *,
        is_off: bool = False,
        cost_micro_usd: int = 0,
        clock: Clock = system_clock,
    ) -> None:
        self.search = search
        self.fetcher = fetcher
        self.is_off = is_off
        self.cost_micro_usd = cost_micro_usd  # of one search
        self.charges = Charges(db, clock=clock)

    @property
    def has_engine(self) -> bool:
        """Tell whether `find` can be asked; else it is for the model's provider to search."""
        return self.search is not None

    def can_ground(self, *, model_searches: bool) -> bool:
        """Tell whether an answer of a model can rest on the web here."""
        return not self.is_off and (self.has_engine or model_searches)

    def require(self, *, model_searches: bool) -> None:
        """Raise `InvalidInput`, which names the setting, where nobody searches the web."""
        if not self.can_ground(model_searches=model_searches):
            sentence = _OFF if self.is_off else _UNSET
            raise InvalidInput.of("use_web_grounding", Fault.NOT_ALLOWED, sentence)

    async def find(
        self,
        owner_id: int,
        question: str,
        *,
        previous: str = "",
        budget_tokens: int,
        tell: Tell,
    ) -> list[tuple[Source, str]]:
        """Return passages for a question, the nearest first, with their texts; numbers are 0.

        A short question takes the `previous` one along. Takes about 12 seconds at the most, and
        returns what is there by then. Each search is paid for by the owner. Where it fails, the
        pages that the question names are read; raises `ProviderError` where that gives nothing.
        """
        if self.search is None:
            raise ProviderError(_UNSET)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + WHOLE_SECONDS
        query = query_of(question, previous)
        tell(Status(f"Searching the web for {_shown(query)} …"))
        hits = [WebHit(url, "") for url in dict.fromkeys(_urls(question))]
        failure: ProviderError | None = None
        try:
            hits += await self._search(self.search, owner_id, query)
        except ProviderError as error:
            if not hits:
                raise
            log.info("what a question names is read without a search: %s", error.message)
            tell(Status("The search of the web failed."))
            failure = error
        pages = await self._read(hits, deadline, tell)
        passages = _passages(hits, pages)
        scores = await _scores([each.text for each in passages], set(words(query)))
        chosen = _chosen(passages, scores, budget_tokens)
        if not chosen:
            if failure is not None:
                raise failure
            tell(Status("Nothing was found on the web."))
        return chosen

    async def close(self) -> None:
        """Wait until every search is paid for, and give up every connection."""
        await self.charges.close()
        if self.search is not None:
            await self.search.close()
        await self.fetcher.close()

    async def _search(self, search: WebSearch, owner_id: int, query: str) -> Sequence[WebHit]:
        try:
            async with asyncio.timeout(SEARCH_SECONDS):
                hits = await search.search(query, limit=HITS_MAX)
        except TimeoutError as error:
            sentence = f"{search.name} did not answer in time."
            raise ProviderError(sentence, kind=ErrorKind.PROVIDER_TIMEOUT) from error
        self.charges.pay_beside(
            Work(owner_id=owner_id, model=f"web/{search.name.lower()}", kind=UsageKind.SEARCH),
            UsageReported(0, 0, cost_micro_usd=self.cost_micro_usd),
        )
        return hits

    async def _read(self, hits: Sequence[WebHit], deadline: float, tell: Tell) -> dict[int, Page]:
        """Fetch the best hits side by side; return the pages by the places of their hits."""
        loop = asyncio.get_running_loop()
        pages: dict[int, Page] = {}
        waiting = iter(enumerate(hits))  # shared: whoever fails takes the next
        tasks = Tasks()
        try:
            pending = {
                tasks.start(self._read_one(waiting, pages, tell), name="read a page")
                for _ in range(min(PAGES_MAX, len(hits)))
            }
            while pending and (left_seconds := deadline - loop.time()) > 0:
                _, pending = await asyncio.wait(
                    pending, timeout=left_seconds, return_when=asyncio.FIRST_COMPLETED
                )
                if len(pages) >= PAGES_ENOUGH:
                    deadline = min(deadline, loop.time() + GRACE_SECONDS)
        finally:
            await tasks.cancel()
        return pages

    async def _read_one(
        self, waiting: Iterator[tuple[int, WebHit]], pages: dict[int, Page], tell: Tell
    ) -> None:
        for place, hit in waiting:
            tell(Status(f"Reading {_host(hit.url)} …"))
            try:
                pages[place] = await self.fetcher.fetch(hit.url)
            except ProviderError as error:
                log.debug("a page is not read: %s", error.message)
            else:
                return


def query_of(question: str, previous: str = "") -> str:
    """Return what to ask a search engine: the question itself, without code and addresses.

    Of a long text it is the last question in it, else its beginning.
    """
    text = _bare(question)
    if previous and len(text.split()) <= FOLLOW_UP_WORDS and len(text) < QUERY_LENGTH // 4:
        text = f"{_bare(previous)[: QUERY_LENGTH - len(text) - 1]} {text}"
    if len(text) > QUERY_LENGTH:
        asked = [one.strip() for one in _SENTENCES.split(text) if one.endswith(_ASKS)]
        text = next((one for one in reversed(asked) if 8 < len(one) <= QUERY_LENGTH), text)
    if len(text) > QUERY_LENGTH:
        text = text[: QUERY_LENGTH + 1].rpartition(" ")[0] or text[:QUERY_LENGTH]
    return text or " ".join(question.split())[:QUERY_LENGTH]


def _bare(text: str) -> str:
    return " ".join(_URL.sub(" ", _CODE.sub(" ", text)).split())


def _urls(question: str) -> list[str]:
    """Return the addresses that a question names: whoever names a page wants it read."""
    return [found.rstrip(".,;:!?") for found in _URL.findall(question)][:2]


def _passages(hits: Sequence[WebHit], pages: dict[int, Page]) -> list[_Passage]:
    found: list[_Passage] = []
    seen: set[str] = set()
    for place, hit in enumerate(hits):
        page = pages.get(place)
        url = hit.url if page is None else page.url
        if url in seen:
            continue
        seen.add(url)
        if page is not None:
            title = page.title or hit.title or _host(url)
            found += [
                _Passage(url, title, chunk.text, chunk.start, chunk.end, place)
                for chunk in cut(page.extracted)[:PASSAGES_READ_MAX]
            ]
        elif hit.snippet:
            title, end = hit.title or _host(url), len(hit.snippet)
            found.append(_Passage(url, title, hit.snippet, 0, end, place, _SNIPPET))
    return found


def _chosen(
    passages: Sequence[_Passage], scores: Sequence[float], budget_tokens: int
) -> list[tuple[Source, str]]:
    """Return the passages with the best scores that fit into a prompt."""
    ranked = sorted(zip(scores, passages, strict=True), key=lambda pair: (-pair[0], pair[1].place))
    chosen: list[tuple[Source, str]] = []
    taken: Counter[str] = Counter()
    for text_rank, (score, passage) in enumerate(ranked, start=1):
        if len(chosen) == PASSAGES_MAX:
            break
        if taken[passage.url] == PASSAGES_PER_PAGE_MAX or (score == 0 and taken[passage.url]):
            continue
        tokens = estimate_tokens(passage.text) + estimate_tokens(passage.title) + OVERHEAD_TOKENS
        if tokens > budget_tokens:
            continue
        budget_tokens -= tokens
        taken[passage.url] += 1
        chosen.append((_source(passage, score, text_rank), passage.text))
    return chosen


async def _scores(texts: Sequence[str], asked: set[str]) -> list[float]:
    """Return how near each text is to the words that are asked for (Okapi BM25).

    What is kept is ranked by stems as well (`domain.ranking`): eight times the work, and done once.
    """
    counts = []
    for number, text in enumerate(texts):
        if number % BREATH == 0:
            await asyncio.sleep(0)
        counts.append(Counter(words(text)))
    lengths = [max(count.total(), 1) for count in counts]
    mean = sum(lengths) / max(len(lengths), 1)
    weights = {
        word: math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        for word in asked
        if (holding := sum(word in count for count in counts))
    }
    return [
        sum(
            weight * count[word] * (_K1 + 1) / (count[word] + _K1 * (1 - _B + _B * length / mean))
            for word, weight in weights.items()
        )
        for count, length in zip(counts, lengths, strict=True)
    ]


def _source(passage: _Passage, score: float, text_rank: int) -> Source:
    return Source(
        index=0,
        kind=SourceKind.WEB,
        id=passage.url,
        title=passage.title,
        url=passage.url,
        start=passage.start,
        end=passage.end,
        score=round(score, 4),
        reason=Reason(text_rank=text_rank, note=passage.note),
        quote=passage.text[:QUOTE_LENGTH],
    )


def _host(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        host = ""
    return (host.removeprefix("www.") or "a page")[:SHOWN_LENGTH]


def _shown(query: str) -> str:
    return f"“{query}”" if len(query) <= SHOWN_LENGTH else f"“{query[:SHOWN_LENGTH].rstrip()}…”"
