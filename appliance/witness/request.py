"""The body of an add-checkpoint request (C2SP tlog-witness): read strictly, believed in nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from appliance.log.checkpoint import Checkpoint, parse_decimal
from appliance.log.errors import MalformedNote
from appliance.log.note import Note, decode_base64, parse_note
from appliance.tree_hash import hash_of
from appliance.witness.errors import MalformedRequest

REQUEST_BYTES: Final = 128 * 1024
"""Largest body: 63 lines of a proof take 3 kB, a checkpoint with 16 post-quantum signatures 80 kB."""
MOST_STEPS: Final = 63
"""Lines of a consistency proof."""


@dataclass(frozen=True)
class AddCheckpoint:
    """What a log asks for."""

    old: int
    """Size of the head that the proof begins at."""
    proof: tuple[bytes, ...]
    """Consistency proof (RFC 6962, section 2.1.2), a hash each."""
    note: Note
    checkpoint: Checkpoint


def encode_request(old: int, proof: Sequence[bytes], note: bytes) -> bytes:
    """The body of a request for a signed checkpoint."""
    lines = [b"old %d" % old, *(base64.b64encode(step) for step in proof)]
    return b"\n".join(lines) + b"\n\n" + note


def parse_request(body: bytes) -> AddCheckpoint:
    """Read a body. Raises MalformedRequest."""
    if len(body) > REQUEST_BYTES:
        raise MalformedRequest(f"a request of more than {REQUEST_BYTES} bytes")
    head, blank, note = body.partition(b"\n\n")
    first, *lines = head.split(b"\n", MOST_STEPS + 1)
    if not blank or not first.startswith(b"old "):
        raise MalformedRequest("a request is an old size, a proof, a blank line and a checkpoint")
    if len(lines) > MOST_STEPS:
        raise MalformedRequest(f"a consistency proof has at most {MOST_STEPS} hashes")
    try:
        old = parse_decimal(first[4:])
        proof = tuple(decode_base64(line.decode("ascii", errors="replace")) for line in lines)
        parsed = parse_note(note)
        checkpoint = Checkpoint.parse(parsed.text)
    except MalformedNote as error:
        raise MalformedRequest(str(error)) from None
    if any(len(step) != (width := hash_of(checkpoint.origin).size) for step in proof):
        raise MalformedRequest(f"a hash of the proof has {width} bytes")
    if old > checkpoint.size:
        raise MalformedRequest(f"the old size, {old}, is larger than the checkpoint's, {checkpoint.size}")
    return AddCheckpoint(old, proof, parsed, checkpoint)
