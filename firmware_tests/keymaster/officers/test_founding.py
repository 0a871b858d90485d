"""Rules of approval before the founding: a production box's are given on its console, and stand under the words."""

from __future__ import annotations

import asyncio
import base64
import datetime
import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import click.testing
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from appliance.base64url import from_base64url, to_base64url
from appliance.ceremonies import DocumentRefused, StatementRefused, digest, encode
from appliance.ceremonies.constitution import ApprovalRules
from appliance.ceremonies.proposal import digest_words
from appliance.errors import Conflict
from appliance.keymaster.approve.registration import PasskeyRefused, Registration
from appliance.keymaster.approve.service import ApprovalService
from appliance.keymaster.console.cli import console, rules_lines
from appliance.keymaster.console.server import Console
from appliance.keymaster.errors import ConsoleSilent, NotAwaited
from appliance.keymaster.officers.founding_rules import check_given, rules_before_founding
from firmware_tests.keymaster.room import Bench, Life
from firmware_tests.keymaster.served import ServedLife, Sockets
from firmware_tests.officers import MODEL, SoftwareOfficer, card_certificate
from firmware_tests.running import CLI

NAME = "approve.signing.bank.example"
ORIGIN = f"https://{NAME}:8444"


class Maker:
    """A maker of authenticators, whose root is given to the box."""

    def __init__(self) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Maker of keys")])
        self.root = self._sign(self.name, self.key, None)

    def _sign(self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, model: str | None) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        until = now + datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(self.name).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now).not_valid_after(until)
            .add_extension(x509.BasicConstraints(model is None, None), critical=True)
        )  # fmt: skip
        if model is not None:
            value = b"\x04\x10" + bytes.fromhex(model.replace("-", ""))
            oid = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")
            builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        return builder.sign(self.key, hashes.SHA256())

    def register(self, officer: SoftwareOfficer, challenge: bytes) -> Registration:
        """A registration that the maker's attestation stands in."""
        made = officer.register(challenge)
        client_data = from_base64url(made["response"]["clientDataJSON"])
        data = cbor2.loads(from_base64url(made["response"]["attestationObject"]))["authData"]
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "SE"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker of keys"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "Authenticator Attestation"),
                x509.NameAttribute(NameOID.COMMON_NAME, "Attestation"),
            ]
        )
        leaf = self._sign(subject, key, officer.model).public_bytes(serialization.Encoding.DER)
        hashed = hashes.Hash(hashes.SHA256())
        hashed.update(client_data)
        statement = {"alg": -7, "sig": key.sign(data + hashed.finalize(), ec.ECDSA(hashes.SHA256())), "x5c": [leaf]}
        encoded = cbor2.dumps({"fmt": "packed", "attStmt": statement, "authData": data})
        made["response"]["attestationObject"] = to_base64url(encoded)
        return msgspec.convert(made, Registration)


class Served(ServedLife):
    """A life before its founding, with its console on the socket of its home; calls into its loop for the rest."""

    pages: ApprovalService

    async def sockets(self, life: Life) -> Sockets:
        self.pages = ApprovalService(life.engine, life.executions)
        methods = Console(life.engine, life.executions).methods()
        return {self.bench.home.console_socket: ("console", methods, 0o600)}

    def do(self, coroutine: object) -> dict[str, object]:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(20)  # type: ignore[arg-type, return-value]

    def console(self, *arguments: str, typed: str = "", code: int = 0) -> str:
        done = click.testing.CliRunner().invoke(console, ["--home", str(self.bench.home.root), *arguments], input=typed)
        assert done.exit_code == code, done.output
        return done.output if code else done.stdout

    def piped(self, *arguments: str, typed: str) -> list[str]:
        """The same as a process of its own, which is typed to through a pipe: the lines that it said."""
        command = (*CLI, "console", "--home", str(self.bench.home.root), *arguments)
        done = subprocess.run(command, input=typed, capture_output=True, text=True, check=True, timeout=60)
        return done.stdout.splitlines()

    def enrol(self, officer: SoftwareOfficer, maker: Maker) -> None:
        link = self.console("invite", officer.name, officer.title).strip()
        code = link.removeprefix(f"{ORIGIN}/enrol/")
        options = self.do(self.pages.invitation(code))["options"]
        assert options["attestation"] == "direct"  # type: ignore[index]
        challenge = from_base64url(options["challenge"])  # type: ignore[index]
        candidate = self.do(self.pages.register(code, maker.register(officer, challenge)))
        digits = self.console("code", str(candidate["id"])).strip()
        assert self.do(self.pages.confirm(str(candidate["id"]), digits))["state"] == "confirmed"


