"""Whom PostgreSQL runs as: it refuses root, so as root it gets an account of its own."""

import os
import pwd
from dataclasses import dataclass
from pathlib import Path

SERVER_UID = 65521
"""User and group id of the embedded PostgreSQL under root: in 65520..65533, which neither Debian nor systemd hands out,
and inside the 65,536 ids that containers map."""


@dataclass(frozen=True, slots=True)
class Account:
    """A user that is not root."""

    uid: int
    gid: int

    @property
    def named(self) -> bool:
        """Whether the user has an entry in the password file (initdb insists on one)."""
        try:
            pwd.getpwuid(self.uid)
        except KeyError:
            return False
        return True

    def can_pass(self, path: Path) -> bool:
        """Whether this user can walk down to `path` by ordinary permissions."""
        for folder in path.resolve().parents:
            status = folder.stat()
            mode = status.st_mode >> 6 if status.st_uid == self.uid else status.st_mode
            if not mode & 0o001:
                return False
        return True

    def can_read(self, path: Path) -> bool:
        """Whether this user can walk to `path` and read it (and list it, if it is a folder)."""
        status = path.stat()
        mode = status.st_mode >> 6 if status.st_uid == self.uid else status.st_mode
        wanted = 0o005 if path.is_dir() else 0o004
        return mode & wanted == wanted and self.can_pass(path)


def server_account(cluster: Path) -> Account | None:
    """Choose the account for the server of a cluster.

    Args:
        cluster: the cluster's folder, which needn't exist yet.

    Returns:
        None for an ordinary user: the server runs as that user. For root, the owner of the cluster or of the data
        folder around it, if that is an ordinary user; else an account that only the embedded server uses.

    """
    if os.geteuid() != 0:
        return None
    for folder in (cluster, cluster.parent):
        if folder.exists() and (status := folder.stat()).st_uid != 0:
            return Account(status.st_uid, status.st_gid)
    return Account(SERVER_UID, SERVER_UID)


def initial_account(account: Account) -> Account:
    """Choose the account for initdb, which wants an entry in the password file: the server's, else `nobody`."""
    if account.named:
        return account
    nobody = pwd.getpwnam("nobody")
    return Account(nobody.pw_uid, nobody.pw_gid)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make a folder in the data folder if it isn't there; under root it belongs to whom the data folder belongs."""
    if not folder.is_dir():
        folder.mkdir(mode=mode, exist_ok=True)
        give_as_around(folder)


def give_as_around(path: Path) -> None:
    """Under root, give what was made in somebody's folder to that user, who could not use it otherwise."""
    if os.geteuid() == 0:
        status = path.parent.stat()
        os.chown(path, status.st_uid, status.st_gid)
