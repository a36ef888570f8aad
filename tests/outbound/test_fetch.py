"""Fetching files: from a real server, over redirects, within limits."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpcore
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from openstage.outbound.connecting import Outbound
from openstage.outbound.errors import (
    BadAddress,
    BadAnswer,
    ForbiddenAddress,
    OutboundError,
    TooLarge,
    TooManyRedirects,
    TooSlow,
    Unreachable,
)
from openstage.outbound.fetch import Fetched, Head, fetch
from openstage.outbound.networks import IPAddress
from openstage.outbound.post import post
from openstage.settings import Settings
from tests.support.raw_server import RawRequest, RawServer, reply

SETTINGS = Settings(outbound_allow=["127.0.0.1"])
LOCAL = ipaddress.ip_address("127.0.0.1")
FILE = bytes(range(256)) * 2000


class Sink:
    """Keeps what it is given."""

    def __init__(self) -> None:
        self.received = bytearray()
        self.heads: list[Head] = []

    async def __call__(self, piece: bytes) -> None:
        self.received += piece

    async def head(self, head: Head) -> None:
        self.heads.append(head)


class Names:
    """A name server of which the test says what it answers, each time anew."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[IPAddress]:
        self.asked.append(host)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [ipaddress.ip_address(each) for each in answer]


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(reply(200, FILE, content_type="audio/mpeg"))

    async with RawServer(answer).listening() as listening:
        yield listening


def answering(server: RawServer, answers: dict[str, bytes]) -> None:
    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(answers[server.note(request).path])

    server.answer = answer


async def fetched(url: str, sink: Sink | None = None, **options: Any) -> Fetched:
    options = {"limit_bytes": 10**7, "seconds": 20, "settings": SETTINGS, **options}
    return await fetch(url, sink or Sink(), **options)


# --- files ----------------------------------------------------------------------------------------------------
async def test_a_file_arrives_whole_and_undecoded_with_what_is_known_of_it(server: RawServer) -> None:
    named = reply(
        200, FILE, content_type="audio/mpeg", content_disposition="attachment; filename*=UTF-8''%E6%AD%8C.mp3"
    )
    answering(server, {"/a/b.mp3?x=1": named, "/c%20d.wav": reply(200, b"1")})
    sink = Sink()
    found = await fetched(f"{server.url}/a/b.mp3?x=1", sink, on_head=sink.head)
    assert bytes(sink.received) == FILE
    assert found == Fetched(Head(f"{server.url}/a/b.mp3?x=1", len(FILE), "audio/mpeg", "歌.mp3"), len(FILE))
    assert sink.heads == [found.head]
    assert (await fetched(f"{server.url}/c%20d.wav")).head.file_name == "c d.wav"
    headers = server.requests[0].headers
    assert headers["accept-encoding"] == "identity"
    assert headers["host"] == f"127.0.0.1:{server.port}"
    assert not headers.keys() & {"cookie", "authorization", "referer"}


async def test_redirects_are_followed_and_each_is_checked(server: RawServer) -> None:
    answering(
        server,
        {
            "/start": reply(302, location="/next?a=b"),
            "/next?a=b": reply(307, location=f"http://127.0.0.1:{server.port}/file"),
            "/file": reply(200, b"here"),
            "/inside": reply(302, location="http://[::1]/secret"),
            "/metadata": reply(301, location="//169.254.169.254/latest/meta-data"),
            "/decimal": reply(308, location=f"http://2130706433:{server.port}/file"),
            "/scheme": reply(303, location="file:///etc/passwd"),
            "/credentials": reply(303, location=f"http://a:b@127.0.0.1:{server.port}/file"),
            "/round": reply(302, location="/round"),
            "/nowhere": reply(302),
        },
    )
    sink = Sink()
    assert (await fetched(f"{server.url}/start", sink)).head.url == f"{server.url}/file"
    assert sink.received == b"here"
    for path, error in {
        "inside": ForbiddenAddress,
        "metadata": ForbiddenAddress,
        "decimal": BadAddress,
        "scheme": BadAddress,
        "credentials": BadAddress,
        "round": TooManyRedirects,
        "nowhere": BadAnswer,
    }.items():
        refused = Sink()
        with pytest.raises(error):
            await fetched(f"{server.url}/{path}", refused)
        assert not refused.received
    assert [each.path for each in server.requests].count("/round") == 6
    assert [each.path for each in server.requests].count("/file") == 1


