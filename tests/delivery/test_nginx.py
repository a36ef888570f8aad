"""The hand-over to nginx, with the configuration that `docs/delivery.md` shows."""

import os
import re
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.delivery.stage import FILE_ID, Stage, staged
from tests.support.server import free_port, listens
from tests.support.waiting import wait_until

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
KEY = f"works/{FILE_ID}/run1/mp4/1.mp4"
CONFIG = """
{user}
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{}}
http {{
    access_log off; client_body_temp_path {folder}/1; proxy_temp_path {folder}/2; fastcgi_temp_path {folder}/3;
    uwsgi_temp_path {folder}/4; scgi_temp_path {folder}/5;
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {upstream}; }}
        {documented}
    }}
}}
"""

pytestmark = pytest.mark.skipif(NGINX is None, reason="nginx is not here")


def documented(objects: Path) -> str:
    """The location of the documentation, with this folder."""
    text = (Path(__file__).parents[2] / "docs" / "delivery.md").read_text()
    found = re.search(r"```nginx\n(.*?)```", text, re.DOTALL)
    assert found
    return re.sub(r"alias [^;]*;", f'alias "{objects}/";', found[1])


@asynccontextmanager
async def nginx_before(upstream: str, objects: Path, folder: Path) -> AsyncIterator[str]:
    """Nginx as a proxy of `upstream`; gives its address."""
    port = free_port()
    config = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    config.write_text(
        CONFIG.format(user=user, folder=folder, port=port, upstream=upstream, documented=documented(objects))
    )
    assert NGINX
    process = subprocess.Popen([NGINX, "-e", str(folder / "error.log"), "-p", str(folder), "-c", str(config)])

    async def answers() -> bool:
        assert process.poll() is None, (folder / "error.log").read_text()
        return listens(port)

    try:
        await wait_until(answers, within=10, what="nginx")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


async def test_nginx_sends_what_the_server_allows(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = stage.settings.model_copy(update={"accel_prefix": "/objects"})
    folder = tmp_path_factory.mktemp("nginx")
    async with (
        staged(settings, stage.database, stage.store) as server,
        nginx_before(server.address, settings.folder / "objects", folder) as address,
        httpx.AsyncClient(base_url=address) as client,
    ):
        path = server.media("1.mp4").removeprefix(server.address)
        body = stage.bodies[KEY]
        whole = await client.get(path)
        assert (whole.status_code, whole.content) == (200, body)
        assert whole.headers["content-type"] == "video/mp4"
        assert whole.headers["access-control-allow-origin"] == "*"
        part = await client.get(path, headers={"range": "bytes=10-19"})
        assert (part.status_code, part.content) == (206, body[10:20])
        assert part.headers["content-range"] == f"bytes 10-19/{len(body)}"
        again = await client.get(path, headers={"if-none-match": whole.headers["etag"]})
        assert again.status_code == 304
        assert (await client.head(path)).headers["content-length"] == str(len(body))
        assert (await client.get(f"/objects/{KEY}")).status_code == 404, "the location is internal"
        assert (await client.get(path.replace("/1.mp4", "/2.mp4"))).status_code == 403
        await stage.sql("update work set deleted_at = now()")
        assert (await client.get(path)).status_code == 404
