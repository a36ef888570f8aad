"""Reading back the few facts about an MP3 file that our encoder made (ISO/IEC 11172-3; Xing and LAME tags)."""

import struct
from dataclasses import dataclass
from pathlib import Path

from openstage.media.errors import Unplayable
from openstage.media.models import Rendition

CODEC = "mp4a.40.34"  # RFC 6381, 3.3: audio object type 34 of ISO/IEC 14496-3 is layer 3
SAMPLE_RATES = (44100, 48000, 32000)  # of MPEG-1, by index
FRAME = 1152  # samples
HEADER = 4096  # bytes that hold the tags in front and the first frame
MONO = 3  # channel mode


@dataclass(frozen=True, slots=True)
class Mp3Facts:
    """An MP3 file's sample rate in hertz, its channels, and how many samples a gapless player plays."""

    sample_rate: int
    channels: int
    samples: int


def read_mp3(path: Path) -> Mp3Facts:
    """The facts that the first frame tells: it holds no sound but the number of frames, and the encoder's run-in.

    Raises:
        Unplayable: the file isn't what it should be: the encoder was led astray.

    """
    try:
        with path.open("rb") as file:
            head = file.read(10)
            if head[:3] == b"ID3":  # its size has seven bits a byte
                file.seek(
                    10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
                )
            else:
                file.seek(0)
            return _first_frame(file.read(HEADER))
    except (OSError, struct.error, LookupError, ValueError) as error:
        raise Unplayable("Converting the file gave something that can't be played.") from error


def _first_frame(frame: bytes) -> Mp3Facts:
    """The facts in a frame with a Xing tag (called Info where the bit rate is constant) and LAME's extension of it."""
    (header,) = struct.unpack_from(">I", frame)
    if header >> 17 != 0b111_1111_1111_11_01:  # sync word, MPEG-1, layer 3
        raise ValueError("no frame of MPEG-1 layer 3")
    channels = 1 if header >> 6 & 3 == MONO else 2
    tag = 4 + (17 if channels == 1 else 32)
    name, flags, frames = struct.unpack_from(">4sII", frame, tag)
    if name not in {b"Xing", b"Info"} or not flags & 1:
        raise ValueError("no number of frames")
    lame = tag + 8 + sum(size for bit, size in ((1, 4), (2, 4), (4, 100), (8, 4)) if flags & bit)
    gaps = int.from_bytes(frame[lame + 21 : lame + 24], "big")
    samples = frames * FRAME - (gaps >> 12) - (gaps & 0xFFF)
    return Mp3Facts(SAMPLE_RATES[header >> 10 & 3], channels, max(0, samples))


def describe_mp3(path: Path, quality: str) -> Rendition:
    """Describe an MP3 file by its tags.

    Raises:
        Unplayable: there is no such file, or it isn't one.

    """
    if not path.exists():
        raise Unplayable("The file can't be decoded: nothing comes out of it.")
    facts = read_mp3(path)
    seconds = facts.samples / facts.sample_rate
    size = path.stat().st_size
    average = round(size * 8 / max(seconds, 0.001))
    return Rendition(
        kind="mp3",
        quality=quality,
        path=str(path),
        codecs=CODEC,
        bandwidth=average,
        average_bandwidth=average,
        duration_ms=round(seconds * 1000),
        byte_size=size,
    )
