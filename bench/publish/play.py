"""Time to play: from the reply to finish until everything that a first picture and sound need has been fetched."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Row, Section, Series, Target
from bench.http import LoadError
from bench.publish.plan import Plan
from bench.publish.sources import SOURCES, source_file
from bench.publish.watching import Timeline, Viewer
from bench.publish.works import SLOW_LINE, Bench

WHOLE = "encode everything"


@dataclass
class Playing:
    """The measurement, for one way of sending."""

    plan: Plan
    bench: Bench
    references: Mapping[str, float]
    """Seconds in which one process encodes everything, by the letter of the source."""
    say: Callable[[str], None]

    def at_once(self) -> Section:
        """Send each source as fast as the loopback goes, in rounds."""
        section = Section(f"Time to play of {self._length()}, sent as fast as the loopback goes")
        for letter in self.plan.letters:
            self._add(section, letter, None, self.plan.rounds)
        return section

    def paced(self) -> Section:
        """Send each source through a line of 20 Mb/s, once."""
        section = Section(f"Time to play of {self._length()}, sent at {SLOW_LINE // 1_000_000} Mb/s")
        for letter in self.plan.letters:
            if letter == "g" and not self.plan.long_paced:
                section.left_out.append("(g): it would take forty minutes; BENCH_LONG_PACED=1 measures it.")
                continue
            self._add(section, letter, SLOW_LINE, 1)
        return section

    def _length(self) -> str:
        seconds = self.plan.seconds
        return f"{seconds // 60} min" if seconds >= 60 else f"{seconds} s"

    def _add(self, section: Section, letter: str, bits_per_second: float | None, rounds: int) -> None:
        source = SOURCES[letter]
        file = source_file(letter, self.plan.seconds, self.say)
        seconds: list[float] = []
        first_list: list[float] = []
        growing = 0
        try:
            for number in range(rounds):
                self.say(f"({letter}) {source.what}, round {number + 1} of {rounds}")
                replied, timeline = self._round(file, bits_per_second)
                seconds.append(timeline.playable - replied)
                first_list.append(timeline.offered - replied)
                growing += timeline.growing
        except (LoadError, TimeoutError) as error:
            section.left_out.append(f"({letter}) {source.what}: {error}")
            return
        ours = Series("s", tuple(seconds))
        ratios = {}
        if letter in self.references:
            whole = Series("s", (self.references[letter],) * len(seconds))
            ratios[WHOLE] = ours.ratio_to(whole)
        what = f"({letter}) {source.what}"
        section.rows.append(Row(what, ours, ratios, Target(source.limit, sign="≤")))
        told = f"({letter}) until fullStatus has an address{'' if growing else ', of whole renditions'}"
        section.rows.append(Row(told, Series("s", tuple(first_list)), ours=False))
        if letter in self.references:
            section.rows.append(Row(f"({letter}) {WHOLE}, then publish", whole, ours=False))

    def _round(self, file: Path, bits_per_second: float | None) -> tuple[float, Timeline]:
        file_id = self.bench.send(file, bits_per_second=bits_per_second)
        try:
            with self.bench.server.connection() as connection:
                viewer = Viewer(connection, self.bench.server.token)
                viewer.status(file_id)  # the client has shown progress all the while: its connection is warm
                replied = self.bench.finish(file_id, connection)
                return replied, viewer.play(file_id)
        finally:
            self.bench.delete(file_id)
            time.sleep(0.5)  # let the disk and the database settle before the next one
