"""What models refuse to be told, remembered while the server runs."""

from collections.abc import Set


class Habits:
    """What each model of one provider has refused, so that it is asked only once in vain.

    An adapter has its own words for it: the name of a field, a field with a value, a way to think.
    """

    def __init__(self) -> None:
        self._refused: dict[str, frozenset[str]] = {}

    def refused(self, model: str) -> frozenset[str]:
        """Return what not to tell a model."""
        return self._refused.get(model, frozenset())

    def learn(self, model: str, refused: str | None, *, known: Set[str]) -> bool:
        """Remember a refusal; False where it was `known` when the model was asked.

        Then to ask anew is no use. What others have learned in the meantime is.
        """
        if refused is None or refused in known:
            return False
        self._refused[model] = self.refused(model) | {refused}
        return True
