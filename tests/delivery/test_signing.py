"""No token passes but the very one that was made, for what it was made for, until it expires."""

import string

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from openstage.delivery.errors import AddressAltered, AddressExpired
from openstage.delivery.signing import AddressSigner, Kind
from openstage.identity.keys import Keys
from openstage.settings import Settings
from openstage.works.visibility import EVERYBODY, OWNER, REVIEWERS, Audience

NOW = 1_800_000_000
SLUG = "abcdefgh12345678"
KEYS = Keys(b"k" * 32)
TEXT = string.ascii_letters + string.digits + "._-~+/= \n\x00é"


def signer(now: float = NOW, keys: Keys = KEYS) -> AddressSigner:
    return AddressSigner(keys, Settings(address_lifetime=900), clock=lambda: now)


def test_a_token_is_taken_for_what_it_names_until_it_expires() -> None:
    token = signer().address(SLUG, "1.mp4")
    grant = signer().verify(token, SLUG, "1.mp4")
    assert grant.kind is Kind.ADDRESS
    assert grant.expires == NOW + 900
    assert signer(NOW + 899.9).verify(token, SLUG, "1.mp4") == grant
    with pytest.raises(AddressExpired, match="fresh one"):
        signer(NOW + 900).verify(token, SLUG, "1.mp4")


def test_each_address_has_a_nonce_of_its_own() -> None:
    made = {signer().verify(signer().address(SLUG, "1.mp4"), SLUG, "1.mp4").nonce for _ in range(100)}
    assert len(made) == 100


def test_tokens_of_segments_are_shared_within_the_hour_and_live_long_enough() -> None:
    tokens = {signer(NOW + each).segments(SLUG, 6 * 3600 + 20) for each in range(0, 7200, 60)}
    assert len(tokens) in {2, 3}
    grant = signer().verify(signer().segments(SLUG, 6 * 3600), SLUG, "hls/2-00000000/00001.m4s")
    assert grant.kind is Kind.SEGMENT
    assert 6 * 3600 <= grant.expires - NOW < 7 * 3600


@settings(deadline=None)  # how long it takes hangs on what else the machine does
@given(st.data())
def test_every_altered_character_is_refused(data: st.DataObject) -> None:
    make = data.draw(st.sampled_from(["address", "segments", "review"]))
    made = {
        "address": lambda: signer().address(SLUG, "1.mp4"),
        "segments": lambda: signer().segments(SLUG, 60),
        "review": lambda: signer().review(SLUG, 60),
    }[make]()
    at = data.draw(st.integers(0, len(made)))
    change = data.draw(st.sampled_from(["replace", "insert", "cut"]))
    other = data.draw(st.text(TEXT, min_size=1, max_size=3))
    altered = {
        "replace": made[:at] + other[:1] + made[at + 1 :],
        "insert": made[:at] + other + made[at:],
        "cut": made[:at],
    }[change]
    assume(altered != made)
    with pytest.raises(AddressAltered):
        signer().verify(altered, SLUG, "1.mp4")
    with pytest.raises(AddressAltered):
        # An altered token that has expired as well is still an altered one: nothing is told of it.
        signer(NOW + 10**9).verify(altered, SLUG, "1.mp4")


@settings(deadline=None)
@given(st.text(st.characters(), max_size=100), st.text(max_size=30), st.text(max_size=30))
def test_what_was_never_a_token_is_refused(token: str, slug: str, resource: str) -> None:
    with pytest.raises(AddressAltered):
        signer().verify(token, slug, resource)


@settings(deadline=None)
@given(st.text(max_size=20), st.text(max_size=20))
def test_a_token_of_one_thing_opens_no_other(slug: str, resource: str) -> None:
    assume((slug, resource) != (SLUG, "1.mp4"))
    with pytest.raises(AddressAltered):
        signer().verify(signer().address(SLUG, "1.mp4"), slug, resource)
    if slug != SLUG:
        for token in (signer().segments(SLUG, 60), signer().review(SLUG, 60)):
            with pytest.raises(AddressAltered):
                signer().verify(token, slug, resource)


def test_the_kind_of_a_token_can_not_be_changed() -> None:
    token = signer().segments(SLUG, 60)
    for kind in "ar":
        with pytest.raises(AddressAltered):
            signer().verify(kind + token[1:], SLUG, "")


@pytest.mark.parametrize("audience", [OWNER, Audience(account_id=1), Audience(account_id=2**62), EVERYBODY])
def test_a_token_says_for_whom_it_was_made_and_can_not_be_made_to_say_another(audience: Audience) -> None:
    tokens = [signer().address(SLUG, "1.mp4", audience), signer().segments(SLUG, 60, audience)]
    for token in tokens:
        assert signer().verify(token, SLUG, "1.mp4").audience == audience
        stamp, nonce, signature = token.split(".")
        for mark in ("", "~o", "~p1", "~p2", "~p", "~o~o", "~pzzzzzzzzzzzzzz"):
            other = ".".join((stamp, nonce.partition("~")[0] + mark, signature))
            if other != token:
                with pytest.raises(AddressAltered):
                    signer().verify(other, SLUG, "1.mp4")
    assert signer().verify(signer().review(SLUG, 60), SLUG, "1.mp4").audience == REVIEWERS


def test_another_installation_signs_otherwise() -> None:
    token = signer(keys=Keys(b"x" * 32)).address(SLUG, "1.mp4")
    with pytest.raises(AddressAltered):
        signer().verify(token, SLUG, "1.mp4")
