"""Uploads through the dialect, against MD5, nginx's PUT and tus."""

import hashlib
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Final

from bench import machine
from bench.figures import Row, Section, Series, Target
from bench.http import Slice, together
from bench.ours import Form, Memory, Openstage
from bench.peers.nginx import Nginx
from bench.peers.tus import Tus
from bench.plan import GIB, MIB, Plan

MD5 = "MD5"
FORMS: Final[tuple[Form, ...]] = ("raw", "multipart")
TARGETS = {1: Target(0.45, MD5), 4: Target(0.75, MD5)}
"""By uploads in parallel: what part of the rate of one core's MD5 they reach together."""
MEMORY_LIMIT = 200.0
GROWTH_LIMIT = 20.0
"""MB, and MB per 10 GB received."""


@dataclass
class Uploading:
    """The measurement; `run` gives the sections of uploads and of memory."""

    plan: Plan
    source: Path
    ours: Openstage
    nginx: Nginx | None
    tus: Tus | None
    say: Callable[[str], None]
    rates: dict[tuple[object, ...], list[float]] = field(default_factory=dict)
    peaks: list[Memory] = field(default_factory=list)
    idle: list[tuple[int, int]] = field(default_factory=list)
    """Bytes received until then, and the idle server's memory."""

    def run(self) -> tuple[Section, Section]:
        """Measure in rounds; in each, ours and its peers take turns."""
        descriptor = os.open(self.source, os.O_RDONLY)
        try:
            content = Slice(descriptor, 0, self.plan.upload)
            digests = {piece: _digests(content, piece) for piece in self.plan.pieces}
            self._ours("raw", self.plan.pieces[-1], 1, content, digests)  # warms both sides up
            self.rates.clear()
            for number in range(self.plan.rounds):
                self.say(f"uploads, round {number + 1} of {self.plan.rounds}")
                self._note_idle()
                self._round(content, digests)
            self._note_idle()
        finally:
            os.close(descriptor)
        return self._section(), self._memory_section()

    def _round(self, content: Slice, digests: dict[int, list[str]]) -> None:
        before = machine.md5_rate(self.plan.upload)
        for parallel in self.plan.parallel:
            for piece, form in product(self.plan.pieces, FORMS):
                self._ours(form, piece, parallel, content, digests)
            self._nginx(parallel, content)
            for piece in self.plan.pieces:
                self._tus(piece, parallel, content)
        self._add((MD5,), (before + machine.md5_rate(self.plan.upload)) / 2)

    def _ours(self, form: Form, piece: int, parallel: int, content: Slice, digests: dict[int, list[str]]) -> None:
        file_ids = [""] * parallel

        def send(number: int) -> None:
            file_ids[number] = self.ours.upload(content, piece, form, digests[piece])

        with self._watched(parallel):
            seconds = together(parallel, send)
        self.ours.bytes_received += parallel * content.length
        self._add((form, piece, parallel), parallel * content.length / seconds)
        for file_id in file_ids:
            self.ours.cancel(file_id)
        os.sync()

    def _nginx(self, parallel: int, content: Slice) -> None:
        if self.nginx:
            nginx = self.nginx
            seconds = together(parallel, lambda number: nginx.put(f"{number}.bin", content))
            self._add(("nginx", parallel), parallel * content.length / seconds)
            nginx.forget()
            os.sync()

    def _tus(self, piece: int, parallel: int, content: Slice) -> None:
        if self.tus:
            tus = self.tus
            seconds = together(parallel, lambda _: tus.upload(content, piece))
            self._add(("tus", piece, parallel), parallel * content.length / seconds)
            tus.forget()
            os.sync()

    def _add(self, key: tuple[object, ...], rate: float) -> None:
        self.rates.setdefault(key, []).append(rate)

    def _note_idle(self) -> None:
        self.idle.append((self.ours.bytes_received, self.ours.memory().server))

    @contextmanager
    def _watched(self, parallel: int) -> Iterator[None]:
        """Look at the server's memory while the block runs, if as many uploads are in flight as the target says."""
        if parallel < max(self.plan.parallel):
            yield
            return
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                self.peaks.append(self.ours.memory())

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            over.set()
            watcher.join()

    # --- the table --------------------------------------------------------------------------------------------
    def _series(self, *key: object) -> Series | None:
        rates = self.rates.get(key)
        return Series("MB/s", tuple(rate / 1e6 for rate in rates)) if rates else None

    def _section(self) -> Section:
        size = f"{self.plan.upload / GIB:g} GiB" if self.plan.upload >= GIB else f"{self.plan.upload // MIB} MiB"
        section = Section(f"Uploads of {size}: how many at once, form, size of pieces")
        for parallel in self.plan.parallel:
            for piece, form in product(self.plan.pieces, FORMS):
                ours = self._series(form, piece, parallel)
                assert ours is not None
                peers = {
                    MD5: self._series(MD5),
                    "nginx": self._series("nginx", parallel),
                    "tus": self._series("tus", piece, parallel),
                }
                ratios = {name: ours.ratio_to(peer) for name, peer in peers.items() if peer}
                what = f"{parallel} × {form}, {piece // MIB} MiB"
                section.rows.append(Row(what, ours, ratios, TARGETS[parallel]))
        self._add_peers(section)
        return section

    def _add_peers(self, section: Section) -> None:
        named: dict[str, tuple[object, ...]] = {"MD5 on one core": (MD5,)}
        for parallel in self.plan.parallel:
            named[f"{parallel} × nginx PUT, whole"] = ("nginx", parallel)
        for parallel, piece in product(self.plan.parallel, self.plan.pieces):
            named[f"{parallel} × tus, {piece // MIB} MiB"] = ("tus", piece, parallel)
        for what, key in named.items():
            if series := self._series(*key):
                section.rows.append(Row(what, series, ours=False))

    def _memory_section(self) -> Section:
        section = Section("Memory (PSS)")
        first, last = self.idle[0], self.idle[-1]
        received = last[0] - first[0]
        growth = (last[1] - first[1]) / 1e6 * 10e9 / received
        at_once = max(self.plan.parallel)
        if self.peaks:
            peak = Series("MB", (max(memory.server for memory in self.peaks) / 1e6,))
            what = f"server, peak with {at_once} uploads in flight"
            section.rows.append(Row(what, peak, target=Target(MEMORY_LIMIT, sign="<")))
        section.rows.append(Row("server, idle", Series("MB", tuple(size / 1e6 for _, size in self.idle))))
        what = f"server, growth per 10 GB received (over {received / 1e9:.1f} GB)"
        section.rows.append(Row(what, Series("MB", (growth,)), target=Target(GROWTH_LIMIT, sign="<")))
        now = self.ours.memory()
        section.rows.append(Row("worker, idle", Series("MB", (now.worker / 1e6,))))
        section.rows.append(Row("embedded PostgreSQL", Series("MB", (now.database / 1e6,))))
        return section


def _digests(content: Slice, piece: int) -> list[str]:
    digests = []
    for start in range(0, content.length, piece):
        data = os.pread(content.descriptor, min(piece, content.length - start), content.start + start)
        digests.append(hashlib.md5(data, usedforsecurity=False).hexdigest())
    return digests
