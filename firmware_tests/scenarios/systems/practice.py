"""What every scenario needs: amounts, numbers, dates and firms as they are written in practice, and checks of them."""

from __future__ import annotations

import csv
import datetime
import hashlib
import itertools
import json
import secrets
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import openpyxl
import pytest
import rfc8785
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.x509.oid import NameOID
from msgspec import UNSET, UnsetType

from appliance.api.intakes.schemas import Intake, RowVerdict
from appliance.api.letters.schemas import LetterEvent, ReceiptGiven
from appliance.api.texts import new_idempotency_key
from appliance.calls.problems import SealedRefusal
from appliance.client import Client, Refused
from appliance.client.intake_files import all_verdicts, send_intake, watch_intake
from appliance.letters.envelope import Context
from appliance.letters.event import Event, read_event
from appliance.letters.refusal import Refusal as SealedReason
from appliance.letters.veil import veil
from firmware_tests.running import cinnabar

CHINA = datetime.timezone(datetime.timedelta(hours=8))


def yuan(amount: str) -> dict[str, str]:
    """So many yuan."""
    return {"amount": amount, "currency": "CNY"}


def dollars(amount: str) -> dict[str, str]:
    return {"amount": amount, "currency": "USD"}


def number(prefix: str) -> str:
    """A number that nothing else has, such as BH-1f0c9a..."""
    return f"{prefix}-{secrets.token_hex(6)}"


def digits(count: int) -> str:
    """A number of so many digits that nothing else has, as invoices and declarations carry."""
    return "".join(secrets.choice("0123456789") for _ in range(count))


def firm(name: str) -> dict[str, str]:
    """A firm with a unified social credit code (统一社会信用代码) of its own."""
    return {"name": name, "id": f"91440101MA{secrets.token_hex(4).upper()}"}


def digest(content: str | bytes) -> str:
    """SHA-256 of a document that stays outside the box."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def fresh(text: str) -> str:
    """The digest of a document that is like no other."""
    return digest(f"{text} {secrets.token_hex(16)}")


def refusal(answer: dict[str, Any]) -> str:
    """The code of a refusal that came in a message."""
    return str(answer["body"]["type"]).removeprefix("urn:cinnabar:problem:")


def day(after: int = 0) -> str:
    """Today's date in China, or one so many days later. Waits where the day is about to end."""
    now = datetime.datetime.now(CHINA)
    left = (now.replace(hour=23, minute=59, second=59) - now).total_seconds()
    if left < 5:
        time.sleep(left + 2)
        now = datetime.datetime.now(CHINA)
    return (now + datetime.timedelta(days=after)).date().isoformat()


def moment(after_s: float) -> str:
    """The time in so many seconds, as RFC 3339 in China's zone."""
    return (datetime.datetime.now(CHINA) + datetime.timedelta(seconds=after_s)).isoformat(timespec="milliseconds")


def wait_for(when: str) -> None:
    """Until that time is past."""
    left = (datetime.datetime.fromisoformat(when) - datetime.datetime.now(CHINA)).total_seconds()
    time.sleep(max(0.0, left) + 0.05)


def wait_until(true: Callable[[], bool], seconds: float = 20.0) -> None:
    """Until it is so. Raises AssertionError where it is not in time."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come to be"
        time.sleep(0.1)


def receipt(registry: str, text: str = "登记证明") -> ReceiptGiven:
    """What an outside registry, such as Zhongdeng (中登网), handed out."""
    given = number(registry.upper())
    return ReceiptGiven(registry=registry, number=given, receipt=f"{text} {given}".encode())


class Refusal:
    """What a party was told when it was refused."""

    detail = ""
    sealed: SealedRefusal | UnsetType = UNSET
    """The box's own statement of it, where the kind wants one."""


@contextmanager
def refuses(code: str, said: str = "") -> Iterator[Refusal]:
    """The box refuses what is asked within, for this reason, in words that hold `said`."""
    told = Refusal()
    with pytest.raises(Refused) as error:
        yield told
    told.detail, told.sealed = str(error.value.problem.detail), error.value.problem.sealed
    assert error.value.code == code, f"{error.value.code}: {told.detail}"
    assert said in told.detail, told.detail


