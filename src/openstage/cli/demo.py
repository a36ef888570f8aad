"""`openstage demo …`: see it work, from authorisation to playback."""

import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from openstage.cli import demo_karaoke, demo_music
from openstage.cli.demo_steps import Step, Steps, end_politely, found_server, stay_up
from openstage.cli.output import print_json, size
from openstage.cli.upload import fail, upload_with_bar, wait_with_spinner
from openstage.client import Category, VideoCloud, VideoCloudError
from openstage.demo import clip
from openstage.demo.playback import PlaybackError, begin, decode
from openstage.demo.server import DemoServer, NoServerError
from openstage.settings import load

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(demo_karaoke.karaoke)
app.command()(demo_music.music)

ALL_QUALITIES_SECONDS = 600.0
QUALITY_NAMES = {"96": "180p", "1": "240p", "2": "360p", "3": "480p", "4": "720p", "5": "1080p"}


@app.callback()
def demo() -> None:
    """See it work: synthesise media and drive a dialect from end to end."""


@app.command()
def video(
    *,
    server: Annotated[str, typer.Option(help="Address of a running server. Default: the listen address.")] = "",
    client_id: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_ID", help="Id of an app on it.")] = "",
    client_secret: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_SECRET", help="The app's secret.")] = "",
    once: Annotated[bool, typer.Option("--once", help="End at once, an own server too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object; implies --once.")] = False,
) -> None:
    """Upload a synthesised clip through the video dialect, watch it being published, and play it."""
    steps = Steps(Console(stderr=as_json, highlight=False))
    end_politely()
    try:
        with found_server(load(), server, client_id, client_secret, steps) as found:
            page = _drive(found, steps)
            if as_json:
                print_json({"server": found.url, "own_server": found.own, "page_url": page, "steps": steps.done})
            else:
                stay_up(steps, f"Watch it: [bold]{page}[/bold]", found, once=once)
    except KeyboardInterrupt:
        steps.say("\nEnded.")
    except (NoServerError, PlaybackError, VideoCloudError, RuntimeError, OSError) as error:
        fail(str(error))


def _drive(server: DemoServer, steps: Steps) -> str:
    """Go the whole way; returns the address of the watch page."""
    with tempfile.TemporaryDirectory(prefix="openstage-clip-") as folder, server.cloud() as cloud:
        path = Path(folder, "demonstration.mp4")
        with steps.step("Synthesise a clip") as step:
            clip.make_clip(path, step.show)
            step.note = f"{clip.SECONDS} s, 1280x720, with sound, {size(path.stat().st_size)}"
        with steps.step("Authorise") as step:
            cloud.authorise()
            step.note = f"app {server.client_id}"
        with steps.step("Upload", spinner=False) as step:
            run = upload_with_bar(
                cloud,
                path,
                steps.console,
                title="Openstage demonstration",
                description="Colours, a melody and its wave, synthesised by openstage demo video.",
                tags=["demonstration"],
                category=Category.SHORT_FILM,
                piece_size=1024**2,
                resume=False,
            )
            step.note = f"{size(int(run.speed))}/s in pieces of 1 MiB, file_id {run.video.file_id}"
        file_id = run.video.file_id
        with steps.step("Publish", spinner=False) as step:
            wait_with_spinner(cloud, file_id, steps.console, on_state=lambda text: steps.say(f"  [dim]{text}[/dim]"))
            step.note = "it can be watched from now on, and gets better while it is"
        with steps.step("Begin to play") as step:
            step.note = _begin(cloud, file_id)
        with steps.step("Wait for every quality") as step:
            step.note = " ".join(_all_qualities(cloud, file_id, step))
        with steps.step("Play to the end") as step:
            address = cloud.addresses(file_id).best_m3u8 or ""
            step.note = f"{decode(address):.1f} s of picture and sound decoded without an error"
        return cloud.video(file_id).page_url


def _begin(cloud: VideoCloud, file_id: str) -> str:
    address = cloud.addresses(file_id).best_m3u8
    if address is None:
        raise PlaybackError("published, but without an address to play")
    fetched = begin(address)
    return f"{fetched.playlists} playlists, {fetched.segments} parts, {size(fetched.size)} of {fetched.duration:.0f} s"


def _all_qualities(cloud: VideoCloud, file_id: str, step: Step) -> list[str]:
    """Wait until nothing more is made of the clip, which plays meanwhile, and name all qualities there are."""
    deadline = time.monotonic() + ALL_QUALITIES_SECONDS
    while (percent := cloud.status(file_id).percent or 0.0) < 100:
        if time.monotonic() > deadline:
            raise PlaybackError(f"after {ALL_QUALITIES_SECONDS:.0f} s {percent:.0f} % of it are made")
        step.show(percent / 100)
        time.sleep(0.5)
    qualities = cloud.addresses(file_id).m3u8
    return [QUALITY_NAMES.get(quality, quality) for quality in sorted(qualities, key=lambda q: int(q) % 96)]
