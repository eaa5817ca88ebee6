"""The comparison: what people were told against what the database holds."""

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

from palaver.domain.events import SPANS, EventKind
from tests.chaos.books import judge_books
from tests.chaos.evidence import Evidence, Logged, Row, unmake
from tests.chaos.provider import SPEECHES, told
from tests.chaos.record import Frame, Reading, Record, Talk

DONE: Final = {
    "completed": "ok",
    "canceled": "canceled",
    "failed": "error",
    "interrupted": "error",
}
FINAL: Final = {
    EventKind.FINISHED: "completed",
    EventKind.FAILED: "failed",
    EventKind.CANCELED: "canceled",
    EventKind.INTERRUPTED: "interrupted",
}


@dataclass
class Verdict:
    """How often each thing was compared, and what was wrong."""

    compared: Counter[str] = field(default_factory=Counter)
    violations: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def check(self, name: str, *, holds: bool, otherwise: str) -> bool:
        """Count one comparison."""
        self.compared[name] += 1
        if not holds and otherwise not in self.violations[name]:
            self.violations[name].append(otherwise)
        return holds

    @property
    def total(self) -> int:
        """Return how many violations there are."""
        return sum(map(len, self.violations.values()))

    def table(self) -> list[str]:
        """Return it as rows of Markdown."""
        return [
            "| Check | compared | violations |",
            "|---|---:|---:|",
            *(
                f"| {name} | {count:,} | {len(self.violations.get(name, ())):,} |"
                for name, count in self.compared.items()
            ),
        ]

    def complaints(self) -> list[str]:
        """Return what was wrong: the first five of each kind."""
        return [
            f"VIOLATION {name}: {sentence}"
            for name, sentences in self.violations.items()
            for sentence in sentences[:5]
        ]


class Output:
    """The log of one run, laid end to end."""

    def __init__(self, rows: list[Logged]) -> None:
        self.text = ""
        self.reasoning = ""
        self.until = 0
        self.facts: dict[int, tuple[EventKind, str]] = {}  # by number: what is no span
        self.faults: list[str] = []
        self._starts: list[tuple[int, int, EventKind, str]] = []
        for row in sorted(set(rows), key=lambda row: row.until):
            self._add(row)

    def _add(self, row: Logged) -> None:
        kind = EventKind(row.kind)
        start = row.until - (len(row.body) if kind in SPANS else 1)
        if start != self.until:
            self.faults.append(f"({start}, {row.until}] follows {self.until}")
            return
        if self.facts and self.facts[max(self.facts)][0] in FINAL:
            self.faults.append(f"{kind.name} at {row.until} comes after the end")
        self.until = row.until
        if kind is EventKind.TEXT:
            self.text += row.body
        elif kind is EventKind.REASONING:
            self.reasoning += row.body
        else:
            self.facts[row.until] = (kind, row.body)
        self._starts.append((start, row.until, kind, row.body))

    def text_between(self, after: int, until: int) -> str:
        """Return the answer's text within `(after, until]`."""
        return "".join(
            body[max(after - start, 0) : until - start]
            for start, end, kind, body in self._starts
            if kind is EventKind.TEXT and end > after and start < until
        )

    @property
    def ending(self) -> str | None:
        """Return the state that the last event means."""
        last = self.facts.get(self.until)
        return FINAL.get(last[0]) if last else None


