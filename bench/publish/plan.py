"""How much is measured: `BENCH_SCALE` cuts it for a look at whether everything works, `BENCH_ROUNDS` repeats it."""

import os
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

Part = Literal["play", "paced", "stalls", "ladder", "workers", "kill"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)

WHOLE_SECONDS: Final = 600
SHORTEST: Final = 20


@dataclass(frozen=True)
class Plan:
    """Durations in seconds of media."""

    scale: float = 1.0
    rounds: int = 3
    parts: tuple[Part, ...] = PARTS
    letters: str = "abcdefg"
    """Sources that are measured."""
    whole_reference: bool = False
    """Encode the whole source for comparison, not a stated part of it."""
    excerpt: int = 120
    """Seconds of a source of which the whole ladder is made; half of it is encoded as a whole for comparison."""
    long_paced: bool = False
    """Send (g) at 20 Mb/s too, which takes forty minutes."""

    @classmethod
    def read(cls, words: list[str]) -> "Plan":
        """Take parts, such as `play` or `ladder`, from the command line and the rest from the environment.

        Raises:
            ValueError: there is no such part.

        """
        if unknown := set(words) - set(PARTS):
            raise ValueError(f"no such part: {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
        scale = float(os.environ.get("BENCH_SCALE", "1"))
        return cls(
            scale=scale,
            rounds=int(os.environ.get("BENCH_ROUNDS", "3" if scale >= 1 else "1")),
            parts=cast(tuple[Part, ...], tuple(part for part in PARTS if part in words or not words)),
            letters=os.environ.get("BENCH_SOURCES", "abcdefg"),
            whole_reference=bool(os.environ.get("BENCH_WHOLE_REFERENCE")),
            excerpt=int(os.environ.get("BENCH_EXCERPT", "120")),
            long_paced=bool(os.environ.get("BENCH_LONG_PACED")),
        )

    @property
    def seconds(self) -> int:
        """Duration of a source."""
        return max(round(WHOLE_SECONDS * self.scale), SHORTEST)

    @property
    def reference_seconds(self) -> int:
        """Duration of what is encoded as a whole for comparison; the time is scaled up to the source's duration."""
        return self.seconds if self.whole_reference else min(self.excerpt // 2, self.seconds)

    @property
    def ladder_seconds(self) -> int:
        """Duration of what the whole ladder is made of: three chunks at full scale."""
        return min(self.excerpt, self.seconds)

    @property
    def shared_seconds(self) -> int:
        """Duration of what two workers share: six chunks at full scale, for three can't be shared equally."""
        return min(2 * self.excerpt, self.seconds)

    @property
    def chunk_seconds(self) -> float:
        """Length of chunks: the default's; of short sources a third, so that there are seams."""
        return min(40.0, max(4.0, self.ladder_seconds // 12 * 4.0))

    @property
    def watched_seconds(self) -> int:
        """For so long a film is watched, at least."""
        return min(60, self.seconds - 4)
