"""What the box keeps and hands out of one event: the event, what travels beside it, and the seal over all of it.

The seal is a detached CAdES signature over an ASiC manifest (ETSI EN 319 162-1, annex A.4) that names the event and
everything beside it with its SHA-256; so one signature covers them, and standard validators of ASiC-E follow it.
"""

from __future__ import annotations

import hashlib

import msgspec

from appliance.evidence_records import expand


class BatchStamp(msgspec.Struct, frozen=True, array_like=True):
    """The seal's place in a hash tree that one time-stamp is over (RFC 4998), with that time-stamp."""

    path: bytes
    """From SHA-256 of the seal to what the token covers: appliance.evidence_records.hash_tree."""
    token: bytes
    """RFC 3161, DER, with its certificates."""
    record: bytes
    """Id of the token's own record."""


class Artifact(msgspec.Struct, frozen=True, array_like=True):
    """See the module. Kept as msgpack in the event's record, which its tenant encrypts."""

    event: bytes
    """Canonical JSON: appliance.letters.event."""
    manifest: bytes
    """ASiCManifest, XML: what the seal signs."""
    seal: bytes
    """CMS SignedData, DER: CAdES B-T, or B-B with `stamp`."""
    beside: dict[str, bytes]
    """Other files that the manifest names, by name: receipts, envelopes of encrypted fields, the rendered PDF."""
    disclosures: dict[str, str]
    """Of hidden fields (RFC 9901), by field; handed to the applications of the tenant, and in no manifest."""
    stamp: BatchStamp | None = None
    """Of an event that was sealed with others: what stamps its seal."""

    def evidence_record(self) -> bytes | None:
        """The evidence record over the seal, DER, byte for byte the same each time; None: its time-stamp is inside it.

        Raises EvidenceRejected, EvidenceMismatch for an artifact that was put together wrongly."""
        if self.stamp is None:
            return None
        return expand(hashlib.sha256(self.seal).digest(), self.stamp.path, self.stamp.token)


encode_artifact = msgspec.msgpack.Encoder().encode
decode_artifact = msgspec.msgpack.Decoder(Artifact).decode
