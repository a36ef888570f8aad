"""Parameters come from anywhere, and garbage never raises."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.types import Message

from openstage.dialects.video import parameters as parameters_module
from openstage.dialects.video.errors import BadInput
from openstage.dialects.video.parameters import LONGEST_BODY, MOST_FIELDS, Parameters, read_parameters
from tests.uploads.wire import multipart


def request(
    headers: list[tuple[bytes, bytes]] | None = None, query: bytes = b"", body: bytes = b"", chunk: int = 7
) -> Request:
    """A request as granian gives it, its body in small chunks."""
    chunks = [body[at : at + chunk] for at in range(0, len(body), chunk)]

    async def receive() -> Message:
        data = chunks.pop(0) if chunks else b""
        return {"type": "http.request", "body": data, "more_body": bool(chunks)}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": headers or [], "query_string": query}
    return Request(scope, receive)


FORM = (b"content-type", b"application/x-www-form-urlencoded")


@pytest.mark.parametrize(
    "placed",
    [
        request([(b"file_id", b"abc")]),
        request([(b"File_ID", b" abc ")]),
        request(query=b"file_id=abc"),
        request(query=b"x&=&file_id=&file_id=%61b%63&file_id=no"),
        request([FORM], body=b"file_id=abc&status=2"),
        request(body=b"file_id=abc"),
        request([(b"content-type", b"text/plain")], body=b"file_id=abc\r\n"),
        request(
            [(b"content-type", b'multipart/form-data; boundary="----=_Part_7"')], body=multipart(("file_id", "abc"))
        ),
        request([(b"content-type", b"multipart/form-data")], body=multipart(("file_id", "abc"))),
        request(body=multipart(("file_id", "abc"))),
        request([FORM], body=multipart(("file_id", "abc"), header="content-disposition", closing=b"--")),
        request(body=b"\r\n" + multipart(("file_id", "abc"), line=b"\n")),
    ],
)
async def test_a_parameter_is_found_wherever_it_is(placed: Request) -> None:
    assert (await read_parameters(placed)).text("file_id") == "abc"


async def test_headers_come_before_the_query_and_the_query_before_the_form() -> None:
    everywhere = request([(b"a", b"header"), (b"b", b"")], b"a=query&b=query&c=", b"a=form&b=form&c=form&d=form")
    parameters = await read_parameters(everywhere)
    assert [parameters.text(name) for name in "abcde"] == ["header", "query", "form", "form", ""]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        (b"%E5%81%87%E6%9C%9F+1", "假期 1"),
        ("假期%201".encode(), "假期 1"),
        (b"{a}|^b", "{a}|^b"),
        (b"100%", "100%"),
        (b"%zz%4", "%zz%4"),
        (b"\xff%fe", "\ufffd\ufffd"),
        (b"a%00b", "a\ufffdb"),
        (b"a=b=c", "a=b=c"),
    ],
)
async def test_query_values_may_be_encoded_or_not(query: bytes, text: str) -> None:
    assert (await read_parameters(request(query=b"name=" + query))).text("name") == text


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", 5),
        (" 5 ", 5),
        ("-5", -5),
        ("+5", 5),
        ("007", 7),
        ("", None),
        ("9" * 19, None),
        (str(2**63 - 1), 2**63 - 1),
    ],
)
def test_numbers(text: str, number: int | None) -> None:
    assert Parameters(query=[("n", text)]).integer("n") == number


@pytest.mark.parametrize("text", ["1.5", "1e3", "0x10", "1_000", "٣", "5 5", "abc", "9" * 19, "9" * 400])
def test_what_is_no_number_is_missing_or_refused(text: str) -> None:
    parameters = Parameters(query=[("n", text)])
    assert parameters.integer("n", 7) == 7
    with pytest.raises(BadInput):
        parameters.exact_integer("n")


def test_a_required_parameter_must_not_be_empty() -> None:
    with pytest.raises(BadInput, match="n is missing"):
        Parameters(query=[("n", "  ")]).required("n")


async def test_a_body_of_parameters_has_its_limit() -> None:
    with pytest.raises(BadInput):
        await read_parameters(request(body=b"x" * (LONGEST_BODY + 1), chunk=65536))


@pytest.mark.parametrize("content_type", [b"application/x-www-form-urlencoded", b"multipart/form-data"])
async def test_a_body_of_very_many_fields_is_refused_before_it_holds_up_others(content_type: bytes) -> None:
    field = b"\r\n\r\n--a\r\n" if content_type.startswith(b"multipart") else b"a&"
    body = b"--a" * content_type.startswith(b"multipart") + field * (LONGEST_BODY // len(field) - 1)
    with pytest.raises(BadInput, match=f"More than {MOST_FIELDS} parameters"):
        await read_parameters(request([(b"content-type", content_type)], body=body, chunk=65536))


async def test_a_query_of_very_many_fields_is_refused() -> None:
    await read_parameters(request(query=b"&".join([b"a=1"] * MOST_FIELDS)))
    with pytest.raises(BadInput, match=f"More than {MOST_FIELDS} parameters"):
        await read_parameters(request(query=b"&".join([b"a=1"] * (MOST_FIELDS + 1))))


async def test_a_body_that_never_arrives_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameters_module, "BODY_SECONDS", 0.01)

    async def silence() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    waiting = Request(request([(b"content-length", b"10")]).scope, silence)
    with pytest.raises(BadInput, match="took longer"):
        await read_parameters(waiting)


@given(
    headers=st.lists(st.tuples(st.binary(min_size=1), st.binary())),
    content_type=st.sampled_from([b"", b"multipart/form-data", b"multipart/form-data; boundary=", b"text/x", FORM[1]]),
    query=st.binary(),
    body=st.binary() | st.binary().map(lambda data: b"--b\r\n" + data),
)
async def test_garbage_never_raises(
    headers: list[tuple[bytes, bytes]], content_type: bytes, query: bytes, body: bytes
) -> None:
    parameters = await read_parameters(request([*headers, (b"content-type", content_type)], query, body))
    assert parameters.text("file_id") is not None
    assert parameters.integer("file_size", 0) is not None


@given(body=st.data())
async def test_a_form_cut_off_anywhere_gives_what_came_before(body: st.DataObject) -> None:
    whole = multipart(("a", "1"), ("b", "22"), ("c", "333"))
    cut = body.draw(st.integers(0, len(whole)))
    parameters = await read_parameters(request(body=whole[:cut]))
    assert parameters.text("a") in {"", "1"}
    assert parameters.text("c") == ("333" if cut >= len(whole) - 2 else "")