def sealed_refusal(client: Client, offline: Offline, told: Refusal) -> SealedReason:
    """What the box sealed of a refusal: recorded, and checked by whoever has the trust bundle and nothing else."""
    assert isinstance(told.sealed, SealedRefusal)
    assert client.record(told.sealed.record).artifact == told.sealed.seal
    document = offline.content(told.sealed.seal)
    said = msgspec.json.decode(document, type=SealedReason)
    assert said.canonical() == document
    assert said.detail == told.detail
    return said


def taken_in(client: Client, file: Path, kind: str, **options: Any) -> tuple[Intake, list[RowVerdict]]:
    """Send a file of rows and wait until every row has its verdict."""
    run = watch_intake(client, send_intake(client, kind, file, **options).intake, every_s=0.05)
    return run, list(all_verdicts(client, run.intake))


def written(file: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    """A file of rows: a spreadsheet if it is called so, else CSV."""
    if file.suffix == ".xlsx":
        book = openpyxl.Workbook()
        sheet = book.active
        assert sheet is not None
        for row in (header, *rows):
            sheet.append(list(row))
        book.save(file)
    else:
        with file.open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened).writerows((header, *rows))
    return file


def happened(client: Client, letter: str) -> list[tuple[LetterEvent, Event]]:
    """A letter's events as they are sealed and as they read, each held to the one before."""
    pairs = [(one, read_event(one.event)) for one in client.letter_events(letter).events]
    for (_, before), (_, after) in itertools.pairwise(pairs):
        assert after.previous == before.digest()
        assert after.at >= before.at
    return pairs


def story(client: Client, letter: str) -> list[str]:
    """The names of a letter's events, in order."""
    return [event.event for _, event in happened(client, letter)]


def veiled(client: Client, tenant: str, kind_digest: str, field: str, reference: str, code: str, value: Any) -> bytes:
    """An envelope that a sender makes on its own machine: what is in it, only the bid code opens."""
    key = load_der_public_key(client.release_key().key)
    assert isinstance(key, ec.EllipticCurvePublicKey)
    context = Context(tenant=tenant, kind=kind_digest, field=field, reference=reference)
    return veil(rfc8785.dumps(value), context, key, code=code).envelope.encoded()


def certified(name: str, key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    """A certificate of a counterpart, to which fields are encrypted."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
    return builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(days=365)).sign(key, hashes.SHA256())


def again() -> str:
    """An Idempotency-Key, for a request that may be sent twice."""
    return str(uuid.UUID(bytes=new_idempotency_key()))


def printed(pdf: Path) -> str:
    """What a PDF says, as poppler reads it."""
    return subprocess.run(["pdftotext", str(pdf), "-"], check=True, capture_output=True, text=True).stdout


class Offline:
    """Somebody with a file, the trust bundle and `cinnabar verify`, and no way to the box."""

    def __init__(self, trust: Path, directory: Path) -> None:
        self._trust, self._directory = trust, directory

    def verify(self, *files: bytes, ledgers: Sequence[Path] = ()) -> dict[str, Any]:
        """The report on the files together. `ledgers`: profiles that go before the trust bundle's."""
        paths = []
        for place, content in enumerate(files):
            path = self._directory / f"{place}-{hashlib.sha256(content).hexdigest()[:8]}"
            path.write_bytes(content)
            paths.append(str(path))
        state = str(self._directory / "state")
        given = [f"--ledger={path}" for path in ledgers]
        done = cinnabar("verify", *paths, "--trust", str(self._trust), "--state", state, "--json", *given)
        report: dict[str, Any] = json.loads(done.stdout)
        return report

    def content(self, seal: bytes) -> bytes:
        """What an enveloping seal carries, by `cinnabar verify` and by OpenSSL."""
        assert self.passes(seal)
        path = self._directory / f"{hashlib.sha256(seal).hexdigest()[:16]}.p7m"
        path.write_bytes(seal)
        authority = str(self._trust / "seal-ca.pem")
        openssl = (
            "openssl",
            "cms",
            "-verify",
            "-inform",
            "DER",
            "-in",
            str(path),
            "-CAfile",
            authority,
            "-purpose",
            "any",
        )
        return subprocess.run((*openssl, "-binary"), check=True, capture_output=True).stdout

    def passes(self, *files: bytes) -> bool:
        """Whether everything about them holds. Raises AssertionError with what does not."""
        report = self.verify(*files)
        if report["indication"] != "TOTAL-PASSED":
            raise AssertionError(json.dumps(report, ensure_ascii=False, indent=1)[:6000])
        return True
