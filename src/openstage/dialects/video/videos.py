"""Sections 1.5 and 4 to 7 of the document: what an app says of its videos and asks about them."""

from typing import Any, Final, Protocol

from starlette.requests import Request
from starlette.responses import Response

from openstage.dialects.video.envelope import SUCCESS, reply
from openstage.dialects.video.errors import BadInput
from openstage.dialects.video.parameters import Parameters, read_parameters
from openstage.identity.errors import AppNotUsable
from openstage.identity.models import Caller
from openstage.identity.service import Identity
from openstage.publishing.intake import Intake
from openstage.works.errors import UnknownWork
from openstage.works.models import LARGEST_PAGE, Metadata, PictureKind, Work
from openstage.works.service import Works
from openstage.works.visibility import OWNER, Audience

DEFAULT_PAGE: Final = 20
GONE: Final = 4
MOST_FILE_IDS: Final = 10_000
"""Videos that one call may name; to look for many more would hold up everybody else."""

STATUS_CODES: Final = {
    "uploading": "A00004",
    "waiting": "A00004",
    "publishing": "A00001",
    "reviewing": "A00001",
    "published": "A00000",
    "refused": "A00002",
    "failed": "A00007",
    "cancelled": "A00006",
    "expired": "A00003",
}
"""Codes of `fullStatus` by the work's state."""

STATUS_MESSAGES: Final = {
    "waiting": "The file is complete; its metadata (/api/file/info) is still missing.",
    "reviewing": "Waiting for review.",
    "expired": "The upload was never finished and has expired.",
}

FILE_STATUS: Final = {
    "uploading": 5,
    "waiting": 5,
    "publishing": 1,
    "reviewing": 1,
    "published": 2,
    "refused": 3,
    "failed": GONE,
    "cancelled": 6,
    "expired": GONE,
}
"""`fileStatus` of listings by the work's state."""


class MediaAddresses(Protocol):
    """Addresses that this dialect hands out."""

    def to(self, audience: Audience) -> "MediaAddresses":
        """Return the same for an audience."""

    async def urllist(self, slug: str) -> dict[str, dict[str, str]]:
        """Return signed addresses under `mp4` and `m3u8`, and `mp3` of sound alone, by quality."""

    def picture(self, slug: str, kind: PictureKind) -> str:
        """Return the address of a picture."""

    def page(self, slug: str) -> str:
        """Return the address of the watch page."""

    def embed(self, slug: str) -> str:
        """Return the address of the embeddable player."""


