"""A row of the table: what was measured, on which database, against which target."""

from dataclasses import dataclass


@dataclass
class Row:
    """One figure; `target` as a sentence, `is_met` None where nothing is promised."""

    what: str
    database: str
    figure: str
    target: str = ""
    is_met: bool | None = None

    def line(self) -> str:
        mark = {True: "yes", False: "**no**", None: ""}[self.is_met]
        return f"| {self.what} | {self.database} | {self.figure} | {self.target} | {mark} |"
