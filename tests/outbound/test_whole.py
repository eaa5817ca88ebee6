"""Grounding with nothing in between replaced: an engine, a site, the gate, the extractor's process."""

import ipaddress

from palaver.domain.events import Status
from palaver.outbound.extractor import build as build_extractor
from palaver.outbound.gate import Gate
from palaver.outbound.pages import PageReader
from palaver.outbound.web_search import build as build_search
from palaver.services.grounding import GroundingService
from palaver.storage.database import Database
from tests.cast import a_cast
from tests.fakes.search_engines import SearchEngines
from tests.fakes.site import Names, Site

PAGE = """<!doctype html><html><head><title>The Minster</title><script>var tower = 1</script></head>
<body><nav>Home | Tower | Tickets</nav><main><h1>Ulm Minster</h1>
<p>Its tower is 161.53 metres tall.</p><p>It was finished in 1890.</p></main></body></html>"""


async def test_a_question_becomes_a_quote_of_a_page(db: Database):
    cast = await a_cast(db)
    told: list[str] = []

    def tell(status: Status) -> None:
        told.append(status.text)

    names = Names(site_test=["127.0.0.1"])
    gate = Gate([ipaddress.ip_network("127.0.0.1/32")], names=names)
    extractor = build_extractor()
    async with Site({"/ulm": PAGE}) as site, SearchEngines() as engines:
        engines.found = [
            ("http://169.254.169.254/latest/meta-data/", "Keys", "The tower of the cloud."),
            (site.url("/ulm"), "Ulm", "A minster."),
        ]
        service = GroundingService(
            db, build_search(engines.settings("brave")), PageReader(gate, extractor)
        )
        found = await service.find(
            cast.owner.owner_id, "How tall is the tower?", budget_tokens=2_000, tell=tell
        )
        await service.close()
    await gate.close()
    await extractor.close()
    best, text = next((source, text) for source, text in found if source.url == site.url("/ulm"))
    assert best.title == "The Minster"
    assert "161.53 metres" in best.quote
    assert "var tower" not in text
    assert "Tickets" not in text
    (keys,) = [source for source, _ in found if source.url != site.url("/ulm")]
    assert keys.quote == "The tower of the cloud."
    assert site.paths == ["/ulm"]
    assert told[0] == "Searching the web for “How tall is the tower?” …"
