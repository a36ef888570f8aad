"""`openstage serve`: the server, its worker and the embedded database, in the foreground."""

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from typing import Annotated

import typer

from openstage.cli.output import print_json
from openstage.observability import logs
from openstage.server.supervise import Supervisor
from openstage.settings import Settings, load

app = typer.Typer()

LINES = """\
Paste these lines into a terminal; the first one names the video to upload (here up to {piece} in one piece):

  file=video.mp4
  token=$(curl -s {api}/api/iqiyi/authorize -G -d client_id={client_id} -d client_secret={client_secret} \
| sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/')
  size=$(stat -c %s "$file")
  file_id=$(curl -s {upload}/openupload -H "access_token: $token" -H "filetype: ${{file##*.}}" -H "filesize: $size" \
| sed 's/.*"file_id":"\\([^"]*\\)".*/\\1/')
  curl -X POST -T "$file" {upload}/upload -H "file_id: $file_id" -H "file_size: $size" -H "range: 0-$((size - 1))"; echo
  curl -s {api}/api/file/info -G --data-urlencode "file_name=${{file##*/}}" -d description=First \
-d access_token=$token -d file_id=$file_id; echo
  curl -s {upload}/uploadfinish -H "access_token: $token" -H "file_id: $file_id"; echo
  curl -s {api}/api/file/fullStatus -G -d access_token=$token -d file_id=$file_id; echo    # again until A00000
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

    def while_starting(environment: dict[str, str]) -> Callable[[], None]:
        # Beside the web server while that loads, so that it costs no time.
        helper = _start_helper(environment) if first_app else None
        listening = settings.model_copy(update={"listen": environment["OPENSTAGE_LISTEN"]})
        return lambda: _announce(listening, _credentials(helper), asked=first_app, as_json=as_json)

    Supervisor(settings, target=target).run(while_starting)


def _start_helper(environment: dict[str, str]) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "openstage.server.first_app"]
    return subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


def _credentials(helper: "subprocess.Popen[bytes] | None") -> dict[str, str] | None:
    if helper is None:
        return None
    output, _ = helper.communicate(timeout=60)
    with contextlib.suppress(ValueError):
        found: dict[str, str] | None = json.loads(output)
        return found
    return None


def _announce(settings: Settings, credentials: dict[str, str] | None, *, asked: bool, as_json: bool) -> None:
    if as_json:
        print_json({"url": settings.base(), "pid": os.getpid(), "data": settings.folder, **(credentials or {})})
    else:
        typer.echo(message(settings, credentials, asked=asked))
    sys.stdout.flush()


def message(settings: Settings, credentials: dict[str, str] | None, *, asked: bool) -> str:
    """What a person reads when the server is ready.

    Args:
        settings: the running server's, with its real port.
        credentials: the first app's, if they are known.
        asked: whether they were asked for.

    """
    parts = [f"\nOpenstage runs at {settings.base()}/  (Ctrl-C ends it; data in {settings.folder})\n"]
    if credentials:
        parts.append(
            f"  client_id      {credentials['client_id']}\n"
            f"  client_secret  {credentials['client_secret']}\n"
            f"  (kept in {settings.folder / 'first-app.json'}, which only you can read; delete it when it has served)\n"
        )
        piece = f"{settings.max_piece // 1024**2} MiB"
        where = {"api": shlex.quote(settings.base("api")), "upload": shlex.quote(settings.base("upload"))}
        parts.append(LINES.format(piece=piece, **where, **credentials))
    elif asked:
        parts.append(
            "There are apps already. Their ids: openstage app list; a new secret for one of them:\n"
            "openstage app rotate-secret CLIENT_ID; another app: openstage app create --name NAME\n"
        )
    return "\n".join(parts)
