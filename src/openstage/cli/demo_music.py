"""`openstage demo music`: import a catalogue, find, hear, license, download, and prove it."""

import hashlib
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import httpx
import typer
from rich.console import Console
from rich.markup import escape

from openstage.cli.demo_steps import Steps, end_politely, found_server, stay_up
from openstage.cli.output import print_json, size
from openstage.cli.upload import fail
from openstage.client import ClientError
from openstage.client.music import MusicLibrary, Offer, Track, verify_certificate
from openstage.demo.music import Piece, pieces
from openstage.demo.music_folder import write_catalogue
from openstage.demo.playback import PlaybackError, decode
from openstage.demo.server import DemoServer, NoServerError
from openstage.settings import load

QUERY: Final = "云南 and (民族 or 弦乐) not 电子"
EXPECTED: Final = {"彩云之南", "云南的雨 Rain over Yunnan", "洱海月 Moon over Erhai", "茶马古道 Tea Horse Road"}
"""Titles that the query finds among the pieces; 云南公路 is 电子, and 云南小粒咖啡 neither 民族 nor 弦乐."""
LICENSEE: Final = "云上剧场 Cloud Theatre"
FOUND_SECONDS: Final = 15.0


class DemonstrationFailed(Exception):
    """Something isn't as it should be; the message says what."""


def music(
    *,
    server: Annotated[str, typer.Option(help="Address of a running server. Default: the listen address.")] = "",
    client_id: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_ID", help="Id of an app on it.")] = "",
    client_secret: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_SECRET", help="The app's secret.")] = "",
    catalogue_only: Annotated[
        bool, typer.Option("--catalogue-only", help="Fill the running server's catalogue, and end.")
    ] = False,
    count: Annotated[
        int, typer.Option("--pieces", min=6, max=len(pieces()), help="How many pieces; the first six are needed.")
    ] = len(pieces()),
    out: Annotated[
        Path | None, typer.Option("--out", help="Keep the music, its certificate and the public keys in this folder.")
    ] = None,
    once: Annotated[bool, typer.Option("--once", help="End at once, an own server too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; implies --once.")] = False,
) -> None:
    """Import synthesised music, search it, license a piece, download it, verify its certificate offline."""
    steps = Steps(Console(stderr=as_json, highlight=False))
    end_politely()
    try:
        with (
            found_server(load(), server, client_id, client_secret, steps) as found,
            tempfile.TemporaryDirectory(prefix="openstage-music-") as scratch,
        ):
            if catalogue_only and found.own:
                raise NoServerError("no server runs here that could be filled: start it with `openstage serve`")  # noqa: TRY301
            demonstration = Demonstration(found, steps, Path(scratch), out or Path(scratch, "bought"))
            demonstration.fill(pieces()[:count])
            page = "" if catalogue_only else demonstration.run(given=bool(client_id))
            if as_json:
                print_json({"server": found.url, "own_server": found.own, "page_url": page, "steps": steps.done})
            elif page:
                stay_up(steps, f"Look at the certificate's page: [bold]{page}[/bold]", found, once=once)
    except KeyboardInterrupt:
        steps.say("\nEnded.")
    except (
        NoServerError, DemonstrationFailed, PlaybackError, ClientError, httpx.HTTPError, RuntimeError, OSError,
    ) as error:  # fmt: skip
        fail(str(error))


