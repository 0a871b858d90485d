"""What a seal costs beside its signature, in microseconds and as ratios. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_seals [--seconds S]

seal-detached       prepare and complete from a digest
seal-options        the same with a MIME type, a commitment and a place
seal-asn1crypto     the same seal built with asn1crypto, for comparison
seal-two-step       export and import of a prepared seal
seal-further        a second signature on a CMS
seal-timestamp      a signature time-stamp added to a CMS
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from appliance.seals import (
    SealOptions,
    SealProfile,
    add_signature_timestamp,
    export_prepared,
    import_prepared,
)
from firmware_tests.others.openssl_tsa import OpenSslTsa
from firmware_tests.seals.sealing import NOW_US, Authority, Sealer, new_key
from firmware_tests.seals.test_oracle import expected_attributes, expected_cms

SCHEME = "ecdsa-p256-sha256"
DIGEST = bytes(range(32))
OPTIONS = SealOptions(mime_type="application/json", commitment="proof-of-approval", country="CN", locality="Hangzhou")


def cost_us(call: Callable[[], object], seconds: float) -> float:
    """The best of ten rounds: the machine's other work only adds."""
    best, rounds = float("inf"), 10
    for _ in range(rounds):
        done, start = 0, time.perf_counter()
        while (passed := time.perf_counter() - start) < seconds / rounds:
            call()
            done += 1
        best = min(best, passed / done)
    return best * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=2.0)
    seconds = parser.parse_args().seconds
    authority, key = Authority(), new_key(SCHEME)
    certificates = [authority.issue(key.public_key()), authority.certificate]
    profile = SealProfile("bench", certificates, SCHEME)
    sealer = Sealer(profile, key, SCHEME, certificates)
    prepared = profile.prepare(DIGEST, "sha256", NOW_US)
    signature = sealer.sign(prepared.to_be_signed)
    cms = profile.complete(prepared, signature)
    value = export_prepared(profile, prepared)
    with tempfile.TemporaryDirectory() as directory:
        token = OpenSslTsa(Path(directory)).token(sealer.digest(signature))
    clock = itertools.count(NOW_US, 100)  # each seal 100 us after the one before: 10,000 a second

    def detached() -> None:
        profile.complete(profile.prepare(DIGEST, "sha256", next(clock)), signature)

    def with_options() -> None:
        profile.complete(profile.prepare(DIGEST, "sha256", next(clock), OPTIONS), signature)

    def plain() -> None:
        expected_cms(sealer, expected_attributes(sealer, DIGEST, NOW_US // 10**6, SealOptions()), signature, None)

    def further() -> None:
        profile.complete(profile.prepare_further(cms, NOW_US, digest=DIGEST), signature)

    measures: dict[str, Callable[[], object]] = {
        "seal-detached": detached,
        "seal-options": with_options,
        "seal-asn1crypto": plain,
        "seal-two-step": lambda: import_prepared(profile, value, NOW_US),
        "seal-further": further,
        "seal-timestamp": lambda: add_signature_timestamp(cms, token),
    }
    costs = {name: cost_us(call, seconds) for name, call in measures.items()}
    signing = cost_us(lambda: sealer.sign(prepared.to_be_signed), seconds)
    for name, cost in costs.items():
        print(
            json.dumps(
                {
                    "measure": name,
                    "us": round(cost, 2),
                    "ratio_to_software_signature": round(cost / signing, 3),
                    "ratio_to_asn1crypto": round(cost / costs["seal-asn1crypto"], 5),
                }
            )
        )


if __name__ == "__main__":
    main()
