"""B-T of B-B: a time-stamp over the signature value (EN 319 122-1, section 5.3, the signature-time-stamp attribute)."""

from __future__ import annotations

from appliance.algorithms import DIGESTS_BY_OID
from appliance.der import DerError
from appliance.seals.cms import with_signature_timestamp
from appliance.seals.errors import ContentMismatch, SignedDataRejected
from appliance.seals.signed_data import parse_signed_data
from appliance.token_imprint import token_imprint


def add_signature_timestamp(cms: bytes, token: bytes) -> bytes:
    """`cms` with the RFC 3161 token as an unsigned attribute of the signer whose signature value it covers.

    The token's message imprint is the digest of SignerInfo.signature (the content of the OCTET STRING); which signer
    that is follows from the imprint. Neither the token's signature nor the signer's is verified here. Raises
    SignedDataRejected when `cms` or `token` is not what it should be, ContentMismatch when the token covers no signer.
    """
    parsed = parse_signed_data(cms)
    try:
        imprint = token_imprint(token)
    except DerError as error:
        raise SignedDataRejected(f"the time-stamp is not an RFC 3161 token: {error}") from None
    algorithm = DIGESTS_BY_OID.get(imprint.digest_algorithm)
    if algorithm is None:
        raise SignedDataRejected(f"the time-stamp uses the unknown digest algorithm {imprint.digest_algorithm}")
    for signer in parsed.signers:
        if algorithm.digest(signer.signature) == imprint.digest:
            return with_signature_timestamp(parsed, signer, token)
    raise ContentMismatch("the time-stamp covers no signature of this CMS")
