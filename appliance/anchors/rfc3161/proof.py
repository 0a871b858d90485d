"""The proof of a receipt of type rfc3161: a token, and what its certificate is judged with."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, UnsetType

from appliance.anchors import canonical
from appliance.anchors.judgement import AnchorRefused, Reason
from appliance.anchors.receipt import RECEIPT_BYTES

_Base64 = Annotated[str, msgspec.Meta(min_length=4, pattern=r"\A[A-Za-z0-9+/]*={0,2}\Z")]
_MOST = 32


class StampProof(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Canonical JSON; DER in base64."""

    certificates: Annotated[list[_Base64], msgspec.Meta(max_length=_MOST)]
    """Certificates that the token lacks, of authorities between its own and a trusted one."""
    ocsp_answers: Annotated[list[_Base64], msgspec.Meta(min_length=1, max_length=_MOST)] | UnsetType = UNSET
    """OCSPResponses (RFC 6960), each about one certificate whose issuer has no list here; left out if there is none."""
    revocation_lists: Annotated[list[_Base64], msgspec.Meta(max_length=_MOST)]
    """CRLs (RFC 5280) of those that issued them, in force when the token was made or later."""
    token: _Base64
    """TimeStampToken (RFC 3161, section 2.4.2) with its signer's certificate, over the commitment (SHA-256)."""


def read_proof(encoded: bytes) -> StampProof:
    """Raises AnchorRefused (MALFORMED)."""
    try:
        return canonical.decode(encoded, StampProof, RECEIPT_BYTES)
    except canonical.NotCanonical as error:
        raise AnchorRefused(Reason.MALFORMED, f"no proof by a time-stamp: {error}") from None


def write_proof(
    token: bytes, certificates: Sequence[bytes], revocation_lists: Sequence[bytes], ocsp_answers: Sequence[bytes] = ()
) -> msgspec.Raw:
    """The proof of a token. All DER."""
    proof = StampProof(
        certificates=[base64.b64encode(one).decode() for one in certificates],
        ocsp_answers=[base64.b64encode(one).decode() for one in ocsp_answers] or UNSET,
        revocation_lists=[base64.b64encode(one).decode() for one in revocation_lists],
        token=base64.b64encode(token).decode(),
    )
    return msgspec.Raw(canonical.encode(proof))


def decoded(text: str) -> bytes:
    """The bytes that a text is the one spelling of. Raises AnchorRefused (MALFORMED)."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        data = b""
    if base64.b64encode(data).decode() != text:
        raise AnchorRefused(Reason.MALFORMED, "base64 in a proof by a time-stamp is malformed")
    return data
