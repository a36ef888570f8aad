"""Python client of the documented video cloud interface: of Openstage, and of any server of the same contract.

Needs nothing but httpx::

    from openstage.client import VideoCloud

    with VideoCloud(client_id, client_secret, "http://127.0.0.1:8080") as cloud:
        video = cloud.upload("holiday.mp4", title="Holiday")
        cloud.wait(video.file_id)
        print(cloud.video(video.file_id).page_url)
"""

from openstage.client.blocking import VideoCloud
from openstage.client.cloud import AsyncVideoCloud
from openstage.client.credentials import App, Enterprise, FileTokenStore, Partner, Person, Tokens, TokenStore
from openstage.client.errors import (
    AccessDeniedError,
    ApiError,
    AppDeletedError,
    AppFrozenError,
    AppPendingError,
    AppRejectedError,
    BadClientError,
    DigestMismatchError,
    FailedError,
    FileChangedError,
    InvalidGrantError,
    InvalidInputError,
    InvalidRequestError,
    OAuthError,
    ProtocolError,
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
    UnreachableError,
    UnsupportedGrantTypeError,
    UnsupportedResponseTypeError,
    UploadBusyError,
    UploadCancelledError,
    VideoCloudError,
    VideoNotFoundError,
    VideoStateError,
    WaitTimeoutError,
)
from openstage.client.models import Addresses, Category, Page, Progress, State, Status, Video
from openstage.client.session import Retry

__all__ = [
    "AccessDeniedError",
    "Addresses",
    "ApiError",
    "App",
    "AppDeletedError",
    "AppFrozenError",
    "AppPendingError",
    "AppRejectedError",
    "AsyncVideoCloud",
    "BadClientError",
    "Category",
    "DigestMismatchError",
    "Enterprise",
    "FailedError",
    "FileChangedError",
    "FileTokenStore",
    "InvalidGrantError",
    "InvalidInputError",
    "InvalidRequestError",
    "OAuthError",
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
]
