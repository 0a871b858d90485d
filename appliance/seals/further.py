"""A CMS that someone brings for a further signature, read once and taken apart into what is simply put together again.

`read_existing` is the only part of a further signature that reads what others wrote; whoever holds a key can have it
run elsewhere and hold the outcome to what it knows itself.
"""

from __future__ import annotations

import hashlib
from typing import Annotated

import msgspec

from appliance.algorithms import DigestAlgorithm
from appliance.seals import cms
from appliance.seals.errors import ContentMismatch, SealRefused, SignedDataRejected
from appliance.seals.signed_data import MAX_SIGNERS, check_coverage, parse_signed_data


class ExistingSeal(msgspec.Struct, frozen=True, array_like=True):
    """What a further signature needs of the CMS that it is added to. Its bytes are never read again."""

    digest: bytes
    """Of the sealed content, by the profile's algorithm."""
    head: bytes
    """The encoded members of the new SignedData before its signers: those of the CMS, with algorithm and certificates
    of the new signer among them."""
    signers: Annotated[list[bytes], msgspec.Meta(max_length=MAX_SIGNERS)]
    """SignerInfo elements, byte for byte."""
    sha256: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    """SHA-256 of the CMS as it was brought."""


def read_existing(
    data: bytes,
    digest_algorithm: DigestAlgorithm,
    certificates: list[bytes],
    *,
    digest: bytes | None = None,
    document: bytes | None = None,
) -> ExistingSeal:
    """Read a CMS, detached or enveloping, to which a signer with `certificates` (DER) will be added.

    For a detached one give the digest (by `digest_algorithm`) or the document. Signatures are compared with it by their
    message digests; they are not verified. Raises SignedDataRejected, ContentMismatch, SealRefused.
    """
    parsed = parse_signed_data(data)
    if len(parsed.signers) >= MAX_SIGNERS:
        raise SignedDataRejected(f"the CMS already has {MAX_SIGNERS} signers")
    if parsed.content is not None:
        if document is not None and document != parsed.content:
            raise ContentMismatch("the CMS carries another document than the one given")
        document = parsed.content
    if document is not None:
        covered = digest_algorithm.digest(document)
        if digest is not None and digest != covered:
            raise ContentMismatch("the digest given is not that of the document")
        digest = covered
    if digest is None:
        raise SealRefused("the CMS is detached: give the digest or the document that it covers")
    check_coverage(parsed, digest_algorithm.oid, digest, document)
    forms = [digest_algorithm.identifier, digest_algorithm.identifier_with_null]
    return ExistingSeal(
        digest,
        cms.head_for(parsed, forms, certificates),
        [signer.raw for signer in parsed.signers],
        hashlib.sha256(data).digest(),
    )
