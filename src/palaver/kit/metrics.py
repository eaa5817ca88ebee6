"""Numbers for who watches a server, in the text format of Prometheus.

Ours, because it is counted on the way of every request: `prometheus-client` costs 2 to 5 µs a count
here (a lock, and a lookup by label), this less than one, and is all that we need of it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

Labels: TypeAlias = tuple[str, ...]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_ESCAPES: Final = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Counter:
    """Sums that only grow, one for each combination of labels. For one thread."""

    def __init__(self, name: str, about: str, labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self._sums: dict[Labels, float] = {}

    def add(self, labels: Labels = (), amount: float = 1) -> None:
        """Add to the sum of these labels."""
        self._sums[labels] = self._sums.get(labels, 0) + amount

    def lines(self) -> list[str]:
        """Return what is shown of it."""
        return shown("counter", self.name, self.about, self.labels, self._sums.items())


class Histogram:
    """How often something took how long, by labels. For one thread at a time."""

    def __init__(self, name: str, about: str, bounds: Sequence[float], labels: Labels = ()) -> None:
        self.name = name
        self.about = about
        self.labels = labels
        self.bounds = tuple(bounds)
        self._series: dict[Labels, list[float]] = {}

    def observe(self, seconds: float, labels: Labels = ()) -> None:
        """Count one that took so long."""
        series = self._series.get(labels)
        if series is None:  # a count for each bound, one for what lies beyond, and the sum
            series = self._series[labels] = [0] * (len(self.bounds) + 2)
        series[bisect_left(self.bounds, seconds)] += 1
        series[-1] += seconds

    def lines(self) -> list[str]:
        """Return what is shown of it; buckets count what lies below them as well."""
        lines = _head("histogram", self.name, self.about)
        names = (*self.labels, "le")
        for labels, (*counts, total) in sorted(self._series.items()):
            count = 0.0
            for bound, more in zip((*map(str, self.bounds), "+Inf"), counts, strict=True):
                count += more
                lines.append(_sample(f"{self.name}_bucket", names, (*labels, bound), count))
            lines.append(_sample(f"{self.name}_sum", self.labels, labels, total))
            lines.append(_sample(f"{self.name}_count", self.labels, labels, count))
        return lines


def gauge(name: str, about: str, value: float) -> list[str]:
    """Return what is shown of a number as it is now."""
    return shown("gauge", name, about, (), [((), value)])


def shown(
    kind: str, name: str, about: str, names: Labels, samples: Iterable[tuple[Labels, float]]
) -> list[str]:
    """Return what is shown of a metric without buckets."""
    return _head(kind, name, about) + [
        _sample(name, names, labels, value) for labels, value in sorted(samples)
    ]


def _head(kind: str, name: str, about: str) -> list[str]:
    return [f"# HELP {name} {about}", f"# TYPE {name} {kind}"]


def _sample(name: str, names: Labels, labels: Labels, value: float) -> str:
    pairs = ",".join(
        f'{each}="{label.translate(_ESCAPES)}"' for each, label in zip(names, labels, strict=True)
    )
    number = int(value) if value == int(value) else round(value, 6)
    return f"{name}{{{pairs}}} {number}" if pairs else f"{name} {number}"
