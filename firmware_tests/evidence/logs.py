"""A log in memory with its witnesses, and openings of records that stand in it."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from asn1crypto import cms
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.evidence import Indication, Report, SubIndication
from appliance.log import (
    Checkpoint,
    NoteSignature,
    TlogProof,
    VerifierKey,
    inclusion_proof,
    leaf_hash,
    make_receipt,
    parse_note,
    root,
    sign_checkpoint,
    sign_root,
    subtree_reader,
)
from appliance.log.note import COSIGNATURE_V1, Note, cosigned_message
from appliance.record import Record, commitment
from appliance.tree_hash import TreeHash, hash_of
from firmware_tests.evidence.material import (
    T0,
    World,
    microseconds,
)

ORIGIN = "bank.rehearsal.example/log"
DOCUMENT = b'{"amount":"1.00"}'
SALT = bytes(range(32))
PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication


class Log:
    """A log of entries in memory under the hash that its origin names, its key, and its witnesses."""

    def __init__(self, origin: str = ORIGIN) -> None:
        self.origin = origin
        self.key = Ed25519PrivateKey.generate()
        self.verifier = VerifierKey(origin, self.key.public_key().public_bytes_raw())
        self.witnesses = [Ed25519PrivateKey.generate() for _ in range(3)]
        self.entries = [b"filler %d" % number for number in range(5)]

    @property
    def hashing(self) -> TreeHash:
        return hash_of(self.origin)

    def leaves(self, entries: Sequence[bytes]) -> list[bytes]:
        return [leaf_hash(entry, self.hashing) for entry in entries]

    def path(self, index: int, entries: Sequence[bytes]) -> list[bytes]:
        reader = subtree_reader(self.leaves(entries), self.hashing)
        return inclusion_proof(index, len(entries), reader, self.hashing)

    def names(self) -> list[VerifierKey]:
        return [
            VerifierKey(f"witness{number}.example", key.public_key().public_bytes_raw(), COSIGNATURE_V1)
            for number, key in enumerate(self.witnesses)
        ]

    def checkpoint(self, entries: list[bytes], seen: list[datetime]) -> bytes:
        head = Checkpoint(self.origin, len(entries), root(self.leaves(entries), self.hashing))
        note = parse_note(sign_checkpoint(head, [(self.verifier, self.key.sign)]))
        lines = list(note.signatures)
        for key, name, when in zip(self.witnesses, self.names(), seen, strict=False):
            seconds = microseconds(when) // 1_000_000
            signature = seconds.to_bytes(8, "big") + key.sign(cosigned_message(seconds, note.text))
            lines.append(NoteSignature(name.name, name.key_id, signature))
        return Note(note.text, tuple(lines)).encode()

    def proof(self, entry: bytes, seen: list[datetime] | None = None) -> bytes:
        entries = [*self.entries, entry]
        return TlogProof(5, tuple(self.path(5, entries)), self.checkpoint(entries, seen or [])).encode()

    def receipt(self, entry: bytes) -> bytes:
        entries = [*self.entries, entry]
        signed = sign_root(6, root(self.leaves(entries), self.hashing), self.verifier, self.key.sign)
        return make_receipt(signed, 5, self.path(5, entries))


def record_of(encoded: bytes, **changes: Any) -> Record:
    """The record that the box keeps of a stamp or a seal."""
    signer = cms.ContentInfo.load(encoded)["content"]["signer_infos"][0]
    signed = signer["signed_attrs"].untag().dump()
    is_stamp = b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x01\x04" in encoded[:200]
    fields: dict[str, Any] = {
        "application": "app",
        "content_digest": hashlib.sha256(DOCUMENT).hexdigest(),
        "content_hash": "sha256",
        "key": "unit-1",
        "kind": "stamp" if is_stamp else "seal",
        "signature_digest": hashlib.sha256(signer["signature"].native).hexdigest(),
        "signed_digest": hashlib.sha256(signed).hexdigest(),
        "tenant": "bank",
        "time": microseconds(T0),
    }
    return Record(**(fields | changes))


def opening(
    record: Record, proof: bytes | None, artifact: bytes | None = None, change: Callable[[Any], object] | None = None
) -> bytes:
    content = record.canonical()
    value: dict[str, Any] = {
        "record": "ab" * 22,
        "content": content.decode(),
        "salt": SALT.hex(),
        "commitment": commitment(SALT, content).hex(),
        "index": 5,
        "artifact_type": "application/timestamped-data",
        "proof": None if proof is None else {"tlog_proof": proof.decode()},
    }
    if artifact is not None:
        value["artifact"] = base64.b64encode(artifact).decode()
    if change is not None:
        change(value)
    return json.dumps(value, indent=1).encode()


def entry_of(record: Record) -> bytes:
    return commitment(SALT, record.canonical())


def judge(world: World, encoded: bytes, opened: bytes, *more: tuple[str, bytes]) -> Report:
    return world.verify(("bond.json", DOCUMENT), ("bond.sig", encoded), ("record.json", opened), *more)


def refused(report: Report, sub: SubIndication, name: str = "record.json") -> None:
    file = next(file for file in report.files if file.name == name)
    assert (file.indication, file.sub_indications) == (sub.indication, [sub]), report
    assert report.indication is not PASSED