@pytest.fixture
def production(bench: Bench) -> Iterator[Served]:
    front = msgspec.structs.replace(
        bench.settings.front, management="127.0.0.1:8444", management_name="signing.bank.example"
    )
    logs = [msgspec.structs.replace(one, keys=[]) for one in bench.settings.logs]
    bench.settings = msgspec.structs.replace(bench.settings, rehearsal=False, front=front, logs=logs)
    with Served(bench) as served:
        yield served


def officer(name: str) -> SoftwareOfficer:
    return SoftwareOfficer(name, rp_id=NAME, origin=ORIGIN)


def test_a_production_box_is_founded_by_the_rules_that_its_console_was_given(
    production: Served, tmp_path: Path
) -> None:
    maker = Maker()
    root = tmp_path / "maker.pem"
    root.write_bytes(maker.root.public_bytes(serialization.Encoding.PEM))
    # Nobody enrols before the rules stand, and rules that production forbids are not taken.
    assert "cinnabar console rules" in production.console("invite", "ann", "Ann", code=1)
    assert "cinnabar console rules" in production.console("rules", code=1)
    assert "their makers are listed" in production.console("rules", "--model", MODEL, code=1)
    given = ("--model", MODEL, "--maker", str(root))
    assert NAME in production.console("rules", *given, "--origin", "https://approve.other.example", code=1)
    assert "AAGUID" in production.console("rules", "--model", MODEL.upper(), "--maker", str(root), code=1)
    shown = production.console("rules", *given, "--hours", "48")
    fingerprint = maker.root.fingerprint(hashes.SHA256()).hex()
    for words in (ORIGIN, MODEL, "CN=Maker of keys", fingerprint, "copied to other devices are refused", "48 hours"):
        assert words in shown, words
    rules = ApprovalRules(
        rp_id=NAME,
        origins=[ORIGIN],
        models=[MODEL],
        attestation_roots=[base64.b64encode(maker.root.public_bytes(serialization.Encoding.DER)).decode()],
        longest_hours=48,
    )
    assert digest_words(digest(encode(rules))) in shown
    assert production.console("rules").splitlines() == shown.splitlines()[:-1]
    # Another maker's key, a key without attestation, and one that can be copied are refused at the enrolment.
    with pytest.raises(PasskeyRefused):
        production.enrol(officer("eve"), Maker())
    for name in ("ann", "bo", "cai"):
        production.enrol(officer(name), maker)
    assert "discard" in production.console("rules", *given, code=1)
    # The words cover the rules, and stay the same until something changes.
    first = production.console("found", "--threshold", "1", typed="abandon abandon abandon abandon\n", code=1)
    assert fingerprint in first
    again = production.console("found", "--threshold", "1", typed="\n" * 3, code=1)
    named = [line for line in first.splitlines() if line.startswith("Fingerprint ")]
    assert named == [line for line in again.splitlines() if line.startswith("Fingerprint ")]
    assert "other words" not in again
    other = production.console("found", "--threshold", "2", typed="\n" * 3, code=1)
    assert "Something is another thing" in other
    words = digest_words(named[0].split()[1]).split()
    assert "not the first four words" in production.console(
        "found", "--threshold", "2", typed=" ".join(words[:4]) + "\n", code=1
    )
    back = production.console("found", "--threshold", "1", typed="\n" * 3, code=1)
    assert "Something is another thing" in back
    digest_now = next(line for line in back.splitlines() if line.startswith("Fingerprint ")).split()[1]
    typed = " ".join(digest_words(digest_now).split()[:4]) + "\n"
    said = production.piped("found", "--threshold", "1", typed=typed)
    assert said[-2:] == ["The first four English words: ", "The constitution is in force, version 1."]
    assert production.life is not None
    law = production.life.room.constitutions.in_force()
    assert (law.rehearsal, law.rules, law.digest) == (False, rules, digest_now)
    assert "a ceremony changes its rules" in production.console("rules", *given, code=1)
    assert MODEL in production.console("rules")


def test_a_rehearsal_box_can_be_given_the_rules_of_production(bench: Bench) -> None:
    async def body(life: Life) -> None:
        served = Console(life.engine, life.executions)
        assert (await served.rules())["rules"]["backup_eligible"] is True
        root = Maker().root.public_bytes(serialization.Encoding.DER)
        shown = await served.give_rules([MODEL], [root], [], 24)
        held = rules_before_founding(life.room.home, life.room.settings)
        assert (held.models, held.backup_eligible, held.longest_hours) == ([MODEL], False, 24)
        assert shown["digest"] == digest(encode(held))
        check_given(held, msgspec.structs.replace(life.room.settings, rehearsal=False))
        for wrong in (
            {"rp_id": "approve.localhost.example"},
            {"origins": ["http://approve.localhost"]},
            {"origins": ["https://approve.localhost:0"]},
            {"origins": ["https://approve.localhost@evil.example"]},
            {"origins": ["https://approve.localhost/x"]},
            {"origins": []},
            {"models": [MODEL, MODEL]},
            {"attestation_roots": ["AAAA"]},
            {"attestation_roots": ["not base64"]},
        ):
            with pytest.raises(DocumentRefused):
                check_given(msgspec.structs.replace(held, **wrong), life.room.settings)
        life.confirm(life.bench.officers["ann"])
        with pytest.raises(Conflict):
            await served.give_rules([], [], [], 24)

    bench.run(body)


