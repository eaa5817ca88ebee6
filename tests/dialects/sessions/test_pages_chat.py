"""Conversations as pages: read in pages of fifty, and written to by a form that waits."""

import asyncio
import html

import pytest

from palaver.dialects.sessions.pages import chat
from palaver.domain.plans import PlanChange
from palaver.domain.users import SYSTEM, Actor
from palaver.services.starting import Choice
from tests.cast import PASSWORD
from tests.dialects.sessions.helpers import NOWHERE, SESSIONS, a_session, chats_of
from tests.fakes.scripts import Failure, Script, error
from tests.fakes.upstream import Upstream
from tests.http import Answer, Palaver, Visitor
from tests.pages import Element, Page, fields, followed, opened, submitted

LOGIN = "/accounts/login/"
BROKEN = error(418, "It is on fire.")  # a status that is not tried again
REPLY = "Hello, world!"


def composer(page: Page) -> Element:
    """Return the form that sends."""
    return page.form(class_="composer")


def box(page: Page) -> str:
    """Return what stands in the box."""
    return fields(composer(page))["text"]


def turns(page: Page) -> list[str]:
    """Return what the messages of a page say."""
    return [each.text for each in page.root.all("div", class_="text")]


def listed(page: Page) -> list[str]:
    """Return the titles of the list beside the conversation."""
    (nav,) = page.root.all("nav")
    return [each.one("span").text for each in nav.all("li")]


def path_of(id: str) -> str:
    return f"/chat/{id}/"


async def asked(visitor: Visitor, page: Page, text: str, **more: str) -> Answer:
    """Send something by the form of a page."""
    return await submitted(visitor, composer(page), text=text, **more)


async def actor_of(visitor: Visitor) -> Actor:
    return Actor(user_id=visitor.user.id)


async def test_a_new_account_finds_an_empty_conversation_that_is_not_stored(
    owner: Visitor,
) -> None:
    page = await opened(owner, "/")
    assert (page.heading, turns(page), listed(page)) == ("New Chat", [], [])
    assert "Nothing here yet." in page.root.text
    assert (await owner.get(SESSIONS)).json["count"] == 0


async def test_what_is_asked_there_begins_a_conversation(owner: Visitor) -> None:
    answer = await asked(owner, await opened(owner, "/"), "Hello\n\n  there")
    assert answer.status == 303
    page = await followed(owner, answer)
    assert turns(page) == ["Hello\n\n  there", REPLY]
    assert box(page) == ""
    (session,) = (await owner.get(SESSIONS)).json["results"]
    assert answer.headers["location"] == path_of(session["id"])
    assert await chats_of(owner, session["id"]) == [("Hello\n\n  there", REPLY)]


async def test_the_front_page_opens_the_newest_conversation(owner: Visitor) -> None:
    older = await a_session(owner, "First", title="Older")
    await a_session(owner, "Second", title="Newer")
    page = await opened(owner, "/")
    assert (page.heading, turns(page)) == ("Newer", ["Second", REPLY])
    assert listed(page) == ["Newer", "Older"]
    assert page.root.one("a", **{"aria-current": "page"}).text.startswith("Newer")
    assert (await asked(owner, await opened(owner, path_of(older)), "More")).status == 303
    assert (await opened(owner, "/")).heading == "Older"


async def test_what_is_sent_from_the_front_page_goes_to_the_conversation_it_shows(
    owner: Visitor,
) -> None:
    shown = await a_session(owner, "First", title="Shown")
    page = await opened(owner, "/")
    await a_session(owner, title="Made meanwhile")
    answer = await asked(owner, page, "Second")
    assert answer.headers["location"] == path_of(shown)
    assert [said for said, _ in await chats_of(owner, shown)] == ["First", "Second"]


async def test_a_new_chat_is_one_link_away(owner: Visitor) -> None:
    await a_session(owner, "First")
    page = await opened(owner, "/")
    page = await opened(owner, page.links()["New chat"])
    assert turns(page) == []
    assert len(listed(page)) == 1
    page = await followed(owner, await asked(owner, page, "Second"))
    assert turns(page) == ["Second", REPLY]
    assert len(listed(page)) == 2


async def test_text_is_shown_as_it_is_and_nothing_of_it_is_markup(
    owner: Visitor, upstream: Upstream
) -> None:
    nasty = '<script>alert(1)</script> & "q" </div> {text} %s\n  two'
    upstream.plan(Script(words=(nasty,)))
    page = await followed(owner, await asked(owner, await opened(owner, "/"), nasty))
    assert turns(page) == [nasty, nasty]
    assert page.root.all("script") == []
    (session,) = (await owner.get(SESSIONS)).json["results"]
    await owner.patch(f"{SESSIONS}{session['id']}/", {"title": "<b>Bold</b>"})
    page = await opened(owner, "/")
    assert (page.heading, listed(page)) == ("<b>Bold</b>", ["<b>Bold</b>"])
    assert html.escape("<b>Bold</b>") in page.answer.content.decode()


