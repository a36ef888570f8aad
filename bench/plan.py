"""How much is measured. `BENCH_SCALE` cuts it for a look at whether everything works."""

import os
from dataclasses import dataclass

MIB = 1024**2
GIB = 1024**3


@dataclass(frozen=True)
class Plan:
    """Sizes in bytes, durations in seconds."""

    scale: float = 1.0
    rounds: int = 3
    without: frozenset[str] = frozenset()
    """Names of peers that are left out."""

    @classmethod
    def read(cls) -> "Plan":
        """Take it from `BENCH_SCALE` (0.001 … 1), `BENCH_ROUNDS` and `BENCH_WITHOUT` (peers, separated by commas)."""
        scale = float(os.environ.get("BENCH_SCALE", "1"))
        rounds = int(os.environ.get("BENCH_ROUNDS", "3" if scale >= 1 else "1"))
        return cls(scale, rounds, frozenset(os.environ.get("BENCH_WITHOUT", "").split(",")))

    @property
    def upload(self) -> int:
        """Size of one upload."""
        return max(int(GIB * self.scale) // MIB, 1) * MIB

    @property
    def download(self) -> int:
        """Size of the file that is downloaded in ranges."""
        return self.upload

    @property
    def pieces(self) -> tuple[int, ...]:
        """Sizes of pieces."""
        return tuple(sorted({min(size * MIB, self.upload) for size in (4, 64)}))

    @property
    def ranges(self) -> tuple[int, ...]:
        """Sizes of ranges."""
        return tuple(sorted({min(size * MIB, self.download) for size in (1, 8, 64)}))

    @property
    def parallel(self) -> tuple[int, ...]:
        """Uploads at once."""
        return (1, 4)

    @property
    def load_seconds(self) -> int:
        """Duration of one load of small calls."""
        return max(round(4 * self.scale), 1)
