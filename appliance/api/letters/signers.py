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
    return [_signer(x509.load_der_x509_certificate(one), authorities) for one in certificates]


def own_signer(key: SealingKey) -> Signer:
    """The institution whose key this is."""
    return _named(x509.load_der_x509_certificate(key.profile.certificates[0]))


def _signer(certificate: x509.Certificate, authorities: Sequence[x509.Certificate]) -> Signer:
    for authority in authorities:
        try:
            certificate.verify_directly_issued_by(authority)
        except (ValueError, TypeError, InvalidSignature):
            continue
        return _named(certificate)
    raise DocumentNotInOrder("the PDF bears a seal of somebody whom the trust bundle does not name")


def _named(certificate: x509.Certificate) -> Signer:
    oids = (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME)
    return Signer(frozenset(str(one.value) for oid in oids for one in certificate.subject.get_attributes_for_oid(oid)))
