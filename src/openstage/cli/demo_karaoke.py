"""`openstage demo karaoke`: sign in by QR code, sing, share, hide, delete."""

import contextlib
import io
import secrets
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Final

import httpx
import segno
import typer
from rich.console import Console
from rich.text import Text

from openstage.cli.demo_steps import Steps, end_politely, found_server, stay_up
from openstage.cli.output import print_json, size
from openstage.cli.upload import fail
from openstage.client import ClientError, Karaoke, KaraokeUser
from openstage.client.karaoke import (
    Access,
    AddressError,
    Performance,
    Progress,
    Recording,
    Ticket,
    TicketState,
    WorkNotFoundError,
    callback_secret,
)
from openstage.demo import song
from openstage.demo.playback import PlaybackError, begin, decode
from openstage.demo.receiver import NoCallbackError, Receiver, receiving
from openstage.demo.server import DemoServer, NoServerError
from openstage.settings import load

PERSON: Final = "Demonstration"
PUBLISHED_SECONDS: Final = 120.0
CALLBACK_SECONDS: Final = 60.0
SONG: Final = Performance(
    song_id="openstage-demonstration",
    song_name="Openstage demonstration",
    score=1234,
    score_rank=2,
    content="Hummed by nobody: synthesised by openstage demo karaoke.",
    file_name="demonstration.mp3",
    sentence_count=4,
)
"""What is told of the recording."""
OUTCOMES: Final = {"ugc.published", "ugc.failed", "ugc.refused"}


def karaoke(
    *,
    server: Annotated[
        str, typer.Option("--server", "--base-url", help="Address of a running server. Default: the listen address.")
    ] = "",
    client_id: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_ID", help="Id of an app on it.")] = "",
    client_secret: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_SECRET", help="The app's secret.")] = "",
    confirm: Annotated[
        bool, typer.Option("--confirm", help=f"Let a person called {PERSON!r} confirm, who is made for it.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the first recording there, for everybody.")] = False,
    public_url: Annotated[
        str, typer.Option(help="Address at which a phone reaches an own server, such as http://192.168.1.20:8080.")
    ] = "",
    once: Annotated[bool, typer.Option("--once", help="End at once, an own server too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; implies --once.")] = False,
) -> None:
    """Sign in by QR code, upload a synthesised recording by file and by link, hear callbacks, play, hide, delete."""
    steps = Steps(Console(stderr=as_json, highlight=False))
    end_politely()
    own = {"sign_up": "true", "outbound_allow": "127.0.0.1"}
    if public_url:
        own |= {"public_url": public_url.rstrip("/"), "listen": _everywhere(public_url)}
    try:
        with found_server(load(), server, client_id, client_secret, steps, **own) as found:
            share_url = Demonstration(found, steps, confirm=confirm, keep=keep).run()
            if as_json:
                print_json({"server": found.url, "own_server": found.own, "share_url": share_url, "steps": steps.done})
            elif keep:
                stay_up(steps, f"Listen to it: [bold]{share_url}[/bold]", found, once=once)
            else:
                steps.say("\nAll of it is gone again; [bold]--keep[/bold] leaves a recording to listen to.")
    except KeyboardInterrupt:
        steps.say("\nEnded.")
    except (NoServerError, NoCallbackError, PlaybackError, ClientError, RuntimeError, OSError) as error:
        fail(str(error))


