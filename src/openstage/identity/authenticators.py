"""What authenticators are asked and answer (Web Authentication, Level 3), in the words of py_webauthn.

Loading that library takes half a second: import this module where it is used.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import webauthn
from webauthn.helpers import parse_client_data_json
from webauthn.helpers.structs import (
    AuthenticatorSelectionCriteria,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from openstage.identity.errors import PasskeyInvalid

PROVIDER: Final = "Openstage"
ASKING_MS: Final = 120_000
"""Milliseconds that the browser gives the person."""


@dataclass(frozen=True, slots=True)
class Party:
    """Whom passkeys are for: this server, as browsers know it."""

    id: str
    """Domain name, without a port."""
    origin: str


@dataclass(frozen=True, slots=True)
class MadeCredential:
    """What an authenticator has made."""

    id: bytes
    public_key: bytes
    """COSE (RFC 9053)."""
    sign_count: int
    synced: bool
    """It may be on several of the person's devices."""


def options_to_make(party: Party, challenge: bytes, handle: bytes, name: str, known: Sequence[bytes]) -> str:
    """Return what `navigator.credentials.create` is called with, as JSON.

    Args:
        party: this server.
        challenge: what is to be signed.
        handle: stands for the account, and tells nothing of it.
        name: of the account, for the authenticator's own list.
        known: credentials that the account has; an authenticator that holds one makes no second.

    """
    options = webauthn.generate_registration_options(
        rp_id=party.id,
        rp_name=PROVIDER,
        user_id=handle,
        user_name=name,
        challenge=challenge,
        timeout=ASKING_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED,  # nobody types a name to sign in
            user_verification=UserVerificationRequirement.REQUIRED,  # it takes the place of a password
        ),
        exclude_credentials=[PublicKeyCredentialDescriptor(id=each) for each in known],
    )
    return webauthn.options_to_json(options)


def options_to_use(party: Party, challenge: bytes) -> str:
    """Return what `navigator.credentials.get` is called with, as JSON: any passkey of this server will do."""
    options = webauthn.generate_authentication_options(
        rp_id=party.id,
        challenge=challenge,
        timeout=ASKING_MS,
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def parsed(text: str) -> tuple[dict[str, Any], bytes, bytes]:
    """Return a credential as the browser sends it, its id, and the challenge that it says it has signed.

    Raises:
        PasskeyInvalid: it can't be read.

    """
    try:
        credential = json.loads(text)
        client_data = parse_client_data_json(webauthn.base64url_to_bytes(credential["response"]["clientDataJSON"]))
        return credential, webauthn.base64url_to_bytes(credential["rawId"]), client_data.challenge
    except Exception as error:  # what strangers send may break the library anywhere
        raise PasskeyInvalid("What the browser sent is no passkey's answer.") from error


def verified_make(party: Party, credential: dict[str, Any], challenge: bytes) -> MadeCredential:
    """Check what an authenticator has made; raises PasskeyInvalid."""
    try:
        made = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            require_user_verification=True,
        )
    except Exception as error:
        raise PasskeyInvalid("The passkey doesn't fit this page.") from error
    synced = made.credential_device_type is CredentialDeviceType.MULTI_DEVICE
    return MadeCredential(made.credential_id, made.credential_public_key, made.sign_count, synced)


def verified_use(party: Party, credential: dict[str, Any], challenge: bytes, public_key: bytes, sign_count: int) -> int:
    """Check that a passkey has signed, and return how often it has by its own count; raises PasskeyInvalid."""
    try:
        used = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=challenge,
            expected_rp_id=party.id,
            expected_origin=party.origin,
            credential_public_key=public_key,
            credential_current_sign_count=sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        raise PasskeyInvalid("The passkey's signature doesn't fit.") from error
    return used.new_sign_count
