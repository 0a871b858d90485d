"""Run as a program: writes docs/vectors/gateway.json anew, with keys of its own. The messages are made with openssl.

python -m firmware_tests.gateway.make_vectors OUTPUT
"""

from __future__ import annotations

import base64
import hashlib
import json
import sys
import tempfile
from pathlib import Path

from firmware_tests.gateway import partner as theirs
from firmware_tests.gateway.partner import Party, openssl

TENANT = "cinnabar:00112233445566778899aabbccddeeff:demo"
PARTNER = f"{TENANT}:srm"
NONCE, TIME_MS = "Zm9vYmFyZm9vYmFyZm9vYg", 1_795_361_144_000
CONTENT = '{"call":"letter","letter":"' + "0" * 32 + '"}'


def made(directory: Path) -> dict[str, object]:
    party = Party(directory / "partner")
    box = Party(directory / "box")
    key = openssl("pkey", "-in", box.directory / "encrypt.key", "-pubout", "-outform", "DER")
    envelope = theirs.write_envelope(party, key, CONTENT.encode(), PARTNER, TENANT, NONCE, TIME_MS)
    point, wrapped = base64.b64decode(envelope["encrypt"])[:65], base64.b64decode(envelope["encrypt"])[65:]
    agreed = box.agree(point)
    place = theirs.place(NONCE, PARTNER, TENANT, TIME_MS)
    text = f"data={envelope['data']}&encrypt={envelope['encrypt']}&{place}"
    kek = theirs.concat_kdf(agreed, "ECDH-ES+A256KW", PARTNER, TENANT)
    return {
        "sender": PARTNER,
        "receiver": TENANT,
        "content": CONTENT,
        "sign_certificate": base64.b64encode(party.certificate("sign")).decode(),
        "sign_key": (party.directory / "sign.key").read_text(),
        "receiver_key": (box.directory / "encrypt.key").read_text(),
        "envelope": envelope,
        "envelope_place": place,
        "envelope_text_sha256": hashlib.sha256(text.encode()).hexdigest(),
        "envelope_agreed": agreed.hex(),
        "envelope_wrapping_key": kek.hex(),
        "envelope_content_key": theirs.unwrap(kek, wrapped).hex(),
        "jose": theirs.write_jose(party, key, CONTENT.encode(), PARTNER, TENANT, NONCE, TIME_MS // 1000).decode(),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as temporary:
        Path(sys.argv[1]).write_text(json.dumps(made(Path(temporary)), indent=2) + "\n")
