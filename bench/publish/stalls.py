"""A film that is watched in a real browser from the first second on while the encoder works: whether it stalls."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from bench.figures import Row, Section, Series, Target
from bench.processes import NotHere, wait_for
from bench.publish.plan import Plan
from bench.publish.sources import SOURCES, source_file
from bench.publish.works import Bench
from tests.support.browser import Browser, missing, open_browser

LETTER: Final = "c"
FROZEN_SECONDS: Final = 0.25
"""A playback whose clock stands for so long has stalled, whether or not it says so. (A clock that has run on while the
page's scripts were held up hasn't stood.)"""

# Runs before the page's own scripts, on each page. All moments are in milliseconds since 1970.
_WATCH: Final = """
    window.seen = {events: [], frozen: [], rungs: [], started: 0};
    const note = (event) => {
        if (!window.seen.started && event.type !== "playing") return;
        if (!window.seen.started) window.seen.started = Date.now();
        window.seen.events.push([event.type, Date.now(), event.target.currentTime]);
    };
    for (const name of ["playing", "waiting", "stalled", "error", "pause", "ended"])
        document.addEventListener(name, note, true);
    document.addEventListener("resize", (event) =>
        window.seen.rungs.push([event.target.videoHeight, event.target.currentTime]), true);
    let last = -1, since = performance.now();
    setInterval(() => {
        const video = document.querySelector("video"), now = performance.now();
        if (!video || !window.seen.started || video.ended) return;
        if (video.currentTime !== last) {
            const stood = now - since - (video.currentTime - last) * 1000;
            if (last >= 0 && stood > LIMIT) window.seen.frozen.push([last, stood]);
            last = video.currentTime; since = now;
        }
    }, 50);
"""


@dataclass
class Watching:
    """The measurement."""

    plan: Plan
    bench: Bench
    say: Callable[[str], None]

    def run(self) -> Section:
        """Watch once.

        Raises:
            NotHere: there is no browser.

        """
        if reason := missing():
            raise NotHere(reason)
        source = SOURCES[LETTER]
        file = source_file(LETTER, self.plan.seconds, self.say)
        section = Section(f"({LETTER}) {source.what}, watched in Chromium while it is encoded")
        with open_browser() as browser:
            script = _WATCH.replace("LIMIT", str(FROZEN_SECONDS * 1000))
            browser.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": script})
            self.say(f"({LETTER}) watched in a browser")
            file_id = self.bench.send(file)
            slug = self.bench.one("select slug from work where file_id = %s", file_id)[0]
            browser.open(f"http://127.0.0.1:{self.bench.server.port}/e/{slug}?autoplay=1")
            try:
                finished = self._finish(browser, file_id)
                made = self._made(file_id)
                until = max(float(self.plan.watched_seconds), made)
                self._watch(browser, until)
                seen = browser.js("window.seen")
                position = browser.js("document.querySelector('video').currentTime")
            finally:
                browser.open("about:blank")
                self.bench.delete(file_id)
        first = (seen["started"] - finished) / 1000
        waits = [event for event in seen["events"] if event[0] == "waiting"]
        section.rows += [
            Row("from the reply to finish until the picture moves", Series("s", (first,))),
            Row("watched", Series("s", (position,))),
            Row("made when finish was answered", Series("s", (made,))),
            Row("stalls (`waiting`)", Series("", (len(waits),)), target=Target(0, sign="≤")),
            Row(
                f"clock stood for over {FROZEN_SECONDS:g} s",
                Series("", (len(seen["frozen"]),)),
                target=Target(0, sign="≤"),
            ),
        ]
        rungs = ", ".join(f"{height} lines from second {at:.0f}" for height, at in seen["rungs"])
        section.notes.append(f"On the screen: {rungs}.")
        if waits or seen["frozen"]:
            places = [f"second {at:.1f} for {lasted / 1000:.1f} s" for at, lasted in seen["frozen"]]
            section.notes.append(
                f"The clock stood at {', '.join(places)}; `waiting` at {[event[2] for event in waits]}."
            )
        return section

    def _finish(self, browser: Browser, file_id: str) -> float:
        """Finish the upload; returns the moment of the reply on the browser's clock."""
        self.bench.finish(file_id)
        return float(browser.js("Date.now()"))

    def _made(self, file_id: str) -> float:
        """Return the seconds of picture that exist."""
        query = (
            "select coalesce(max(rendition.duration_ms), 0) / 1000.0 from rendition join work on work.id = work_id"
            " where file_id = %s and kind = 'hls_video'"
        )
        return float(self.bench.one(query, file_id)[0])

    def _watch(self, browser: Browser, until: float) -> None:
        def there() -> Any:
            return browser.js("(document.querySelector('video') || {}).currentTime || 0") >= until

        wait_for(there, f"second {until:.0f} on the screen", within=3 * until + 120)