def test_what_is_typed_into_a_pipe_ends_its_line(bench: Bench) -> None:
    """A secret that a ceremony shows, and one that it asks for, without a terminal."""
    with Served(bench) as served:
        line = served.life.room.console
        shown = asyncio.run_coroutine_threadsafe(line.show("0" * 64, 0, "For ann alone", "thirty words"), served.loop)
        (row,) = json.loads(served.console("pending", "--json"))
        assert served.piped("answer", str(row["number"]), typed="done\n") == [
            *("For ann alone", "It is shown once:", "thirty words"),
            *("Type `done` when you have taken it down: ", "The ceremony has it."),
        ]
        assert shown.result(10) is None
        # Seen by somebody who then went away: it is not shown again, and can still be said to be taken down.
        lost = asyncio.run_coroutine_threadsafe(line.show("0" * 64, 0, "For bo alone", "other words"), served.loop)
        (row,) = json.loads(served.console("pending", "--json"))
        assert line.take_text(row["number"]) == "other words"
        told = served.piped("answer", str(row["number"]), typed="done\n")
        assert "other words" not in told
        assert told[-2:] == ["Type `done` if it was taken down: ", "The ceremony has it."]
        assert lost.result(10) is None
        # Nobody took it down: it is said how long it waits, and it can be ended at once.
        lost = asyncio.run_coroutine_threadsafe(line.show("0" * 64, 0, "For cai alone", "more words"), served.loop)
        (row,) = json.loads(served.console("pending", "--json"))
        number = str(row["number"])
        assert re.search(rf"{number}  show  For cai alone\n  waits until \d\d:\d\d:\d\d UTC", served.console("pending"))
        served.console("answer", number, code=1)
        told = served.console("pending")
        assert re.search(r"was shown; it waits until \d\d:\d\d:\d\d UTC", told)
        assert f"console answer {number}" in told
        assert f"console give-up {number}" in told
        with pytest.raises(NotAwaited, match="not shown again"):
            line.take_text(row["number"])
        assert "the step has failed" in served.console("give-up", number, "--yes")
        with pytest.raises(ConsoleSilent, match="given up on the console: For cai alone"):
            lost.result(10)
        assert served.console("pending") == "No ceremony asks or shows anything.\n"
        asked = asyncio.run_coroutine_threadsafe(line.ask("0" * 64, 0, "The PIN"), served.loop)
        (row,) = json.loads(served.console("pending", "--json"))
        assert served.piped("answer", str(row["number"]), typed="1234\n")[-2:] == ["Answer: ", "The ceremony has it."]
        assert asked.result(10) == "1234"


@pytest.mark.parametrize("what", ["short", "over", "for-encryption"])
def test_a_card_that_cannot_sign_statements_makes_no_officer(bench: Bench, what: str) -> None:
    """A first roster of such cards would be pinned, and never decide anything."""
    now = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
    day = datetime.timedelta(days=1)
    short = rsa.generate_private_key(65537, 1024)  # noqa: S505 - what a card must not have
    key: Any = short if what == "short" else ec.generate_private_key(ec.SECP256R1())
    made = card_certificate("dora", key, (now - 2 * day, now - day) if what == "over" else None)
    encoded = made.public_bytes(serialization.Encoding.DER)
    if what == "for-encryption":
        encoded = encoded.replace(bytes.fromhex("0302" + "06c0"), bytes.fromhex("0302" + "0520"))
        assert (
            not x509.load_der_x509_certificate(encoded)
            .extensions.get_extension_for_class(x509.KeyUsage)
            .value.digital_signature
        )
    digits = hashlib.sha256(encoded).hexdigest()

    async def body(life: Life) -> None:
        with pytest.raises((DocumentRefused, StatementRefused)):
            await Console(life.engine, life.executions).card("dora", "Dora", encoded, digits)

    bench.run(body)


def test_what_the_console_shows_of_rules_does_nothing_to_the_terminal() -> None:
    held = {"origins": ["https://approve.localhost\x1b[2J\u202e"], "models": ["\x1b]0;x\x07"]}
    assert all(line.isprintable() for line in rules_lines(held))
