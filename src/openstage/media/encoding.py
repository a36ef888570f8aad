"""Running ffmpeg over a source: limits that its length justifies, percent, and what a failure means."""

import shutil
from collections.abc import Sequence
from pathlib import Path

from openstage.media.cores import leased
from openstage.media.errors import ScratchFull, Unplayable
from openstage.media.progress import Percent
from openstage.media.sandbox import Limits, run
from openstage.settings import Settings

NICE = 15  # the ladder steps back behind the server and behind first renditions
# Wall clock and processor seconds that a second of source may cost: far above what 4K at 60 frames needs on one core;
# and a second that is only decoded.
SLOWEST, SLOWEST_DECODING, BASE_SECONDS = 120, 10, 600

# What ffmpeg says of an output that got no frame, which is no failure by itself; and of one that is.
NO_FRAME, FAILED = "received no packets", "finished with error code"


def require_room(folder: Path, settings: Settings) -> None:
    """See to it that there is room for working.

    Raises:
        ScratchFull: there isn't.

    """
    if shutil.disk_usage(folder).free < settings.min_free:
        raise ScratchFull("There is no room on the disk for working on the file; it goes on when there is.")


async def encode(
    arguments: list[str],
    source: Path,
    folder: Path,
    *,
    seconds: float,
    decoded: float = 0.0,
    percent: Percent | None = None,
    devices: Sequence[Path] = (),
    cores: int = 0,
) -> None:
    """Run ffmpeg.

    Args:
        arguments: the whole command.
        source: the one file that it reads.
        folder: in which it works, the only one that it writes to.
        seconds: of source that are encoded.
        decoded: seconds of source before them that are only decoded.
        percent: takes in what ffmpeg tells.
        devices: hardware that it may use.
        cores: processors that it keeps to if there are so many that nobody else does; 0: it takes what it gets.

    Raises:
        Unplayable: it failed; and what `sandbox.run` raises.

    """
    most = BASE_SECONDS + SLOWEST * seconds + SLOWEST_DECODING * decoded
    on_line = (percent or Percent(0, None)).line
    with leased(cores) as bound:
        limits = Limits(seconds=most, cpu_seconds=round(2 * most), nice=NICE, cores=bound)
        finished = await run(
            arguments, limits=limits, readable=[source], writable=folder, devices=devices, on_line=on_line
        )
    no_frame = NO_FRAME in finished.stderr and FAILED not in finished.stderr
    if finished.status and not no_frame:
        raise Unplayable(reason_of(finished.stderr))


def reason_of(stderr: str) -> str:
    """What ffmpeg's last words mean, for a person."""
    if "Cannot allocate memory" in stderr:
        return "The file asks for more memory than is allowed."
    last = next((line.strip() for line in reversed(stderr.splitlines()) if line.strip()), "")
    return f"The file can't be decoded: it is damaged or encrypted ({last[-160:]})."
