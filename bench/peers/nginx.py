"""nginx as Debian packs it: `PUT` into a folder (dav module) and `sendfile` out of one."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.http import Connection, LoadError, Slice
from bench.processes import NotHere, free_port, running

CONFIGURATION = """\
daemon off;
worker_processes auto;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
{user}
events {{ worker_connections 512; }}
http {{
  access_log off;
  sendfile on;
  tcp_nodelay on;
  keepalive_requests 1000000;
  client_max_body_size 0;
  client_body_buffer_size 1m;
  client_body_temp_path {folder}/put/.body;
  proxy_temp_path {folder}/temp;
  fastcgi_temp_path {folder}/temp;
  uwsgi_temp_path {folder}/temp;
  scgi_temp_path {folder}/temp;
  default_type video/mp4;
  server {{
    listen 127.0.0.1:{port};
    location /put/ {{ root {folder}; dav_methods PUT; }}
    location /files/ {{ alias {files}/; }}
  }}
}}
"""


@dataclass(frozen=True)
class Nginx:
    """A running nginx."""

    port: int
    folder: Path
    version: str

    def put(self, name: str, content: Slice) -> None:
        """Upload one file in one request: nginx knows no pieces. It makes nothing durable and hashes nothing."""
        with Connection(self.port) as connection:
            reply = connection.request("PUT", f"/put/{name}", body=content)
        if reply.status not in {201, 204}:
            raise LoadError(f"nginx answers PUT with {reply.status}.")

    def forget(self) -> None:
        """Remove what was uploaded."""
        for file in (self.folder / "put").glob("*.bin"):
            file.unlink()


@contextlib.contextmanager
def running_nginx(scratch: Path, files: Path) -> Iterator[Nginx]:
    """Run nginx for the length of the block; it serves the folder `files` below `/files/`.

    Raises:
        NotHere: there is no nginx, or one without what is compared.

    """
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:" + os.environ.get("PATH", ""))
    if program is None:
        raise NotHere("nginx is not installed (Debian: nginx-light).")
    about = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stderr
    if "http_dav_module" not in about:
        raise NotHere("this nginx has no dav module, so no PUT.")
    folder = scratch / "nginx"
    (folder / "put").mkdir(parents=True)
    port = free_port()
    configuration = folder / "nginx.conf"
    # Started by root, its workers would be another user, who may not read our files.
    user = "user root;" if os.geteuid() == 0 else ""
    configuration.write_text(CONFIGURATION.format(folder=folder, files=files, port=port, user=user))
    version = re.search(r"nginx/(\S+)", about)
    command = [program, "-p", str(folder), "-e", str(folder / "error.log"), "-c", str(configuration)]
    with running(command, log=folder / "log", port=port):
        yield Nginx(port, folder, version[1] if version else "")
