"""Record openings: the JSON that the box answers for a record (GET /v1/records/{id}), against log and signature.

The log holds only the commitment, a hash over domain, salt and record (appliance.record). An opening shows salt and
record, so that anyone can compute the commitment, find it in the log, and compare what the record says with the stamp
or seal that was handed out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from appliance.evidence.canonical import NotCanonical, check_canonical, read_json
from appliance.evidence.certificates import spoken
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.signatures import DIGEST_OIDS
from appliance.quoting import escape, quote
from appliance.record import SALT_BYTES, Record, commitment
from appliance.tree_hash import TREE_HASHES, TreeHash

_SECOND_US = 1_000_000
_HEXADECIMAL = re.compile(r"(?:[0-9a-f]{2}){1,64}", re.ASCII)
_HASH = re.compile(r"(?:[0-9a-f]{64}){1,2}", re.ASCII)
_LATEST_US = 253_402_300_799 * _SECOND_US


@dataclass(frozen=True)
class SignatureFacts:
    """What a stamp or seal says of one of its signatures, to compare with a record."""

    index: int
    """The file it stands in."""
    signature: bytes
    signed_bytes: bytes
    digest_name: str | None
    content_digest: bytes | None
    """The message imprint of a stamp, or the digest of what a seal covers."""
    time_us: int | None
    resolution_us: int
    """1 for a stamp, a second for a seal."""


@dataclass(frozen=True)
class BoxProof:
    """The record under the box's own log, as the file has it."""

    index: int
    """Of the record in its tenant's log."""
    path: tuple[bytes, ...]
    opening: bytes
    tlog_proof: bytes


@dataclass(frozen=True)
class Opening:
    """An opening taken apart; the commitment is computed, never taken from the file."""

    record: Record
    salt: bytes
    stated_commitment: bytes
    artifact: bytes | None
    tlog_proof: bytes | None
    box_proof: BoxProof | None = None
    continuation: bytes | None = None
    """Where the record's log was renewed: how it goes on (appliance.log.successor)."""

    def commitment(self, hashing: TreeHash) -> bytes:
        """The record's entry in a log of this hash."""
        return commitment(self.salt, self.record.canonical(), hashing)

    @property
    def hashing(self) -> TreeHash | None:
        """The hash under which it states its commitment; None: salt and record give another one."""
        return next((one for one in TREE_HASHES if self.commitment(one) == self.stated_commitment), None)


def read_opening(encoded: bytes) -> Opening:
    """Read the JSON. Raises Refusal (FORMAT_FAILURE)."""
    try:
        value = read_json(encoded)
        content = _text(value, "content").encode()
        salt = _hexadecimal(value, "salt")
        stated = _hexadecimal(value, "commitment")
        check_canonical(content)
        record = msgspec.json.decode(content, type=Record)
        if record.canonical() != content:
            raise _malformed("the record has members that cinnabar-record/1 does not know")
    except (NotCanonical, msgspec.MsgspecError, ValueError) as error:
        raise _malformed(str(error)) from None
    hexadecimal = (record.content_digest, record.signature_digest, record.signed_digest)
    if record.content_hash not in DIGEST_OIDS:
        raise _malformed("the record names a digest algorithm that cinnabar-record/1 does not know")
    if not all(_HEXADECIMAL.fullmatch(one) for one in hexadecimal):
        raise _malformed("a digest in the record is not hexadecimal")
    if len(salt) != SALT_BYTES or record.format != "cinnabar-record/1" or not 0 <= record.time <= _LATEST_US:
        raise _malformed("salt, format or time of the record is out of its range")
    return Opening(
        record=record,
        salt=salt,
        stated_commitment=stated,
        artifact=_optional_bytes(value),
        tlog_proof=_optional_proof(value),
        box_proof=_optional_box_proof(value),
        continuation=_optional_continuation(value),
    )


def _text(value: Any, member: str) -> str:
    found = value.get(member) if isinstance(value, dict) else None
    if not isinstance(found, str):
        raise _malformed(f"no text {member}")
    return found


def _hexadecimal(value: Any, member: str) -> bytes:
    """One spelling: lower case, nothing between."""
    text = _text(value, member)
    if not _HEXADECIMAL.fullmatch(text):
        raise _malformed(f"{member} is not hexadecimal")
    return bytes.fromhex(text)


