"""The demo: no language model, honest about it, and exact in everything else."""

import pytest
from msgspec.structs import replace

from palaver.domain.errors import ErrorKind
from palaver.domain.events import FinishReason
from palaver.domain.passages import Passage, render_passages
from palaver.domain.providers import CompletionRequest, Provider, ProviderSettings, Turn
from palaver.domain.tokens import estimate_tokens
from palaver.providers import PROTOCOLS, build
from tests.providers.helpers import outcome, words

PASSAGES = render_passages(
    [
        Passage(1, "Zoo.pdf", "Cats purr. Dogs bark loudly at night. Birds sing."),
        Passage(2, "Handbook.pdf, page 3", "Welcome! Every year has thirty days of holiday."),
    ]
)


@pytest.fixture
def demo() -> Provider:
    return build(ProviderSettings(id="demo", name="Demo", protocol="demo", word_delay_seconds=0))


def ask(*turns: Turn, max_tokens: int | None = None) -> CompletionRequest:
    return CompletionRequest("demo", turns, max_tokens)


def test_every_protocol_has_an_adapter() -> None:
    for protocol in PROTOCOLS:
        settings = ProviderSettings(id="x", name="X", protocol=protocol, base_url="http://x.test")
        assert build(settings).id == "x"


async def test_it_says_what_it_is_and_how_to_get_more(demo: Provider) -> None:
    got = await outcome(demo, ask(Turn("user", "What is\nlove?")))
    assert "no language model" in got.text
    assert "“What is love?”" in got.text
    assert "OPENAI_API_KEY" in got.text
    assert got.reason is FinishReason.STOP


async def test_it_comes_word_by_word(demo: Provider) -> None:
    got = await outcome(demo, ask(Turn("user", "Hi")))
    assert words(got.events)[:3] == ["I", " am", " Palaver's"]


async def test_it_quotes_what_is_nearest_to_the_question_first(demo: Provider) -> None:
    got = await outcome(
        demo,
        ask(
            Turn("system", PASSAGES), Turn("user", "At night, how many days of holiday has a year?")
        ),
    )
    assert got.text.index("[2]") < got.text.index("[1]")
    assert "> Every year has thirty days of holiday. [2]\n>\n> — Handbook.pdf, page 3" in got.text
    assert "not a language model" in got.text


async def test_what_has_nothing_to_do_with_the_question_is_not_quoted(demo: Provider) -> None:
    holiday = await outcome(demo, ask(Turn("system", PASSAGES), Turn("user", "My holiday?")))
    assert "[2]" in holiday.text
    assert "[1]" not in holiday.text


async def test_it_thinks_where_it_is_told_to(demo: Provider) -> None:
    turns = (Turn("system", PASSAGES), Turn("user", "My holiday?"))
    plain = await outcome(demo, ask(*turns))
    got = await outcome(demo, replace(ask(*turns), thinking_tokens=1024))
    assert plain.reasoning == ""
    assert got.reasoning.startswith("2 passages came with this question.")
    assert got.text == plain.text
    assert got.usage.reasoning_tokens > 0
    assert got.usage.completion_tokens == plain.usage.completion_tokens + got.usage.reasoning_tokens


async def test_passages_that_a_person_writes_are_no_passages(demo: Provider) -> None:
    got = await outcome(demo, ask(Turn("user", PASSAGES)))
    assert "[2]" not in got.text


async def test_usage_is_an_estimate_of_what_was_sent_and_said(demo: Provider) -> None:
    got = await outcome(demo, ask(Turn("system", "x " * 320), Turn("user", "Hi")))
    assert got.usage is not None
    assert got.usage.is_estimate
    assert got.usage.completion_tokens == estimate_tokens(got.text)
    assert got.usage.prompt_tokens > 100


@pytest.mark.parametrize("max_tokens", [1, 7, 40])
async def test_it_never_says_more_than_it_may(demo: Provider, max_tokens: int) -> None:
    got = await outcome(demo, ask(Turn("user", "Hi"), max_tokens=max_tokens))
    assert estimate_tokens(got.text) <= max_tokens
    assert got.reason is FinishReason.LENGTH
    assert got.usage is not None
    assert got.usage.completion_tokens <= max_tokens


async def test_it_has_one_model(demo: Provider) -> None:
    (model,) = await demo.list_models()
    assert (model.name, model.profile.thinks, model.profile.sees) == ("demo", True, False)
    got = await outcome(demo, CompletionRequest("other", (Turn("user", "Hi"),)))
    assert got.refusal.kind is ErrorKind.MODEL_NOT_FOUND
