"""Transparency logs: RFC 6962 trees as C2SP tiles, checkpoints signed in the HSM, proofs and receipts.

This face is pure or reads files; it needs neither HSM nor recorder. The process that writes a box's logs is
`python -m appliance.log`, see appliance.log.follower. Formats are in docs/log.md.
"""

from appliance.log.box_proofs import BoxProofs, OpenedLeaf, verify_box_proof
from appliance.log.checkpoint import Checkpoint, LogKey, merge_notes, open_checkpoint, sign_checkpoint
from appliance.log.errors import (
    LogDamaged,
    MalformedNote,
    MalformedProof,
    NotYetIncluded,
    ProofInvalid,
    SignatureInvalid,
)
from appliance.log.integrator import Integrator
from appliance.log.note import Note, NoteSignature, VerifierKey, parse_note, sign_note, verified_by
from appliance.log.proofs import TlogProof, verify_tlog_proof
from appliance.log.reader import LogReader, Resource, TileReader, log_directory
from appliance.log.receipts import make_receipt, parse_receipt, sign_root, verify_receipt
from appliance.log.tiles import Tile, encode_bundle
from appliance.log.tree import (
    EMPTY_ROOT,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root,
    subtree_reader,
    verify_consistency,
)

__all__ = [
    "EMPTY_ROOT",
    "BoxProofs",
    "Checkpoint",
    "Integrator",
    "LogDamaged",
    "LogKey",
    "LogReader",
    "MalformedNote",
    "MalformedProof",
    "NotYetIncluded",
    "Note",
    "NoteSignature",
    "OpenedLeaf",
    "ProofInvalid",
    "Resource",
    "SignatureInvalid",
    "Tile",
    "TileReader",
    "TlogProof",
    "VerifierKey",
    "consistency_proof",
    "encode_bundle",
    "inclusion_proof",
    "leaf_hash",
    "log_directory",
    "make_receipt",
    "merge_notes",
    "open_checkpoint",
    "parse_note",
    "parse_receipt",
    "root",
    "sign_checkpoint",
    "sign_note",
    "sign_root",
    "subtree_reader",
    "verified_by",
    "verify_box_proof",
    "verify_consistency",
    "verify_receipt",
    "verify_tlog_proof",
]
