"""Makes docs/vectors/witness.json: `python -m firmware_tests.witness.vectors > docs/vectors/witness.json`."""

from __future__ import annotations

import asyncio
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import parse_note
from appliance.log.forks import other_past, same_size
from appliance.log.note import cosigned_message
from appliance.witness.keys import Cosigners, FileKey
from firmware_tests.witness.logs import TestLog

ORIGIN = "log.example/rehearsal/alfa"
WITNESS = "witness.example/w1"
TIME = 1_700_000_000


def vectors() -> dict[str, object]:
    """Every figure follows from the seeds, the entries and the time. Bytes in hexadecimal, notes as text."""
    seed, own = bytes(range(32)), bytes(range(32, 64))
    log = TestLog(ORIGIN, key=Ed25519PrivateKey.from_private_bytes(seed)).grow(13)
    other = log.fork(5, 8)
    cosigners = Cosigners([FileKey(WITNESS, Ed25519PrivateKey.from_private_bytes(own))])
    note = parse_note(log.note(13))
    cosigned = asyncio.run(cosigners.cosign(note, TIME))
    return {
        "log": {
            "seed": seed.hex(),
            "verifier_key": str(log.verifier),
            "entries": [entry.hex() for entry in log.entries],
        },
        "witness": {"seed": own.hex(), "verifier_key": str(cosigners.verifiers[0])},
        "add_checkpoint": {
            "first": log.request(0, 6).decode(),
            "from_6_to_13": log.request(6, 13).decode(),
            "time": TIME,
            "cosigned_message": cosigned_message(TIME, note.text).decode(),
            "answer_to_from_6_to_13": cosigners.lines(cosigned).decode(),
        },
        "forks": {
            "other_entries_from_5_on": [entry.hex() for entry in other.entries[5:]],
            "same_size": same_size(ORIGIN, log.note(6), other.note(6)).encode().decode(),
            "other_past": other_past(ORIGIN, log.note(6), other.note(13), other.root(6), other.proof(6, 13))
            .encode()
            .decode(),
        },
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=2, ensure_ascii=False))
