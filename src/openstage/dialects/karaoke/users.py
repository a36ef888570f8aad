"""A user, and songs for them.

POST /karaoke/user/v2/get_user_info      who they are
POST /karaoke/user/v2/user_feature_song  songs that they may like to sing
"""

from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from openstage.dialects.karaoke.bodies import read_json
from openstage.dialects.karaoke.envelope import reply
from openstage.dialects.karaoke.errors import Call
from openstage.dialects.karaoke.headers import Authorisation
from openstage.dialects.karaoke.ugcs import SongList, song
from openstage.dialects.karaoke.works import FOLDER
from openstage.identity.profiles import Profiles
from openstage.works.listing import Listing
from openstage.works.songs import Songs

MOST_SONGS: Final = 50


class UserInfo(msgspec.Struct):
    """`data` of `get_user_info`. Only `nick_name` is the platform's name; the others are ours."""

    openid: str
    """The user as this app alone knows them."""
    nick_name: str
    """What others see as the singer of their recordings."""
    city_id: int
    """Where they live, as their apps number cities; 0: not told."""
    ugc_num: int
    """Their recordings through this app, as `get_user_work` lists them."""
    friend_num: int
    create_time: int
    """Since when this app knows them, in seconds of the epoch."""


class NoFields(msgspec.Struct):
    """Body of `get_user_info`: an object, whatever is in it."""


class SongRequest(msgspec.Struct):
    """Body of `user_feature_song`."""

    num: Annotated[int, Meta(ge=1)] = 20
    """How many songs; `MOST_SONGS` at most."""


class UserCalls:
    """Calls about a user."""

    def __init__(self, authorisation: Authorisation, profiles: Profiles, listing: Listing, songs: Songs) -> None:
        self._authorisation = authorisation
        self._profiles = profiles
        self._listing = listing
        self._songs = songs

    def routes(self) -> Sequence[BaseRoute]:
        """Which path is which call."""
        return [
            Route(f"{FOLDER}/get_user_info", Call(self.user_info)),
            Route(f"{FOLDER}/user_feature_song", Call(self.feature_song)),
        ]

    async def user_info(self, request: Request) -> Response:
        """`get_user_info`: who the user is; `data` is a `UserInfo`. Needs the scope `profile`."""
        caller = await self._authorisation.user(request, "profile")
        await read_json(request, NoFields)
        profile = await self._profiles.of(caller.user_id)
        return reply(
            UserInfo(
                openid=caller.uid,
                nick_name=profile.name,
                city_id=profile.city_id or 0,
                ugc_num=await self._listing.count(caller),
                friend_num=profile.friends,
                create_time=int(profile.created_at.timestamp()),
            )
        )

    async def feature_song(self, request: Request) -> Response:
        """`user_feature_song`: songs picked for the user, the most fitting first; `data` is a `SongList`.

        First what people sing who sang the same songs, then what is often sung and played here, then what the user has
        sung before.
        """
        caller = await self._authorisation.user(request, "works.read")
        asked = await read_json(request, SongRequest)
        found = await self._songs.picked_for(caller, min(asked.num, MOST_SONGS))
        return reply(SongList(songs=[song(known) for known in found]))
