"""`openstage serve`: the server, its worker and the embedded database, in the foreground."""

import os
import shlex
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated

import typer

from openstage.cli.output import print_json
from openstage.identity.models import AppCredentials
from openstage.observability import logs
from openstage.server.first_app import FILE, ask_beside
from openstage.server.supervise import Supervisor
from openstage.settings import Settings, load

app = typer.Typer(add_completion=False)

LINES = """\
To upload a video, paste this into a terminal with another file's name in its first line (up to {piece} at once):

  file=video.mp4
  api={api}
  upload={upload}
  size=$(stat -c %s "$file")
  token=$(curl -s "$api/api/iqiyi/authorize?client_id={client_id}&client_secret={client_secret}" |
    grep -o '"access_token": *"[^"]*' | cut -d'"' -f4)
  file_id=$(curl -s "$upload/openupload?access_token=$token&filetype=${{file##*.}}&filesize=$size" |
    grep -o '"file_id": *"[^"]*' | cut -d'"' -f4)
  curl -w '\\n' -X POST -T "$file" "$upload/upload" \\
    -H "file_id: $file_id" -H "file_size: $size" -H "range: 0-$((size - 1))"
  curl -sw '\\n' -G "$api/api/file/info?access_token=$token&file_id=$file_id&description=First" \\
    --data-urlencode "file_name=${{file##*/}}"
  curl -sw '\\n' "$upload/uploadfinish?access_token=$token&file_id=$file_id"

and to ask for its status, again and again until it has addresses to play:

  curl -sw '\\n' "$api/api/file/fullStatus?access_token=$token&file_id=$file_id"
"""


@app.command()
def serve(
    first_app: Annotated[
        bool, typer.Option("--first-app", help="Make an app if there is none, and print lines to paste that use it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object when the server is ready.")] = False,
    target: Annotated[str, typer.Option(hidden=True)] = "openstage.app:create_app",
) -> None:
    """Start the server, its worker and the embedded database; Ctrl-C or SIGTERM ends all of it."""
    settings = load()
    logs.configure(form=settings.log_format, level=settings.log_level)

    def while_starting(running: Settings) -> Callable[[], None]:
        credentials = ask_beside(running) if first_app else lambda: None
        return lambda: _announce(running, credentials(), asked=first_app, as_json=as_json)

    Supervisor(settings, target=target).run(while_starting)


def _announce(settings: Settings, credentials: AppCredentials | None, *, asked: bool, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "url": settings.base(),
                "pid": os.getpid(),
                "data": settings.folder,
                **(asdict(credentials) if credentials else {}),
            }
        )
    else:
        typer.echo(message(settings, credentials, asked=asked))
    sys.stdout.flush()


def message(settings: Settings, credentials: AppCredentials | None, *, asked: bool) -> str:
    """What a person reads when the server is ready.

    Args:
        settings: the running server's, with its real port.
        credentials: the first app's, if they are known.
        asked: whether they were asked for.

    """
    parts = [f"\nOpenstage runs at {settings.base()}/  (Ctrl-C ends it; data in {settings.folder})\n"]
    if credentials:
        parts.append(
            f"  client_id      {credentials.client_id}\n"
            f"  client_secret  {credentials.client_secret}\n"
            f"  (kept in {settings.folder / FILE}, which only you can read; delete it when it has served)\n"
        )
        piece = f"{settings.max_piece // 1024**2} MiB"
        where = {"api": shlex.quote(settings.base("api")), "upload": shlex.quote(settings.base("upload"))}
        parts.append(LINES.format(piece=piece, **where, **asdict(credentials)))
    elif asked:
        parts.append(
            "There are apps already. Their ids: openstage app list; a new secret for one of them:\n"
            "openstage app rotate-secret CLIENT_ID; another app: openstage app create --name NAME\n"
        )
    return "\n".join(parts)
