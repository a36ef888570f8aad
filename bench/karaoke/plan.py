"""How much is measured: `BENCH_SCALE` cuts it for a look at whether everything works, `BENCH_ROUNDS` repeats it."""

import os
import resource
from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from bench.plan import MIB

Part = Literal["calls", "poll", "wait", "upload"]
PARTS: Final[tuple[Part, ...]] = get_args(Part)
SPARE_FILES: Final = 512
"""Open files of a process besides its connections to devices."""


@dataclass(frozen=True)
class Plan:
    """Numbers of devices and recordings, durations in seconds, sizes in bytes."""

    scale: float = 1.0
    rounds: int = 3
    parts: tuple[Part, ...] = PARTS

    @classmethod
    def read(cls, words: list[str]) -> "Plan":
        """Take parts, such as `poll` or `upload`, from the command line and the rest from the environment.

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
        )

    @property
    def load_seconds(self) -> int:
        """Duration of one load of calls."""
        return max(round(4 * self.scale), 1)

    @property
    def polling(self) -> int:
        """Devices that poll."""
        return max(round(1000 * self.scale), 10)

    @property
    def poll_seconds(self) -> int:
        """For so long they poll in each round."""
        return max(round(20 * self.scale), 3)

    @property
    def waiting(self) -> int:
        """Devices in long polls."""
        return max(round(5000 * self.scale), 20)

    @property
    def uploads(self) -> int:
        """Recordings that are sent."""
        return max(round(100 * self.scale), 8)

    @property
    def recording(self) -> int:
        """Size of one."""
        return 5 * MIB if self.scale >= 0.1 else MIB


def allow_files(connections: int) -> str:
    """Let this process and those that it starts hold so many connections.

    Returns:
        why they can't; empty: they can.

    """
    needed = connections + SPARE_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= needed or soft == resource.RLIM_INFINITY:
        return ""
    if hard != resource.RLIM_INFINITY and hard < needed:
        return f"{connections} connections need {needed} open files, and the limit is {hard} (ulimit -Hn)."
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return ""