class Demonstration:
    """The way of a recording, step by step."""

    def __init__(self, server: DemoServer, steps: Steps, *, confirm: bool, keep: bool) -> None:
        self._server = server
        self._steps = steps
        self._confirm = confirm
        self._keep = keep

    def run(self) -> str:
        """Go the whole way; gives the share address of the first recording."""
        server = self._server
        with (
            tempfile.TemporaryDirectory(prefix="openstage-song-") as folder,
            Karaoke(server.client_id, server.client_secret, server.url, device_id="demonstration") as client,
            receiving(callback_secret(server.client_secret)) as receiver,
        ):
            user = self._sign_in(client)
            path = Path(folder, "demonstration.mp3")
            with self._steps.step("Hum a song") as step:
                song.make_song(path, step.show)
                step.note = f"{song.SECONDS} s, {size(path.stat().st_size)}"
            first, share_url = self._by_file(user, path, receiver)
            linked = self._by_link(user, path, receiver)
            gone = linked if self._keep else [*linked, first]
            if gone:
                self._hide(user, gone[0])
            for recording in gone:
                self._delete(user, recording)
            return share_url

    # --- signing in -----------------------------------------------------------------------------------------------

    def _sign_in(self, client: Karaoke) -> KaraokeUser:
        with self._steps.step("Ask for a QR code") as step:
            ticket = client.ticket(device_name="openstage demo karaoke")
            step.note = f"good for {ticket.expires_at - time.time():.0f} s"
        self._show(ticket)
        person = self._decided_by_command(ticket) if self._confirm else contextlib.nullcontext()
        with self._steps.step("Wait for a person") as step, person:

            def changed(state: TicketState) -> None:
                if state is TicketState.SCANNED:
                    step.spinner.update("Somebody has opened the page; waiting for the decision")

            code = client.wait(ticket, on_change=changed)
            step.note = f"confirmed by {PERSON!r}, who was made for it" if self._confirm else "confirmed"
        with self._steps.step("Redeem the code") as step:
            user = client.redeem(code)
            step.note = f"openid {user.openid}, may {user.scope}"
        return user

    def _show(self, ticket: Ticket) -> None:
        """Show the QR code, dark on light whatever the terminal's colours are, with address and short code."""
        rows = qr_rows(ticket.qr_url)
        self._steps.console.print(Text("\n".join(rows), style="#ffffff on #000000"), soft_wrap=True)
        self._steps.say(
            f"\nScan it, or open [bold]{ticket.qr_url}[/bold]\nThe page must show [bold]{ticket.user_code}[/bold]"
        )
        if self._server.own and not self._confirm:
            self._steps.say(
                f"[dim]No account yet? Make one there, at {self._server.url}/sign-up, or with --confirm.[/dim]"
            )

    @contextlib.contextmanager
    def _decided_by_command(self, ticket: Ticket) -> Iterator[None]:
        """Let a person confirm as an operator does it for them: `openstage ticket confirm`."""
        with contextlib.suppress(NoServerError):  # they may be there already
            password = secrets.token_urlsafe(16)
            self._server.command("user", "create", "--name", PERSON, "--password-stdin", given=password)
        self._server.command("ticket", "confirm", "-", "--user", PERSON, given=f"{ticket.qr_ticket}\n")
        yield

    # --- recordings -----------------------------------------------------------------------------------------------

    def _by_file(self, user: KaraokeUser, path: Path, receiver: Receiver) -> tuple[Recording, str]:
        """Upload, hear the callback, open the share page, play."""
        callback_url = receiver.callback_url
        with self._steps.step("Upload it") as step:

            def show(progress: Progress) -> None:
                step.show(progress.fraction)

            try:
                recording = user.upload(path, SONG, callback_url=callback_url, on_progress=show)
            except AddressError:
                callback_url = ""
                recording = user.upload(path, SONG, on_progress=show)
            step.note = f"ugc_id {recording.ugc_id}"
        if callback_url:
            self._hear(receiver, recording)
        else:
            self._skip("Hear the callback")
        with self._steps.step("Wait until it plays") as step:
            work = user.wait(recording.ugc_id, timeout=PUBLISHED_SECONDS)
            step.note = recording.play_url
        with self._steps.step("Open the share page") as step:
            step.note = _share_page(work.share_url)
        with self._steps.step("Play it to the end") as step:
            step.note = _play(recording.play_url)
        return recording, work.share_url

    def _by_link(self, user: KaraokeUser, path: Path, receiver: Receiver) -> list[Recording]:
        """Have the server fetch the same file, and hear the callback; none where it may not call this machine."""
        address = receiver.offer(path)
        try:
            with self._steps.step("Upload it by link") as step:
                recording = user.upload_link(address, SONG, callback_url=receiver.callback_url)
                step.note = f"{address}, ugc_id {recording.ugc_id}"
        except AddressError:
            self._skip("Upload it by link")
            return []
        self._hear(receiver, recording)
        with self._steps.step("Play that one") as step:
            step.note = _play(recording.play_url)
        return [recording]

    def _hear(self, receiver: Receiver, recording: Recording) -> None:
        with self._steps.step("Hear the callback") as step:
            event = receiver.wait(recording.ugc_id, OUTCOMES, CALLBACK_SECONDS)
            if event.type != "ugc.published":
                raise PlaybackError(f"the callback says {event.type}: {event.data.get('reason') or 'no reason given'}")
            step.note = f"{event.type}, signed, {event.id}"

    def _skip(self, name: str) -> None:
        self._steps.say(
            f"[yellow]–[/yellow] {name:<28}             [dim]left out: the server may not reach this machine; set "
            "OPENSTAGE_OUTBOUND_ALLOW=127.0.0.1 for it[/dim]"
        )

    # --- the end --------------------------------------------------------------------------------------------------

    def _hide(self, user: KaraokeUser, recording: Recording) -> None:
        with self._steps.step("Hide it") as step:
            share_url = user.work(recording.ugc_id).share_url
            user.set_access(recording.ugc_id, Access.PRIVATE)
            for address in (share_url, recording.play_url):
                if (status := _status(address)) < 400:
                    raise PlaybackError(f"{address} is private and answers HTTP {status}")
            _play(user.play_address(recording.ugc_id))
            step.note = "nobody else can open or play it; its singer can"

    def _delete(self, user: KaraokeUser, recording: Recording) -> None:
        with self._steps.step("Delete it") as step:
            user.delete(recording.ugc_id)
            with contextlib.suppress(WorkNotFoundError):
                user.work(recording.ugc_id)
                raise PlaybackError(f"{recording.ugc_id} was deleted and is still there")
            if recording.ugc_id in {work.ugc_id for work in user.works()}:
                raise PlaybackError(f"{recording.ugc_id} was deleted and is still listed")
            step.note = "it is gone from the list, too"


def qr_rows(text: str) -> list[str]:
    """Draw a QR code in half blocks, light modules as ink."""
    drawn = io.StringIO()
    segno.make(text, error="m", micro=False).terminal(drawn, border=2, compact=True)
    return drawn.getvalue().rstrip("\n").split("\n")


def _share_page(address: str) -> str:
    reply = httpx.get(address, timeout=30.0, headers={"Accept-Language": "en"})
    if reply.status_code != 200 or SONG.song_name not in reply.text:
        raise PlaybackError(f"the share page {address} answers HTTP {reply.status_code}")
    return address


def _play(address: str) -> str:
    """Play as devices do: follow to the playlist or the file, and decode all of it."""
    playlist = str(httpx.URL(address).copy_merge_params({"format": "m3u8"}))
    fetched = begin(playlist)
    seconds = decode(address)
    return f"{fetched.playlists} playlists, {fetched.segments} parts; {seconds:.1f} s decoded without an error"


def _status(address: str) -> int:
    return httpx.get(address, timeout=30.0).status_code


def _everywhere(public_url: str) -> str:
    """Listen address of an own server that is reached at an address of this machine's network."""
    port = httpx.URL(public_url).port
    return f"0.0.0.0:{port or 80}"
