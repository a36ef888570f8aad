"""Which addresses may be called."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

import pytest

from openstage.outbound.addresses import Allowed, check_addresses, check_url
from openstage.outbound.connecting import resolve
from openstage.outbound.errors import BadAddress, ForbiddenAddress, OutboundError
from openstage.outbound.networks import IPAddress, refusal

REFUSED = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "10.255.255.255",
    "100.64.0.1",
    "100.100.100.200",
    "100.127.255.255",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.0.1",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.31.196.1",
    "192.52.193.1",
    "192.88.99.1",
    "192.168.0.1",
    "192.168.255.255",
    "192.175.48.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.7",
    "203.0.113.9",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::127.0.0.1",
    "::8.8.8.8",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:8.8.8.8",
    "::ffff:0:127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::8.8.8.8",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:2::1",
    "2001:10::1",
    "2001:20::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::",
    "2620:4f:8000::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fdff:ffff::1",
    "fe80::1",
    "fe80::1%eth0",
    "febf::1",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
    "4000::1",
    "1::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "9.255.255.255",
    "11.0.0.1",
    "100.63.255.255",
    "100.128.0.1",
    "126.255.255.255",
    "128.0.0.1",
    "169.253.255.255",
    "172.15.255.255",
    "172.32.0.1",
    "192.0.1.1",
    "192.167.255.255",
    "192.169.0.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2001:200::1",
    "2001:4860:4860::8888",
    "2003::1",
    "2400:cb00::1",
    "2606:4700:4700::1111",
    "2a00:1450::1",
    "2c0f:fb50::1",
]


def test_the_table_is_long_enough() -> None:
    assert len(REFUSED) >= 60
    assert len(set(REFUSED) & set(PUBLIC)) == 0


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_of_the_public_internet_is_refused_by_number_and_by_name(address: str) -> None:
    parsed = ipaddress.ip_address(address)
    assert refusal(parsed)
    with pytest.raises(OutboundError):
        check_url(f"http://[{address}]/" if ":" in address else f"http://{address}/")
    with pytest.raises(ForbiddenAddress) as raised:
        check_addresses("rebinding.example", [ipaddress.ip_address("1.1.1.1"), parsed], Allowed())
    assert raised.value.message.startswith("rebinding.example may not be called: it doesn't lead to the public")
    assert f"rebinding.example leads to {parsed}" in raised.value.detail


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_may_be_called(address: str) -> None:
    assert refusal(ipaddress.ip_address(address)) == ""
    target = check_url(f"https://[{address}]:8443/a" if ":" in address else f"https://{address}:8443/a")
    assert (target.host, target.port) == (address, 8443)
    check_addresses("public.example", [ipaddress.ip_address(address)], Allowed())


@pytest.mark.parametrize(
    "url",
    [
        "http://2130706433/",  # 127.0.0.1 as one decimal number
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://127.1/",
        "http://127.0.1/",
        "http://127.0.0.0x1/",
        "http://127.0.0.1./",
        "http://127.0.0.1.:80/",
        "http://1.2.3.256/",
        "http://1.2.3.4.5/",
        "http://１２７.０.０.１/",  # full-width digits
        "http://127。0。0。1/",  # ideographic full stops
        "http://①②⑦.0.0.1/",
        "http://[::ffff:7f00:1]/",
        "http://[::1%25lo]/",
        "http://[fe80::1%lo]/",
        "http://[v1.fe80]/",
        "http://[127.0.0.1]/",
        "http://user@1.1.1.1/",
        "http://user:password@1.1.1.1/",
        "http://1.1.1.1@127.0.0.1/",
        "http://127.0.0.1\\@1.1.1.1/",
        "http://1.1.1.1\\@127.0.0.1/",
        "http://1.1.1.1%2f@127.0.0.1/",
        "http://a%00b.example/",
        "http://a b.example/",
        "http://exa\tmple.com/",
        "http://example.com\r\nHost: evil/",
        "http://-a.example/",
        "http://a..example/",
        "http://" + "a" * 64 + ".example/",
        "http://" + "a." * 127 + "example/",
        "http://./",
        "http:///path",
        "http:example.com",
        "//example.com/",
        "example.com/file",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://example.com:70/_",
        "javascript:alert(1)",
        "data:audio/mp3;base64,AAAA",
        "",
        "http://example.com:0/",
        "http://example.com:65536/",
        "http://example.com:-1/",
        "http://example.com:http/",
        "http://example.com:22/",
        "http://example.com:25/",
        "http://example.com:6379/",
        "http://example.com:5432/",
        "http://example.com:6667/",
        "https://example.com/" + "a" * 2048,
    ],
)
def test_what_could_be_read_in_two_ways_or_is_no_web_address_is_refused(url: str) -> None:
    with pytest.raises((BadAddress, ForbiddenAddress)) as raised:
        check_url(url)
    assert raised.value.passing is False
    assert raised.value.message


@pytest.mark.parametrize(
    ("url", "host", "port", "called"),
    [
        ("http://Example.COM./a?b=c#d", "example.com", 80, "http://example.com/a?b=c"),
        ("https://example.com:443", "example.com", 443, "https://example.com"),
        ("https://歌.example/曲.mp3", "xn--flw.example", 443, "https://xn--flw.example/%E6%9B%B2.mp3"),
        (" http://a_b.example:8080/ ", "a_b.example", 8080, "http://a_b.example:8080/"),
        ("http://[2606:4700:4700:0:0:0:0:1111]:8000/", "2606:4700:4700::1111", 8000, None),
    ],
)
def test_an_address_is_called_in_one_form(url: str, host: str, port: int, called: str | None) -> None:
    target = check_url(url)
    assert (target.host, target.port) == (host, port)
    if called:
        assert str(target.url) == called


@pytest.mark.parametrize(
    ("entries", "url"),
    [
        (["127.0.0.1"], "http://127.0.0.1:25/"),
        (["10.0.0.0/8"], "http://10.1.2.3/"),
        (["fd00::/8"], "http://[fd00::1]/"),
        (["[::1]"], "http://[::1]:9/"),
        (["Media.Internal"], "http://media.internal.:11211/"),
        (["*.internal"], "http://a.b.internal:22/"),
    ],
)
def test_an_operator_allows_hosts_addresses_and_networks(entries: Sequence[str], url: str) -> None:
    assert check_url(url, entries)
    with pytest.raises(OutboundError):
        check_url(url)


def test_what_is_allowed_is_no_more_than_was_said() -> None:
    allowed = Allowed(["10.1.0.0/16", "*.internal", "media.example"])
    inner = ipaddress.ip_address("10.2.0.1")
    for host in ("internal", "notinternal", "media.example.org", "x.media.example"):
        with pytest.raises(ForbiddenAddress):
            check_addresses(host, [inner], allowed)
    for host in ("a.internal", "media.example"):
        check_addresses(host, [inner], allowed)
    check_addresses("anything.example", [ipaddress.ip_address("10.1.2.3")], allowed)


def test_an_address_of_this_machine_is_refused_though_it_is_public(monkeypatch: pytest.MonkeyPatch) -> None:
    public = ipaddress.ip_address("1.2.3.4")
    check_addresses("here.example", [public], Allowed())

    class Here(socket.socket):
        def connect(self, address: object) -> None:
            pass

        def getsockname(self) -> tuple[str, int]:
            return (str(public), 40000)

    monkeypatch.setattr("openstage.outbound.networks.socket.socket", Here)
    with pytest.raises(ForbiddenAddress, match="may not be called"):
        check_addresses("here.example", [public], Allowed())


async def test_the_systems_resolver_gives_addresses() -> None:
    found = await asyncio.wait_for(resolve("localhost"), 10)
    assert found
    assert all(isinstance(each, IPAddress) and each.is_loopback for each in found)
