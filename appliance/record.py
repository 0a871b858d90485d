"""A record: what a signature leaves behind, and the commitment that becomes its leaf in the tenant's log.

The record is canonical JSON (RFC 8785). Only ASCII strings and integers occur in it and its members are declared
in sorted order, so that the encoder's plain output already is the canonical form; a test holds it to that.

    commitment = H("cinnabar record v1\\n" || salt || record)            salt: 32 random bytes
    leaf hash  = H(0x00 || commitment)                                    RFC 6962, section 2.1

H is the hash of the tenant's log (appliance.tree_hash): SHA-256 until that log is renewed. The commitment is the log
entry. It tells nothing about the record to whoever lacks the salt.
"""

from __future__ import annotations

import os
import time

import msgspec

from appliance.tree_hash import SHA256, TreeHash

COMMITMENT_PREFIX = b"cinnabar record v1\n"
SALT_BYTES = 32
RECORD_ID_BYTES = 22


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One signature, described. Members in sorted order (see the module's docstring). All bytes are lower-case hex."""

    application: str
    """Id of the application that asked."""
    content_digest: str
    """Digest of what was sealed or stamped, as the client gave it (a message imprint), or of a batch's tree root."""
    content_hash: str
    """Hash algorithm of `content_digest`: sha256, sha384, sha512, sha3-256, sha3-384, sha3-512."""
    count: int = 1
    """Number of items that the signature covers: 1, or the size of a batch."""
    findings: list[str] | msgspec.UnsetType = msgspec.UNSET
    """Of a PDF that somebody brought: what its reader should know (appliance.documents.foreign)."""
    format: str = "cinnabar-record/1"
    key: str
    """Name of the signing key in the box's settings: unit or seal key."""
    kind: str
    """stamp, seal, batch-stamp, pdf-seal, letter."""
    policy: str | msgspec.UnsetType = msgspec.UNSET
    """Dotted OID of the time-stamp policy, for stamps."""
    seal_object: str | msgspec.UnsetType = msgspec.UNSET
    """SHA-256 of the seal object as which a PDF's seal is seen (appliance.letters.seal_object)."""
    serial: str | msgspec.UnsetType = msgspec.UNSET
    """Serial number of the time-stamp token, hexadecimal."""
    signature_digest: str
    """SHA-256 of the signature value as it stands in the SignerInfo."""
    signed_digest: str
    """SHA-256 of the exact bytes that were signed (the DER SET OF signed attributes)."""
    tenant: str
    time: int
    """genTime or signing time that the box claims: microseconds since 1970-01-01T00:00:00Z, no leap seconds."""

    def canonical(self) -> bytes:
        """The record as canonical JSON, UTF-8."""
        return _encode(self)


_encoder = msgspec.json.Encoder()


def _encode(record: Record) -> bytes:
    return _encoder.encode(record)


def commitment(salt: bytes, record: bytes, hashing: TreeHash = SHA256) -> bytes:
    """The log entry for a record in canonical JSON, under the hash of the log. `salt` is 32 bytes."""
    return hashing.digest(COMMITMENT_PREFIX + salt + record)


def new_record_id(now_us: int | None = None) -> bytes:
    """22 bytes: 6 of milliseconds since the epoch, then 16 random.

    The leading time keeps the index append-mostly, so that a look-up and an insert cost the same at 10^3 and 10^7
    records; the 128 random bits keep the id unguessable. A record's time is known to whoever knows its id anyway.
    """
    milliseconds = (time.time_ns() // 1_000_000) if now_us is None else now_us // 1000
    return milliseconds.to_bytes(6, "big") + os.urandom(16)
