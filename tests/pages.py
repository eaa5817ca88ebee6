"""Pages as a browser without scripts sees them: their forms, links and texts, and what it sends."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlencode

from tests.http import Answer, Visitor

VOID = {"input", "img", "link", "meta", "br", "hr"}


@dataclass
class Element:
    """An element of a page, with what is in it."""

    tag: str
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)  # its own text, and that of its children

    def all(self, tag: str, **attributes: str) -> list["Element"]:
        """Return the elements in it with a tag and attributes, in order; `class_` is one class."""
        wanted = {name.rstrip("_").replace("_", "-"): value for name, value in attributes.items()}
        found = [self] if self.tag == tag and self._has(wanted) else []
        return found + [each for child in self.children for each in child.all(tag, **attributes)]

    def one(self, tag: str, **attributes: str) -> "Element":
        """Return the only one."""
        (found,) = self.all(tag, **attributes)
        return found

    @property
    def text(self) -> str:
        """Return the text in it."""
        return "".join(self.parts)

    def _has(self, wanted: dict[str, str]) -> bool:
        return all(
            value in self.attributes.get(name, "").split()
            if name == "class"
            else self.attributes.get(name) == value
            for name, value in wanted.items()
        )


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        self._open[-1].children.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open[-1].tag == tag, f"</{tag}> closes <{self._open[-1].tag}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.parts.append(data)


class Page:
    """A page that came as the answer to a request."""

    def __init__(self, answer: Answer) -> None:
        assert answer.headers["content-type"] == "text/html; charset=utf-8", answer
        self.answer = answer
        self.status = answer.status
        reader = _Reader()
        reader.feed(answer.content.decode())
        self.root = reader.root
        assert [each for each in self.root.children if each.tag == "html"]
        assert_safe(answer)

    @property
    def title(self) -> str:
        """Return the title of its window."""
        return self.root.one("title").text

    @property
    def heading(self) -> str:
        """Return its one heading of the first level."""
        return self.root.one("h1").text

    def links(self) -> dict[str, str]:
        """Return the addresses of its links by their texts."""
        return {each.text.strip(): each.attributes["href"] for each in self.root.all("a")}

    def alert(self) -> str:
        """Return what it says first of all."""
        return self.root.one("p", role="alert").text

    def form(self, action: str | None = None, *, class_: str | None = None) -> Element:
        """Return its form, of several the one that is sent to an address."""
        wanted = {"class_": class_} if class_ else {}
        forms = self.root.all("form", **wanted)
        (form,) = [each for each in forms if action in {None, each.attributes["action"]}]
        return form

    def fault(self, name: str) -> str:
        """Return what is wrong with a field, as it is told to those who do not see."""
        (inputs,) = [
            each
            for tag in ("input", "textarea")
            for each in self.root.all(tag, name=name)
            if each.attributes.get("type") != "hidden"
        ]
        if inputs.attributes.get("aria-invalid") != "true":
            return ""
        ids = inputs.attributes["aria-describedby"].split()
        described = [each for tag in ("span", "p") for each in self.root.all(tag, id=ids[0])]
        return described[0].text


def fields(form: Element) -> dict[str, str]:
    """Return what a form would send as it stands."""
    given = {
        each.attributes["name"]: each.attributes.get("value", "") for each in form.all("input")
    }
    for area in form.all("textarea"):
        # The first line end is none of the text; browsers send the others as two characters.
        text = area.text.removeprefix("\n")
        given[area.attributes["name"]] = text.replace("\n", "\r\n")
    return given


async def opened(visitor: Visitor, path: str, status: int = 200) -> Page:
    """Open a page."""
    answer = await visitor.get(path)
    assert answer.status == status, answer
    return Page(answer)


async def submitted(visitor: Visitor, form: Element, **filled: str) -> Answer:
    """Send a form as a browser does, with some of its fields filled in."""
    names = {each.attributes["name"] for tag in ("input", "textarea") for each in form.all(tag)}
    assert set(filled) <= names, f"this form has only {names}"
    assert form.attributes["method"] == "post"
    written = {name: value.replace("\n", "\r\n") for name, value in filled.items()}
    return await visitor.post(
        form.attributes["action"],
        content=urlencode(fields(form) | written).encode(),
        csrf=False,
        headers={
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": visitor.base_url,
            "Sec-Fetch-Site": "same-origin",
            "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        },
    )


async def followed(visitor: Visitor, answer: Answer) -> Page:
    """Go where an answer leads."""
    assert answer.status in {302, 303}, answer
    return await opened(visitor, answer.headers["location"])


def assert_safe(answer: Answer) -> None:
    """Hold a page to let no other site put a script or a frame around it, and run none itself."""
    policy = answer.headers["content-security-policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == rules["base-uri"] == rules["frame-ancestors"] == "'none'"
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    text = answer.content.decode()
    assert "<script>" not in text
    assert " style=" not in text
    assert not re.search(r"<[^>]*\son[a-z]+=", text)
