"""Whatever is sent as JSON is either read or refused with a reason; nothing gets past."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstage.dialects.karaoke.bodies import as_struct, parse_object
from openstage.dialects.karaoke.errors import BadInput, BadJson
from openstage.dialects.karaoke.fields import Fields, LinkFields
from openstage.dialects.karaoke.works import AccessRequest
from openstage.errors import DomainError
from openstage.outbound.connecting import Outbound
from openstage.settings import Settings
from tests.dialects.karaoke.conftest import SAMPLE

OUTBOUND = Outbound.of(Settings())
NAMES = st.sampled_from([*SAMPLE, "callback_url", "file_url", "unknown"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)


def read(text: bytes) -> Fields:
    fields = as_struct(parse_object(text, "data"), LinkFields)
    fields.check(OUTBOUND)
    return fields


@given(st.dictionaries(NAMES, VALUES))
def test_fields_of_any_value_are_read_or_refused(fields: dict[str, Any]) -> None:
    try:
        about = read(json.dumps(fields).encode()).about("a device")
    except DomainError:
        return
    for name in ("song_name", "content", "cover", "file_name", "imei"):
        assert isinstance(getattr(about, name), str)
        getattr(about, name).encode()
    assert 0 <= about.score < 2**31


def test_what_is_missing_or_far_too_long_is_named() -> None:
    with pytest.raises(BadInput, match=r"^access is missing\.$"):
        as_struct({}, AccessRequest)
    with pytest.raises(BadJson) as refused:
        parse_object(b'{"score": ' + b"9" * 5000 + b"}", "data")
    assert len(refused.value.message) < 120
    assert "99… is too long" in refused.value.message
    assert parse_object(b'{"file_size": 9223372036854775807}', "data") == {"file_size": 2**63 - 1}


def test_ends_of_a_segment_mean_nothing_without_one() -> None:
    fields = as_struct({"is_segment": False, "segment_start": 5000, "segment_end": 100}, Fields)
    about = fields.about("a device")
    assert (about.segment_start, about.segment_end) == (0, 0)


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(text: bytes) -> None:
    with contextlib.suppress(DomainError):
        read(text)


def test_careless_clients_are_understood() -> None:
    text = b'\xef\xbb\xbf {"score": "12", "file_size": "", "song_id": 42, "is_segment": "true", "segment_end": 3e3,'
    text += b' "content": null, "song_type": " ", "nobody": {"knows": [1]}}'
    with pytest.raises(BadInput, match="song_type"):
        as_struct(parse_object(text, "data"), Fields)
    fields = as_struct(parse_object(text.replace(b'" "', b'""'), "data"), Fields)
    assert (fields.score, fields.file_size, fields.song_id, fields.is_segment) == (12, None, "42", True)
    assert (fields.segment_end, fields.content, fields.song_type) == (3000, "", 0)
    assert as_struct(parse_object(b"  ", "data"), Fields) == Fields()


@pytest.mark.parametrize("text", [b"{" * 60_000, b'{"a":' * 10_000, b'{"a":1,' * 5_000 + b"}", b"[" * 65_000])
def test_what_would_take_long_or_much_is_refused_at_once(text: bytes) -> None:
    with pytest.raises(BadJson):
        parse_object(text, "data")