@dataclass(slots=True)
class Demonstration:
    """The way from a folder of files to a proven licence, step by step."""

    server: DemoServer
    steps: Steps
    scratch: Path
    out: Path

    def fill(self, wanted: list[Piece]) -> None:
        """Synthesise pieces, and import them."""
        with self.steps.step("Synthesise music") as step:
            metadata = write_catalogue(self.scratch, step.show, wanted)
            files = [path for path in self.scratch.iterdir() if path != metadata]
            step.note = (
                f"{len(files)} pieces, {size(sum(path.stat().st_size for path in files))}: tempo, key, sound differ"
            )
        with self.steps.step("Import them", spinner=False) as step:
            done = self.server.command("catalogue", "import", str(metadata), shown=True)
            if done["rejected"]:
                raise DemonstrationFailed(f"the import rejected a piece: {done['rejected'][0]['reason']}")
            step.note = ", ".join(
                f"{done[name]} {name}" for name in ("added", "changed", "unchanged") if done.get(name)
            )

    def run(self, *, given: bool) -> str:
        """Find, hear, buy, download, verify; gives the address of the certificate's page."""
        client_id, client_secret = self._buyer(given=given)
        self.out.mkdir(parents=True, exist_ok=True)
        with MusicLibrary(client_id, client_secret, self.server.url) as library:
            track, offer = self._find(library)
            self._hear(track)
            purchase_id = self._buy(library, track, offer)
            file = self._download(library, purchase_id)
            return self._prove(library, purchase_id, file)

    def _buyer(self, *, given: bool) -> tuple[str, str]:
        """Give who buys: on a server that isn't ours a test app, unless one is named, so that nobody is billed."""
        if self.server.own or given:
            return self.server.client_id, self.server.client_secret
        with self.steps.step("Make a test app") as step:
            made = self.server.command("app", "create", "--name", "Demonstration")
            self.server.command("app", "set-test", made["client_id"])
            step.note = f"app {made['client_id']}, whose purchases aren't billed"
            return made["client_id"], made["client_secret"]

    def _find(self, library: MusicLibrary) -> tuple[Track, Offer]:
        self.steps.say(f"  [dim]{escape(QUERY)}[/dim]")
        with self.steps.step("Search") as step:
            for tracks in _until_found(library):
                titles = {track.title for track in tracks}
                if titles >= EXPECTED:
                    break
            else:
                raise DemonstrationFailed(f"{QUERY!r} does not find {', '.join(sorted(EXPECTED - titles))}")
            step.note = f"{len(tracks)} found: {', '.join(track.title for track in tracks[:6])}"
        track = next(each for each in tracks if each.title == "彩云之南")
        offer = max(library.track(track.id).offers, key=lambda each: each.price)
        return track, offer

    def _hear(self, track: Track) -> None:
        with self.steps.step("Preview") as step:
            fetched = [
                httpx.get(address) for address in (track.preview_url, track.waveform_url, track.waveform_data_url)
            ]
            for reply in fetched:
                reply.raise_for_status()
            peaks = len(fetched[2].json()["data"])
            seconds, length = decode(track.preview_url), len(fetched[0].content)
            step.note = f"{seconds:.0f} s of MP3 ({size(length)}), a waveform of {peaks} values"

    def _buy(self, library: MusicLibrary, track: Track, offer: Offer) -> int:
        with self.steps.step("Buy a licence") as step:
            request_id = f"demonstration-{secrets.token_hex(8)}"
            bought = [library.purchase(track.id, offer.id, LICENSEE, request_id=request_id).id for _ in range(2)]
            if bought[0] != bought[1]:
                raise DemonstrationFailed("a request that was sent twice has bought twice")
            step.note = f"{offer.name}, {offer.price} for {LICENSEE}; sent twice, bought once: purchase {bought[0]}"
            return bought[0]

    def _download(self, library: MusicLibrary, purchase_id: int) -> Path:
        with self.steps.step("Download") as step:
            path = library.download(purchase_id, self.out, on_progress=lambda progress: step.show(progress.fraction))
            step.note = f"{path.name}, {size(path.stat().st_size)}, as it was imported"
            return path

    def _prove(self, library: MusicLibrary, purchase_id: int, file: Path) -> str:
        with self.steps.step("Fetch the certificate") as step:
            certificate, keys = library.certificate(purchase_id), library.certificate_keys()
            (self.out / "certificate.pdf").write_bytes(certificate)
            (self.out / "keys.json").write_bytes(keys)
            step.note = f"{size(len(certificate))} of PDF, and the server's public keys"
        with self.steps.step("Verify it, offline") as step:
            verdict = verify_certificate(certificate, keys)
            if not verdict.valid:
                raise DemonstrationFailed(f"the certificate is refused: {verdict.message}")
            facts = verdict.facts
            if facts["file"]["sha256"] != hashlib.sha256(file.read_bytes()).hexdigest():
                raise DemonstrationFailed("the certificate names another file than the one that was downloaded")
            if facts["licensee"]["name"] != LICENSEE:
                raise DemonstrationFailed("the certificate names another licensee")
            middle = len(certificate) // 2
            forged = certificate[:middle] + bytes([certificate[middle] ^ 1]) + certificate[middle + 1 :]
            if verify_certificate(forged, keys).valid:
                raise DemonstrationFailed("a changed certificate is taken for genuine")
            step.note = f"number {facts['number']}; with one bit changed it is refused"
            return str(facts["page"])


def _until_found(library: MusicLibrary) -> Iterator[list[Track]]:
    """Search again and again for a while: what was imported is found within about a second."""
    deadline = time.monotonic() + FOUND_SECONDS
    while time.monotonic() < deadline:
        yield library.search(QUERY, per_page=100).tracks
        time.sleep(0.2)