async def test_a_line_end_at_the_beginning_survives_a_refusal(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(BROKEN)
    page = Page(await asked(owner, await opened(owner, "/"), "\n  code"))
    assert box(page) == "\r\n  code"


@pytest.mark.parametrize("text", ["", "  \n "])
async def test_a_message_without_a_word_is_told_beside_the_box(owner: Visitor, text: str) -> None:
    page = Page(await asked(owner, await opened(owner, "/"), text))
    assert page.status == 400
    assert page.title.startswith("Error: ")
    assert page.fault("text") == page.alert() == "A message may not be blank."
    assert (await owner.get(SESSIONS)).json["count"] == 0


@pytest.mark.parametrize(
    ("script", "status", "words"),
    [
        (BROKEN, 502, "It is on fire."),
        (Script(failure=Failure.RESET, after=0), 502, "Simulator"),
        (error(529, "Too much to do."), 503, "Simulator"),
        (error(401, "Who are you?"), 502, "Simulator"),
    ],
)
async def test_a_failed_provider_is_told_and_the_text_stays_in_the_box(
    owner: Visitor, upstream: Upstream, script: Script, status: int, words: str
) -> None:
    upstream.default = script
    answer = await asked(owner, await opened(owner, "/"), "Are you there?")
    page = Page(answer)
    assert page.status == status
    assert words in page.fault("text")
    assert page.fault("text").endswith("Your message is kept: send it again, or change it first.")
    assert (turns(page), box(page)) == (["Are you there?"], "Are you there?")
    if status == 503:
        assert int(answer.headers["retry-after"]) >= 1


async def test_sending_it_again_asks_the_same_question_once(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(BROKEN)
    page = Page(await asked(owner, await opened(owner, "/"), "Are you\nthere?"))
    page = await followed(owner, await submitted(owner, composer(page)))
    assert turns(page) == ["Are you\nthere?", REPLY]
    assert [each["content"] for each in upstream.requests[-1].body["messages"]] == [
        "Are you\nthere?"
    ]


async def test_changing_it_first_puts_the_new_text_in_its_place(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(BROKEN, BROKEN)
    page = Page(await asked(owner, await opened(owner, "/"), "Are you there?"))
    page = Page(await asked(owner, page, "Hello?"))
    assert (turns(page), box(page)) == (["Hello?"], "Hello?")
    page = await followed(owner, await asked(owner, page, "Hello!"))
    assert turns(page) == ["Hello!", REPLY]


async def test_a_failure_in_the_middle_keeps_the_beginning_until_it_is_asked_again(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.RESET))
    page = Page(await asked(owner, await opened(owner, "/"), "Are you there?"))
    assert (page.status, turns(page)) == (502, ["Are you there?", "Hello,"])
    page = await followed(owner, await submitted(owner, composer(page)))
    assert turns(page) == ["Are you there?", REPLY]


async def test_a_question_without_an_answer_can_be_asked_again_later(
    owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(BROKEN, BROKEN)
    await asked(owner, await opened(owner, "/"), "Are you there?")
    page = await opened(owner, "/")
    assert "This has no answer." in page.root.text
    page = Page(await submitted(owner, page.form(class_="state")))
    assert (page.status, box(page)) == (502, "")
    page = await followed(owner, await submitted(owner, composer(page), text="Are you there?"))
    assert turns(page) == ["Are you there?", REPLY]
    assert page.root.all("form", class_="state") == []


async def test_a_question_that_somebody_answered_meanwhile_is_not_asked_again(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(BROKEN)
    page = Page(await asked(owner, await opened(owner, "/"), "Are you there?"))
    again = await opened(owner, "/")
    assert (await submitted(owner, again.form(class_="state"))).status == 303
    assert (await submitted(owner, composer(page))).status == 303
    assert len(upstream.requests) == 2
    assert turns(await opened(owner, "/")) == ["Are you there?", REPLY]


async def test_a_form_that_is_sent_twice_asks_once(owner: Visitor, upstream: Upstream) -> None:
    for path in ("/", "/"):
        page = await opened(owner, path)
        first = await asked(owner, page, "Hello")
        second = await asked(owner, page, "Hello")
        assert first.headers["location"] == second.headers["location"]
        # With another text it is another question, from the same form as well.
        assert (await asked(owner, page, "Something else")).status == 303
    assert len(upstream.requests) == 4


async def test_a_limit_of_the_plan_is_told_with_when_to_come_back(
    palaver: Palaver, owner: Visitor
) -> None:
    plans = palaver.services.plans
    (plan,) = [each.plan for each in (await plans.list(SYSTEM)).items if each.plan.is_default]
    await plans.update(SYSTEM, plan.id, PlanChange(hourly_max_messages=1))
    page = await followed(owner, await asked(owner, await opened(owner, "/"), "First"))
    answer = await asked(owner, page, "Second")
    page = Page(answer)
    assert page.status == 429
    assert "limit of 1 message an hour leaves no room" in page.fault("text")
    assert int(answer.headers["retry-after"]) > 60
    # Nothing was stored: it is not kept but in the box.
    assert (turns(page), box(page)) == (["First", REPLY], "Second")


async def test_a_message_that_is_too_large_is_refused_as_a_page(owner: Visitor) -> None:
    answer = await asked(owner, await opened(owner, "/"), "x" * 3_000_000)
    assert Page(answer).status == 413


async def test_messages_come_in_pages_of_fifty(palaver: Palaver, owner: Visitor) -> None:
    id = await a_session(owner, title="Long")
    actor = await actor_of(owner)
    said = [f"Message {number}" for number in range(120)]
    for text in said:
        await palaver.services.conversations.append(actor, id, text=text)
    page = await opened(owner, path_of(id))
    assert turns(page) == said[70:]
    assert "Newer messages" not in page.links()
    page = await opened(owner, page.links()["Older messages"])
    assert turns(page) == said[20:70]
    oldest = await opened(owner, page.links()["Older messages"])
    assert turns(oldest) == said[:20]
    assert "Older messages" not in oldest.links()
    page = await opened(owner, oldest.links()["Newer messages"])
    assert turns(page) == said[20:70]
    # Where fewer than fifty follow, a full page ends with the newest.
    page = await opened(owner, page.links()["Newer messages"])
    assert turns(page) == said[70:]
    await palaver.services.conversations.append(actor, id, text="One more")
    page = await opened(owner, page.links()["Older messages"])
    page = await opened(owner, page.links()["Newer messages"])
    assert (len(turns(page)), turns(page)[0]) == (50, said[70])
    assert turns(await opened(owner, page.links()["Newest"]))[-1] == "One more"
    assert turns(await opened(owner, oldest.links()["Newest"]))[-1] == "One more"


async def test_only_what_stands_at_the_end_is_said_to_have_no_answer(
    palaver: Palaver, owner: Visitor
) -> None:
    id = await a_session(owner)
    for number in range(60):
        await palaver.services.conversations.append(
            await actor_of(owner), id, text=f"Message {number}"
        )
    page = await opened(owner, path_of(id))
    assert page.root.all("form", class_="state")
    page = await opened(owner, page.links()["Older messages"])
    assert page.root.all("form", class_="state") == []


async def test_conversations_come_in_pages_of_fifty(palaver: Palaver, owner: Visitor) -> None:
    for number in range(60):
        await palaver.services.conversations.create(await actor_of(owner), title=f"Title {number}")
    page = await opened(owner, "/")
    assert listed(page) == [f"Title {number}" for number in range(59, 9, -1)]
    assert "Newer" not in page.links()
    older = await opened(owner, page.links()["Older"])
    assert listed(older) == [f"Title {number}" for number in range(9, -1, -1)]
    # The conversation stays, and so does the page of the list in what it leads to.
    assert older.heading == page.heading == "Title 59"
    chosen = await opened(owner, next(a for text, a in older.links().items() if "Title 3" in text))
    assert (chosen.heading, listed(chosen)) == ("Title 3", listed(older))
    assert listed(await opened(owner, chosen.links()["Newer"])) == listed(page)
    assert listed(await opened(owner, "/?page=9")) == []
    new = await opened(owner, "/?new=1")
    assert (await opened(owner, new.links()["Older"])).heading == "New Chat"


@pytest.mark.parametrize("query", ["page=0", "page=x", "before=-1", "after=1.5", "page=10000000"])
async def test_a_place_that_is_none_is_refused_as_a_page(owner: Visitor, query: str) -> None:
    id = await a_session(owner)
    assert Page(await owner.get(f"{path_of(id)}?{query}")).status == 400


async def test_an_answer_that_is_being_written_is_said(
    palaver: Palaver, owner: Visitor, upstream: Upstream
) -> None:
    upstream.plan(Script(failure=Failure.STALL))
    id = await a_session(owner)
    generations = palaver.services.generations
    actor = await actor_of(owner)
    _, _, generation = await generations.send(actor, id, [("user", "Slowly.")], Choice())
    page = await opened(owner, path_of(id))
    assert "The answer is being written." in page.root.one("p", role="status").text
    assert page.links()["Reload"] == path_of(id)
    assert turns(page) == ["Slowly."]

    await generations.cancel(actor, generation.uuid)
    page = await opened(owner, path_of(id))
    assert page.root.all("p", role="status") == []


async def test_a_page_does_not_wait_for_ever(
    owner: Visitor, upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "WAIT_SECONDS", 0.05)
    upstream.plan(Script(failure=Failure.STALL))
    page = await followed(owner, await asked(owner, await opened(owner, "/"), "Slowly."))
    assert "The answer is being written." in page.root.text
    # The run is its owner's, not the page's: another answers as ever.
    page = await followed(owner, await asked(owner, page, "And this?"))
    assert turns(page)[-1] in {REPLY, "And this?"}


async def test_what_is_deleted_while_the_page_waits_is_told(
    owner: Visitor, upstream: Upstream
) -> None:
    id = await a_session(owner)
    page = await opened(owner, path_of(id))
    upstream.plan(Script(failure=Failure.SILENT), Script(failure=Failure.SILENT))
    async with asyncio.TaskGroup() as group:
        sending = group.create_task(asked(owner, page, "Hello?"))
        await upstream.request(1)
        (message,) = (await owner.get(f"{SESSIONS}{id}/chats/")).json["results"]
        await owner.delete(f"{SESSIONS}{id}/chats/{message['id']}/")
    page = Page(await sending)
    assert (page.status, turns(page), box(page)) == (409, [], "Hello?")

    async with asyncio.TaskGroup() as group:
        sending = group.create_task(submitted(owner, composer(page)))
        await upstream.request(2)
        await owner.delete(f"{SESSIONS}{id}/")
    assert Page(await sending).status == 404


async def test_a_conversation_of_nobody_and_one_of_somebody_else_look_the_same(
    owner: Visitor, stranger: Visitor
) -> None:
    id = await a_session(owner, "Secret", title="Secret")
    form = composer(await opened(stranger, "/"))
    pages = []
    for path in (path_of(id), path_of(NOWHERE), "/chat/nothing/", "/chat/session/"):
        pages.append(await opened(stranger, path, 404))
        form.attributes["action"] = path
        pages.append(Page(await submitted(stranger, form, text="Hello")))
    for page in pages:
        assert (page.status, page.heading) == (404, "Not found.")
        assert "Secret" not in page.root.text
    assert len(await chats_of(owner, id)) == 1
    assert (await owner.get("/chat/nothing/", headers={"Accept": "application/json"})).json == {
        "detail": "Not found."
    }


async def test_a_deleted_conversation_is_gone(owner: Visitor) -> None:
    id = await a_session(owner, "Hello")
    await owner.delete(f"{SESSIONS}{id}/")
    await opened(owner, path_of(id), 404)
    assert listed(await opened(owner, "/")) == []


async def test_the_page_answers_without_its_last_slash_too(owner: Visitor) -> None:
    id = await a_session(owner, "Hello")
    assert turns(await opened(owner, f"/chat/{id}")) == ["Hello", REPLY]


async def test_nobody_sends_without_the_token_of_the_page(owner: Visitor) -> None:
    page = await opened(owner, "/")
    for token in ("", "wrong"):
        answer = await asked(owner, page, "Hello", csrf_token=token)
        assert (answer.status, Page(answer).heading) == (403, "Please send that once more")
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://evil.example"}
    answer = await owner.post("/", content=b"text=Hello", headers=form)
    assert (answer.status, Page(answer).heading) == (403, "That came from somewhere else")
    assert (await owner.get(SESSIONS)).json["count"] == 0


async def test_whose_session_has_ended_is_led_back_after_signing_in(owner: Visitor) -> None:
    id = await a_session(owner)
    page = await opened(owner, path_of(id))
    await owner.post("/auth/logout")
    answer = await asked(owner, page, "Hello")
    assert (answer.status, answer.headers["location"]) == (302, f"{LOGIN}?next={path_of(id)}")


async def test_a_bearer_token_opens_a_page_as_well(palaver: Palaver, owner: Visitor) -> None:
    id = await a_session(owner, "Hello")
    body = {"username": "owner", "password": PASSWORD}
    visitor = palaver.visitor()
    token = (await visitor.post("/api/v1/auth/login/", body)).json["access"]
    headers = {"Authorization": f"Bearer {token}"}
    assert turns(Page(await visitor.get(path_of(id), headers=headers))) == ["Hello", REPLY]
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    answer = await visitor.post(path_of(id), content=b"text=Hello", headers=headers)
    assert answer.status == 303


async def test_pages_of_somebody_are_kept_by_nobody(owner: Visitor) -> None:
    page = await opened(owner, "/")
    assert page.answer.headers["cache-control"] == "no-store"


async def test_another_contracts_conversations_are_here_as_well(owner: Visitor) -> None:
    await owner.post("/conversations", {"title": "By another"})
    body = {"messages": [{"role": "user", "content": "Hi"}]}
    assert (await owner.post("/api/chat", body)).status == 200
    page = await opened(owner, "/")
    assert listed(page) == ["New Chat", "By another"]
    assert turns(page) == ["Hi", REPLY]
