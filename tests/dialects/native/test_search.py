"""The chapter "Search"."""

from tests.contracts import shape
from tests.dialects.native.helpers import EXAMPLES, assert_error
from tests.http import Visitor

SEARCH = "/api/palaver/search"
EXAMPLE = EXAMPLES["Search"].response


async def a_conversation(visitor: Visitor, title: str, *messages: str) -> None:
    id = (await visitor.post("/conversations", {"title": title})).json["id"]
    for content in messages:
        await visitor.post(f"/conversations/{id}/messages", {"content": content})


async def test_hits_look_as_documented(owner: Visitor) -> None:
    await a_conversation(owner, "Sourdough for beginners", "How long does sourdough rise?")
    answer = await owner.get(f"{SEARCH}?q=sourdough")
    assert answer.status == 200
    assert list(answer.json) == list(EXAMPLE)
    expected = {item["kind"]: shape(item) for item in EXAMPLE["items"]}
    found = {item["kind"]: shape(item) for item in answer.json["items"]}
    assert found == expected
    assert answer.json["next"] is None


async def test_highlights_stand_where_the_words_are(owner: Visitor) -> None:
    await a_conversation(owner, "x", "Wie lange geht der Sauerteig? 😀 SAUERTEIG")
    (hit,) = (await owner.get(f"{SEARCH}?q=sauerteig")).json["items"]
    text = hit["excerpt"]["text"]
    marked = [text[start:end] for start, end in hit["excerpt"]["highlights"]]
    assert marked == ["Sauerteig", "SAUERTEIG"]


async def test_pages_follow_one_another_without_gap_or_double(owner: Visitor) -> None:
    for number in range(5):
        await a_conversation(owner, f"apple {number}")
    seen: list[str] = []
    path = f"{SEARCH}?q=apple&limit=2"
    while True:
        page = (await owner.get(path)).json
        seen += [item["conversation_title"] for item in page["items"]]
        if page["next"] is None:
            break
        path = f"{SEARCH}?q=apple&limit=2&cursor={page['next']}"
    assert sorted(seen) == [f"apple {number}" for number in range(5)]


async def test_nobody_finds_what_belongs_to_another(owner: Visitor, stranger: Visitor) -> None:
    await a_conversation(owner, "secret", "secret")
    assert (await stranger.get(f"{SEARCH}?q=secret")).json == {"items": [], "next": None}


async def test_what_cannot_be_looked_for_is_refused(owner: Visitor) -> None:
    for query in ("", "?q=", "?q=%20", f"?q={'x' * 1001}", "?q=a%00"):
        assert_error(await owner.get(SEARCH + query), 400, "INVALID_INPUT", "q")
    assert_error(await owner.get(f"{SEARCH}?q=x&cursor=x"), 400, "INVALID_INPUT", "cursor")
    for limit in ("0", "-1", "x", "1.5", "9" * 30):
        assert_error(await owner.get(f"{SEARCH}?q=x&limit={limit}"), 400, "INVALID_INPUT", "limit")
    answer = await owner.get(f"{SEARCH}?q=%00&limit=x")
    assert_error(answer, 400, "INVALID_INPUT", "q", "limit")


async def test_a_limit_above_the_most_counts_as_the_most(owner: Visitor) -> None:
    assert (await owner.get(f"{SEARCH}?q=x&limit=1000")).status == 200


async def test_nobody_searches_without_signing_in(owner: Visitor) -> None:
    owner.session.cookie_jar.clear()
    assert_error(await owner.get(f"{SEARCH}?q=x"), 401, "UNAUTHENTICATED")
    headers = {"Authorization": "Bearer nonsense"}
    assert_error(await owner.get(f"{SEARCH}?q=x", headers=headers), 401, "INVALID_TOKEN")


async def test_what_is_not_there_is_told_in_this_contracts_words(owner: Visitor) -> None:
    assert_error(await owner.get("/api/palaver/nothing"), 404, "NOT_FOUND")
    answer = await owner.post(SEARCH, {})
    assert_error(answer, 405, "METHOD_NOT_ALLOWED")
    assert answer.headers["allow"] == "GET"
