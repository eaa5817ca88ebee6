"""`palaver plan` and `palaver model`: what the native contract does, from a shell."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from palaver.commands import run
from palaver.dialects.native.admin_wire import PlanUpdate
from palaver.dialects.native.catalogue_wire import ModelUpdate
from palaver.storage.opening import open_database
from tests.cast import a_user, identity_over
from tests.databases import new_sqlite

Palaver = Callable[..., tuple[int, str, str]]


@pytest.fixture
def palaver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Palaver:
    """Give what runs a command over a fresh database: its status, and what it said on both."""
    url = new_sqlite(tmp_path)
    monkeypatch.setenv("PALAVER_DATA_DIR", str(tmp_path))

    async def with_ada() -> None:
        db = await open_database(url)
        identity = identity_over(db)
        await a_user(identity, "ada")
        identity.passwords.close()
        await db.close()

    asyncio.run(with_ada())

    def call(*arguments: str) -> tuple[int, str, str]:
        status = run(arguments)
        said = capsys.readouterr()
        return status, said.out, said.err

    return call


def fields(text: str) -> dict[str, str]:
    return {line.split()[0]: line[35:] for line in text.splitlines()}


def test_a_plan_is_made_shown_changed_and_deleted(palaver: Palaver) -> None:
    options = ["--price", "99.99", "--duration-days", "30", "--sku", "P-1", "--chatbot-ids", "1"]
    limits = ["--hourly-max-messages", "5", "--max-openrouter-cost-usd", "2.5"]
    status, out, err = palaver("plan", "create", "Premium", *options, *limits)
    assert (status, out, err) == (0, "Made the plan Premium, id 2.\n", "")
    for name in ("Premium", "P-1", "2"):
        shown = fields(palaver("plan", "show", name)[1])
        assert (shown["price"], shown["hourly_max_messages"]) == ("99.99", "5")
        assert (shown["max_openrouter_cost_usd"], shown["chatbot_ids"]) == ("2.50", "[1]")
        assert (shown["sku"], shown["is_active"]) == ("P-1", "true")
    edit = ["--sku", "", "--no-is-active", "--chatbot-ids", "", "--hourly-max-messages", "0"]
    assert palaver("plan", "edit", "P-1", *edit)[0] == 0
    shown = fields(palaver("plan", "show", "Premium")[1])
    assert (shown["sku"], shown["is_active"], shown["chatbot_ids"]) == ("null", "false", "[]")
    assert (shown["price"], shown["hourly_max_messages"]) == ("99.99", "0")
    _, out, _ = palaver("plan", "list")
    assert [line.split() for line in out.splitlines()][1:] == [
        ["1", "0.00", "-", "default", "Default"],
        ["2", "99.99", "30", "inactive", "Premium"],
    ]
    assert palaver("plan", "delete", "Premium") == (0, "Deleted the plan Premium.\n", "")
    assert len(palaver("plan", "list")[1].splitlines()) == 2


def test_somebody_is_put_on_a_plan_and_taken_off_it(palaver: Palaver) -> None:
    palaver("plan", "create", "Gold", "--duration-days", "1")
    assert palaver("plan", "assign", "ada", "Gold", "--start-date", "2026-01-15T10:30:00Z") == (
        0,
        "ada is on Gold from 2026-01-15 10:30 UTC until 2026-01-16 10:30 UTC.\n",
        "",
    )
    status, out, _ = palaver("plan", "assign", "ada", "Default")
    assert (status, out.endswith("UTC without end.\n")) == (0, True)
    assert palaver("plan", "unassign", "ada") == (0, "ada has no subscription any more.\n", "")
    assert palaver("plan", "unassign", "ada") == (1, "", "palaver: Subscription not found.\n")
    status, _, err = palaver("plan", "delete", "Gold")
    assert (status, "deactivate it instead" in err) == (1, True)


def test_a_model_is_added_shown_and_changed(palaver: Palaver) -> None:
    price = ["--price-per-million-prompt-usd", "2.5"]
    status, out, _ = palaver("model", "add", "demo/family/big", "--name", "Big", *price)
    assert (status, out) == (0, "Added the model demo/family/big, id 1.\n")
    edit = ["--token-cost-multiplier", "1.5", "--no-open-to-all", "--is-free"]
    assert palaver("model", "edit", "demo/family/big", *edit)[0] == 0
    for name in ("demo/family/big", "1"):
        shown = fields(palaver("model", "show", name)[1])
        assert (shown["name"], shown["token_cost_multiplier"]) == ("Big", "1.50")
        assert (shown["open_to_all"], shown["is_free"]) == ("false", "true")
        assert shown["price_per_million_prompt_usd"] == "2.50"
    palaver("model", "edit", "1", "--price-per-million-prompt-usd", "")
    assert fields(palaver("model", "show", "1")[1])["price_per_million_prompt_usd"] == "null"
    _, out, _ = palaver("model", "list", "FAMILY")
    row = out.splitlines()[1].split()
    assert row == ["1", "free", "plans", "1.50", "-", "-", "demo/family/big"]
    assert len(palaver("model", "list", "nothing")[1].splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["plan", "show", "x"], "`palaver plan list`"),
        (["plan", "assign", "nobody", "Default"], "`palaver user list`"),
        (["plan", "assign", "ada", "x"], "`palaver plan list`"),
        (["plan", "assign", "ada", "1", "--end-date", "soon"], "end_date: Write a time"),
        (["plan", "edit", "1"], "`palaver plan edit --help`"),
        (["plan", "edit", "1", "--price", "much"], "price: Write a decimal number"),
        (["plan", "edit", "1", "--max-openrouter-cost-usd", "x"], "max_openrouter_cost_usd: Write"),
        (["plan", "edit", "1", "--model-ids", "9"], "model_ids: There is no model 9."),
        (["plan", "edit", "1", "--no-is-default"], "Make another plan the default"),
        (["plan", "create", "Default"], "Another plan has this name."),
        (["model", "show", "x"], "`palaver model list`"),
        (["model", "edit", "x", "--is-free"], "`palaver model list`"),
        (["model", "add", "nobody/x"], "There is no provider nobody; there are: "),
        (["model", "add", "x"], "model_id: Write it as provider/name."),
    ],
)
def test_what_cannot_be_done_is_said_with_the_way_out(
    palaver: Palaver, arguments: list[str], sentence: str
) -> None:
    status, out, err = palaver(*arguments)
    assert (status, out) == (1, "")
    assert err.startswith("palaver: ")
    assert sentence in err


@pytest.mark.parametrize(
    "arguments", [["plan"], ["plan", "create"], ["plan", "edit", "1", "--max-tokens", "x"]]
)
def test_wrong_usage_is_told_apart(palaver: Palaver, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as error:
        palaver(*arguments)
    assert error.value.code == 2


@pytest.mark.parametrize(
    ("verb", "shape"), [("plan", PlanUpdate), ("model", ModelUpdate)], ids=["plan", "model"]
)
def test_every_field_has_its_option(
    verb: str, shape: type, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        run([verb, "edit", "--help"])
    help = capsys.readouterr().out
    assert all(
        f"--{name.replace('_', '-')} " in help.replace(",", " ") for name in shape.__struct_fields__
    )
