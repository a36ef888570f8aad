"""Figures of a run: one value a round, their ratios round by round, and what they are held against."""

from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal


@dataclass(frozen=True)
class Series:
    """One quantity, measured once in each round."""

    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value."""
        return median(self.values)

    @property
    def low(self) -> float:
        """The smallest value."""
        return min(self.values)

    @property
    def high(self) -> float:
        """The largest value."""
        return max(self.values)

    def ratio_to(self, peer: "Series") -> "Series":
        """Ratio to a peer, within each round: what disturbs a round disturbs both."""
        return Series("ratio", tuple(ours / theirs for ours, theirs in zip(self.values, peer.values, strict=True)))

    def as_json(self) -> dict[str, Any]:
        """Return it for the results file."""
        return {
            "unit": self.unit,
            "median": round(self.median, 4),
            "min": round(self.low, 4),
            "max": round(self.high, 4),
            "values": [round(value, 4) for value in self.values],
        }


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    bound: float
    against: str = ""
    """Name of the peer whose ratio is meant; empty: the figure itself."""
    sign: Literal["≥", "<", "≤"] = "≥"

    def reached_by(self, row: "Row") -> bool:
        """Whether the row's median is good enough."""
        value = (row.ratios[self.against] if self.against else row.figure).median
        return {"≥": value >= self.bound, "<": value < self.bound, "≤": value <= self.bound}[self.sign]

    def text(self) -> str:
        """Return it as the table shows it."""
        return f"{self.sign} {self.bound:g}" + (f" of {self.against}" if self.against else "")


@dataclass(frozen=True)
class Row:
    """One line of the table: ours or a peer's."""

    what: str
    figure: Series
    ratios: dict[str, Series] = field(default_factory=dict)
    """Ours over a peer's, by the peer's name."""
    target: Target | None = None
    ours: bool = True

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one, or if its peer is not here."""
        if self.target is None or (self.target.against and self.target.against not in self.ratios):
            return None
        return self.target.reached_by(self)

    def as_json(self) -> dict[str, Any]:
        """Return it for the results file."""
        return {
            "what": self.what,
            "ours": self.ours,
            **self.figure.as_json(),
            "ratios": {name: series.as_json() for name, series in self.ratios.items()},
            "target": self.target.text() if self.target else None,
            "reached": self.reached,
        }


@dataclass
class Section:
    """One part of the table."""

    title: str
    rows: list[Row] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    """Peers, or parts, that could not be measured here, and why."""
    notes: list[str] = field(default_factory=list)
    """What should be known of the figures."""

    def as_json(self) -> dict[str, Any]:
        """Return it for the results file."""
        rows = [row.as_json() for row in self.rows]
        return {"title": self.title, "rows": rows, "left_out": self.left_out, "notes": self.notes}
