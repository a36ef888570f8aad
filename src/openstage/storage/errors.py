"""What can go wrong with stored objects."""

from openstage.errors import DomainError, Unavailable


class ObjectMissing(DomainError):
    """No object has this key."""

    code = "storage.object_missing"


class InvalidKey(DomainError):
    """The key is not one of ours: absolute, or with empty, dotted or odd parts."""

    code = "storage.invalid_key"


class StorageFull(Unavailable):
    """There is no room for the bytes; nothing of them is kept."""

    code = "storage.full"


class StorageUnavailable(Unavailable):
    """The store does not answer, or refuses us; nothing has been changed that a repeat would not mend."""

    code = "storage.unavailable"
