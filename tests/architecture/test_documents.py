"""The pages say what the code and the configuration say."""

import re
import tomllib
from pathlib import Path

import pytest

from tools import docs

ROOT = Path(__file__).parent.parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGES = [
    *ROOT.glob("*.md"),
    *(ROOT / "docs").rglob("*.md"),
    *(ROOT / "src").rglob("*.md"),
    *(ROOT / "bench").rglob("*.md"),
]


def test_no_page_is_behind_the_code():
    assert {path.name for path in docs.stale()} == set()


def test_a_block_is_made_anew_and_the_rest_stays(monkeypatch):
    monkeypatch.setitem(docs.BLOCKS, "colours", lambda: "red")
    page = "a\n<!-- colours: made by `make docs` -->\nblue\n<!-- end of colours -->\nb\n"
    once = docs.renewed(page)
    assert once == (
        "a\n<!-- colours: made by `make docs` -->\n\nred\n\n<!-- end of colours -->\nb\n"
    )
    assert docs.renewed(once) == once


def test_the_table_of_layers_is_the_contract_that_is_checked():
    (contract,) = (
        one for one in PROJECT["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    )
    page = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    (rows,) = re.findall(r"\| Layer \|.*?\n\n", page, re.DOTALL)
    lines = rows.strip().replace("\\|", "¦").splitlines()[2:]
    first = [line.split(" | ")[0].strip("| ") for line in lines]
    named = [name.strip() for cell in first for name in cell.replace("`", "").split(",")]
    assert named == [layer.replace("|", "¦") for layer in contract["layers"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_inside_the_checkout_lead_somewhere(page):
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"\]\((?!https?:|#|mailto:)([^)#]+)[^)]*\)", text)
    assert [link for link in links if not (page.parent / link).exists()] == []


def test_every_dependency_says_why_it_is_there():
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8")
    groups = PROJECT["dependency-groups"].values()
    wanted = [*PROJECT["project"]["dependencies"], *(one for group in groups for one in group)]
    names = {re.split(r"[<>=~!;\[ ]", one)[0] for one in wanted}
    missing = {name for name in names if name not in page and f"-{name.split('-')[-1]}" not in page}
    assert missing == set()


def test_decisions_are_numbered_and_say_what_enforces_them():
    records = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(path.name[:4]) for path in records] == list(range(len(records)))
    for path in records:
        text = path.read_text(encoding="utf-8")
        assert text.startswith(f"# {path.name[:4]}: "), path.name
        assert "*Enforced by: " in text, path.name
