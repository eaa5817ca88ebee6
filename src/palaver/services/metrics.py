"""What the server counts while it works, for who watches it: never a person, a text or an id."""

from collections.abc import Callable
from typing import Final

from palaver.domain.errors import ErrorKind
from palaver.domain.events import Ending, Failed, UsageReported, pack
from palaver.domain.users import Actor
from palaver.kit.clock import Clock, system_clock
from palaver.kit.metrics import Counter, Histogram, gauge, shown
from palaver.kit.process import process_lines
from palaver.storage.database import Database

REQUEST_BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60)


class Meters:
    """Counts since the start of this worker: each request, and each run once, never a token."""

    def __init__(self) -> None:
        self.requests = Histogram(
            "palaver_http_request_duration_seconds",
            "Seconds until the answer to a request began.",
            REQUEST_BOUNDS,
            ("contract", "method", "status"),
        )
        self._generations = Counter(
            "palaver_generations_total", "Answers that have ended.", ("outcome",)
        )
        self._errors = Counter(
            "palaver_provider_errors_total",
            "Answers that a provider has failed.",
            ("provider", "kind"),
        )
        self._tokens = Counter(
            "palaver_tokens_total",
            "Tokens, of prompts (in) and of answers (out).",
            ("provider", "direction"),
        )

    def count_generation(self, model: str, ending: Ending, usage: UsageReported | None) -> None:
        """Count an answer that has ended, and what it has used."""
        kind, _ = pack(ending)
        self._generations.add((kind.name.lower(),))
        if isinstance(ending, Failed):
            self.count_failure(model, ending.kind)
        self.count_tokens(model, usage)

    def count_failure(self, model: str, kind: ErrorKind) -> None:
        """Count an answer that a provider, or we for it, has failed."""
        self._errors.add((_provider(model), kind.value))

    def count_tokens(self, model: str, usage: UsageReported | None) -> None:
        """Count what was used, once for each run."""
        if usage is not None:
            provider = _provider(model)
            self._tokens.add((provider, "in"), usage.prompt_tokens)
            self._tokens.add((provider, "out"), usage.completion_tokens)

    def lines(self) -> list[str]:
        """Return what is shown of them."""
        meters = (self.requests, self._generations, self._tokens, self._errors)
        return [line for meter in meters for line in meter.lines()]


class MetricsService:
    """Shows what was counted."""

    def __init__(
        self,
        db: Database,
        meters: Meters,
        count_runs: Callable[[], int],
        *,
        clock: Clock = system_clock,
    ) -> None:
        self.db = db
        self.meters = meters
        self.clock = clock
        self._count_runs = count_runs

    async def text(self, actor: Actor) -> str:  # noqa: ARG002  # the route says who may ask
        """Return everything in Prometheus's text format. For this worker, but for the jobs."""
        async with self.db.read() as tx:
            jobs = await tx.jobs.count_due(at=self.clock())
        lines = [
            *self.meters.lines(),
            *gauge("palaver_generations_live", "Answers being written now.", self._count_runs()),
            *shown(
                "gauge",
                "palaver_jobs_due",
                "Jobs that wait for a worker, of the whole installation.",
                ("kind",),
                [((kind,), count) for kind, count in jobs],
            ),
            *self.db.commits.lines(),
            *self.db.load(),
            *process_lines(),
        ]
        return "\n".join(lines) + "\n"


def _provider(model: str) -> str:
    return model.partition("/")[0]
