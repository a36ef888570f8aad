"""The object store the settings name."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from openstage.settings import Settings
from openstage.storage.folder import FolderStore
from openstage.storage.port import ObjectStat, ObjectStore
from openstage.storage.remote import RemoteStore

__all__ = ["ObjectStat", "ObjectStore", "open_store", "store_at"]


def open_store(settings: Settings) -> ObjectStore:
    """Open the store of `storage_url`; the folder `objects` in the data folder where that is empty.

    Raises:
        StorageUnavailable: the folder can't be written or the URL can't be understood.

    """
    return store_at(settings.storage_url) if settings.storage_url else FolderStore(settings.folder / "objects")


def store_at(url: str) -> ObjectStore:
    """Open the store at a URL (`file:///folder`, `s3://bucket/prefix`, `gs://…`, `az://…`, `memory://`).

    Raises:
        StorageUnavailable: the folder can't be written or the URL can't be understood.

    """
    parts = urlsplit(url)
    return FolderStore(Path(unquote(parts.path))) if parts.scheme == "file" else RemoteStore(url)
