"""Signed searches at a steady pace, timed from the moment at which each was due."""

import hashlib
import json
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from bench.http import Connection, LoadError
from bench.search.generate import Generator

SEED = 11
CONNECTIONS = 8


@dataclass(frozen=True, slots=True)
class Asked:
    """A query: what kind it is, and its parameters."""

    kind: str
    parameters: dict[str, Any]


@dataclass(frozen=True, slots=True)
class App:
    """Who signs."""

    client_id: str
    secret: str

    def target(self, call: str, parameters: dict[str, Any]) -> str:
        """Return the signed address of a call."""
        every = {**parameters, "client_id": self.client_id, "nonce_str": int(time.time())}
        ordered = dict(sorted((name, str(value)) for name, value in every.items()))
        text = f"{urlencode(ordered)}&client_secret={self.secret}"
        ordered["sign"] = hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return f"/plus/audio/{call}?{urlencode(ordered)}"

    def call(self, connection: Connection, call: str, **parameters: Any) -> Any:
        """Make a call and return its data.

        Raises:
            LoadError: it failed.

        """
        target = self.target(call, parameters)
        return read(target, connection.request("GET", target).body)


def read(target: str, body: bytes) -> Any:
    """Return the data of a reply.

    Raises:
        LoadError: the call failed.

    """
    reply = json.loads(body)
    if not reply["result"]:
        raise LoadError(f"{target}: {reply}")
    return reply["data"]


def queries(genres: Sequence[int], moods: Sequence[int], instruments: Sequence[int]) -> Iterator[Asked]:
    """Yield a mix without end: words as often as they stand in titles, operators, facets, ranges."""
    source, made = random.Random(SEED), Generator()

    def word() -> str:
        return (made.chinese if source.random() < 0.5 else made.english).draw(source)

    while True:
        kind = source.choices(("word", "words", "boolean", "facet", "range", "order"), (30, 15, 20, 15, 15, 5))[0]
        asked: dict[str, Any] = {"per_page": 30}
        if kind == "word":
            asked["keyword"] = word()
        elif kind == "words":
            asked["keyword"] = f"{word()} {word()}"
        elif kind == "boolean":
            form = source.choice(("{} and ({} or {})", "{} or {} not {}", "{} and {} not {}", "({} or {}) not {}"))
            asked["keyword"] = form.format(word(), word(), word())
        elif kind == "facet":
            asked |= {"genre_id": source.choice(genres), "mood_id": source.choice(moods), "keyword": word()}
        elif kind == "range":
            low = source.randrange(20, 200)
            asked |= {
                "keyword": word(),
                "bpm_id": source.randrange(1, 7),
                "duration_from": low,
                "duration_to": low + 60,
            }
        else:
            asked |= {"instrument_id": source.choice(instruments), "sort": source.choice(("newest", "heat", "bpm"))}
        yield Asked(kind, asked)


def steadily(port: int, app: App, asked: Sequence[Asked], per_second: float) -> list[tuple[str, float]]:
    """Ask at a pace; return the kind of each query and the seconds until its answer, from when it was due."""
    began = time.perf_counter() + 0.2
    due = iter([(began + number / per_second, each) for number, each in enumerate(asked)])
    lock = threading.Lock()
    took: list[tuple[str, float]] = []
    failures: list[Exception] = []

    def work() -> None:
        try:
            with Connection(port) as connection:
                while True:
                    with lock:
                        moment, each = next(due, (0.0, None))
                    if each is None:
                        return
                    target = app.target("search", each.parameters)
                    time.sleep(max(0.0, moment - time.perf_counter()))
                    reply = connection.request("GET", target)
                    seconds = time.perf_counter() - moment
                    read(target, reply.body)  # what reading it costs is the client's
                    took.append((each.kind, seconds))
        except Exception as error:  # told by the caller's thread
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return took
