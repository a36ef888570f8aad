"""The tokens that an authorisation gives, and where they are kept between runs."""

import contextlib
import json
import math
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Tokens:
    """An access token, the token that refreshes it, and when it ends; the tokens are never shown."""

    access_token: str = field(repr=False)
    refresh_token: str = field(default="", repr=False)
    expires_at: float = math.inf
    """Seconds since the epoch; infinite if nobody said."""

    @classmethod
    def issued(cls, access_token: str, refresh_token: str, expires_in: float) -> "Tokens":
        """Tokens that were issued just now for `expires_in` seconds, less a margin for clocks and the way."""
        return cls(access_token, refresh_token, time.time() + expires_in - min(60.0, expires_in / 10))

    @property
    def fresh(self) -> bool:
        """Whether the access token should still be valid."""
        return time.time() < self.expires_at


class TokenStore(Protocol):
    """Keeps tokens between runs. `key` names server, app and user; implement it over a database to share tokens."""

    def load(self, key: str) -> Tokens | None:
        """Give the tokens kept under `key`, or None."""
        ...

    def save(self, key: str, tokens: Tokens) -> None:
        """Keep tokens under `key`."""
        ...


class TokenKeeper:
    """Tokens that tasks or threads use together; of those that find them ended, one renews them.

    Args:
        key: names server, app and user in the store.
        tokens: tokens that are there already.
        store: keeps them between runs.
        lock: of the transport that runs the tasks or threads.
        renew: gets new tokens, from the old ones if there are any.

    """

    def __init__(
        self,
        key: str,
        tokens: Tokens | None,
        store: TokenStore | None,
        lock: contextlib.AbstractAsyncContextManager[None],
        renew: Callable[[Tokens | None], Awaitable[Tokens]],
    ) -> None:
        self.key = key
        self._tokens = tokens
        self._store = store
        self._lock = lock
        self._renew = renew

    async def current(self) -> Tokens:
        """Give tokens that should be good now."""
        tokens = self._tokens
        return tokens if tokens is not None and tokens.fresh else await self.replace(tokens)

    async def replace(self, stale: Tokens | None) -> Tokens:
        """Give others in place of tokens that are not good."""
        async with self._lock:
            tokens = self._tokens
            if tokens is stale and self._store is not None:
                tokens = self._store.load(self.key) or tokens  # another process may have renewed them
            if tokens is not None and tokens != stale and tokens.fresh:
                self._tokens = tokens
                return tokens
            return self.take(await self._renew(tokens or stale))

    def take(self, tokens: Tokens) -> Tokens:
        """Use these tokens from now on, and keep them in the store."""
        self._tokens = tokens
        if self._store is not None:
            self._store.save(self.key, tokens)
        return tokens


class FileTokenStore:
    """Keeps tokens in one JSON file that only its owner can read."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def load(self, key: str) -> Tokens | None:
        """Give the tokens kept under `key`; None if there are none, or the file can't be read."""
        entry = self._entries().get(key)
        with contextlib.suppress(TypeError):
            return Tokens(**entry) if entry else None
        return None

    def save(self, key: str, tokens: Tokens) -> None:
        """Write the file anew, whole or not at all."""
        entry = {
            "access_token": tokens.access_token,
            "refresh_token": tokens.refresh_token,
            "expires_at": tokens.expires_at,
        }
        write_private(self.path, json.dumps({**self._entries(), key: entry}))

    def _entries(self) -> Mapping[str, dict[str, Any]]:
        with contextlib.suppress(OSError, ValueError):
            entries = json.loads(self.path.read_bytes())
            if isinstance(entries, dict):
                return entries
        return {}


def write_private(path: Path, text: str) -> None:
    """Replace a file by `text`, whole or not at all, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
