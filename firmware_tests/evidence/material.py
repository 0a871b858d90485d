"""Real material for the verifier, made with other means than the product's: certificates by `cryptography`, tokens and
seals by asn1crypto, keys in software. Every field can be set wrong on purpose."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from appliance.evidence import (
    AuthorityEntry,
    LogEntry,
    NamedBytes,
    NamedDigest,
    Report,
    TimeRules,
    TrustBundle,
    WitnessEntry,
    read_bundle,
    verify,
)
from appliance.keymaster.certificates.trust_bundles import make_bundle

T0 = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
DAY = timedelta(days=1)
POLICY = "1.3.6.1.4.1.99999.1.1"
KEY_USAGES = (
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
)  # fmt: skip
PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey


def microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def spki(key: PrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw_sign(key: PrivateKey, message: bytes, hash_name: str = "sha256") -> bytes:
    algorithm = {"sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512()}[hash_name]
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(message, ec.ECDSA(algorithm))
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(message, padding.PKCS1v15(), algorithm)
    return key.sign(message)


@dataclass(frozen=True)
class Holder:
    """A key with its certificate."""

    key: PrivateKey
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


def certify(
    name: str,
    issuer: Holder | None = None,
    *,
    ca: bool = False,
    key: PrivateKey | None = None,
    not_before: datetime = T0 - 10 * DAY,
    not_after: datetime = T0 + 3000 * DAY,
    eku: Sequence[x509.ObjectIdentifier] | None = None,
    eku_critical: bool = True,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
    key_usage: str = "digital_signature",
    path_length: int | None = 0,
    serial: int | None = None,
    hash_name: str = "sha256",
) -> Holder:
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Cinnabar rehearsal"),
                         x509.NameAttribute(NameOID.COMMON_NAME, name)])  # fmt: skip
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if issuer is None else issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca, path_length if ca else None), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    )
    usages = dict.fromkeys(KEY_USAGES, False)
    for one in ("key_cert_sign", "crl_sign") if ca else (key_usage,):
        usages[one] = True
    builder = builder.add_extension(x509.KeyUsage(**usages), True)
    if issuer is not None:
        builder = builder.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.certificate.public_key()), False
        )
    if eku is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), eku_critical)
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    signer = key if issuer is None else issuer.key
    made = hashes.SHA512() if hash_name == "sha512" else hashes.SHA256()
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else made
    return Holder(key, builder.sign(signer, digest))


def time_stamper(name: str, issuer: Holder, **changes: Any) -> Holder:
    return certify(name, issuer, **({"eku": [ExtendedKeyUsageOID.TIME_STAMPING]} | changes))


def crl(
    issuer: Holder,
    revoked: Sequence[tuple[Holder, datetime, x509.ReasonFlags | None]] = (),
    *,
    issued: datetime = T0 - DAY,
    until: datetime = T0 + 400 * DAY,
    signer: Holder | None = None,
    extra: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(issued)
        .next_update(until)
        .add_extension(x509.CRLNumber(1), False)
    )
    for extension, critical in extra:
        builder = builder.add_extension(extension, critical)
    for holder, when, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(holder.certificate.serial_number).revocation_date(when)
        if reason is not None:
            entry = entry.add_extension(x509.CRLReason(reason), False)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign((signer or issuer).key, hashes.SHA256()).public_bytes(Encoding.DER)


def signature_algorithm(key: PrivateKey, hash_name: str) -> algos.SignedDigestAlgorithm:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return algos.SignedDigestAlgorithm({"algorithm": f"{hash_name}_ecdsa"})
    if isinstance(key, rsa.RSAPrivateKey):
        return algos.SignedDigestAlgorithm({"algorithm": f"{hash_name}_rsa", "parameters": core.Null()})
    return algos.SignedDigestAlgorithm({"algorithm": "ed25519"})


def ess(certificate: bytes, hash_name: str = "sha256", **issuer_serial: Any) -> tsp.SigningCertificateV2:
    entry: dict[str, Any] = {"cert_hash": hashlib.new(hash_name, certificate).digest()}
    if hash_name != "sha256":
        entry["hash_algorithm"] = {"algorithm": hash_name}
    return tsp.SigningCertificateV2({"certs": [entry | issuer_serial]})


Attribute = tuple[str, list[Any]]


def signer_info(
    holder: Holder,
    content_type: str,
    content: bytes,
    *,
    hash_name: str = "sha256",
    attributes: Mapping[str, Any] | None = None,
    repeat: Sequence[str] = (),
    unsigned: Sequence[Attribute] = (),
    sign_with: PrivateKey | None = None,
    bound: bytes | None = None,
) -> cms.SignerInfo:
    """`attributes` replaces (or with None removes) signed attributes; `repeat` doubles them; `bound` is the certificate
    that signing-certificate-v2 names."""
    signed: dict[str, Any] = {
        "content_type": content_type,
        "message_digest": hashlib.new(hash_name, content).digest(),
        "signing_certificate_v2": ess(bound or holder.der),
    }
    signed |= dict(attributes or {})
    members = [(name, [value]) for name, value in signed.items() if value is not None]
    members += [(name, [signed[name]]) for name in repeat]
    encoded = cms.CMSAttributes([cms.CMSAttribute({"type": name, "values": values}) for name, values in members])
    key = sign_with or holder.key
    certificate = asn1_x509.Certificate.load(holder.der)
    info: dict[str, Any] = {
        "version": "v1",
        "sid": cms.SignerIdentifier(
            "issuer_and_serial_number",
            cms.IssuerAndSerialNumber({"issuer": certificate.issuer, "serial_number": certificate.serial_number}),
        ),
        "digest_algorithm": {"algorithm": hash_name},
        "signed_attrs": encoded,
        "signature_algorithm": signature_algorithm(key, hash_name),
        "signature": raw_sign(key, encoded.dump(), hash_name),
    }
    if unsigned:
        info["unsigned_attrs"] = [cms.CMSAttribute({"type": name, "values": values}) for name, values in unsigned]
    return cms.SignerInfo(info)


def signed_data(
    signers: Sequence[cms.SignerInfo],
    certificates: Sequence[bytes],
    *,
    content_type: str = "data",
    content: bytes | None = None,
    crls: Sequence[bytes] = (),
) -> bytes:
    encapsulated: dict[str, Any] = {"content_type": content_type}
    if content is not None:
        encapsulated["content"] = content if content_type == "data" else core.ParsableOctetString(content)
    value: dict[str, Any] = {
        "version": "v1" if content_type == "data" else "v3",
        "digest_algorithms": [
            {"algorithm": name} for name in sorted({one["digest_algorithm"]["algorithm"].native for one in signers})
        ],
        "encap_content_info": encapsulated,
        "certificates": [asn1_x509.Certificate.load(one) for one in certificates],
        "signer_infos": list(signers),
    }
    if not certificates:
        del value["certificates"]
    if crls:
        value["crls"] = [cms.RevocationInfoChoice("crl", cms.CertificateList.load(one)) for one in crls]
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(value)}).dump()


def tst_info(document: bytes, when: datetime, **changes: Any) -> bytes:
    hash_name = changes.pop("hash_name", "sha256")
    fields: dict[str, Any] = {
        "version": "v1",
        "policy": POLICY,
        "message_imprint": {
            "hash_algorithm": {"algorithm": {"sm3": "1.2.156.10197.1.401"}.get(hash_name, hash_name)},
            "hashed_message": hashlib.new(hash_name, document).digest(),
        },
        "serial_number": 0x1234567890ABCDEF1234567890ABCDEF,
        "gen_time": when,
        "accuracy": {"seconds": 1},
    }
    return tsp.TSTInfo({name: value for name, value in (fields | changes).items() if value is not None}).dump()


def token(
    holder: Holder,
    document: bytes,
    when: datetime = T0,
    *,
    certificates: Sequence[bytes] | None = None,
    info: Mapping[str, Any] | None = None,
    encoded_info: bytes | None = None,
    crls: Sequence[bytes] = (),
    **signer: Any,
) -> bytes:
    content = encoded_info or tst_info(document, when, **dict(info or {}))
    one = signer_info(holder, "tst_info", content, **signer)
    return signed_data([one], [holder.der] if certificates is None else certificates,
                       content_type="tst_info", content=content, crls=crls)  # fmt: skip


def seal(
    holder: Holder,
    document: bytes,
    when: datetime | None = T0,
    *,
    enveloping: bool = False,
    stamped_by: Holder | None = None,
    stamped_at: datetime | None = None,
    stamp_over: bytes | None = None,
    stamp_hash: str = "sha256",
    certificates: Sequence[bytes] | None = None,
    **signer: Any,
) -> bytes:
    content = document if enveloping else None
    return signed_data(
        [
            seal_signer(
                holder,
                document,
                when,
                stamped_by=stamped_by,
                stamped_at=stamped_at,
                stamp_over=stamp_over,
                stamp_hash=stamp_hash,
                **signer,
            )
        ],
        [holder.der] if certificates is None else certificates,
        content=content,
    )


def seal_signer(
    holder: Holder,
    document: bytes,
    when: datetime | None = T0,
    *,
    stamped_by: Holder | None = None,
    stamped_at: datetime | None = None,
    stamp_over: bytes | None = None,
    stamp_hash: str = "sha256",
    **signer: Any,
) -> cms.SignerInfo:
    attributes = dict(signer.pop("attributes", {}))
    if when is not None:
        attributes.setdefault("signing_time", cms.Time({"utc_time": when}))
    one = signer_info(holder, "data", document, attributes=attributes, **signer)
    if stamped_by is not None:
        stamp = token(
            stamped_by,
            stamp_over or one["signature"].native,
            stamped_at or (when or T0) + timedelta(seconds=2),
            info={"hash_name": stamp_hash},
        )
        one["unsigned_attrs"] = cms.CMSAttributes(
            [cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(stamp)]})]
        )
    return one


@dataclass(frozen=True)
class World:
    """A box and its surroundings, in software."""

    constitution: ec.EllipticCurvePrivateKey
    tsa_ca: Holder
    seal_ca: Holder
    tsa: Holder
    sealer: Holder
    foreign_ca: Holder
    """Of another party, accepted for time."""
    foreign_tsa: Holder
    crls: Mapping[str, bytes] = field(default_factory=dict)
    logs: tuple[LogEntry, ...] = ()
    witnesses: tuple[WitnessEntry, ...] = ()
    time: TimeRules = field(default_factory=lambda: TimeRules(accepted=["tsa", "witness"]))

    def with_crl(self, name: str, content: bytes) -> World:
        return replace(self, crls={**self.crls, name: content})

    def authorities(self) -> list[AuthorityEntry]:
        import base64

        def entry(holder: Holder, **fields: Any) -> AuthorityEntry:
            return AuthorityEntry(certificate=base64.b64encode(holder.der).decode(), **fields)

        return [
            entry(self.tsa_ca, role="tsa", policies=[POLICY]),
            entry(self.seal_ca, role="seal"),
            entry(self.foreign_ca, role="tsa", party="Another TSA", time_class="tsa", policies=[POLICY]),
        ]

    def bundle_files(self, **changes: Any) -> dict[str, bytes]:
        fields: dict[str, Any] = {
            "signer": spki(self.constitution),
            "sign": lambda message: self.constitution.sign(message, ec.ECDSA(hashes.SHA256())),
            "previous": None,
            "rehearsal": True,
            "issued": T0 - DAY,
            "expires": T0 + 3000 * DAY,
            "authorities": self.authorities(),
            "revocation_lists": self.crls,
            "logs": self.logs,
            "witnesses": self.witnesses,
            "time": self.time,
        }
        return make_bundle(**(fields | changes))

    def trust(self, **changes: Any) -> TrustBundle:
        return read_bundle(self.bundle_files(**changes), None)

    def verify(
        self, *files: tuple[str, bytes], now: datetime = T0 + DAY, digests: Sequence[NamedDigest] = (),
        nonce: int | None = None, trust: TrustBundle | None = None,
    ) -> Report:  # fmt: skip
        return verify(
            [NamedBytes(name, content) for name, content in files],
            trust or self.trust(),
            now_us=microseconds(now),
            digests=digests,
            nonce=nonce,
        )


def make_world() -> World:
    tsa_ca, seal_ca, foreign_ca = (certify(name, ca=True) for name in ("TSA CA", "Seal CA", "Foreign CA"))
    return World(
        constitution=ec.generate_private_key(ec.SECP256R1()),
        tsa_ca=tsa_ca,
        seal_ca=seal_ca,
        tsa=time_stamper("TSU 1", tsa_ca),
        sealer=certify("Bank of Examples", seal_ca),
        foreign_ca=foreign_ca,
        foreign_tsa=time_stamper("Foreign TSU", foreign_ca),
        crls={"tsa-ca.crl": crl(tsa_ca), "seal-ca.crl": crl(seal_ca), "foreign.crl": crl(foreign_ca)},
    )
