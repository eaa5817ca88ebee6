"""The HTML of a conversation: the list beside it, its messages, and the form that sends."""

from collections.abc import Sequence
from typing import Final

import msgspec
from starlette.responses import Response

from palaver.dialects.sessions.pages import addresses
from palaver.domain.conversations import NEW_CHAT, Conversation, Message, Window
from palaver.domain.users import User
from palaver.kit.clock import iso_text, system_clock
from palaver.kit.ids import new_secret
from palaver.web.call import Call
from palaver.web.files import url
from palaver.web.forms import hidden, html_attributes, session_token
from palaver.web.html import Html, fill, joined, mark, page

SIZE: Final = 50
"""Conversations and messages on one page."""

_HEADERS: Final = {"cache-control": "no-store"}


class Place(msgspec.Struct, frozen=True):
    """Where a reader is: at which messages, and on which page of the list beside them."""

    before: int | None = None
    after: int | None = None
    page: int = 1

    @property
    def list_page(self) -> int | None:
        """Return the page of the list as addresses have it: none for the first."""
        return self.page if self.page > 1 else None


class Draft(msgspec.Struct, frozen=True):
    """What stands in the box, and why it was not taken."""

    text: str = ""
    fault: str = ""
    status: int = 200
    answers: str = ""  # the uuid of the question that it is, where that is stored already
    retry_after_seconds: int | None = None


class View(msgspec.Struct, frozen=True):
    """What a page shows."""

    user: User
    conversations: Sequence[Conversation]  # one more than a page where there are more
    window: Window | None  # None: a conversation that is not stored yet
    place: Place
    draft: Draft

    @property
    def title(self) -> str:
        """Return the title of the conversation."""
        return title_of(self.window.conversation) if self.window else NEW_CHAT

    @property
    def address(self) -> str:
        """Return where the conversation is, and where its form is sent."""
        if self.window is None:
            return addresses.HOME
        return addresses.chat(self.window.conversation.uuid)


def title_of(conversation: Conversation) -> str:
    """Return a conversation's title as this contract shows it."""
    return conversation.title or NEW_CHAT


_HEAD: Final = '<link rel="stylesheet" href="{css}">\n'
_MAIN: Final = """\
<a class="skip" href="#text">To the message box</a>
<aside class="side" id="conversations" aria-label="Palaver">
<div class="side-head">{mark}<a class="quiet close" href="#talk">Close</a></div>
<a class="button plain" href="{new_chat}"{is_new}>New chat</a>
<nav aria-label="Conversations">
{conversations}
</nav>
<form class="who" method="post" action="{logout}">
{token}<span class="name" dir="auto">{name}</span>
<button class="quiet" type="submit">Sign out</button>
</form>
</aside>
<main class="talk" id="talk">
<header class="talk-head">
<a class="quiet menu" href="#conversations">Conversations</a>
<h1 dir="auto">{title}</h1>
<a class="quiet menu" href="{new_chat}">New chat</a>
</header>
<div class="scroller" role="group" aria-label="Messages" tabindex="0">
<div class="thread">
{thread}
</div>
</div>
{composer}
</main>"""

_LIST: Final = "<ol>\n{items}\n</ol>\n{pager}"
_NO_LIST: Final = Html('<p class="soft">Nothing here yet.</p>\n')
_ITEM: Final = """\
<li><a href="{address}"{current}><span dir="auto">{title}</span>\
<time datetime="{instant}Z">{day}</time></a></li>"""
_PAGER: Final = '<p class="pager">{links}</p>'
_LINK: Final = '<a class="quiet" href="{address}"{rel}>{text}</a>'

_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"

_TURN: Final = """\
<li class="turn {role}"><h2 class="unseen">{speaker}</h2>
<div class="text" dir="auto">{text}</div></li>"""
_SPEAKERS: Final = {"user": "You", "assistant": "Answer", "system": "Instruction"}

_EMPTY: Final = """\
<div class="empty">
<h2>What would you like to know?</h2>
<p class="soft">Write it below. The conversation is kept from your first message on.</p>
</div>"""
_LIVE: Final = """\
<p class="state" role="status">The answer is being written. <a href="{address}">Reload</a> to see \
whether it is there.</p>"""
_UNANSWERED: Final = """\
<form class="state" method="post" action="{address}">
{token}{answers}<span>This has no answer.</span>
<button class="quiet" type="submit">Ask again</button>
</form>"""

_COMPOSER: Final = """\
<form class="composer" method="post" action="{address}">
{token}{once}{answers}{fault}<label class="unseen" for="text">Message</label>
<div class="box">
<textarea id="text" name="text" rows="2" dir="auto" placeholder="Message Palaver" required\
{attributes}>
{text}</textarea>
<button class="button send" type="submit">Send</button>
</div>
<p class="soft hint">The page comes back with the answer.</p>
</form>"""
_FAULT: Final = '<p class="fault-summary" id="text-fault" role="alert">{text}</p>\n'


