"""HTML: what is none yet is escaped, wherever it is put."""

from palaver.web.html import Html, fill, joined, page

EVIL = "<script>'\"&"
ESCAPED = "&lt;script&gt;&#x27;&quot;&amp;"


def test_text_is_escaped_and_html_is_not() -> None:
    inner = fill("<b>{text}</b>", text=EVIL)
    assert inner == f"<b>{ESCAPED}</b>"
    assert fill("<p>{inner}{number}</p>", inner=inner, number=1) == f"<p><b>{ESCAPED}</b>1</p>"
    assert fill("{all}", all=joined([inner, inner], by="")) == inner + inner


def test_a_page_escapes_its_title_and_takes_even_strings_for_text() -> None:
    """The type check refuses a string where HTML belongs; what slips by does no harm."""
    content = bytes(page(EVIL, Html("<main>in</main>"), body_class=EVIL, bar=EVIL).body).decode()  # type: ignore[arg-type]
    assert "<script>" not in content
    assert content.count(ESCAPED) == 3
    assert "<main>in</main>" in content
