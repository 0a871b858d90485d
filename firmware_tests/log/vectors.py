"""Makes docs/vectors/log.json: `python -m firmware_tests.log.vectors > docs/vectors/log.json`."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import (
    Checkpoint,
    TlogProof,
    VerifierKey,
    consistency_proof,
    encode_bundle,
    inclusion_proof,
    leaf_hash,
    make_receipt,
    root,
    sign_checkpoint,
    sign_root,
    subtree_reader,
)
from appliance.log.box_leaf import NO_COMMITMENT, Leaf, commitment
from appliance.log.tiles import Tile
from appliance.record import commitment as record_commitment

ORIGIN = "log.example/rehearsal/alfa"
SALT = bytes(range(32))
RECORD = b'{"application":"app","format":"cinnabar-record/1"}'


def vectors() -> dict[str, object]:
    """Every figure follows from the inputs that stand beside it. Bytes in hexadecimal unless the name says base64."""
    private = bytes(range(32))
    key = Ed25519PrivateKey.from_private_bytes(private)
    verifier = VerifierKey(ORIGIN, key.public_key().public_bytes_raw())
    entries = [record_commitment(SALT, RECORD + b"%d" % number) for number in range(7)]
    hashes = [leaf_hash(entry) for entry in entries]
    read = subtree_reader(hashes)
    path = tuple(inclusion_proof(4, 7, read))
    note = sign_checkpoint(Checkpoint(ORIGIN, 7, root(hashes)), [(verifier, key.sign)])
    statement = (
        f'{{"format":"cinnabar-tenant-head/1","origin":"{ORIGIN}","previous":"{NO_COMMITMENT}",'
        f'"root":"{root(hashes).hex()}","size":7}}'
    ).encode()
    leaf = Leaf(root=root(hashes).hex(), time=1_700_000_000_000_000)
    return {
        "record_commitment": {"salt": SALT.hex(), "record": (RECORD + b"0").decode(), "entry": entries[0].hex()},
        "tree": {
            "entries": [entry.hex() for entry in entries],
            "leaf_hashes": [value.hex() for value in hashes],
            "roots_of_first_n": [root(hashes[:size]).hex() for size in range(8)],
            "inclusion_of_4_in_7": [step.hex() for step in path],
            "consistency_3_to_7": [step.hex() for step in consistency_proof(3, 7, read)],
        },
        "files": {
            Tile("entries", 0, 7).path(): encode_bundle(entries).hex(),
            Tile(0, 0, 7).path(): b"".join(hashes).hex(),
            "path_of_tile_1234067_of_level_0": Tile(0, 1_234_067).path(),
        },
        "key": {"private": private.hex(), "name": ORIGIN, "id": verifier.key_id.hex(), "verifier_key": str(verifier)},
        "checkpoint": note.decode(),
        "tlog_proof_of_4": TlogProof(4, path, note).encode().decode(),
        "receipt_of_4_base64": base64.b64encode(
            make_receipt(sign_root(7, root(hashes), verifier, key.sign), 4, path)
        ).decode(),
        "box_leaf": {
            "salt": SALT.hex(),
            "statement": statement.decode(),
            "commitment": commitment(SALT, statement).hex(),
            "leaf": leaf.canonical().decode(),
            "entry": leaf.entry().hex(),
        },
    }


if __name__ == "__main__":
    print(json.dumps(vectors(), indent=2))
