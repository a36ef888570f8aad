"""A client that plays: it asks for addresses as often as clients do, and fetches what a player has to fetch first."""

import json
import time
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final
from urllib.parse import urlsplit

import m3u8

from bench.http import Connection, LoadError

POLL_SECONDS: Final = 0.02
PATIENCE_SECONDS: Final = 3600.0


@dataclass(frozen=True)
class Timeline:
    """Moments (`time.monotonic()`) on the way to a first picture."""

    offered: float
    """`fullStatus` answers A00000 with an address."""
    playlists: float
    """The master playlist and all media playlists of one variant have been fetched."""
    playable: float
    """Their initialisation sections and first segments, too."""
    growing: bool
    """The playlists had no end yet."""
    fetched: int
    """Bytes of sections and segments."""


@dataclass
class Viewer:
    """One client on one connection."""

    connection: Connection
    token: str

    def status(self, file_id: str) -> dict[str, Any]:
        """Ask how a work stands."""
        target = f"/api/file/fullStatus?access_token={self.token}&file_id={file_id}"
        status: dict[str, Any] = json.loads(self.connection.request("GET", target).body)
        return status

    def play(self, file_id: str, patience: float = PATIENCE_SECONDS) -> Timeline:
        """Wait until a work is offered, and fetch what a player needs for its first picture and sound.

        Raises:
            LoadError: it failed, or wasn't offered for an hour.

        """
        deadline = time.monotonic() + patience
        while not (address := self._address(self.status(file_id))):
            if time.monotonic() > deadline:
                raise LoadError("The work is not offered.")
            time.sleep(POLL_SECONDS)
        offered = time.monotonic()
        lists = self.media_playlists(address)
        # What is offered has a first segment; ask again until it has, as players do.
        while not all(playlist.segments for _, playlist in lists):
            time.sleep(POLL_SECONDS)
            lists = self.media_playlists(address)
        playlists = time.monotonic()
        fetched = sum(self._first_segment(where, playlist) for where, playlist in lists)
        growing = not all(playlist.is_endlist for _, playlist in lists)
        return Timeline(offered, playlists, time.monotonic(), growing, fetched)

    def media_playlists(self, master: str) -> list[tuple[str, m3u8.M3U8]]:
        """Fetch a multivariant playlist, and of its last variant the picture's playlist and the sound's.

        Returns:
            Address and content of each.

        """
        listed = self._playlist(master)
        variant = listed.playlists[-1]
        addresses = [variant.uri, *(media.uri for media in listed.media if media.uri)]
        return [(address, self._playlist(address)) for address in addresses]

    def _playlist(self, address: str) -> m3u8.M3U8:
        reply = self.connection.request("GET", urlsplit(address).path)
        if reply.status != 200:
            raise LoadError(f"{address}: {reply.status} {reply.body[:200]!r}")
        return m3u8.loads(reply.body.decode())

    def _first_segment(self, playlist_address: str, playlist: m3u8.M3U8) -> int:
        folder = PurePosixPath(urlsplit(playlist_address).path).parent
        size = 0
        for uri in (playlist.segment_map[0].uri, playlist.segments[0].uri):
            reply = self.connection.request("GET", str(folder / uri), keep=False)
            if reply.status != 200:
                raise LoadError(f"{uri}: {reply.status}")
            size += reply.received
        return size

    @staticmethod
    def _address(status: dict[str, Any]) -> str | None:
        """Return the address of the best playlist; None if there isn't one yet."""
        if status["code"] not in {"A00000", "A00001", "A00004"}:
            raise LoadError(f"The work is not published: {status}")
        playlists: dict[str, str] = status["data"].get("urllist", {}).get("m3u8", {})
        # Clients that were seen take the highest quality that they know.
        best = max((quality for quality in playlists if quality != "96"), default="96")
        return playlists.get(best) if status["code"] == "A00000" else None
