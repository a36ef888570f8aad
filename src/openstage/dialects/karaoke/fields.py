"""What an app says of a recording: names and types as in the document's sample, bounds ours."""

import re
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from openstage.dialects.karaoke.errors import BadInput
from openstage.identity.profiles import LARGEST_CITY
from openstage.outbound.connecting import Outbound
from openstage.publishing.reception import DIGESTS
from openstage.works.recordings import ACCESS, About

Name = Annotated[str, Meta(max_length=128)]
Title = Annotated[str, Meta(max_length=500)]
Text = Annotated[str, Meta(max_length=4000)]
Address = Annotated[str, Meta(max_length=2048)]
Number = Annotated[int, Meta(ge=0, le=2**31 - 1)]

_NOT_IN_ADDRESSES: Final = re.compile(r"""[\x00-\x20\x7f"'<>`\\]""")
_HEX: Final = re.compile(r"[0-9a-f]*")


class Fields(msgspec.Struct):
    """What is sent as `data` with a file; every field may be missing."""

    song_id: Name = ""
    song_name: Title = ""
    song_type: Number = 0
    publish_type: Annotated[int, Meta(ge=0, lt=len(ACCESS))] = 0
    """Who may see it: 0 everybody, 1 friends, 2 the singer alone."""
    share_type: Number = 0
    score: Number = 0
    score_rank: Number = 0
    content: Text = ""
    cover: Address = ""
    file_name: Title = ""
    file_sha: Name = ""
    """SHA-1 (40 hex digits) or SHA-256 (64) of the file; empty: isn't checked."""
    file_size: Annotated[int, Meta(ge=0, le=2**62)] | None = None
    """Bytes of the file; missing: isn't checked."""
    is_segment: bool = False
    segment_start: Number = 0
    """Milliseconds of the song."""
    segment_end: Number = 0
    sentence_count: Number = 0
    imei: Name = ""
    callback_url: Address = ""
    city_id: Annotated[int, Meta(ge=0, le=LARGEST_CITY)] = 0
    """Ours: where it was sung, for `get_city_work`; 0 or missing: where the singer lives, if that is known."""

    @property
    def sha(self) -> str:
        """`file_sha` in lower case."""
        return self.file_sha.strip().lower()

    def check(self, outbound: Outbound) -> None:
        """Check what types and bounds don't tell.

        Raises:
            BadInput: a field has a wrong form, or contradicts another.
            OutboundError: `callback_url` isn't one that this server would call.

        """
        if self.sha and (len(self.sha) not in DIGESTS or not _HEX.fullmatch(self.sha)):
            raise BadInput("file_sha must be a SHA-1 or SHA-256 in hex: 40 or 64 digits, or empty.")
        if self.is_segment and self.segment_end <= self.segment_start:
            raise BadInput("A segment must end after it starts: segment_start and segment_end are milliseconds.")
        if not _is_web_address(self.cover):
            raise BadInput("cover must be an http:// or https:// address, or empty.")
        if self.callback_url.strip():
            outbound.check(self.callback_url.strip())

    def about(self, device_id: str) -> About:
        """Return what is kept of it."""
        return About(
            song_id=self.song_id,
            song_name=self.song_name,
            song_type=self.song_type,
            publish_type=self.publish_type,
            share_type=self.share_type,
            score=self.score,
            score_rank=self.score_rank,
            content=self.content,
            cover=self.cover.strip(),
            file_name=self.file_name,
            file_sha=self.sha,
            is_segment=self.is_segment,
            # What some clients leave in them without a segment means nothing.
            segment_start=self.segment_start if self.is_segment else 0,
            segment_end=self.segment_end if self.is_segment else 0,
            sentence_count=self.sentence_count,
            imei=self.imei,
            device_id=device_id,
            callback_url=self.callback_url.strip(),
            city_id=self.city_id,
        )


class LinkFields(Fields):
    """Body of the call by link."""

    file_url: Address = ""
    """Where the file is."""

    def check(self, outbound: Outbound) -> None:
        """Check `file_url` too; raises as `Fields.check`."""
        super().check(outbound)
        if not self.file_url.strip():
            raise BadInput("file_url is missing: the address of the recording.")
        outbound.check(self.file_url.strip())


def _is_web_address(text: str) -> bool:
    """Whether a text is empty or an address that may stand in a page: http(s), with a host, nothing that ends a tag."""
    stripped = text.strip()
    if not stripped:
        return True
    if _NOT_IN_ADDRESSES.search(stripped):
        return False
    try:
        parts = urlsplit(stripped)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.username is None
    except ValueError:
        return False
