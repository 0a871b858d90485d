"""Which certificates the seals of a letter's events bring, and those of their time-stamps: whose revocation is told."""

from __future__ import annotations

from collections.abc import Iterable

from appliance.der import INTEGER, DerError, Reader
from appliance.evidence import cms
from appliance.letters.artifact import Artifact


def serials_within(artifacts: Iterable[Artifact]) -> list[int]:
    """Serial numbers, each once, in the order in which they come. What cannot be read brings none."""
    found: dict[int, None] = {}
    seen: set[bytes] = set()
    for artifact in artifacts:
        for encoded in _certificates(artifact):
            if encoded not in seen:
                seen.add(encoded)
                found |= dict.fromkeys(_serial(encoded))
    return list(found)


def _certificates(artifact: Artifact) -> Iterable[bytes]:
    tokens = [] if artifact.stamp is None else [artifact.stamp.token]
    try:
        seal = cms.read_signed_data(artifact.seal)
        yield from seal.certificates
        for signer in seal.signers:
            tokens += signer.unsigned.values(cms.SIGNATURE_TIME_STAMP)
        for token in tokens:
            yield from cms.read_signed_data(token).certificates
    except DerError:
        return


def _serial(certificate: bytes) -> list[int]:
    """One (RFC 5280, section 4.1.2.2), or none."""
    try:
        body = Reader(certificate).enter().enter()
        body.raw_optional(0xA0)
        return [body.integer(INTEGER)]
    except DerError:
        return []
