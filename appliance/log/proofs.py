"""The .tlog-proof file: an entry's inclusion, with the signed checkpoint, in text (C2SP tlog-proof)."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from dataclasses import dataclass

from appliance.log import tree
from appliance.log.checkpoint import Checkpoint, LogKey, open_checkpoint, parse_decimal
from appliance.log.errors import MalformedNote, MalformedProof
from appliance.log.note import decode_base64
from appliance.tree_hash import LARGEST_HASH, hash_of

_FIRST_LINE = b"c2sp.org/tlog-proof@v1"
_MAXIMUM_PATH = 63
MAXIMUM_PROOF_BYTES = 1_000_000


@dataclass(frozen=True)
class TlogProof:
    index: int
    path: tuple[bytes, ...]
    """The audit path, leaf's sibling first; each of the bytes of the log's hash."""
    checkpoint: bytes
    """The signed checkpoint, verbatim."""
    extra: bytes | None = None
    """Data beside the proof, not authenticated by it."""

    def encode(self) -> bytes:
        """The file."""
        lines = [_FIRST_LINE]
        if self.extra is not None:
            lines.append(b"extra " + base64.b64encode(self.extra))
        lines.append(b"index %d" % self.index)
        lines += [base64.b64encode(step) for step in self.path]
        return b"\n".join(lines) + b"\n\n" + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> TlogProof:
        """Read the file. Raises MalformedProof."""
        if len(data) > MAXIMUM_PROOF_BYTES:
            raise MalformedProof(f"a proof of more than {MAXIMUM_PROOF_BYTES} bytes")
        head, blank, checkpoint = data.partition(b"\n\n")
        first, *lines = head.split(b"\n")
        if not blank or first != _FIRST_LINE:
            raise MalformedProof("not a tlog-proof of version 1")
        try:
            extra = decode_base64(lines.pop(0)[6:].decode()) if lines and lines[0].startswith(b"extra ") else None
            if not lines or not lines[0].startswith(b"index "):
                raise MalformedProof("a tlog-proof names the entry's index")
            index = parse_decimal(lines[0][6:])
            path = tuple(decode_base64(line.decode()) for line in lines[1:])
        except (MalformedNote, UnicodeDecodeError):
            raise MalformedProof("a line of the tlog-proof is not of its format") from None
        if len(path) > _MAXIMUM_PATH or any(not 0 < len(step) <= LARGEST_HASH for step in path):
            raise MalformedProof(f"an audit path has at most 63 hashes of at most {LARGEST_HASH} bytes")
        return cls(index, path, checkpoint, extra)


def verify_tlog_proof(proof: TlogProof, entry: bytes, origin: str, keys: Iterable[LogKey]) -> Checkpoint:
    """Verify that `entry` stands in the log `origin`, whose keys are given; returns the checkpoint that shows it.

    Raises MalformedNote, SignatureInvalid or ProofInvalid.
    """
    checkpoint = open_checkpoint(proof.checkpoint, origin, keys)
    hashing = hash_of(origin)
    leaf = tree.leaf_hash(entry, hashing)
    tree.verify_inclusion(proof.index, checkpoint.size, leaf, proof.path, checkpoint.root, hashing)
    return checkpoint