# --- names ----------------------------------------------------------------------------------------------------
async def test_a_name_that_leads_inside_is_refused_before_anything_is_sent(server: RawServer) -> None:
    names = Names(["93.184.215.14", "127.0.0.1"])
    with pytest.raises(ForbiddenAddress):
        await fetched(f"http://evil.example:{server.port}/", outbound=Outbound(resolver=names))
    assert server.peers == []


async def test_a_name_server_that_changes_its_answer_is_asked_once_for_a_connection(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """DNS rebinding: public when it is checked, inside when it is connected to. Here the two are one question."""
    connected: list[str] = []

    async def connect(_: object, host: str, port: int, **__: object) -> httpcore.AsyncNetworkStream:
        connected.append(host)
        raise httpcore.ConnectError("nothing of a test leaves this machine")

    monkeypatch.setattr("httpcore.AnyIOBackend.connect_tcp", connect)
    names = Names(["93.184.215.14"], ["127.0.0.1"])
    outbound = Outbound(resolver=names)
    with pytest.raises(Unreachable):
        await fetched(f"http://rebind.example:{server.port}/", outbound=outbound)
    assert (names.asked, connected) == (["rebind.example"], ["93.184.215.14"])
    # The next connection asks again, and refuses what is answered now.
    with pytest.raises(ForbiddenAddress):
        await fetched(f"http://rebind.example:{server.port}/", outbound=outbound)
    assert connected == ["93.184.215.14"]
    assert server.peers == []


async def test_a_redirect_to_a_name_that_has_turned_inside_is_refused(server: RawServer) -> None:
    allowed = Outbound(["a.example"], resolver=Names(["127.0.0.1"]))
    answering(server, {"/": reply(302, location=f"http://b.example:{server.port}/secret")})
    with pytest.raises(ForbiddenAddress):
        await fetched(f"http://a.example:{server.port}/", outbound=allowed)
    assert [each.path for each in server.requests] == ["/"]


async def test_the_connection_goes_to_another_address_of_the_name_if_one_does_not_answer(server: RawServer) -> None:
    names = Names(["127.0.0.2", "127.0.0.1"])  # nobody listens on the first
    sink = Sink()
    await fetched(f"http://two.example:{server.port}/", sink, outbound=Outbound(["two.example"], resolver=names))
    assert bytes(sink.received) == FILE
    assert names.asked == ["two.example"]


async def test_names_that_nobody_knows_or_that_nobody_answers_for_are_told_apart() -> None:
    async def unknown(host: str) -> Sequence[IPAddress]:
        raise OSError(-2, "Name or service not known")

    async def silent(host: str) -> Sequence[IPAddress]:
        await asyncio.Event().wait()
        raise AssertionError

    async def empty(host: str) -> Sequence[IPAddress]:
        return []

    for resolver, error in ((unknown, Unreachable), (silent, TooSlow), (empty, Unreachable)):
        with pytest.raises(error):
            await fetched("http://a.example/", outbound=Outbound(resolver=resolver), seconds=0.2)


async def test_what_the_environment_says_of_proxies_is_not_believed(
    server: RawServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert (await fetched(f"{server.url}/")).byte_size == len(FILE)


async def test_tls_is_verified_against_the_name_though_the_connection_goes_to_a_number(
    server: RawServer, tmp_path: Path
) -> None:
    serving, trusting = certificates(tmp_path, "right.example")
    async with RawServer(server.answer).listening(serving) as secure:
        outbound = Outbound(["*.example"], resolver=Names(["127.0.0.1"]), tls=trusting)
        right = await fetched(f"https://right.example:{secure.port}/", outbound=outbound)
        assert right.byte_size == len(FILE)
        with pytest.raises(Unreachable, match="certificate"):
            await fetched(f"https://wrong.example:{secure.port}/", outbound=outbound)
        with pytest.raises(Unreachable, match="certificate"):
            await fetched(
                f"https://right.example:{secure.port}/",
                outbound=Outbound(["*.example"], resolver=Names(["127.0.0.1"])),
            )


def certificates(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    serving.load_cert_chain(folder / "certificate", folder / "key")
    return serving, ssl.create_default_context(cafile=str(folder / "certificate"))


# --- limits ---------------------------------------------------------------------------------------------------
async def test_a_file_that_says_it_is_too_large_is_refused_before_its_first_byte(server: RawServer) -> None:
    sink = Sink()
    with pytest.raises(TooLarge):
        await fetched(f"{server.url}/", sink, limit_bytes=len(FILE) - 1, on_head=sink.head)
    assert not sink.received
    assert not sink.heads
    assert (await fetched(f"{server.url}/", limit_bytes=len(FILE))).byte_size == len(FILE)


async def test_a_file_without_end_is_cut_at_the_limit(server: RawServer) -> None:
    async def endless(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + bytes(0x10000) + b"\r\n")
            await writer.drain()

    server.answer = endless
    sink = Sink()
    with pytest.raises(TooLarge):
        await fetched(f"{server.url}/", sink, limit_bytes=300_000)
    assert len(sink.received) <= 300_000


async def test_a_compressed_answer_is_refused_so_that_nothing_grows_uncounted(server: RawServer) -> None:
    answering(server, {"/": reply(200, b"\x1f\x8b", content_encoding="gzip")})
    with pytest.raises(BadAnswer, match="compressed"):
        await fetched(f"{server.url}/")


async def test_silence_and_slowness_have_limits_of_their_own(server: RawServer) -> None:
    async def silent(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345")
        await writer.drain()
        await asyncio.Event().wait()

    async def dripping(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n")
        while True:
            writer.write(b"1")
            await writer.drain()
            await asyncio.sleep(0.02)

    server.answer = silent
    with pytest.raises(TooSlow, match="silent"):
        await fetched(f"{server.url}/", stall_seconds=0.2)
    server.answer = dripping
    with pytest.raises(TooSlow, match="within"):
        await fetched(f"{server.url}/", seconds=0.3)


@pytest.mark.parametrize("status", [204, 206, 304, 400, 404, 500])
async def test_anything_but_the_file_is_a_bad_answer(server: RawServer, status: int) -> None:
    answering(server, {"/": reply(status)})
    with pytest.raises(BadAnswer) as raised:
        await fetched(f"{server.url}/")
    assert raised.value.status == status


async def test_what_the_sink_raises_comes_out_and_nobody_listening_is_unreachable(server: RawServer) -> None:
    class DiskFull(Exception):
        pass

    async def full(_: bytes) -> None:
        raise DiskFull

    with pytest.raises(DiskFull):
        await fetch(f"{server.url}/", full, limit_bytes=10**7, seconds=5, settings=SETTINGS)

    async def own_timeout(_: bytes) -> None:
        raise TimeoutError("the sink's own")

    with pytest.raises(TimeoutError, match="own"):
        await fetch(f"{server.url}/", own_timeout, limit_bytes=10**7, seconds=5, settings=SETTINGS)
    with pytest.raises(Unreachable, match="nobody listens"):
        await fetched("http://127.0.0.1:1/")


# --- broken connections ---------------------------------------------------------------------------------------
def breaking(server: RawServer, *, tag: str = '"1"', ranges: bool = True, changes: bool = False) -> None:
    """Let each connection break after a third of the file."""
    third = len(FILE) // 3

    async def answer(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        server.note(request)
        asked = request.headers.get("range", "")
        first = int(asked.removeprefix("bytes=").removesuffix("-")) if asked and ranges else 0
        now = '"2"' if changes and asked else tag
        rest = FILE[first:]
        status = 206 if asked and ranges and request.headers["if-range"] == now else 200
        fields = {"etag": now} if now else {}
        if status == 206:
            fields["content_range"] = f"bytes {first}-{len(FILE) - 1}/{len(FILE)}"
        whole = reply(status, rest if status == 206 else FILE, **fields)
        head, _, body = whole.partition(b"\r\n\r\n")
        sent = body if len(server.requests) > 3 or (not ranges and asked) else body[:third]
        writer.write(head + b"\r\n\r\n" + sent)

    server.answer = answer


async def test_a_connection_that_breaks_is_taken_up_where_it_broke(server: RawServer) -> None:
    breaking(server)
    sink = Sink()
    assert (await fetched(f"{server.url}/", sink, on_head=sink.head)).byte_size == len(FILE)
    assert bytes(sink.received) == FILE
    assert len(sink.heads) == 1
    asked = [each.headers.get("range") for each in server.requests]
    assert asked[0] is None
    assert asked[1] == f"bytes={len(FILE) // 3}-"
    assert len(asked) == 4 or asked[-1]


async def test_a_server_without_ranges_sends_again_and_the_sink_sees_no_byte_twice(server: RawServer) -> None:
    breaking(server, ranges=False)
    sink = Sink()
    await fetched(f"{server.url}/", sink)
    assert bytes(sink.received) == FILE


async def test_a_file_that_changed_meanwhile_is_not_pieced_together(server: RawServer) -> None:
    breaking(server, changes=True)
    with pytest.raises(BadAnswer, match="changed"):
        await fetched(f"{server.url}/")


async def test_a_file_that_cannot_be_told_apart_is_not_taken_up(server: RawServer) -> None:
    breaking(server, tag="")
    with pytest.raises(Unreachable):
        await fetched(f"{server.url}/")
    assert len(server.requests) == 1


# --- messages -------------------------------------------------------------------------------------------------
async def posted(url: str, **options: Any) -> Any:
    options = {"seconds": 10.0, "settings": SETTINGS, **options}
    return await post(url, b'{"a":1}', {"content-type": "application/json", "x-a": "b"}, **options)


async def test_a_message_arrives_and_the_beginning_of_the_answer_is_told(server: RawServer) -> None:
    answering(
        server,
        {
            "/ok": reply(202, "ja\x00\n 好\x1b[31m".encode() + bytes(10_000)),
            "/moved": reply(302, location="/ok"),
            "/later": reply(503, retry_after="120"),
            "/date": reply(429, retry_after="Fri, 31 Dec 1999 23:59:59 GMT"),
            "/odd": reply(429, retry_after="soon"),
        },
    )
    ok = await posted(f"{server.url}/ok")
    assert (ok.status, ok.retry_after) == (202, None)
    assert ok.excerpt == "ja 好 [31m"
    assert server.requests[0].body == b'{"a":1}'
    assert server.requests[0].headers["x-a"] == "b"
    assert (await posted(f"{server.url}/moved")).status == 302
    assert len(server.requests) == 2
    assert [(await posted(f"{server.url}/{path}")).retry_after for path in ("later", "date", "odd")] == [120, 0, None]


async def test_a_status_counts_though_the_answer_behind_it_is_endless_or_cut(server: RawServer) -> None:
    async def endless(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            writer.write(b"x" * 65536)
            await writer.drain()

    async def cut(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf")

    server.answer = endless
    answer = await posted(f"{server.url}/")
    assert (answer.status, len(answer.excerpt)) == (200, 2048)
    server.answer = cut
    answer = await posted(f"{server.url}/")
    assert (answer.status, answer.excerpt) == (200, "half")


async def test_a_message_to_the_wrong_place_or_to_silence_is_an_error(server: RawServer) -> None:
    async def silent(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        await asyncio.Event().wait()

    async def closing(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200")

    async def babbling(request: RawRequest, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"a" * 65536)
                await writer.drain()

    with pytest.raises(ForbiddenAddress):
        await posted("http://10.0.0.1/")
    for answer, error in ((silent, TooSlow), (closing, Unreachable), (babbling, OutboundError)):
        server.answer = answer
        with pytest.raises(error):
            await posted(f"{server.url}/", seconds=0.3)
