"""The built scripts and styles, held in memory: small, compressed ahead of time, cached by browsers for ever."""

import json
import mimetypes
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from openstage.errors import DomainError

STATIC: Final = Path(__file__).parent / "static"
_ENCODINGS: Final = (("br", ".br"), ("gzip", ".gz"))


class AssetsMissing(DomainError):
    """The package was installed without its pages' scripts and styles."""

    code = "console.assets_missing"


@dataclass(frozen=True, slots=True)
class _Asset:
    media_type: str
    forms: dict[str, bytes]
    """Content coding to bytes; "" is the plain form."""


class Assets:
    """Serves what `hatch_build.py` built, and the few files that are served as they are."""

    def __init__(self, folder: Path = STATIC) -> None:
        """Read everything.

        Raises:
            AssetsMissing: the assets haven't been built.

        """
        built = folder / "built"
        try:
            self._manifest: dict[str, str] = json.loads((built / "manifest.json").read_text())
        except FileNotFoundError:
            raise AssetsMissing(
                "The pages' scripts and styles aren't built: run `make install` (or `python hatch_build.py`)."
            ) from None
        self._built = _read(built)
        self._icon = _Asset("image/svg+xml", {"": (folder / "favicon.svg").read_bytes()})

    def address(self, entry: str) -> str:
        """Return the path of a built entry, such as `main.ts`."""
        return f"/static/{self._manifest[entry]}"

    async def built(self, request: Request) -> Response:
        """Answer `/static/{name}`."""
        asset = self._built.get(request.path_params["name"])
        if asset is None:
            return PlainTextResponse("Not found", 404)
        # Names hold a digest of the content.
        return _answer(request, asset, "public, max-age=31536000, immutable")

    async def icon(self, request: Request) -> Response:
        """Answer `/favicon.svg`, and the address that browsers try by themselves."""
        return _answer(request, self._icon, "public, max-age=86400")


def _read(folder: Path) -> dict[str, _Asset]:
    packed = {suffix for _, suffix in _ENCODINGS}
    assets: dict[str, _Asset] = {}
    for file in folder.iterdir():
        if not file.is_file() or file.suffix in packed or file.name.startswith("."):
            continue
        forms = {"": file.read_bytes()}
        for coding, suffix in _ENCODINGS:
            if (compressed := file.with_name(file.name + suffix)).is_file():
                forms[coding] = compressed.read_bytes()
        media_type = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        assets[file.name] = _Asset("text/javascript" if file.suffix == ".js" else media_type, forms)
    return assets


def _answer(request: Request, asset: _Asset, caching: str) -> Response:
    accepted = {item.split(";")[0].strip() for item in request.headers.get("accept-encoding", "").split(",")}
    coding = next((coding for coding, _ in _ENCODINGS if coding in accepted and coding in asset.forms), "")
    headers = {"Cache-Control": caching, "Vary": "Accept-Encoding", "X-Content-Type-Options": "nosniff"}
    if coding:
        headers["Content-Encoding"] = coding
    return Response(asset.forms[coding], media_type=asset.media_type, headers=headers)
