"""What a time-stamp costs outside HTTP and the recorder. Prints one JSON line a measure.

python -m firmware_tests.bench.bench_timestamps [--seconds S]

clock-read          microseconds for one reading from a monitor's page
stamp-decode        microseconds to decode a TimeStampReq strictly (SHA-256, nonce, certReq)
stamp-prepare       microseconds from request and reading to the bytes to sign, the mark included
stamp-complete      microseconds from the signature to the TimeStampResp, certificates included
stamp-without-hsm   microseconds for all of these: what the room adds to a signature
stamp-p256-inline   tokens/s in one process with a SoftHSM key through hsm, against a bare loop of python-pkcs11
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import os
import shutil
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import pkcs11
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance import der
from appliance.algorithms import DIGESTS, signature_scheme
from appliance.clock import Clock
from appliance.clock.page import WordWriter
from appliance.clock.reading import boot_ns, system_ns, system_word
from appliance.timestamps import HighWaterMark, TimeStampUnit, UnitProfile, check_unit_certificate, granted
from appliance.timestamps.request import RequestDecoder, imprint_heads
from firmware_tests.bench.rate import rate
from hsm import SigningKey
from hsm.keys import generate_key_pair
from hsm.testing.softhsm import SoftHsm, ThrowawayToken
from hsm.uri import Pkcs11Uri

SCHEME = "ecdsa-p256-sha256"
POLICY = "1.3.6.1.4.1.59999.1.1"
ROUNDS = 12


def cost(measure: str, call: Callable[[], object], seconds: float) -> None:
    best = max(rate(call, seconds / ROUNDS) for _ in range(ROUNDS))
    print(json.dumps({"measure": measure, "value": round(1e6 / best, 2), "unit": "us"}), flush=True)


def certificate(public_key: ec.EllipticCurvePublicKey) -> tuple[x509.Certificate, x509.Certificate]:
    """A unit's certificate and its CA's, of ordinary sizes."""
    ca_key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)

    def named(common_name: str) -> x509.Name:
        organization = x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cinnabar Rehearsal")
        return x509.Name([organization, x509.NameAttribute(NameOID.COMMON_NAME, common_name)])

    def build(name: str, key: ec.EllipticCurvePublicKey, extension: x509.ExtensionType) -> x509.Certificate:
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named("Rehearsal TSA CA"))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(extension, critical=True)
            .sign(ca_key, hashes.SHA256())
        )

    ca = build("Rehearsal TSA CA", ca_key.public_key(), x509.BasicConstraints(True, 0))
    return build("Rehearsal TSU", public_key, x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])), ca


def bare_call(token: ThrowawayToken, key: Pkcs11Uri, module: Path) -> Callable[[], object]:
    """One signature by python-pkcs11 as its documentation does it: digest outside, raw signature out."""
    session = pkcs11.lib(str(module)).get_token(token_label=token.uri.token).open(user_pin=token.user_pin)
    private = session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, label=key.object)
    message = bytes(200)

    def call() -> object:
        return private.sign(hashlib.sha256(message).digest(), mechanism=pkcs11.Mechanism.ECDSA)

    return call


def make_unit(key: SigningKey, marks: Path) -> TimeStampUnit:
    public_key = key.public_key
    if not isinstance(public_key, ec.EllipticCurvePublicKey):
        raise TypeError("not a P-256 key")
    own, ca = certificate(public_key)
    profile = UnitProfile(
        name="bench",
        scheme=signature_scheme(SCHEME),
        certificate=own,
        chain=(ca,),
        default_policy=POLICY,
        accuracy_us=None,
        rehearsal=True,
    )
    check_unit_certificate(profile, public_key, system_ns() // 1000)
    return TimeStampUnit(profile, HighWaterMark(marks, tolerance_us=None))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=6.0, help="time a measure takes")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        softhsm = SoftHsm(directory)
        os.environ["SOFTHSM2_CONF"] = str(softhsm.configuration)
        throwaway = softhsm.token()
        token = throwaway.open()
        uri = generate_key_pair(token, "bench", SCHEME)
        key = token.signing_key(uri, SCHEME)
        unit = make_unit(key, directory / "mark")
        WordWriter(directory / "word").write(system_word(system_ns(), boot_ns(), lifetime_ns=10**13))
        clock = Clock.open(directory / "word")
        request = der.sequence(
            der.integer(1),
            imprint_heads(DIGESTS["sha256"])[1] + os.urandom(32),
            der.integer(int.from_bytes(os.urandom(8), "big")),
            der.ENCODED_TRUE,
        )
        reading = clock.read()
        decoder = RequestDecoder(list(DIGESTS.values()), [POLICY], limit=4096)
        prepared = unit.prepare(request, reading)
        signature = key.sign(prepared.to_be_signed)
        cost("clock-read", clock.read, seconds / 6)
        cost("stamp-decode", lambda: decoder.decode(request), seconds / 6)
        cost("stamp-prepare", lambda: unit.prepare(request, clock.read()), seconds / 6)
        cost("stamp-complete", lambda: granted(unit.complete(prepared, signature)), seconds / 6)

        def without_hsm() -> bytes:
            return granted(unit.complete(unit.prepare(request, clock.read()), signature))

        def stamp() -> bytes:
            made = unit.prepare(request, clock.read())
            return granted(unit.complete(made, key.sign(made.to_be_signed)))

        cost("stamp-without-hsm", without_hsm, seconds / 6)
        copy = directory / "copy.so"
        shutil.copy(softhsm.module, copy)
        bare = bare_call(throwaway, uri, copy)
        ours, theirs = [], []
        for _ in range(ROUNDS):
            ours.append(rate(stamp, seconds / ROUNDS / 2))
            theirs.append(rate(bare, seconds / ROUNDS / 2))
        token.close()
        result = {
            "measure": "stamp-p256-inline",
            "value": round(statistics.median(ours)),
            "base": round(statistics.median(theirs)),
            "ratio": round(statistics.median(a / b for a, b in zip(ours, theirs, strict=True)), 3),
            "at_least": 0.8,
        }
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
