"""The documented music library interface: of Openstage, and of any server of the same contract.

from openstage.client import MusicLibrary, verify_certificate

with MusicLibrary(client_id, client_secret, "http://127.0.0.1:8080") as library:
    track = library.track(next(library.tracks("云南 and 民族")).id)
    bought = library.purchase(track.track.id, track.offers[0].id, "A film maker", request_id="order-1")
    library.download(bought.id, "music/")
    print(verify_certificate(library.certificate(bought.id), library.certificate_keys()))
"""

from openstage.certificate_file import Verdict
from openstage.client.music.blocking import MusicLibrary
from openstage.client.music.errors import (
    AppNotUsableError,
    CertificateError,
    ClientUnknownError,
    ClockError,
    CreditExceededError,
    DownloadError,
    InvalidInputError,
    MusicError,
    OfferError,
    PurchaseError,
    PurchaseNotFoundError,
    QueryError,
    RefundedError,
    RequestReusedError,
    SignatureError,
    TrackNotFoundError,
    WrongSignatureError,
)
from openstage.client.music.library import AsyncMusicLibrary, verify_certificate
from openstage.client.music.models import (
    Bought,
    Categories,
    Category,
    Offer,
    Progress,
    Purchase,
    PurchaseDetail,
    PurchasePage,
    Track,
    TrackDetail,
    TrackPage,
)
from openstage.client.music.wire import signed

__all__ = [
    "AppNotUsableError",
    "AsyncMusicLibrary",
    "Bought",
    "Categories",
    "Category",
    "CertificateError",
    "ClientUnknownError",
    "ClockError",
    "CreditExceededError",
    "DownloadError",
    "InvalidInputError",
    "MusicError",
    "MusicLibrary",
    "Offer",
    "OfferError",
    "Progress",
    "Purchase",
    "PurchaseDetail",
    "PurchaseError",
    "PurchaseNotFoundError",
    "PurchasePage",
    "QueryError",
    "RefundedError",
    "RequestReusedError",
    "SignatureError",
    "Track",
    "TrackDetail",
    "TrackNotFoundError",
    "TrackPage",
    "Verdict",
    "WrongSignatureError",
    "signed",
    "verify_certificate",
]
