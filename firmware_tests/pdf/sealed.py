"""Letters sealed in software, with everything that their levels need."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from appliance.documents.contracts import SealPictureRequest
from appliance.documents.letters import render_letter
from appliance.documents.pictures import render_picture
from appliance.pdf import (
    SealPicture,
    ValidationData,
    prepare_document_timestamp,
    prepare_seal,
    room_for,
    seal_place,
    with_validation_data,
)
from appliance.pdf.reader import Pdf
from appliance.pdf.syntax import write
from appliance.pdf.update import Update, stream
from appliance.seals import SealProfile
from firmware_tests.others.openssl_tsa import OpenSslTsa
from firmware_tests.pdf.letters import bench_page, request_of
from firmware_tests.seals.sealing import NOW, NOW_US, Authority, Sealer, new_key

SVG = b"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 100 100">
<circle cx="50" cy="50" r="46" fill="none" stroke="#c8201c" stroke-width="3.5"/>
<path fill="#c8201c" d="M50 30l4.7 14.5H70l-12.3 9 4.7 14.4L50 59l-12.4 8.9 4.7-14.4-12.3-9h15.3z"/></svg>"""


@functools.cache
def picture() -> SealPicture:
    return render_picture(SealPictureRequest(image=SVG))


@functools.cache
def letter(seed: int = 1) -> bytes:
    return render_letter(request_of(bench_page(seed), seed))


def covered(pdf: bytes) -> bytes:
    """With white drawn over its page, by an update."""
    source = Pdf(pdf)
    update = Update(source)
    (number,) = source.pages()
    page = source.members(number)
    cover = update.add(stream({}, b"1 1 1 rg 0 0 600 800 re f"))
    page[b"/Contents"] = b"[" + page[b"/Contents"] + b" %d 0 R]" % cover
    update.put(number, write(page))
    return update.written(b"")[0]


class Institution:
    """A seal key with its authority."""

    def __init__(self, scheme: str = "ecdsa-p256-sha256", subject: str = "Seal") -> None:
        self.authority = Authority()
        key = new_key(scheme)
        certificates = [self.authority.issue(key.public_key(), subject), self.authority.certificate]
        self.sealer = Sealer(SealProfile("test", certificates, scheme), key, scheme, certificates)
        self.profile = self.sealer.profile

    def crl(self) -> bytes:
        now = datetime.fromtimestamp(NOW, UTC)
        made = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.authority.certificate.subject)
            .last_update(now - timedelta(hours=1))
            .next_update(now + timedelta(days=7))
            .add_extension(x509.CRLNumber(1), critical=False)
            .sign(self.authority.key, hashes.SHA256())
        )
        return made.public_bytes(Encoding.DER)

    def seal(
        self, pdf: bytes, tsa: OpenSslTsa | None = None, place: tuple[int, int] | None = None, name: str = "担保人"
    ) -> bytes:
        prepared = prepare_seal(
            pdf, self.profile, NOW_US, room=room_for(self.profile), name=name,
            place=None if place is None else seal_place(*place), picture=None if place is None else picture(),
        )  # fmt: skip
        signature = self.sealer.sign(prepared.to_be_signed)
        token = None if tsa is None else tsa.token(self.sealer.digest(signature))
        return prepared.complete(signature, token)

    def prolong(self, pdf: bytes, tsa: OpenSslTsa) -> bytes:
        """B-LT of B-T."""
        certificates = [one.public_bytes(Encoding.DER) for one in (*self.sealer.certificates, tsa.certificate)]
        return with_validation_data(pdf, ValidationData(certificates=certificates, crls=[self.crl()]))

    def last(self, pdf: bytes, tsa: OpenSslTsa) -> bytes:
        """B-LTA of B-T."""
        stamp = prepare_document_timestamp(self.prolong(pdf, tsa))
        return stamp.complete(tsa.token(stamp.digest()))


@dataclass(frozen=True)
class Levels:
    """The bench letter in each level, and with further seals."""

    files: dict[str, bytes]
    roots: list[bytes]
    """DER of all authorities."""
    directory: Path


def make_levels(tsa: OpenSslTsa, one: Institution, directory: Path) -> Levels:
    two, three = Institution(subject="Counter"), Institution("rsa-pss-sha256", subject="Third")
    b_b = one.seal(letter(), place=(0, 3))
    b_t = one.seal(letter(), tsa, place=(0, 3))
    b_lta = one.last(b_t, tsa)
    counter = two.seal(b_t, tsa, place=(1, 3))
    files = {
        "b-b": b_b,
        "b-t": b_t,
        "b-lt": one.prolong(b_t, tsa),
        "b-lta": b_lta,
        "b-lta-again": one.last(b_lta, tsa),
        "invisible": one.seal(letter(), tsa),
        "counter": counter,
        "three-seals": three.seal(counter, tsa, place=(2, 3)),
        "after-lta": two.seal(b_lta, tsa),
    }
    for name, content in files.items():
        (directory / f"{name}.pdf").write_bytes(content)
    authorities = [one.authority.certificate, two.authority.certificate, three.authority.certificate, tsa.certificate]
    return Levels(files, [one.public_bytes(Encoding.DER) for one in authorities], directory)