def render(call: Call, view: View) -> Response:
    """Return the page."""
    main = fill(
        _MAIN,
        mark=mark(),
        new_chat=addresses.NEW_CHAT,
        is_new=Html("" if view.window else ' aria-current="page"'),
        conversations=_conversations(view),
        logout=addresses.LOGOUT,
        token=session_token(call),
        name=view.user.display_name,
        title=view.title,
        thread=_thread(call, view),
        composer=_composer(call, view),
    )
    response = page(
        view.title if not view.draft.fault else f"Error: {view.title}",
        main,
        status=view.draft.status,
        head=fill(_HEAD, css=url("chat.css")),
        bar=None,
        body_class="chat",
        headers=_HEADERS,
    )
    if view.draft.retry_after_seconds is not None:
        response.headers["retry-after"] = str(max(1, view.draft.retry_after_seconds))
    return response


def _conversations(view: View) -> Html:
    shown = view.conversations[:SIZE]
    number = view.place.page
    links = []
    if number > 1:
        links.append(_link(_list_address(view, number - 1), "Newer", rel="prev"))
    if len(view.conversations) > SIZE:
        links.append(_link(_list_address(view, number + 1), "Older", rel="next"))
    pager = fill(_PAGER, links=joined(links)) if links else Html()
    if not shown:
        return joined([_NO_LIST, pager], by="")
    return fill(_LIST, items=joined(_item(view, each) for each in shown), pager=pager)


def _item(view: View, conversation: Conversation) -> Html:
    is_shown = view.window is not None and view.window.conversation.id == conversation.id
    return fill(
        _ITEM,
        address=addresses.chat(conversation.uuid, page=view.place.list_page),
        current=Html(' aria-current="page"' if is_shown else ""),
        title=title_of(conversation),
        instant=iso_text(conversation.updated_at),
        day=_day(conversation.updated_at),
    )


def _day(at: int) -> str:
    """Return the day of an instant in UTC, or its month where that is of another year."""
    year, month, day = iso_text(at)[:10].split("-")
    name = _MONTHS[3 * int(month) - 3 : 3 * int(month)]
    is_this_year = year == iso_text(system_clock())[:4]
    return f"{int(day)} {name}" if is_this_year else f"{name} {year}"


def _list_address(view: View, number: int) -> str:
    page_number = number if number > 1 else None
    if view.window is None:
        address = addresses.home(new=1, page=page_number)
    else:
        address = addresses.chat(
            view.window.conversation.uuid,
            before=view.place.before,
            after=view.place.after,
            page=page_number,
        )
    # On a narrow screen the list stays in sight.
    return f"{address}#conversations"


def _thread(call: Call, view: View) -> Html:
    window = view.window
    if window is None or not (window.messages or window.is_answering):
        return Html(_EMPTY)
    turns = fill("<ol>\n{turns}\n</ol>", turns=joined(map(_turn, window.messages)))
    return joined([_older(view, window), turns, _below(call, view, window)])


def _older(view: View, window: Window) -> Html:
    if not window.has_older:
        return Html()
    address = _messages_address(view, window, before=window.messages[0].id)
    return fill(_PAGER, links=_link(address, "Older messages", rel="prev"))


def _below(call: Call, view: View, window: Window) -> Html:
    """Return what follows the messages: the way to newer ones, or what becomes of the last."""
    if window.has_newer:
        address = _messages_address(view, window, after=window.messages[-1].id)
        links = [
            _link(address, "Newer messages", rel="next"),
            _link(_messages_address(view, window), "Newest"),
        ]
        return fill(_PAGER, links=joined(links))
    if window.is_answering:
        return fill(_LIVE, address=view.address)
    question = window.unanswered
    if question is None or view.draft.answers:
        return Html()
    return fill(
        _UNANSWERED,
        address=view.address,
        token=session_token(call),
        answers=hidden("answers", question.uuid),
    )


def _messages_address(view: View, window: Window, **place: int) -> str:
    return addresses.chat(window.conversation.uuid, **place, page=view.place.list_page)


def _turn(message: Message) -> Html:
    return fill(_TURN, role=message.role, speaker=_SPEAKERS[message.role], text=message.text)


def _composer(call: Call, view: View) -> Html:
    draft = view.draft
    return fill(
        _COMPOSER,
        address=view.address,
        token=session_token(call),
        once=hidden("once", new_secret(size_bytes=16)),
        answers=hidden("answers", draft.answers) if draft.answers else Html(),
        fault=fill(_FAULT, text=draft.fault) if draft.fault else Html(),
        attributes=html_attributes(
            autofocus=bool(draft.fault) or view.window is None,
            **({"aria-describedby": "text-fault", "aria-invalid": "true"} if draft.fault else {}),
        ),
        # The first line end after the tag is none of the text.
        text=draft.text,
    )


def _link(address: str, text: str, *, rel: str = "") -> Html:
    return fill(
        _LINK,
        address=address,
        rel=html_attributes(rel=rel) if rel else Html(),
        text=text,
    )
