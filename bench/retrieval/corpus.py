"""The documents, the questions, and the rule that paraphrased questions keep.

A question's answer is a passage: `[start:end]` of its document, in code points. A lexical question
uses the passage's own words; a paraphrased one has at most one content word in common with it.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path

from palaver.kit.stems import stem
from palaver.kit.words import words

FOLDER = Path(__file__).parent
_UNSPACED = re.compile("[\u3040-\u30ff\u3400-\u9fff]{1,2}")
_KANA = re.compile("[\u3040-\u30ff]")


@dataclass(frozen=True)
class Question:
    """A question, and where its answer stands."""

    document: str
    start: int
    end: int
    kind: str  # "lexical" or "paraphrased"
    question: str


def documents() -> dict[str, str]:
    """Return the texts by their names, whose ending is the language."""
    return {path.stem: path.read_text("utf-8") for path in sorted(FOLDER.glob("documents/*.md"))}


def questions() -> list[Question]:
    lines = (FOLDER / "questions.jsonl").read_text("utf-8").splitlines()
    return [Question(**json.loads(line)) for line in lines]


def concepts() -> list[list[str]]:
    """Return groups of words that mean about the same, for the embedder of tests alone."""
    lines = (FOLDER / "concepts.txt").read_text("utf-8").splitlines()
    return [line.split() for line in lines]


def in_common(question: str, passage: str) -> set[str]:
    """Return the content words, by their stems, that a question has in common with a passage."""
    return content(question) & content(passage)


def content(text: str) -> set[str]:
    """Return the stems of a text's content words; of Chinese and Japanese pairs of characters."""
    found = [word for word in words(text) if word not in _STOP]
    # Chinese and Japanese come in pairs of characters; those with kana are mostly grammar.
    return {
        word if _UNSPACED.fullmatch(word) else stem(word)
        for word in found
        if not _KANA.search(word)
    } - {"", *map(stem, _STOP)}


_STOP = set(
    words(
        """
        a about above after all am an and any are as at be because been before being below between
        both but by can could did do does doing down during each few for from further get had has
        have having he her here hers him his how i if in into is it its just many may me might more
        most much must my no nor not of off on once only or other our out over own same she should
        so some such than that the their them then there these they this those through to too under
        until up us very was we were what when where which while who whom whose why will with would
        you your s t

        aber als am an auch auf aus bei bin bis bist da damit das dass dem den der des die dies
        diese dieser doch dort du durch ein eine einem einen einer es für gegen haben hat hier ich
        ihr im in ist ja kann kein keine man mein mich mit nach nicht noch nur ob oder ohne sein
        sich sie sind so um und uns vom von vor war was welche welchen welcher welches wenn wer wie
        wird wo zu zum zur bekomme darf gibt

        au aux avec ce ces cet cette dans de des du elle elles en est et eux il ils je la le les
        leur leurs lui ma mais me mes mon ne nos notre nous on ou où par pas peut plus pour qu que
        quel quelle quelles quels qui sa sans se ses si son sont sur t un une vos votre vous y à
        combien comment est-ce faut quand d l n c j m

        al algo ante como con cuando cuanto cuánto cuántos cómo de del desde donde dónde durante e
        el ella en entre era es esta este esto ha hace han hay la las le les lo los mi más muy no
        nos o para pero por porque qué que quien se sin sobre su sus también te tiene un una uno y
        ya si sí

        في من على إلى عن هو هي ما ماذا هل كم متى كيف أين لا لم لن أن إن أو ثم مع بعد قبل كل هذا
        هذه ذلك التي الذي كان يكون كما أي

        什么 怎么 多少 几个 有什 么限 可以 是多 少钱 哪里 哪些 会罚 何日 何人 何枚 何杯 最大
        """
    )
)
