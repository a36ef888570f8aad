"""What can go wrong with media. The messages are read by the person whose work it is."""

from openstage.errors import DomainError, Unavailable


class Unplayable(DomainError):
    """The file is the problem: it is no medium, is damaged, asks for too much or crashes a decoder. Final."""

    code = "media.unplayable"


class TookTooLong(DomainError):
    """A media tool reached its time limit and was ended."""

    code = "media.took_too_long"


class ScratchFull(Unavailable):
    """There is no room on the disk for what a media tool writes; try again when there is."""

    code = "media.scratch_full"


class ToolKilled(Unavailable):
    """Somebody else ended a media tool, most likely the kernel for lack of memory; try again."""

    code = "media.tool_killed"


class ToolMissing(Unavailable):
    """ffmpeg, one of its encoders or the sandbox can't be used on this machine; the operator must mend it."""

    code = "media.tool_missing"


class EncoderLost(DomainError):
    """The hardware encoder failed in the middle of a work; everything is to be made anew in software."""

    code = "media.encoder_lost"


class ChunksDontJoin(DomainError):
    """Chunks of one plan don't fit together; making them anew mends it."""

    code = "media.chunks_dont_join"