class Judge:
    """Compares at every kill, and once more at the end."""

    def __init__(self, record: Record) -> None:
        self.record = record
        self.verdict = Verdict()
        self._judged = 0  # readings
        self._to_cancel: set[int] = set()
        self._closed: set[int] = set()  # generations whose end has been judged
        self._odd = 0

    def judge(self, seen: Evidence, *, everything: bool = False) -> None:
        """Compare what has been told since the last time, and all that may have been lost."""
        check = self.verdict.check
        check("database passes its own check", holds=not seen.faults, otherwise=str(seen.faults))
        for talk in self.record.talks:
            self._talk(talk, seen)
        self._doubles(seen)
        judge_books(seen.books, seen.live, check)
        outputs: dict[int, Output] = {}
        for reading in self.record.readings[0 if everything else self._judged :]:
            self._reading(reading, seen, outputs)
        self._judged = len(self.record.readings)
        for row in seen.generations.values():
            if everything or row.id not in self._closed:
                self._generation(row, seen, outputs)
        for uuid in self.record.canceled:
            self._canceled(seen.of(uuid), uuid)
        answers = sum(self.record.attempts.values())
        self.verdict.compared["no answer that should not come (5xx, lost session …)"] = answers
        for odd in self.record.odd[self._odd :]:
            self.verdict.violations["no answer that should not come (5xx, lost session …)"].append(
                odd
            )
        self._odd = len(self.record.odd)

    # What was acknowledged

    def _talk(self, talk: Talk, seen: Evidence) -> None:
        if talk.id is None:
            return
        check = self.verdict.check
        row = seen.conversations.get(talk.id)
        if talk.may_be_deleted:
            gone = row is None or row[1] is not None
            if talk.is_deleted:
                check("deleted stays deleted", holds=gone, otherwise=f"conversation {talk.id}")
            return
        if not check(
            "acknowledged conversation is there",
            holds=row is not None and row[1] is None,
            otherwise=f"conversation {talk.id}",
        ):
            return
        assert row is not None
        check(
            "acknowledged title stands",
            holds=row[0] in talk.titles,
            otherwise=f"conversation {talk.id}: {row[0]!r}, not {talk.titles}",
        )
        for sent in talk.sent:
            if sent.id is not None:
                message = seen.messages.get(sent.id)
                check(
                    "acknowledged message is there, as sent",
                    holds=message is not None
                    and message.text == sent.text
                    and message.conversation_id == talk.id,
                    otherwise=f"message {sent.id}: {sent.text[:60]!r}",
                )
        for id in talk.retried:
            check(
                "acknowledged retry is there",
                holds=id in seen.messages and seen.messages[id].role == "user",
                otherwise=f"message {id}",
            )

    def _doubles(self, seen: Evidence) -> None:
        check = self.verdict.check
        titles = Counter(title for title, _ in seen.conversations.values())
        texts = Counter(
            (message.conversation_id, message.text)
            for message in seen.messages.values()
            if message.role == "user"
        )
        for talk in self.record.talks:
            count = max(titles[title] for title in talk.titles)
            check("conversation is there once", holds=count <= 1, otherwise=str(talk.titles))
            for sent in talk.sent if talk.id is not None else ():
                count = texts[(talk.id, sent.text)]
                check(
                    "message is there once (repeats with a key included)",
                    holds=count <= 1 + talk.retries,
                    otherwise=f"{sent.text[:60]!r} {count} times in conversation {talk.id}",
                )

    def _canceled(self, row: Row | None, uuid: str) -> None:
        if row is None:  # deleted meanwhile
            return
        self.verdict.check(
            "acknowledged cancel is stored",
            holds=row.cancel_requested_at is not None,
            otherwise=f"{uuid} {row.state}",
        )

    def _ended(self, row: Row, where: str) -> None:
        """A cancel that was stored before a kill decides how the run ends after it.

        One that meets the end of a run comes too late, and is acknowledged all the same.
        """
        if row.is_live and row.cancel_requested_at is not None:
            self._to_cancel.add(row.id)
        elif row.id in self._to_cancel:
            self.verdict.check(
                "run that was to be canceled before a kill is canceled after it",
                holds=row.state == "canceled",
                otherwise=where,
            )

    # What was shown

    def _reading(self, reading: Reading, seen: Evidence, outputs: dict[int, Output]) -> None:
        if not reading.frames or reading.generation is None:
            return
        check = self.verdict.check
        if reading.expected is not None:
            check(
                "who comes back finds the same run",
                holds=reading.generation == reading.expected,
                otherwise=f"{reading.generation}, not {reading.expected}",
            )
        row = seen.of(reading.generation)
        if row is None:
            talk = next(
                (talk for talk in self.record.talks if talk.may_be_deleted), None
            )  # its conversation was purged
            check(
                "run that a reader saw is there",
                holds=talk is not None,
                otherwise=reading.generation,
            )
            return
        check("run that a reader saw is there", holds=True, otherwise="")
        output = outputs.setdefault(row.id, Output(seen.log.get(row.id, [])))
        self._frames(reading, row, output)

    def _frames(self, reading: Reading, row: Row, output: Output) -> None:
        check = self.verdict.check
        where = f"generation {row.id} (attempt {row.attempt}, {row.state})"
        at = reading.after
        said = ""
        for frame in reading.frames:
            check(
                "frame that a reader saw is in the log",
                holds=self._is_logged(frame, row, output),
                otherwise=f"{where}: {frame}, log ends at {output.until}",
            )
            check(
                "numbers of a stream never go back",
                holds=frame.number >= at and frame.data["generation_id"] == row.uuid,
                otherwise=f"{where}: {frame} after {at}",
            )
            at = frame.number
            said += frame.data["delta"] if frame.name == "delta" else ""
        logged = output.text_between(reading.after, at)
        check(
            "stream showed all of the log up to its last number, once",
            holds=said == logged,
            otherwise=f"{where}: ({reading.after}, {at}] showed {len(said)}, log has {len(logged)}",
        )
        for place, frame in enumerate(reading.frames):
            if frame.name == "done":
                last = place == len(reading.frames) - 1
                check(
                    "`done` is the end", holds=last, otherwise=f"{where}: {reading.frames[place:]}"
                )

    def _is_logged(self, frame: Frame, row: Row, output: Output) -> bool:
        if frame.name == "delta":
            text = frame.data["delta"]
            start = frame.number - len(text)
            return frame.number <= output.until and output.text_between(start, frame.number) == text
        if frame.name == "usage":
            kind, body = output.facts.get(frame.number, (None, "{}"))
            stored = json.loads(body)
            return kind is EventKind.USAGE and frame.data["usage"]["total_tokens"] == (
                stored["prompt_tokens"] + stored["completion_tokens"]
            )
        if frame.name == "done":
            return (
                output.ending == row.state
                and frame.number == output.until
                and frame.data["status"] == DONE[row.state]
                and frame.data.get("message_id", row.answer_id) == row.answer_id
            )
        return frame.number <= output.until  # ping, and the error before a done

    # What must be true of every run

    def _generation(self, row: Row, seen: Evidence, outputs: dict[int, Output]) -> None:
        check = self.verdict.check
        where = f"generation {row.id} ({row.state}, attempt {row.attempt}, {row.model})"
        output = outputs.setdefault(row.id, Output(seen.log.get(row.id, [])))
        check(
            "log has no gap and contradicts nothing",
            holds=not output.faults,
            otherwise=f"{where}: {output.faults}",
        )
        check(
            "reservation while it runs, and no longer",
            holds=(row.id in seen.reservations) == row.is_live,
            otherwise=where,
        )
        self._text(where, row, output)
        self._ended(row, where)
        answers = [entry for entry in seen.entries[row.id] if entry.kind == "answer"]
        if row.is_live:
            check("nothing charged before the end", holds=not answers, otherwise=where)
            check("no end in the log of a live run", holds=output.ending is None, otherwise=where)
            return
        self._closed.add(row.id)
        check(
            "state is what the log's last event says",
            holds=output.ending == row.state,
            otherwise=f"{where}: the log says {output.ending}",
        )
        message = seen.messages.get(row.answer_id)
        if not check("answer is there", holds=message is not None, otherwise=where):
            return
        assert message is not None
        check(
            "stored answer = the log",
            holds=(message.text, message.reasoning or "") == (output.text, output.reasoning),
            otherwise=f"{where}: {len(message.text)} stored, {len(output.text)} logged",
        )
        check(
            "outline = the log",
            holds=_outline(output) == unmake(row.outline),
            otherwise=f"{where}: {row.outline}",
        )
        owes = row.state != "failed" or bool(output.text or output.reasoning)
        usage = (message.prompt_tokens, message.completion_tokens)
        charged = [(entry.prompt_tokens, entry.completion_tokens) for entry in answers]
        check(
            "ledger: one answer for each run that owes one, as the message says",
            holds=charged == ([usage] if owes else []),
            otherwise=f"{where}: {charged}, the message {usage}",
        )

    def _text(self, where: str, row: Row, output: Output) -> None:
        model = row.model.partition("/")[2]
        fault = ""
        try:
            rows = told(output.text)
        except ValueError as error:
            rows, fault = [], str(error)
        if not fault and len(rows) > (row.attempt if model == "continuing" else 1):
            fault = f"{len(rows)} requests in one answer"
        if not fault and row.state == "completed":
            last = SPEECHES[model].within(row.max_tokens).count - 1
            ends_at = rows[-1][1] if rows else -1
            # What is left for the last of several attempts depends on the text before it.
            is_cut = len(rows) > 1 and last < SPEECHES[model].count - 1
            if ends_at > last if is_cut else ends_at != last:
                fault = f"completed, but it ends at {rows[-1:]}, not at {last}"
        self.verdict.check(
            "text is what the provider said, word by word",
            holds=not fault,
            otherwise=f"{where}: {fault}",
        )


def _outline(output: Output) -> list[tuple[int, int, str | None]]:
    items: list[tuple[int, int, str | None]] = []
    for _, until, kind, body in output._starts:
        is_span = kind in SPANS
        if is_span and items and items[-1][0] == kind:
            items.pop()
        items.append((int(kind), until, None if is_span else body))
    return items


def replayed_text(frames: list[Frame]) -> str:
    """Return what a replay says."""
    return "".join(frame.data["delta"] for frame in frames if frame.name == "delta")


def listed(messages: list[dict[str, Any]], id: int) -> str | None:
    """Return the content of a message in a list."""
    return next((message["content"] for message in messages if message["id"] == id), None)
