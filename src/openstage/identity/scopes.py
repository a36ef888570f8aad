"""What a token may be allowed to do. A token given to an app's own credentials has all that the app may ask for."""

from collections.abc import Iterable
from typing import Final, Literal, get_args

from openstage.identity.errors import BadScope

Scope = Literal["profile", "works.read", "works.write"]
"""`profile`: the person's name. `works.read`: their works, also those that aren't public. `works.write`: upload, change
and delete works in their name."""

SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)


def known(names: Iterable[str]) -> list[Scope]:
    """Return scopes in their usual order, each once; raises BadScope for a name that is none."""
    given = set(names)
    if unknown := given - set(SCOPES):
        raise BadScope(f"There is no scope {min(unknown)!r}; there are: {', '.join(SCOPES)}.")
    return [scope for scope in SCOPES if scope in given]


def asked(text: str, allowed: Iterable[str]) -> list[Scope]:
    """Return what a request's `scope` asks for (RFC 6749, 3.3); all that the app may ask for where it names none.

    Raises:
        BadScope: it asks for something that doesn't exist, or that the app may not ask for.

    """
    usual = [scope for scope in SCOPES if scope in set(allowed)]
    if not text.split():
        return usual
    wanted = known(text.split())
    if beyond := [scope for scope in wanted if scope not in usual]:
        raise BadScope(f"This app may not ask for {beyond[0]}.")
    return wanted
