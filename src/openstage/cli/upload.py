"""`openstage upload`: the Python client at the command line. Needs nothing of the server."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import (
    Progress as Bars,
)

from openstage.cli.output import print_json, size
from openstage.client import App, Category, Person, Progress, Status, Video, VideoCloud, VideoCloudError

app = typer.Typer(add_completion=False)

INTERRUPTED = 130
DEFAULT_SERVER = "http://127.0.0.1:8080"
CATEGORIES = ", ".join(f"{category.value} {category.name.lower().replace('_', ' ')}" for category in Category)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="The file to upload.")],
    *,
    title: Annotated[str | None, typer.Option(help="Name of the video. Default: the file's name.")] = None,
    description: Annotated[str, typer.Option(help="What it is about.")] = "",
    tags: Annotated[str, typer.Option(help="Words, separated by commas.")] = "",
    category: Annotated[int | None, typer.Option(help=f"Number of its category: {CATEGORIES}.")] = None,
    server: Annotated[str, typer.Option(envvar="OPENSTAGE_SERVER", help="Address of the server.")] = DEFAULT_SERVER,
    client_id: Annotated[str, typer.Option(envvar="OPENSTAGE_CLIENT_ID", help="The app's id.")] = "",
    client_secret: Annotated[
        str,
        typer.Option(
            envvar="OPENSTAGE_CLIENT_SECRET",
            help="The app's secret; better given by the variable, since others see command lines.",
        ),
    ] = "",
    uid: Annotated[str, typer.Option(help="Upload for this end user of the app instead of the app itself.")] = "",
    piece_size: Annotated[
        float | None,
        typer.Option(min=0.001, help="MiB per piece. Default: 8 to 64, by the file's size."),
    ] = None,
    parallel: Annotated[int, typer.Option(min=1, max=32, help="Pieces that are sent at once.")] = 3,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Whether to go on where an earlier run stopped.")
    ] = True,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the video is published.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Upload a file in parallel pieces. Killed half-way, the same command goes on where it stopped."""
    if not (client_id and client_secret):
        fail("--client-id and --client-secret are missing (or OPENSTAGE_CLIENT_ID and OPENSTAGE_CLIENT_SECRET)", code=2)
    console = Console(stderr=True, highlight=False)
    try:
        with VideoCloud(client_id, client_secret, server, grant=Person(uid) if uid else App()) as cloud:
            run = upload_with_bar(
                cloud,
                file,
                console,
                title=title,
                description=description,
                tags=[tag.strip() for tag in tags.split(",") if tag.strip()],
                category=category,
                piece_size=int(piece_size * 1024**2) if piece_size else None,
                parallel=parallel,
                resume=resume,
            )
            _tell(cloud, run, console, wait=wait, as_json=as_json)
    except KeyboardInterrupt:
        fail("stopped; the same command goes on where it stopped" if resume else "stopped", code=INTERRUPTED)
    except (VideoCloudError, ValueError, OSError) as error:
        fail(str(error))


class Run:
    """An upload that was done: the video, and how it went."""

    def __init__(self, video: Video, seconds: float, last: Progress | None) -> None:
        self.video = video
        self.seconds = seconds
        self.resumed = last.resumed if last else 0

    @property
    def speed(self) -> float:
        """Bytes a second, without what an earlier run had sent."""
        return (self.video.size - self.resumed) / max(self.seconds, 1e-3)


def upload_with_bar(cloud: VideoCloud, file: Path, console: Console, **options: Any) -> Run:
    """Upload with a progress bar on `console`, which goes away at the end.

    Args:
        cloud: where to.
        file: what.
        console: shows the bar if it is a terminal.
        options: as `VideoCloud.upload`.

    """
    last: Progress | None = None
    started = time.monotonic()
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        task: TaskID | None = None

        def show(progress: Progress) -> None:
            nonlocal last, task
            if task is None or last is None or progress.file_id != last.file_id:
                if task is not None:
                    bars.remove_task(task)
                task = bars.add_task(escape(file.name), total=progress.total, completed=progress.resumed)
            last = progress
            bars.update(task, completed=progress.sent)

        video = cloud.upload(file, on_progress=show, **options)
    return Run(video, time.monotonic() - started, last)


def _tell(cloud: VideoCloud, run: Run, console: Console, *, wait: bool, as_json: bool) -> None:
    video = run.video
    if not as_json:
        resumed = f", {size(run.resumed)} of it before" if run.resumed else ""
        typer.echo(
            f"Uploaded {video.title}: {size(video.size)}{resumed}, {run.seconds:.1f} s, {size(int(run.speed))}/s"
        )
        typer.echo(f"file_id {video.file_id}")
    if wait:
        started = time.monotonic()
        wait_with_spinner(cloud, video.file_id, console)
        video = cloud.video(video.file_id)
        if not as_json:
            typer.echo(f"Published after {time.monotonic() - started:.1f} s: {video.page_url}")
    if as_json:
        record = {**asdict(video), "seconds": round(run.seconds, 3), "resumed": run.resumed}
        print_json(record)


def wait_with_spinner(
    cloud: VideoCloud, file_id: str, console: Console, on_state: Callable[[str], None] | None = None
) -> Status:
    """Wait until a video is published, showing what is being done.

    Args:
        cloud: where it is.
        file_id: what.
        console: shows state and percentage, if it is a terminal.
        on_state: hears each state or step once, with the seconds since the beginning.

    """
    started = time.monotonic()
    heard: set[str] = set()
    with console.status("publishing …") as spinner:

        def show(status: Status) -> None:
            text = " ".join(filter(None, (status.state, status.step, status.message)))
            done = "" if status.percent is None else f" {status.percent:.0f} %"
            spinner.update(escape(text + done))
            if on_state is not None and text not in heard:
                heard.add(text)
                on_state(f"{time.monotonic() - started:6.2f} s  {text}")

        return cloud.wait(file_id, on_change=show)


def fail(message: str, *, code: int = 1) -> None:
    """Print what went wrong as one line, and end.

    Raises:
        typer.Exit: always.

    """
    sys.stderr.write(f"openstage: {message}\n")
    raise typer.Exit(code)
