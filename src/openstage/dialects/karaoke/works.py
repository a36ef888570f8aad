"""A user's recordings, and those of others that they may see.

    POST /karaoke/user/v2/get_user_work    their own, or what another user of the app shows them
    POST /karaoke/user/v2/get_work_info    one of them
    POST /karaoke/user/v2/del_user_work    delete one of their own
    POST /karaoke/user/v2/set_ugc_access   who may see one of their own
    POST /karaoke/user/v2/get_recom_work   what is new or often played, of one song or of all
    POST /karaoke/user/v2/get_city_work    what was sung in a city
    POST /karaoke/user/v2/get_friend_work  what their friends show them

The paths are the platform's, and so is the paging by `num` and `passback`; the other fields of requests are ours, as
the document's pages on these calls are lost. What a caller may not see doesn't exist for them.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.karaoke.bodies import read_json
from openstage.dialects.karaoke.envelope import reply
from openstage.dialects.karaoke.errors import BadInput, Call
from openstage.dialects.karaoke.headers import Authorisation
from openstage.dialects.karaoke.passback import Passbacks
from openstage.dialects.karaoke.ugcs import UgcPage, UgcShapes, is_own
from openstage.identity.models import Caller
from openstage.identity.profiles import LARGEST_CITY, Profiles
from openstage.publishing.intake import Intake
from openstage.works.errors import UnknownWork
from openstage.works.listing import ListedRecording, Listing, Page, Place
from openstage.works.recordings import ACCESS
from openstage.works.visibility import Visibility, viewer_of

FOLDER: Final = "/karaoke/user/v2"
MOST: Final = 50
"""Recordings of one page; who asks for more gets so many."""

Number = Annotated[int, Meta(ge=1)]


class PageRequest(msgspec.Struct):
    """Body of a list's call."""

    num: Number = 20
    """Recordings of this page; `MOST` at most."""
    passback: str = ""
    """What the page before gave; empty or missing: the first page."""


class UserWorkRequest(PageRequest):
    """Body of `get_user_work`."""

    openid: str = ""
    """Whose: another user of this app; empty or missing: their own."""


class SongWorkRequest(PageRequest):
    """Body of `get_recom_work`."""

    song_id: str = ""
    """Recordings of this song; empty or missing: of all songs."""


class CityWorkRequest(PageRequest):
    """Body of `get_city_work`."""

    city_id: Annotated[int, Meta(ge=0, le=LARGEST_CITY)] = 0
    """Which city; 0 or missing: where the user lives."""


class WorkRequest(msgspec.Struct):
    """Body of a call about one recording."""

    ugc_id: str = ""
    share_id: str = ""
    """In place of `ugc_id`, for `get_work_info`."""


class AccessRequest(msgspec.Struct):
    """Body of `set_ugc_access`."""

    access: Annotated[int, Meta(ge=0, lt=len(ACCESS))]
    """0 everybody, 1 friends of the singer, 2 the singer alone."""
    ugc_id: str = ""


