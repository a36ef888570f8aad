"""How things of the catalogue and of licensing look on this wire, field for field as the document has them."""

from typing import Any, Protocol

from openstage.catalogue.models import BpmBand, Categories, Category, CategoryKind, Level, Offer, Track, TrackSummary
from openstage.dialects.music.dates import Dates
from openstage.licensing.models import Purchase

Named = dict[int, dict[str, Any]]
"""Categories as the wire has them, by number."""
ABLE_TYPE = "audio"
"""What kind of thing was bought; the document's platform also sells pictures."""


class LibraryAddresses(Protocol):
    """Addresses that this dialect hands out; they live for 10 minutes."""

    def of_track(self, track: TrackSummary) -> tuple[str, str, str]:
        """Return addresses of a track's preview, its waveform as a picture, and as numbers; empty: it has no file."""

    def download(self, purchase: Purchase) -> str:
        """Return an address of a file that was bought."""


class Shapes:
    """Makes the objects of replies."""

    def __init__(self, addresses: LibraryAddresses, dates: Dates) -> None:
        self._addresses = addresses
        self._dates = dates
        self._names: tuple[Categories | None, dict[CategoryKind, Named]] = (None, {})

    def listed(self, track: TrackSummary, categories: Categories) -> dict[str, Any]:
        """Return a track as searches list it (3.2)."""
        preview, waveform, waveform_data = self._addresses.of_track(track)
        return {
            "id": track.id,
            "title": track.title,
            "bpm": beats(track.bpm),
            "preview_mp3_url": preview,
            "waveform_url": waveform,
            "origin_waveform_url": waveform_data,
            "artist": track.artist,
            "duration": track.duration,
            "description": track.description,
            "genres": self._named(categories, "genre", track.genre_ids),
            "moods": self._named(categories, "mood", track.mood_ids),
            "instruments": self._named(categories, "instrument", track.instrument_ids),
        }

    def audio(self, track: Track, categories: Categories) -> dict[str, Any]:
        """Return a track as its detail shows it (3.3)."""
        return {"type": track.supplier, **self.listed(track.summary, categories)}

    def _named(self, categories: Categories, kind: CategoryKind, ids: list[int]) -> list[dict[str, Any]]:
        """Return a track's categories of a kind; those that are gone are left out."""
        if self._names[0] is not categories:  # a server keeps one object until a category changes
            self._names = (categories, _by_kind(categories))
        known = self._names[1][kind]
        return [known[each] for each in ids if each in known]

    @staticmethod
    def permission(offer: Offer) -> dict[str, Any]:
        """Return an offer; `duration` and `bpm` are the track's."""
        return {
            "id": offer.id,
            "name": offer.name,
            "price": f"{offer.price:.2f}",
            "type": offer.type,
            "duration": clock_time(offer.duration_ms),
            "bpm": beats(offer.bpm),
        }

    def bought(self, purchase: Purchase) -> dict[str, Any]:
        """Return a purchase as lists of them show it (3.5)."""
        return {
            "id": purchase.id,
            "plus_user": {"id": purchase.main.id, "name": purchase.main.name},
            "real_plus_user": {"id": purchase.buyer.id, "name": purchase.buyer.name},
            "third_user_id": purchase.third_user_id,
            "plus_permission": {"id": purchase.offer.id, "name": purchase.offer.name},
            "able_id": purchase.audio_id,
            "able_type": ABLE_TYPE,
            "asset_type": purchase.format,
            "warrant_name": purchase.warrant_name,
            "download_at": self._dates.write(purchase.downloaded_at),
            "created_at": self._dates.write(purchase.bought_at),
        }

    def purchase(self, purchase: Purchase) -> dict[str, Any]:
        """Return a purchase as its detail shows it (3.6)."""
        return {
            "id": purchase.id,
            "permission_id": purchase.offer.id,
            "permission_name": purchase.offer.name,
            "plus_user_id": purchase.main.id,
            "real_plus_user_id": purchase.buyer.id,
            "price": f"{purchase.price:.2f}",
            "asset_type": purchase.format,
            "warrant_name": purchase.warrant_name,
            "fileSize": file_size(purchase.file.byte_size),
            "created_at": self._dates.write(purchase.bought_at),
            # Ours: what a client needs to verify what it downloads, and to know how its licence stands.
            "number": purchase.number,
            "currency": purchase.currency,
            "third_user_id": purchase.third_user_id,
            "sha256": purchase.sha256,
            "file_bytes": purchase.file.byte_size,
            "is_test": purchase.is_test,
            "download_at": self._dates.write(purchase.downloaded_at),
            "refunded_at": self._dates.write(purchase.refunded_at),
        }


def _by_kind(categories: Categories) -> dict[CategoryKind, Named]:
    lists: dict[CategoryKind, list[Category]] = {
        "genre": categories.genres,
        "mood": categories.moods,
        "instrument": categories.instruments,
    }
    return {kind: {item["id"]: item for item in named(items)} for kind, items in lists.items()}


def named(items: list[Category]) -> list[dict[str, Any]]:
    """Return categories as `[{id, name}]`."""
    return [{"id": item.id, "name": item.name} for item in items]


def category_lists(categories: Categories) -> dict[str, Any]:
    """Return all categories (3.1). `levels` is ours: the document lists them in its table of parameters only."""
    bands: list[BpmBand] | list[Level]
    lists: dict[str, Any] = {
        "genres": named(categories.genres),
        "moods": named(categories.moods),
        "instruments": named(categories.instruments),
    }
    for name, bands in (("bpms", categories.bpms), ("levels", categories.levels)):
        lists[name] = [{"id": band.id, "name": band.name} for band in bands]
    return lists


def beats(bpm: float | None) -> int:
    """Return a tempo as the wire has it: a whole number; 0 where it is unknown."""
    return 0 if bpm is None else round(bpm)


def clock_time(duration_ms: int) -> str:
    """Return a duration as `00:02:00`."""
    seconds = (duration_ms + 500) // 1000
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def file_size(count: int) -> str:
    """Return a size as the document writes it, such as `11.5MB`."""
    return f"{count / 1024**2:.1f}MB" if count >= 1024**2 else f"{count / 1024:.1f}KB"
