"""Which path is which call. Hosts don't matter: the upload host's calls and the open API's don't collide."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route

from openstage.dialects.video.authorisation import Authorisation
from openstage.dialects.video.errors import Call, UnknownCall
from openstage.dialects.video.videos import Videos


def api_routes(authorisation: Authorisation, videos: Videos) -> list[BaseRoute]:
    """Return the routes under `/api/`."""
    calls = {
        "/api/iqiyi/authorize": Call("authorize", authorisation.authorize()),
        "/api/enterprise/authorize": Call("authorize", authorisation.authorize()),
        "/api/person/authorize": Call("authorize", authorisation.authorize("person", uid="uid")),
        "/api/baidu/authorize": Call("authorize", authorisation.authorize("partner", uid="ouid", nick="nick")),
        "/api/oauth2/token": Call("token", authorisation.token),
        "/api/file/info": Call("info", videos.info),
        "/api/file/fullStatus": Call("fullStatus", videos.full_status),
        "/api/file/videoListForExternal": Call("videoList", videos.video_list),
        "/api/file/fetchvideolist": Call("videoList", videos.video_list),
        "/api/file/videoForExternal": Call("video", videos.video),
        "/api/file/count": Call("count", videos.count),
        "/api/file/urllist": Call("urllist", videos.urllist),
        "/api/file/delete": Call("delete", videos.delete),
        "/api/download/getDownloadUri": Call("urllist", videos.download_uri),
    }
    unknown = Call("unknown", _unknown)
    return [*(Route(path, call) for path, call in calls.items()), Route("/api", unknown), Mount("/api", unknown)]


async def _unknown(request: Request) -> Response:
    raise UnknownCall(f"{request.url.path} is not served here; docs/video-dialect.md lists the calls.")
