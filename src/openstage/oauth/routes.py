"""Everything of this package, put together."""

from starlette.routing import BaseRoute

from openstage.console.assets import Assets
from openstage.console.rendering import Renderer
from openstage.identity.keys import Keys
from openstage.identity.service import Identity
from openstage.oauth.authorize import AuthorizePage
from openstage.oauth.browser import Browsers
from openstage.oauth.devices import DevicePages
from openstage.oauth.endpoints import Endpoints
from openstage.oauth.friends import FriendPages
from openstage.oauth.passkeys import PasskeyPages
from openstage.oauth.people import PeoplePages
from openstage.oauth.rendering import Pages
from openstage.settings import Settings


def oauth_routes(identity: Identity, keys: Keys, settings: Settings) -> list[BaseRoute]:
    """Return the routes of endpoints and pages; they go before those of the dialects, one of whose paths is ours."""
    pages = Pages(Renderer(settings, Assets()), Browsers(identity, keys, settings))
    people = PeoplePages(identity, pages, settings)
    return [
        *Endpoints(identity, settings).routes(),
        *AuthorizePage(identity, pages, settings).routes(),
        *DevicePages(identity, pages, settings).routes(),
        *people.routes(),
        *PasskeyPages(identity, pages, people).routes(),
        *FriendPages(identity, pages, people).routes(),
    ]