class WorkCalls:
    """Calls about recordings."""

    def __init__(
        self,
        authorisation: Authorisation,
        intake: Intake,
        listing: Listing,
        visibility: Visibility,
        profiles: Profiles,
        *,
        shapes: UgcShapes,
        passbacks: Passbacks,
    ) -> None:
        self._authorisation = authorisation
        self._intake = intake
        self._listing = listing
        self._visibility = visibility
        self._profiles = profiles
        self._shapes = shapes
        self._passbacks = passbacks

    def routes(self) -> Sequence[BaseRoute]:
        """Which path is which call."""
        calls = {
            "get_user_work": self.user_work,
            "get_work_info": self.work_info,
            "del_user_work": self.delete,
            "set_ugc_access": self.set_access,
            "get_recom_work": self.recommended,
            "get_city_work": self.city_work,
            "get_friend_work": self.friend_work,
        }
        return [Route(f"{FOLDER}/{name}", Call(handler)) for name, handler in calls.items()]

    # --- lists ------------------------------------------------------------------------------------------------
    async def user_work(self, request: Request) -> Response:
        """`get_user_work`: a user's recordings, the newest first; `data` is a `UgcPage`.

        Their own are listed from the moment the file has come, whoever may see them; of another user those that they
        show to who asks.
        """
        caller = await self._authorisation.user(request, "works.read")
        asked = await read_json(request, UserWorkRequest)
        if asked.openid in ("", caller.uid):
            return await self._list(
                f"own {caller.user_id}", asked, caller, lambda after, limit: self._listing.own(caller, after, limit)
            )
        singer = await self._listing.singer(caller.app_id, asked.openid)
        return await self._list(
            f"of {singer.user_id} for {caller.user_id}",
            asked,
            caller,
            lambda after, limit: self._listing.of_singer(singer, caller.account_id, after, limit),
        )

    async def recommended(self, request: Request) -> Response:
        """`get_recom_work`: public recordings, of one song or of all, the most worth hearing first.

        What counts is when it came; each doubling of its plays makes it half a day newer. An app's own token will do.
        """
        caller = await self._authorisation.any(request, "works.read")
        asked = await read_json(request, SongWorkRequest)
        return await self._list(
            f"song {asked.song_id}",
            asked,
            caller,
            lambda after, limit: self._listing.hottest(asked.song_id, after, limit),
        )

    async def city_work(self, request: Request) -> Response:
        """`get_city_work`: public recordings from a city, the newest first.

        A recording is from the city in which its singer lived when it came (`openstage user city`, or `city_id` of the
        upload). Apps choose the numbers of cities. An app's own token will do where `city_id` is given.
        """
        caller = await self._authorisation.any(request, "works.read")
        asked = await read_json(request, CityWorkRequest)
        city = asked.city_id or (await self._profiles.of(caller.user_id)).city_id
        if not city:
            raise BadInput("city_id is missing, and nobody has told where this user lives.")
        return await self._list(
            f"city {city}", asked, caller, lambda after, limit: self._listing.of_city(city, after, limit)
        )

    async def friend_work(self, request: Request) -> Response:
        """`get_friend_work`: what the user's friends show to everybody or to friends, the newest first.

        Friends are people with an account here; of whom an app alone knows there are none.
        """
        caller = await self._authorisation.user(request, "works.read")
        asked = await read_json(request, PageRequest)
        account_id = caller.account_id or 0
        return await self._list(
            f"friends of {account_id}",
            asked,
            caller,
            lambda after, limit: self._listing.of_friends(account_id, after, limit),
        )

    async def _list(
        self,
        name: str,
        asked: PageRequest,
        caller: Caller,
        read: Callable[[Place | None, int], Awaitable[Page]],
    ) -> Response:
        page = await read(self._passbacks.open(name, asked.passback), min(asked.num, MOST))
        return reply(
            UgcPage(
                has_more=page.end is not None,
                passback=self._passbacks.seal(name, page.end),
                ugcs=[self._shapes.ugc(listed, caller) for listed in page.items],
            )
        )

    # --- one recording ----------------------------------------------------------------------------------------
    async def work_info(self, request: Request) -> Response:
        """`get_work_info`: one recording by `ugc_id` or `share_id`; `data` is a `UgcInfo`.

        Its singer is told of it from the moment the call that brought it was answered, others while they may hear it.
        An app's own token will do for what is public.
        """
        caller = await self._authorisation.any(request, "works.read")
        asked = await read_json(request, WorkRequest)
        listed = await self._asked(asked)
        audience = await self._visibility.audience(listed.work, viewer_of(caller))
        if audience is None or not (listed.work.visible or is_own(listed, caller)):
            raise UnknownWork(_UNKNOWN)
        return reply(self._shapes.info(listed, caller, audience))

    async def delete(self, request: Request) -> Response:
        """`del_user_work`: take a recording of one's own out of all lists and players at once.

        The operator can bring it back within the grace time (`deletion_grace`).
        """
        caller = await self._authorisation.user(request, "works.write")
        listed = await self._own(caller, await read_json(request, WorkRequest))
        if not await self._intake.delete(caller, [listed.work.file_id]):
            raise UnknownWork(_UNKNOWN)
        return reply()

    async def set_access(self, request: Request) -> Response:
        """`set_ugc_access`: say who may see a recording of one's own.

        Addresses that were given out before obey at once, also in the middle of a song.
        """
        caller = await self._authorisation.user(request, "works.write")
        asked = await read_json(request, AccessRequest)
        listed = await self._own(caller, WorkRequest(ugc_id=asked.ugc_id))
        if not await self._visibility.set_access(caller, listed.work.file_id, ACCESS[asked.access]):
            raise UnknownWork(_UNKNOWN)
        return reply()

    async def _own(self, caller: Caller, asked: WorkRequest) -> ListedRecording:
        listed = await self._asked(asked)
        if not is_own(listed, caller):
            raise UnknownWork(_UNKNOWN)
        return listed

    async def _asked(self, asked: WorkRequest) -> ListedRecording:
        if not asked.ugc_id and not asked.share_id:
            raise BadInput("ugc_id is missing.")
        found = (
            await self._listing.by_ugc_id(asked.ugc_id)
            if asked.ugc_id
            else await self._listing.by_share_id(asked.share_id)
        )
        if found is None:
            raise UnknownWork(_UNKNOWN)
        return found


_UNKNOWN: Final = "There is no such recording."
