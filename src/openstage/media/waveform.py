"""The waveform of a sound: smallest and largest sample of each stretch, as JSON and as a picture.

The JSON is the data format of BBC's audiowaveform, version 2 (`doc/DataFormat.md` of that project), which peaks.js,
wavesurfer.js and waveform-data.js read: one channel (the mean of all), 8 bits. Values are made as audiowaveform makes
them: the extremes of 16-bit samples, divided by 256 towards zero.

ffmpeg finds the extremes while it decodes: Python never sees a sample, and memory stays small for sound of any length.
"""

import struct
import zlib
from array import array
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

MOST_POINTS = 20_000  # pairs: some 150 kB of JSON
FINEST = 256  # samples per pixel
FULL_SCALE = 32768
PICTURE = (1800, 280)  # pixels
COLOUR = (0x3B, 0x82, 0xF6)  # can be seen on light and on dark ground
SOFTEST = 0.1  # of full scale: what is softer isn't drawn higher than this would be
MARKS = ("lavfi.astats.Overall.Min_level=", "lavfi.astats.Overall.Max_level=")


@dataclass(frozen=True, slots=True)
class Waveform:
    """Extremes of a sound.

    Attributes:
        sample_rate: hertz; `samples_per_pixel` counts these.
        samples_per_pixel: samples that each pair stands for; the last pair may stand for fewer.
        lows: smallest 16-bit sample of each stretch.
        highs: largest one; as many.

    """

    sample_rate: int
    samples_per_pixel: int
    lows: "array[int]"
    highs: "array[int]"

    def __len__(self) -> int:
        """Number of pairs."""
        return len(self.lows)

    @property
    def peak(self) -> int:
        """The largest distance from zero, 0 … 32768."""
        return max(-min(self.lows, default=0), max(self.highs, default=0), 0)

    def halved(self) -> "Waveform":
        """The same at half the resolution."""
        lows = array("h", (min(self.lows[at : at + 2]) for at in range(0, len(self), 2)))
        highs = array("h", (max(self.highs[at : at + 2]) for at in range(0, len(self), 2)))
        return Waveform(self.sample_rate, self.samples_per_pixel * 2, lows, highs)

    def columns(self, width: int) -> list[tuple[int, int]]:
        """Extremes of `width` stretches of equal length that together are the whole; none of an empty waveform."""
        count = len(self)
        edges = [(count * at // width, -(-count * (at + 1) // width)) for at in range(width if count else 0)]
        return [(min(self.lows[first:behind]), max(self.highs[first:behind])) for first, behind in edges]

    def to_json(self, bits: int = 8) -> bytes:
        """The document in audiowaveform's format, with values of 8 or 16 bits."""
        unit = 256 if bits == 8 else 1
        data = ",".join(
            str(int(value / unit)) for value in chain.from_iterable(zip(self.lows, self.highs, strict=True))
        )
        return (
            f'{{"version":2,"channels":1,"sample_rate":{self.sample_rate},'
            f'"samples_per_pixel":{self.samples_per_pixel},"bits":{bits},"length":{len(self)},"data":[{data}]}}\n'
        ).encode()


def waveform_scale(seconds: float, sample_rate: int) -> int:
    """Samples per pixel for a sound: a power of two that gives at most `MOST_POINTS` pairs, 256 or more."""
    scale = FINEST
    while seconds * sample_rate / scale > MOST_POINTS:
        scale *= 2
    return scale


def waveform_filters(channels: int, samples_per_pixel: int, path: str) -> list[str]:
    """Filters that write the extremes of sound of one or two channels to a file, for `read_waveform`."""
    mix = ["pan=mono|c0=0.5*c0+0.5*c1"] if channels > 1 else []
    extremes = "astats=metadata=1:reset=1:measure_perchannel=none:measure_overall=Min_level+Max_level"
    return [
        *(*mix, "aformat=sample_fmts=s16", f"asetnsamples=n={samples_per_pixel}:p=0"),
        *(extremes, f"ametadata=mode=print:file={path}"),
    ]


def read_waveform(path: Path, sample_rate: int, samples_per_pixel: int) -> Waveform:
    """Read what `waveform_filters` wrote; halved until it has at most `MOST_POINTS` pairs."""
    lows, highs = array("h"), array("h")
    with path.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if line.startswith(MARKS[0]):
                lows.append(_sample(line.removeprefix(MARKS[0])))
            elif line.startswith(MARKS[1]):
                highs.append(_sample(line.removeprefix(MARKS[1])))
    count = min(len(lows), len(highs))
    waveform = Waveform(sample_rate, samples_per_pixel, lows[:count], highs[:count])
    while len(waveform) > MOST_POINTS:
        waveform = waveform.halved()
    return waveform


def _sample(text: str) -> int:
    """A 16-bit sample, whatever the text says."""
    try:
        return max(-FULL_SCALE, min(FULL_SCALE - 1, round(float(text))))
    except (ValueError, OverflowError):
        return 0


def draw(waveform: Waveform, size: tuple[int, int], *, ground: int = 0, paint: int = 1) -> bytes:
    """Draw a waveform around the middle line, one byte per pixel, in rows from above.

    The height is scaled so that the loudest place fills the picture, but sound softer than a tenth of full scale isn't
    drawn larger than life by more than that. Silence is a line.

    Args:
        waveform: what is drawn.
        size: width and height in pixels.
        ground: value of the bytes that show nothing.
        paint: value of those that show the sound.

    """
    width, height = size
    middle = height / 2
    largest = max(waveform.peak, SOFTEST * FULL_SCALE)
    nothing, something = bytes([ground]), bytes([paint])
    columns = []
    for low, high in waveform.columns(width) or [(0, 0)] * width:
        top = min(int(middle - high / largest * middle), (height - 1) // 2)
        bottom = max(-int(-(middle - low / largest * middle)), height // 2 + 1)
        columns.append(nothing * top + something * (bottom - top) + nothing * (height - bottom))
    return b"".join(bytes(row) for row in zip(*columns, strict=True))


def to_png(waveform: Waveform, size: tuple[int, int] = PICTURE, colour: tuple[int, int, int] = COLOUR) -> bytes:
    """A picture of the waveform in one colour on a transparent ground (PNG, ISO/IEC 15948: two palette entries)."""
    width, height = size
    pixels = draw(waveform, size)
    rows = b"".join(b"\0" + pixels[at : at + width] for at in range(0, len(pixels), width))  # filter type 0: none
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", bytes([0, 0, 0, *colour])),
        (b"tRNS", b"\0\xff"),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(_png_chunk(name, body) for name, body in chunks)


def _png_chunk(name: bytes, body: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
