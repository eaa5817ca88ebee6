"""HTML: what a reader of the page reads."""

import pytest

from palaver.domain.extraction import ExtractionError
from palaver.outbound.extractor import ChildExtractor, Limits, build
from tests.extraction.test_texts import shown

PAGE = """<!doctype html><title>Harbours &amp;
 boats</title><style>p {}</style>
<body><header>Shop</header><nav><a href=/>Home</a></nav>
<h2>The <i>quiet</i> harbour</h2>
<p>It  was
   ev&ouml;ning.<br>Nobody came.<script>alert(1)</script><p hidden>No</p>
<ul><li>oil<li><p>rope</p><ol start=3><li>thin</ol></ul>
<pre>
 if x:
    y</pre>
<table><caption>Boats</caption><tr><th>Name<th>Year<tr><td>Ada<td>19<br>80</table>
<blockquote><p>Quiet.</p></blockquote>
<aside>Read on</aside><form>Search</form><footer>1999</footer>"""

READ = [
    ("heading", "The quiet harbour"),
    ("paragraph", "It was evöning.\nNobody came."),
    ("list", "- oil"),
    ("list", "- rope"),
    ("list", "3. thin"),
    ("code", " if x:\n    y"),
    ("table", "Boats\nName | Year\nAda | 19 80"),
    ("quote", "Quiet."),
]


async def test_a_page_is_read_without_what_stands_around_it(extractor: ChildExtractor) -> None:
    text = "It was a long evening in the harbour. " * 6
    extracted = await extractor.extract(f"{PAGE}<p>{text}".encode(), "text/html")
    assert extracted.title == "Harbours & boats"
    assert shown(extracted) == [*READ, ("paragraph", text.strip())]
    assert extracted.text.startswith(
        "The quiet harbour\n\nIt was evöning.\nNobody came.\n\n- oil\n- "
    )


@pytest.mark.parametrize("tag", ["main", "article", "div role=main"])
async def test_the_main_part_of_a_page_is_taken_alone(extractor: ChildExtractor, tag: str) -> None:
    words = "The boats came back in the evening. " * 10
    page = f"<p>Around it<{tag}><h1>Boats</h1><p>{words}</{tag.split()[0]}><p>More around it"
    extracted = await extractor.extract(page.encode(), "text/html; charset=utf-8")
    assert extracted.text == f"Boats\n\n{words.strip()}"


async def test_a_page_of_nothing_but_its_edges_is_read_all_the_same(
    extractor: ChildExtractor,
) -> None:
    extracted = await extractor.extract(b"<main></main><nav>Home</nav><footer>1999", "text/html")
    assert extracted.text == "Home\n\n1999"


async def test_a_page_may_name_its_encoding(extractor: ChildExtractor) -> None:
    for head in ('<meta charset="windows-1251">', '<?xml version="1.0" encoding="windows-1251"?>'):
        content = f"{head}<p>Гавань".encode("cp1251")
        assert (await extractor.extract(content, "text/html")).text == "Гавань"


async def test_a_page_that_is_nested_deeply_is_refused(extractor: ChildExtractor) -> None:
    with pytest.raises(ExtractionError, match="nested deeper than 512"):
        await extractor.extract(b"<div>" * 5_000 + b"deep", "text/html")


@pytest.mark.parametrize(
    "content",
    [
        b"<div>" * 90_000 + b"hello" + b"</div>" * 75_000,
        b"<ul><li>" * 60_000,
        b"<div></x>" * 80_000,
        b"<svg><style>" + b"<div>" * 80_000,
    ],
)
async def test_a_page_whose_tags_are_never_closed_is_given_up_at_once(content: bytes) -> None:
    with pytest.raises(ExtractionError, match="nested or never closed"):
        await build(Limits(cpu_seconds=2)).extract(content, "text/html")


@pytest.mark.parametrize("tag", [b"<p>a ", b"<li>a", b"a<br>", b"<b>a</b>", b"<tr><td>a"])
async def test_a_page_of_nothing_but_tags_is_read(extractor: ChildExtractor, tag: bytes) -> None:
    page = tag * ((1 << 20) // len(tag))
    assert (await extractor.extract(page, "text/html")).text.count("a") == page.count(b"a")