def _optional_bytes(value: dict[str, Any]) -> bytes | None:
    artifact = value.get("artifact")
    try:
        return base64.b64decode(artifact, validate=True) if isinstance(artifact, str) else None
    except (binascii.Error, ValueError):
        raise _malformed("the artifact is not base64") from None


def _optional_proof(value: dict[str, Any]) -> bytes | None:
    proof = value.get("proof")
    if proof is None:
        return None
    try:
        return _text(proof, "tlog_proof").encode()
    except UnicodeEncodeError:
        raise _malformed("the proof is not text") from None


def _optional_continuation(value: dict[str, Any]) -> bytes | None:
    found = value.get("continuation")
    if found is None:
        return None
    try:
        return _text(value, "continuation").encode()
    except UnicodeEncodeError:
        raise _malformed("the continuation is not text") from None


def _optional_box_proof(value: dict[str, Any]) -> BoxProof | None:
    proof = value.get("box_proof")
    if proof is None:
        return None
    leaf = proof.get("leaf") if isinstance(proof, dict) else None
    hashes, index = proof.get("hashes") if isinstance(proof, dict) else None, value.get("index")
    if not isinstance(hashes, list) or not isinstance(index, int) or isinstance(index, bool) or index < 0:
        raise _malformed("the box proof lacks its hashes, or the record its index")
    if not all(isinstance(one, str) and _HASH.fullmatch(one) for one in hashes):
        raise _malformed("a hash of the box proof is not one in lower-case hexadecimal")
    try:
        path = tuple(bytes.fromhex(one) for one in hashes)
        return BoxProof(index, path, _text(leaf, "opening").encode(), _text(leaf, "tlog_proof").encode())
    except UnicodeEncodeError:
        raise _malformed("the box proof is not text") from None


def _malformed(text: str) -> Refusal:
    return Refusal("format", SubIndication.FORMAT_FAILURE, f"Malformed record opening: {quote(text)}.")


def describe(journal: Journal, opening: Opening) -> None:
    """Enter what the record says, and whether it is what was committed to."""
    record = opening.record
    journal.expect(
        opening.hashing is not None,
        "commitment",
        "Salt and record hash to the commitment that the log holds instead of them.",
        SubIndication.HASH_FAILURE,
        "Salt and record do not hash to the commitment: one of them was changed.",
    )
    policy = "" if isinstance(record.policy, msgspec.UnsetType) else f", policy {escape(record.policy)}"
    journal.note(
        "record",
        f"A {quote(record.kind)} by key {quote(record.key)} of tenant {quote(record.tenant)} for application "
        f"{quote(record.application)}, covering {record.count} item(s), at {spoken(record.time)}{policy}.",
    )


def find(opening: Opening, facts: Sequence[SignatureFacts]) -> list[SignatureFacts]:
    """Those that carry the signature that the record is about."""
    digest = opening.record.signature_digest
    return [one for one in facts if hashlib.sha256(one.signature).hexdigest() == digest]


def compare(journal: Journal, opening: Opening, facts: Sequence[SignatureFacts]) -> list[SignatureFacts]:
    """Find the signature that the record is about; enter whether the two agree. Gives those that were found."""
    record = opening.record
    found = find(opening, facts)
    if not found:
        journal.refuse(
            "signature",
            SubIndication.SIGNED_DATA_NOT_FOUND,
            "None of the stamps and seals given carries the signature that the record is about.",
        )
    for one in found:
        contradictions = _contradictions(record, one)
        for text in contradictions:
            journal.refuse("record", SubIndication.SIG_CONSTRAINTS_FAILURE, f"Contradiction: {text}")
        if not contradictions:
            journal.passed("signature", "The record is about exactly this signature, and says the same of it.")
    return found


def _contradictions(record: Record, facts: SignatureFacts) -> list[str]:
    found: list[str] = []
    if hashlib.sha256(facts.signed_bytes).hexdigest() != record.signed_digest:
        found.append("the record names other signed bytes than the signature covers.")
    if facts.content_digest is not None and (record.content_hash, record.content_digest) != (
        facts.digest_name,
        facts.content_digest.hex(),
    ):
        found.append("the record names another content than the signature covers.")
    if facts.time_us is not None and abs(record.time - facts.time_us) >= facts.resolution_us:
        found.append(f"the record states {spoken(record.time)}, the signature {spoken(facts.time_us)}.")
    return found
