"""Who may see a work: everybody, the friends of the person who made it, or that person alone.

`work.access` says which. Who may not see a work is told what they are told of one that doesn't exist. Addresses are
made for somebody (`Audience`), and each request for media asks again whether they may see the work: what was given out
while a work was public opens nothing once it isn't.

    access     anybody    friends, signed in or through any app    the maker, signed in or through the app it came by
    public     yes        yes                                      yes
    friends    no         yes                                      yes
    private    no         no                                       yes

Through another app than the one a work came by, its maker counts as a friend: an app sees nothing private of others.
"""

from typing import Final, LiteralString

from msgspec import Struct

from openstage.database.engine import Database
from openstage.database.text import storable
from openstage.identity.models import Caller
from openstage.works.announcing import announce
from openstage.works.models import Access, Work


class Viewer(Struct, frozen=True):
    """Who wants to see a work.

    Attributes:
        account_id: the person's account, if it is known who it is.
        user_id: the end user whom an app's token speaks for; None: somebody at a browser.

    """

    account_id: int | None = None
    user_id: int | None = None


ANYBODY: Final = Viewer()
"""Somebody of whom nothing is known."""


def viewer_of(caller: Caller) -> Viewer:
    """Return the viewer that an access token stands for."""
    return Viewer(caller.account_id, caller.user_id)


class Audience(Struct, frozen=True):
    """For whom an address was made.

    Attributes:
        account_id: a person who sees what their friends show to friends; 0: anybody.
        owner: who made the work.
        reviewer: who decides whether the work is published; sees it before that.

    """

    account_id: int = 0
    owner: bool = False
    reviewer: bool = False

    @property
    def key(self) -> tuple[int, bool, bool]:
        """What `SEEN` asks for: person, owner, reviewer."""
        return self.account_id, self.owner, self.reviewer


EVERYBODY: Final = Audience()
OWNER: Final = Audience(owner=True)
REVIEWERS: Final = Audience(reviewer=True)

IN_CIRCLE: Final[LiteralString] = """
    exists (
        select from end_user maker where maker.id = work.user_id and (maker.account_id = %(person)s::bigint or exists (
            select from friendship
            where friendship.account_id = maker.account_id and friendship.friend_id = %(person)s)))
    """
"""SQL: whether the account `person` is, or is a friend of, who made `work`."""

SEEN: Final[LiteralString] = (
    "(work.access = 'public' or asked.owner or asked.reviewer or (work.access = 'friends' and asked.person <> 0 and "
    + IN_CIRCLE.replace("%(person)s", "asked.person")
    + "))"
)
"""SQL: whether the audience of a row `asked` (`Audience.key`) may see `work`, whatever its state."""

_SEES: Final[LiteralString] = (
    "select true from work where slug = %(slug)s and deleted_at is null and (work.access = 'public'"
    " or work.user_id = %(user)s::bigint or (work.access = 'friends' and "
    + IN_CIRCLE
    + ") or (%(user)s::bigint is null and exists ("
    "select from end_user maker where maker.id = work.user_id and maker.account_id = %(person)s)))"
)
_CLOSENESS: Final[LiteralString] = (
    "select maker.account_id = %(person)s, " + IN_CIRCLE + " from work join end_user maker on maker.id = work.user_id"
    " where work.id = %(work)s"
)


class Visibility:
    """Tells who may see which work."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def audience(self, work: Work, viewer: Viewer) -> Audience | None:
        """Tell for whom addresses of a work are to be made where this viewer asks; None: they may not see it.

        Whether there is anything to see (the work's state) is not looked at.

        Raises:
            Unavailable: the database is away.

        """
        if work.access == "public":
            return EVERYBODY
        if viewer.user_id is not None and viewer.user_id == work.user_id:
            return OWNER
        if viewer.account_id is None:
            return None
        row = await self._database.fetch_one(_CLOSENESS, {"person": viewer.account_id, "work": work.id})
        own, in_circle = row or (False, False)
        if own and viewer.user_id is None:
            return OWNER
        return Audience(account_id=viewer.account_id) if work.access == "friends" and in_circle else None

    async def set_access(self, caller: Caller, file_id: str, access: Access) -> bool:
        """Say who may see a caller's work; returns whether they have it."""
        async with self._database.transaction() as connection:
            cursor = await connection.execute(
                """
                update work set access = %(access)s, changed_at = now()
                from (select id, access from work
                      where file_id = %(file)s and app_id = %(app)s and user_id = %(user)s and deleted_at is null
                      for update) before
                where work.id = before.id returning work.id, before.access <> %(access)s
                """,
                {"access": access, "file": storable(file_id), "app": caller.app_id, "user": caller.user_id},
            )
            row = await cursor.fetchone()
            if row is not None and row[1]:
                await announce(connection, [row[0]], "ugc.access_changed", by="app")
        return row is not None

    async def sees(self, slug: str, viewer: Viewer) -> bool:
        """Tell whether a viewer may see the work of a slug, whatever its state.

        Raises:
            Unavailable: the database is away.

        """
        values = {"slug": storable(slug), "person": viewer.account_id, "user": viewer.user_id}
        return await self._database.fetch_one(_SEES, values) is not None