class Videos:
    """Calls about one's own videos."""

    def __init__(self, identity: Identity, intake: Intake, works: Works, addresses: MediaAddresses) -> None:
        self._identity = identity
        self._intake = intake
        self._works = works
        self._addresses = addresses

    # --- what is said -----------------------------------------------------------------------------------------
    async def info(self, request: Request) -> Response:
        """Section 1.5: set a video's metadata, before or after the upload is finished."""
        parameters = await read_parameters(request)
        caller = await self._identity.resolve_usable(parameters.text("access_token"), needs="works.write")
        file_id = parameters.required("file_id")
        if not parameters.has("description"):
            raise BadInput("description is missing; it may be empty.")
        metadata = Metadata(
            title=parameters.required("file_name"),
            description=parameters.text("description"),
            tags=tuple(_ids(parameters.text("tags").replace("，", ","), ",")),
            category=parameters.exact_integer("file_type"),
        )
        await self._intake.describe(caller, file_id, metadata)
        return reply(SUCCESS, msg="")

    async def delete(self, request: Request) -> Response:
        """Section 7: hide videos at once; the operator can bring them back within the grace time."""
        parameters = await read_parameters(request)
        caller = await self._identity.resolve_usable(parameters.text("access_token"), needs="works.write")
        kind = parameters.text("delete_type")
        file_ids = _file_ids(parameters)
        if kind == "0":
            await self._intake.delete(caller, None)
        elif kind != "1":
            raise BadInput("delete_type must be 0 (all videos of this user) or 1 (those in file_ids).")
        elif not file_ids:
            raise BadInput("file_ids is missing.")
        elif not await self._works.known(caller, file_ids):
            raise UnknownWork("None of these videos exists.")
        else:
            await self._intake.delete(caller, file_ids)
        return reply(SUCCESS)

    # --- what is asked ----------------------------------------------------------------------------------------
    async def full_status(self, request: Request) -> Response:
        """Section 4: state of a video, with its pictures and addresses as far as they are there."""
        parameters = await read_parameters(request)
        caller = await self._reader(parameters)
        work = await self._works.get(caller, parameters.required("file_id"))
        message = work.reason or STATUS_MESSAGES.get(work.state, "")
        data: dict[str, Any] = {
            "img": "",
            "thumbnail": "",
            "swfurl": "",
            "urllist": {"mp4": {}, "m3u8": {}},
            "msg": message,
            # Ours: a video plays while better renditions of it are still being made.
            "state": work.state,
            "step": work.step,
            "percent": round(work.percent, 1),
            "notice": work.notice,
        }
        if work.visible:
            data |= {
                "img": self._picture(work, "img"),
                "thumbnail": self._picture(work, "thumbnail"),
                "swfurl": self._addresses.embed(work.slug),
                "urllist": await self._of(work).urllist(work.slug),
            }
        return reply(STATUS_CODES[work.state], data=data, msg=message)

    async def video_list(self, request: Request) -> Response:
        """Section 5: the user's published videos, page by page, the newest first."""
        parameters = await read_parameters(request)
        caller = await self._reader(parameters)
        size = parameters.integer("page_size", DEFAULT_PAGE) or DEFAULT_PAGE
        page = await self._works.list(
            caller,
            file_ids=_file_ids(parameters),
            page=max(parameters.integer("page", 1) or 1, 1),
            page_size=min(max(size, 1), LARGEST_PAGE),
        )
        return reply(SUCCESS, count=page.count, data=[self._listed(work) for work in page.items])

    async def count(self, request: Request) -> Response:
        """Answer how many published videos the user has (seen with clients)."""
        caller = await self._reader(await read_parameters(request))
        return reply(SUCCESS, data={"count": await self._works.count(caller)})

    async def video(self, request: Request) -> Response:
        """Answer one video, as an array of one (seen with clients)."""
        parameters = await read_parameters(request)
        caller = await self._reader(parameters)
        work = await self._works.get(caller, parameters.text("file_id") or parameters.required("file_ids"))
        return reply(SUCCESS, count=1, data=[self._listed(work)])

    async def urllist(self, request: Request) -> Response:
        """Section 6: addresses of a published video by format and quality, good for about 15 minutes."""
        work = await self._asked(request)
        if not work.visible:
            return _not_playable(work)
        return reply(SUCCESS, data=await self._of(work).urllist(work.slug))

    async def download_uri(self, request: Request) -> Response:
        """Answer the address of a published video's best mp4 (seen with clients; the reply's form is ours)."""
        work = await self._asked(request)
        if not work.visible:
            return _not_playable(work)
        files = (await self._of(work).urllist(work.slug))["mp4"]
        if not files:
            raise UnknownWork("This video has no file to download.")
        return reply(SUCCESS, data={"downloadUri": files[max(files)]})

    async def _asked(self, request: Request) -> Work:
        parameters = await read_parameters(request)
        caller = await self._reader(parameters)
        return await self._works.get(caller, parameters.required("file_id"))

    async def _reader(self, parameters: Parameters) -> Caller:
        """Who asks: an app that is frozen or in review may still look at its own videos."""
        caller = await self._identity.resolve(parameters.text("access_token"), needs="works.read")
        if caller.app_state == "deleted":
            raise AppNotUsable(caller.app_state)
        return caller

    def _listed(self, work: Work) -> dict[str, Any]:
        return {
            "fileId": work.file_id,
            "fileName": work.title,
            "createTime": int(work.created_at.timestamp()),
            "description": work.description,
            "fileSize": work.file_size,
            "fileStatus": FILE_STATUS[work.state],
            "playCount": work.play_count,
            "duration": round((work.duration_ms or 0) / 1000),
            "img": self._picture(work, "img"),
            "originalImg": self._picture(work, "original"),
            "thumbnail": self._picture(work, "thumbnail"),
            "pageUrl": self._addresses.page(work.slug) if work.visible else "",
        }

    def _of(self, work: Work) -> MediaAddresses:
        """Make addresses of a caller's own work that open it for them, whoever else may see it."""
        return self._addresses if work.access == "public" else self._addresses.to(OWNER)

    def _picture(self, work: Work, kind: PictureKind) -> str:
        return self._of(work).picture(work.slug, kind) if work.visible and kind in work.pictures else ""


def _not_playable(work: Work) -> Response:
    """Tell by the codes of `fullStatus` why a video has no addresses."""
    message = work.reason or STATUS_MESSAGES.get(work.state, f"This video can't be played: it is {work.state}.")
    return reply(STATUS_CODES[work.state], data={"mp4": {}, "m3u8": {}}, msg=message)


def _file_ids(parameters: Parameters) -> list[str]:
    """Read `file_ids`: the document separates them by `;` in one place and by `,` in others.

    Raises:
        BadInput: there are more than `MOST_FILE_IDS`.

    """
    file_ids = _ids(parameters.text("file_ids").replace(";", ","), ",")
    if len(file_ids) > MOST_FILE_IDS:
        raise BadInput(f"One call may name {MOST_FILE_IDS} videos, not {len(file_ids)}.")
    return file_ids


def _ids(text: str, separator: str) -> list[str]:
    return [each.strip() for each in text.split(separator) if each.strip()]
