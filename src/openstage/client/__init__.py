"""Python clients of the documented interfaces: of Openstage, and of any server of the same contract.

Need nothing but httpx::

    from openstage.client import VideoCloud

    with VideoCloud(client_id, client_secret, "http://127.0.0.1:8080") as cloud:
        video = cloud.upload("holiday.mp4", title="Holiday")
        cloud.wait(video.file_id)
        print(cloud.video(video.file_id).page_url)
"""

from openstage.client.errors import (
    ApiError,
    ClientError,
    FileChangedError,
    OutcomeUnknownError,
    ProtocolError,
    UnreachableError,
    WaitTimeoutError,
)
from openstage.client.exchange import Retry
from openstage.client.karaoke import AsyncKaraoke, AsyncKaraokeUser, Karaoke, KaraokeUser, verify_callback
from openstage.client.music import AsyncMusicLibrary, MusicLibrary, verify_certificate
from openstage.client.tokens import FileTokenStore, Tokens, TokenStore
from openstage.client.video.blocking import VideoCloud
from openstage.client.video.cloud import AsyncVideoCloud
from openstage.client.video.credentials import App, Enterprise, Partner, Person
from openstage.client.video.errors import (
    AccessDeniedError,
    AppDeletedError,
    AppFrozenError,
    AppPendingError,
    AppRejectedError,
    BadClientError,
    DigestMismatchError,
    FailedError,
    InvalidGrantError,
    InvalidInputError,
    InvalidRequestError,
    OAuthError,
    PublishingFailedError,
    QuotaExceededError,
    RedirectMismatchError,
    ReviewRefusedError,
    ServerFailureError,
    StillPublishingError,
    StillUploadingError,
    TemporarilyUnavailableError,
    TokenExpiredError,
    TokenInvalidError,
    UnauthorizedClientError,
    UnknownFileError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
    UploadBusyError,
    UploadCancelledError,
    VideoCloudError,
    VideoNotFoundError,
    VideoStateError,
)
from openstage.client.video.models import Addresses, Category, Page, Progress, State, Status, Video

__all__ = [
    "AccessDeniedError",
    "Addresses",
    "ApiError",
    "App",
    "AppDeletedError",
    "AppFrozenError",
    "AppPendingError",
    "AppRejectedError",
    "AsyncKaraoke",
    "AsyncKaraokeUser",
    "AsyncMusicLibrary",
    "AsyncVideoCloud",
    "BadClientError",
    "Category",
    "ClientError",
    "DigestMismatchError",
    "Enterprise",
    "FailedError",
    "FileChangedError",
    "FileTokenStore",
    "InvalidGrantError",
    "InvalidInputError",
    "InvalidRequestError",
    "Karaoke",
    "KaraokeUser",
    "MusicLibrary",
    "OAuthError",
    "OutcomeUnknownError",
    "Page",
    "Partner",
    "Person",
    "Progress",
    "ProtocolError",
    "PublishingFailedError",
    "QuotaExceededError",
    "RedirectMismatchError",
    "Retry",
    "ReviewRefusedError",
    "ServerFailureError",
    "State",
    "Status",
    "StillPublishingError",
    "StillUploadingError",
    "TemporarilyUnavailableError",
    "TokenExpiredError",
    "TokenInvalidError",
    "TokenStore",
    "Tokens",
    "UnauthorizedClientError",
    "UnknownFileError",
    "UnreachableError",
    "UnsupportedGrantTypeError",
    "UnsupportedResponseTypeError",
    "UploadBusyError",
    "UploadCancelledError",
    "Video",
    "VideoCloud",
    "VideoCloudError",
    "VideoNotFoundError",
    "VideoStateError",
    "WaitTimeoutError",
    "verify_callback",
    "verify_certificate",
]
