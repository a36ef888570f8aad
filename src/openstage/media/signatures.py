"""Telling by a file's first bytes that it is no medium, so that the reason can be one a person understands."""

HEAD = 8192  # bytes to look at

# What a file begins with -> what it is. A file of these kinds is never handed to a demuxer.
BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"PK\x03\x04", "an archive (ZIP)"),
    (b"PK\x05\x06", "an archive (ZIP)"),
    (b"Rar!\x1a\x07", "an archive (RAR)"),
    (b"7z\xbc\xaf\x27\x1c", "an archive (7z)"),
    (b"\x1f\x8b", "an archive (gzip)"),
    (b"BZh", "an archive (bzip2)"),
    (b"\xfd7zXZ\x00", "an archive (xz)"),
    (b"\x28\xb5\x2f\xfd", "an archive (zstd)"),
    (b"%PDF-", "a PDF document"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"{\\rtf", "a text document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"SQLite format 3\x00", "a database"),
    (b"\xff\xd8\xff", "a picture (JPEG)"),
    (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    (b"GIF87a", "a picture (GIF)"),
    (b"GIF89a", "a picture (GIF)"),
    (b"II*\x00", "a picture (TIFF)"),
    (b"MM\x00*", "a picture (TIFF)"),
    (b"8BPS", "a picture (Photoshop)"),
)
PICTURE_BRANDS = {b"heic", b"heix", b"mif1", b"avif"}  # of ISO base media files
# Texts by which other files or hosts would be opened.
PLAYLISTS = (
    *("#extm3u", "ffconcat version", "[playlist]", "<smil", "<mpd", "<asx", "<smoothstreamingmedia", "[reference]"),
)
LINES = ("file ", "v=0", "rtsp://", "http://", "https://")


def not_a_medium(head: bytes) -> str | None:
    """What the file is if it is no medium, as a sentence; None if it may be one.

    Args:
        head: the first `HEAD` bytes, or the whole of a shorter file.

    """
    if not head:
        return "The file is empty."
    if not any(head):
        return "The file holds nothing but zeros: its content got lost before it was uploaded."
    kind = next((kind for beginning, kind in BEGINNINGS if head.startswith(beginning)), None)
    if head[257:262] == b"ustar":
        kind = "an archive (tar)"
    if head[4:8] == b"ftyp" and head[8:12] in PICTURE_BRANDS:
        kind = "a picture (HEIF)"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        kind = "a picture (WebP)"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        kind = "a picture (BMP)"
    kind = kind or text_kind(head)
    return f"This is {kind}, not a video or sound file." if kind else None


def text_kind(head: bytes) -> str | None:
    """`a playlist …` or `a text file` if the bytes are readable text, else None."""
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        text = head[: len(head) & ~1].decode("utf-16", "replace")
        if any(character < " " and character not in "\t\r\n\f" for character in text) or "\ufffd" in text:
            return None  # the same two bytes begin an MPEG sound frame
    else:
        try:
            text = head[:-3].decode("utf-8") if len(head) == HEAD else head.decode("utf-8")
        except UnicodeDecodeError as error:
            if error.end < len(head) - 3:
                return None
            text = head[: error.start].decode("utf-8")
        if any(character < " " and character not in "\t\r\n\f\x1b" for character in text):
            return None
    begins = text.lstrip("\ufeff \t\r\n").lower()
    if begins.startswith(LINES) or any(sign in begins[:1024] for sign in PLAYLISTS):
        return "a playlist that points to other files"
    return "a text file"
