"""The published test vectors are what the code gives, and hold by themselves."""

from __future__ import annotations

import base64
import json

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from appliance.log import LogKey, VerifierKey
from appliance.log.forks import ForkEvidence, verify_fork
from appliance.witness.judging import Head, KnownLog, judge
from appliance.witness.request import parse_request
from firmware_tests.docs.pages import ROOT
from firmware_tests.witness.vectors import ORIGIN, TIME, WITNESS, vectors

PUBLISHED = json.loads((ROOT / "docs/vectors/witness.json").read_text())


def test_published_vectors() -> None:
    assert vectors() == PUBLISHED


def test_vectors_hold_together() -> None:
    known = KnownLog(ORIGIN, (LogKey(VerifierKey.parse(PUBLISHED["log"]["verifier_key"])),))
    asked = PUBLISHED["add_checkpoint"]
    first, second = (parse_request(asked[name].encode()) for name in ("first", "from_6_to_13"))
    judge(known, None, first, [])
    head = Head(6, first.checkpoint.root, TIME, first.note.encode())
    assert judge(known, head, second, []).text == second.note.text
    # The cosignature, by what C2SP tlog-cosignature says alone.
    dash, name, encoded = asked["answer_to_from_6_to_13"].split(" ")
    data = base64.b64decode(encoded)
    assert (dash, name, int.from_bytes(data[4:12], "big")) == ("—", WITNESS, TIME)
    message = f"cosignature/v1\ntime {TIME}\n".encode() + second.note.text
    assert message == asked["cosigned_message"].encode()
    public = base64.b64decode(PUBLISHED["witness"]["verifier_key"].split("+", 2)[2])
    assert public[0] == 4
    Ed25519PublicKey.from_public_bytes(public[1:]).verify(data[12:], message)
    for evidence in ("same_size", "other_past"):
        found = ForkEvidence.parse(PUBLISHED["forks"][evidence].encode())
        assert verify_fork(found, known.keys)[0].size == 6
