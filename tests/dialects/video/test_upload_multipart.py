"""Multipart bodies, cut into chunks and broken at every byte."""

import hashlib
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.dialects.multipart import MultipartBroken, MultipartScanner, PartBegin, PartEnd, declared_boundary
from tests.dialects.video.conftest import UploadServer
from tests.uploads.wire import multipart

PIECE = b"\r\n--almost\r\n\n--\r\r\n-\x00\xff"
SIZE = len(PIECE)

Part = tuple[str, bool, bytes]


def scan(body: bytes, cuts: Sequence[int] = (), boundary: bytes | None = None, *, expect: int = 0) -> list[Part]:
    """Parts of a body that arrives in chunks cut at these positions."""
    scanner = MultipartScanner(boundary)
    parts: list[Part] = []
    name, is_file, content = "", False, b""
    for start, end in zip([0, *cuts], [*cuts, len(body)], strict=True):
        for event in scanner.feed(body[start:end]):
            if isinstance(event, PartBegin):
                name, is_file, content = event.name, event.is_file, b""
                scanner.expect(expect if is_file else 0)
            elif isinstance(event, PartEnd):
                parts.append((name, is_file, content))
            else:
                content += event
    scanner.close()
    return parts


EXPECTED: list[Part] = [("file_id", False, b"abc"), ("file", True, PIECE), ("role", False, b"")]
PARTS = (("file_id", "abc"), ("file", PIECE), ("role", ""))
WITHOUT_RETURNS = (("file_id", "abc"), ("file", PIECE.replace(b"\r", b"")), ("role", ""))
BODIES = {
    "usual": multipart(*PARTS),
    "no last line end": multipart(*PARTS, closing=b"--"),
    "line feeds": multipart(*WITHOUT_RETURNS, line=b"\n", closing=b"--\n"),
    "an odd boundary": multipart(*PARTS, boundary="=a; b=c"),
    "lower case": multipart(*PARTS, header="content-disposition"),
    "blanks after the delimiters": multipart(*PARTS).replace(b"Part_7\r", b"Part_7  \r"),
    "an epilogue": multipart(*PARTS) + b"--more\r\n\r\n--",
    "line ends before": b"\r\n\r\n" + multipart(*PARTS),
}


def expected(kind: str) -> list[Part]:
    return [(n, f, c.replace(b"\r", b"")) for n, f, c in EXPECTED] if kind == "line feeds" else EXPECTED


@pytest.mark.parametrize("kind", BODIES)
def test_parts_are_the_same_however_the_body_is_cut(kind: str) -> None:
    body, parts = BODIES[kind], expected(kind)
    assert scan(body) == parts
    for cut in range(len(body)):
        assert scan(body, [cut]) == parts, cut
    assert scan(body, range(1, len(body))) == parts
    length = len(parts[1][2])
    for expect in range(length + 1):
        assert scan(body, [len(body) // 2], expect=expect) == parts


@given(st.data())
def test_parts_are_the_same_in_any_chunks(data: st.DataObject) -> None:
    body = BODIES[data.draw(st.sampled_from(["usual", "an odd boundary"]))]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(body)))))
    assert scan(body, cuts) == EXPECTED


def test_a_declared_boundary_is_needed_only_after_a_preamble() -> None:
    body = b"This is a preamble.\r\n--not this\r\n" + BODIES["usual"]
    assert scan(body, [5], b"----=_Part_7") == EXPECTED
    with pytest.raises(MultipartBroken):
        scan(body)


@pytest.mark.parametrize(
    ("content_type", "boundary"),
    [
        ("multipart/form-data; boundary=----=_Part_7", b"----=_Part_7"),
        ('multipart/form-data;Boundary="a=b;c"', b"a=b;c"),
        ("multipart/form-data; charset=utf-8; boundary = x ; a=b", b"x"),
        ("multipart/form-data", None),
        ("multipart/form-data; boundary=", None),
        ("", None),
    ],
)
def test_boundaries_as_declared(content_type: str, boundary: bytes | None) -> None:
    assert declared_boundary(content_type) == boundary


@pytest.mark.parametrize(
    ("disposition", "name", "is_file"),
    [
        (b'Content-Disposition: form-data; name="file"; filename="a.mp4"', "file", True),
        (b"content-disposition:form-data;name=file;filename=a", "file", True),
        (b'Content-Disposition: form-data; filename="name=x"; name="up\\"load"', 'up"load', True),
        (b"Content-Disposition: form-data; filename*=UTF-8''a; name=\"a\"", "a", True),
        ('Content-Disposition: form-data; name="假期"'.encode(), "假期", False),
        (b"Content-Disposition: attachment", "", False),
        (b"X-Other: 1\r\nContent-Disposition: form-data; name=a", "a", False),
        (b"nonsense", "", False),
    ],
)
def test_names_of_parts(disposition: bytes, name: str, is_file: bool) -> None:
    body = b"--b\r\n" + disposition + b"\r\n\r\nc\r\n--b--"
    assert scan(body) == [(name, is_file, b"c")]


@pytest.mark.parametrize(
    "body",
    [
        b"--b\r\n" + b"X: " + b"y" * 20000 + b"\r\n\r\n",
        b"--b\r\n" + b"X: y\r\n" * 20000,
        b"--" + b"b" * 300 + b"\r\n\r\n",
        b"-" * 20000,
        b"--\r\n\r\n",
        b"no boundary",
    ],
)
def test_what_never_becomes_multipart_is_refused_early(body: bytes) -> None:
    with pytest.raises(MultipartBroken):
        scan(body, range(100, len(body), 100))


async def test_a_body_that_ends_anywhere_before_its_end_is_never_taken_for_whole(server: UploadServer) -> None:
    file_id = await server.open(SIZE)
    headers = [("file_id", file_id), ("Content-Type", "multipart/form-data")]
    whole = multipart(("range", f"0-{SIZE - 1}"), ("file", PIECE), closing=b"--")
    for end in range(len(whole)):
        answer = await server.call("POST", "/upload", headers, whole[:end])
        assert (answer.status, answer.code) == (200, "A00010"), (end, answer.json)
    assert await server.received(file_id) == []
    assert (await server.call("POST", "/upload", headers, whole)).code == "A00000"
    assert server.content(file_id) == PIECE


@pytest.mark.parametrize("broken", ["removed", "doubled", "replaced"])
async def test_framing_broken_at_any_byte_never_gives_other_content(server: UploadServer, broken: str) -> None:
    whole = multipart(("range", f"0-{SIZE - 1}"), ("file", PIECE))
    content = whole.index(PIECE)
    file_id = await server.open(SIZE)
    for at in (*range(content), *range(content + SIZE, len(whole))):
        middle = {"removed": b"", "doubled": whole[at : at + 1] * 2, "replaced": b"#"}[broken]
        body = whole[:at] + middle + whole[at + 1 :]
        answer = await server.call(
            "POST", "/upload", [("file_id", file_id), ("Content-Type", "multipart/form-data")], body
        )
        assert answer.code in {"A00000", "A00010", "A00005"}, (at, answer.json)
        if answer.code == "A00000":
            # Shorter if the digits of `range` changed; but never anything that wasn't sent as content.
            accepted = PIECE[: answer.json["file_range_accepted"]]
            assert answer.json["range_md5"] == hashlib.md5(accepted).hexdigest(), at
    assert server.content(file_id) == PIECE
