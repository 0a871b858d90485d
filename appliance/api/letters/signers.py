"""Who sealed a PDF that comes from another institution: certificates that the box's trust bundle leads to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from appliance.evidence import TrustRefused, read_bundle
from appliance.evidence.directory import read_directory
from appliance.letters.co_sealing import Signer
from appliance.letters.errors import DocumentNotInOrder

if TYPE_CHECKING:
    from appliance.api.units import SealingKey
    from appliance.api.worker import Worker


def signers_of(worker: Worker, certificates: Sequence[bytes]) -> list[Signer]:
    """By their certificates (DER), each issued by an authority that the trust bundle names for seals. Whether the
    seals hold was judged where the PDF was read. Raises DocumentNotInOrder. Blocks."""
    if not certificates:
        return []
    try:
        bundle = read_bundle(read_directory(worker.home.trust), None)
    except TrustRefused as error:
        raise DocumentNotInOrder(f"the box cannot say who sealed it: {error}") from None
    authorities = [x509.load_der_x509_certificate(one.certificate.encoded) for one in bundle.trusted_for("seal")]
    rehearsal = worker.settings.rehearsal
    return [_signer(x509.load_der_x509_certificate(one), authorities, rehearsal) for one in certificates]


def own_signer(worker: Worker, key: SealingKey) -> Signer:
    """The institution whose key this is."""
    return named(x509.load_der_x509_certificate(key.profile.certificates[0]), worker.settings.rehearsal)


def _signer(certificate: x509.Certificate, authorities: Sequence[x509.Certificate], rehearsal: bool) -> Signer:
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return named(certificate, rehearsal)
    raise DocumentNotInOrder("the PDF bears a seal of somebody whom the trust bundle does not name")


def named(certificate: x509.Certificate, rehearsal: bool) -> Signer:
    """As whom a certificate lets one seal: by its organisation where it has one, for whoever asks for the certificate
    chooses the common name, another institution's if he likes. In rehearsal all have one organisation, so that the
    common name tells them apart."""
    organisations, common = (
        frozenset(str(one.value) for one in certificate.subject.get_attributes_for_oid(oid))
        for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    )
    return Signer(organisations | common if rehearsal else organisations or common)
