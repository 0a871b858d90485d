"""Every check of a seal refuses for its own reason; and the time at which a seal is judged."""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import algos, cms
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from appliance.evidence import Indication, NamedDigest, Report, SubIndication
from firmware_tests.evidence import der_trees
from firmware_tests.evidence.material import (
    DAY,
    T0,
    World,
    certify,
    crl,
    seal,
    seal_signer,
    signed_data,
    token,
)

DOCUMENT = '{"信":"bid bond"}'.encode()
PASSED, UNDECIDED, FAILED = Indication.PASSED, Indication.INDETERMINATE, Indication.FAILED
Sub = SubIndication


def judge(world: World, encoded: bytes, document: bytes = DOCUMENT, **more: object) -> Report:
    return world.verify(("bond.json", document), ("bond.p7s", encoded), **more)  # type: ignore[arg-type]


def refused(report: Report, sub: SubIndication, name: str = "bond.p7s") -> None:
    file = next(file for file in report.files if file.name == name)
    assert (file.indication, file.sub_indications) == (sub.indication, [sub]), report
    assert report.indication is not PASSED


def texts(report: Report) -> str:
    return "\n".join(check.text for file in report.files for part in file.parts for check in part.checks)


def test_a_good_seal_passes(world: World) -> None:
    report = judge(world, seal(world.sealer, DOCUMENT))
    assert report.indication is PASSED
    assert "CAdES-B-B" in report.files[1].parts[0].title
    assert report.files[0].claimed[0].time == "2026-03-01 12:00:00 UTC"


def test_enveloping(world: World) -> None:
    report = world.verify(("bond.p7m", seal(world.sealer, DOCUMENT, enveloping=True)))
    assert report.indication is PASSED


def test_enveloped_document_was_changed(world: World) -> None:
    changed = seal(world.sealer, DOCUMENT, enveloping=True).replace(b"bid bond", b"Bid bond")
    refused(world.verify(("bond.p7s", changed)), Sub.HASH_FAILURE)


def test_with_a_time_stamp(world: World) -> None:
    report = judge(world, seal(world.sealer, DOCUMENT, stamped_by=world.tsa))
    assert report.indication is PASSED
    assert "CAdES-B-T" in report.files[1].parts[0].title
    assert report.files[0].existed_no_later_than is None


def test_with_a_time_stamp_of_another_party(world: World) -> None:
    report = judge(world, seal(world.sealer, DOCUMENT, stamped_by=world.foreign_tsa))
    shown = [file.existed_no_later_than for file in report.files]
    assert [one.time if one else None for one in shown] == ["2026-03-01 12:00:03 UTC"] * 2


def test_several_signers(world: World) -> None:
    second = certify("Second Bank", world.seal_ca)
    signers = [seal_signer(holder, DOCUMENT) for holder in (world.sealer, second)]
    both = signed_data(signers, [world.sealer.der, second.der])
    report = judge(world, both)
    assert report.indication is PASSED
    assert len(report.files[1].parts) == 2
    signers[1]["signature"] = seal_signer(second, b"other")["signature"]
    refused(judge(world, signed_data(signers, [world.sealer.der, second.der])), Sub.SIG_CRYPTO_FAILURE)


def test_another_document(world: World) -> None:
    refused(judge(world, seal(world.sealer, DOCUMENT), b"another"), Sub.HASH_FAILURE)


def test_no_document(world: World) -> None:
    refused(world.verify(("bond.p7s", seal(world.sealer, DOCUMENT))), Sub.SIGNED_DATA_NOT_FOUND)


def test_signature_by_another_key(world: World) -> None:
    encoded = seal(world.sealer, DOCUMENT, sign_with=ec.generate_private_key(ec.SECP256R1()))
    refused(judge(world, encoded), Sub.SIG_CRYPTO_FAILURE)


def test_certificate_of_an_authority_that_is_not_in_the_bundle(world: World) -> None:
    other = certify("Bank of Examples", certify("Another CA", ca=True))
    refused(judge(world, seal(other, DOCUMENT)), Sub.NO_CERTIFICATE_CHAIN_FOUND)


def test_certificates_that_name_each_other_as_their_issuer(world: World) -> None:
    """Nine of them took a minute, each further one ten times as long: they are tried in every order."""
    first = certify("Knot", ca=True, path_length=None)
    knot = [certify("Knot", first, ca=True, key=first.key, path_length=None) for _ in range(24)]
    begun = time.process_time()
    strange = certify("Bank of Examples", first)
    beside = [one.der for one in (first, *knot)]
    encoded = seal(strange, DOCUMENT, certificates=[strange.der, *beside])
    refused(judge(world, encoded), Sub.NO_CERTIFICATE_CHAIN_FOUND)
    encoded = seal(world.sealer, DOCUMENT, certificates=[world.sealer.der, *beside])
    assert judge(world, encoded).indication is PASSED
    assert time.process_time() - begun < 5


def test_a_path_through_authorities_that_lie_beside_it(world: World) -> None:
    top = certify("Seal CA", ca=True, path_length=3)
    upper = certify("Upper CA", top, ca=True, path_length=2)
    lower = certify("Lower CA", upper, ca=True)
    sealer = certify("Bank of Examples", lower)
    named = replace(world, seal_ca=top, crls={f"{n}.crl": crl(one) for n, one in enumerate((top, upper, lower))})
    encoded = seal(sealer, DOCUMENT, certificates=[lower.der, sealer.der, upper.der])
    assert judge(named, encoded).indication is PASSED
    for given in ([lower.der, sealer.der], [sealer.der, upper.der], [sealer.der]):
        refused(judge(named, seal(sealer, DOCUMENT, certificates=given)), Sub.NO_CERTIFICATE_CHAIN_FOUND)


@pytest.mark.parametrize("name", ["signing_certificate_v2", "message_digest", "content_type"])
def test_signed_attribute_missing_or_twice(world: World, name: str) -> None:
    refused(judge(world, seal(world.sealer, DOCUMENT, attributes={name: None})), Sub.FORMAT_FAILURE)
    refused(judge(world, seal(world.sealer, DOCUMENT, repeat=[name])), Sub.FORMAT_FAILURE)


def test_two_signing_times(world: World) -> None:
    refused(judge(world, seal(world.sealer, DOCUMENT, repeat=["signing_time"])), Sub.FORMAT_FAILURE)


def test_signing_certificate_is_another(world: World) -> None:
    other = certify("Other", world.seal_ca)
    refused(judge(world, seal(world.sealer, DOCUMENT, bound=other.der)), Sub.NO_SIGNING_CERTIFICATE_FOUND)


def test_signed_content_type_is_another(world: World) -> None:
    encoded = seal(world.sealer, DOCUMENT, attributes={"content_type": "signed_data"})
    refused(judge(world, encoded), Sub.FORMAT_FAILURE)


def test_algorithm_protection(world: World) -> None:
    def protection(name: str) -> cms.CMSAlgorithmProtection:
        return cms.CMSAlgorithmProtection(
            {
                "digest_algorithm": {"algorithm": name},
                "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
            }
        )

    good = seal(world.sealer, DOCUMENT, attributes={"cms_algorithm_protection": protection("sha256")})
    bad = seal(world.sealer, DOCUMENT, attributes={"cms_algorithm_protection": protection("sha512")})
    assert judge(world, good).indication is PASSED
    refused(judge(world, bad), Sub.SIG_CONSTRAINTS_FAILURE)


def _der(tag: int, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return bytes([tag, len(content)]) + content


def test_a_signature_with_rsa_and_a_digest_that_does_not_go_with_it(world: World) -> None:
    """Signature and digest algorithm both name SM3, as nobody signs with RSA."""
    holder = certify("Bank of RSA", world.seal_ca, key=rsa.generate_private_key(65537, 2048))
    digest = _der(0x30, bytes.fromhex("06082a811ccf550183110500"))
    mask = _der(0x30, bytes.fromhex("06092a864886f70d010108"), digest)
    parameters = _der(0x30, _der(0xA0, digest), _der(0xA1, mask))
    algorithm = _der(0x30, bytes.fromhex("06092a864886f70d01010a"), parameters)
    encoded = seal(holder, DOCUMENT, attributes={"message_digest": hashlib.new("sm3", DOCUMENT).digest()})
    for place, made in ((4, algorithm), (2, digest)):
        other = der_trees.decode(made)[0]
        encoded = der_trees.at(encoded, (0, 1, 0, -1, 0, place), lambda nodes, at, o=other: nodes.__setitem__(at, o))  # type: ignore[misc]
    refused(judge(world, encoded), Sub.CRYPTO_CONSTRAINTS_FAILURE)


@pytest.mark.parametrize(
    "changes", [{"key_usage": "key_agreement"}, {"eku": [ExtendedKeyUsageOID.TIME_STAMPING]}], ids=["usage", "tsa"]
)
def test_certificate_that_may_not_seal(world: World, changes: dict[str, object]) -> None:
    holder = certify("Wrong", world.seal_ca, **changes)  # type: ignore[arg-type]
    refused(judge(world, seal(holder, DOCUMENT)), Sub.CHAIN_CONSTRAINTS_FAILURE)


def test_strangers_do_not_speak_for_the_box(world: World) -> None:
    """What a seal that does not hold states is never repeated as a claim of the box, nor about the document."""
    rogue = seal(certify("Bank of Examples", certify("Seal CA", ca=True)), DOCUMENT)
    forged = seal(world.sealer, DOCUMENT, sign_with=ec.generate_private_key(ec.SECP256R1()))
    for encoded in (rogue, forged):
        assert [file.claimed for file in judge(world, encoded).files] == [[], []]
    expired = seal(certify("Bank", world.seal_ca, not_after=T0), DOCUMENT)
    document, sealed = judge(world, expired).files
    assert (len(document.claimed), len(sealed.claimed)) == (0, 1)


# --- the time at which a seal is judged --------------------------------------------------------------------------


def test_expired_since_without_a_time_stamp(world: World) -> None:
    holder = certify("Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    refused(judge(world, seal(holder, DOCUMENT), now=T0 + 40 * DAY), Sub.OUT_OF_BOUNDS_NO_POE)


def test_expired_since_with_a_time_stamp(world: World) -> None:
    holder = certify("Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    encoded = seal(holder, DOCUMENT, stamped_by=world.tsa)
    assert judge(world, encoded, now=T0 + 40 * DAY).indication is PASSED


def test_expired_since_with_a_stamp_over_the_seal_given_beside(world: World) -> None:
    holder = certify("Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    encoded = seal(holder, DOCUMENT)
    stamp = token(world.tsa, encoded, T0 + timedelta(hours=1))
    report = world.verify(("d", DOCUMENT), ("d.p7s", encoded), ("s.tst", stamp), now=T0 + 40 * DAY)
    assert report.indication is PASSED


def test_a_stamp_of_one_signer_does_not_help_the_other(world: World) -> None:
    first, second = (certify(name, world.seal_ca, not_after=T0 + 30 * DAY) for name in ("First", "Second"))
    signers = [seal_signer(first, DOCUMENT, stamped_by=world.foreign_tsa), seal_signer(second, DOCUMENT)]
    report = judge(world, signed_data(signers, [first.der, second.der]), now=T0 + 40 * DAY)
    found = {part.title.split("“")[1][:5]: part.indication for part in report.files[1].parts}
    assert found == {"First": PASSED, "Secon": UNDECIDED}


def test_time_stamp_after_expiry(world: World) -> None:
    holder = certify("Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    encoded = seal(holder, DOCUMENT, stamped_by=world.tsa, stamped_at=T0 + 31 * DAY)
    refused(judge(world, encoded, now=T0 + 40 * DAY), Sub.OUT_OF_BOUNDS_NO_POE)


def test_sealed_before_the_certificate_was_valid(world: World) -> None:
    holder = certify("Bank", world.seal_ca, not_before=T0 + DAY)
    encoded = seal(holder, DOCUMENT, stamped_by=world.tsa)
    refused(judge(world, encoded, now=T0 + 2 * DAY), Sub.NOT_YET_VALID)


def test_revoked_after_and_before_the_time_stamp(world: World) -> None:
    encoded = seal(world.sealer, DOCUMENT, stamped_by=world.tsa)
    for days, reason in ((1, x509.ReasonFlags.key_compromise), (1, None)):
        later = crl(world.seal_ca, [(world.sealer, T0 + days * DAY, reason)], issued=T0 + 2 * DAY)
        report = judge(world.with_crl("seal-ca.crl", later), encoded, now=T0 + 5 * DAY)
        assert report.indication is PASSED
    before = crl(world.seal_ca, [(world.sealer, T0 - DAY, None)], issued=T0 - DAY)
    refused(judge(world.with_crl("seal-ca.crl", before), encoded, now=T0 + 5 * DAY), Sub.REVOKED_NO_POE)


def test_revoked_without_a_time_stamp(world: World) -> None:
    later = crl(world.seal_ca, [(world.sealer, T0 + DAY, None)], issued=T0 + 2 * DAY)
    refused(
        judge(world.with_crl("seal-ca.crl", later), seal(world.sealer, DOCUMENT), now=T0 + 5 * DAY), Sub.REVOKED_NO_POE
    )


def test_time_stamp_over_something_else(world: World) -> None:
    encoded = seal(world.sealer, DOCUMENT, stamped_by=world.tsa, stamp_over=b"else")
    refused(judge(world, encoded), Sub.SIG_CONSTRAINTS_FAILURE)


def test_time_stamp_of_an_unknown_authority(world: World) -> None:
    other = certify("TSU", certify("Other", ca=True), eku=[ExtendedKeyUsageOID.TIME_STAMPING])
    refused(judge(world, seal(world.sealer, DOCUMENT, stamped_by=other)), Sub.SIG_CONSTRAINTS_FAILURE)


def test_stated_time_after_the_time_stamp_is_a_contradiction(world: World) -> None:
    encoded = seal(world.sealer, DOCUMENT, T0 + timedelta(hours=1), stamped_by=world.tsa, stamped_at=T0)
    report = judge(world, encoded)
    refused(report, Sub.TIMESTAMP_ORDER_FAILURE)
    assert "Contradiction" in texts(report)


def test_stated_time_to_come(world: World) -> None:
    refused(judge(world, seal(world.sealer, DOCUMENT, T0 + 9 * DAY)), Sub.TIMESTAMP_ORDER_FAILURE)


def test_no_stated_time(world: World) -> None:
    report = judge(world, seal(world.sealer, DOCUMENT, None))
    assert report.indication is PASSED
    assert "states no time" in texts(report)


def test_a_seal_over_a_seal(world: World) -> None:
    inner = seal(world.sealer, DOCUMENT)
    report = world.verify(("d", DOCUMENT), ("a.p7s", inner), ("b.p7s", seal(world.sealer, inner)))
    assert report.indication is PASSED
    assert report.files[2].covers == ["a.p7s"]


def test_a_document_that_nothing_speaks_about(world: World) -> None:
    report = world.verify(("bond.json", DOCUMENT), ("bond.p7s", seal(world.sealer, DOCUMENT)), ("extra.pdf", b"x"))
    assert report.indication is UNDECIDED
    refused(report, Sub.SIGNED_DATA_NOT_FOUND, "extra.pdf")


# --- a seal has one document -------------------------------------------------------------------------------------


def mixed(world: World, documents: tuple[bytes, bytes], hashes: tuple[str, str], **more: bytes) -> bytes:
    """Two signers, each of a seal of its own, put into one SignedData: nothing in it binds them to each other."""
    second = certify("Second Bank", world.seal_ca)
    signers = [
        seal_signer(holder, document, hash_name=hash_name)
        for holder, document, hash_name in zip((world.sealer, second), documents, hashes, strict=True)
    ]
    return signed_data(signers, [world.sealer.der, second.der], **more)


@pytest.mark.parametrize("hashes", [("sha256", "sha256"), ("sha256", "sha512"), ("sha512", "sha256")])
def test_signers_of_different_documents(world: World, hashes: tuple[str, str]) -> None:
    a, b, encoded = ("a.txt", b"a"), ("b.txt", b"b"), mixed(world, (b"a", b"b"), hashes)
    for files in ((b, a), (a, b), (a,), (b,)):
        report = world.verify(*files, ("mix.p7s", encoded))
        refused(report, Sub.HASH_FAILURE, "mix.p7s")
        assert report.files[-1].covers == []
        assert all(file.claimed == [] and file.indication is not PASSED for file in report.files[:-1])
        assert all(part.indication is FAILED for part in report.files[-1].parts)


def test_signers_of_different_documents_one_of_them_inside(world: World) -> None:
    encoded = mixed(world, (b"a", b"b"), ("sha256", "sha512"), content=b"a")
    report = world.verify(("b.txt", b"b"), ("mix.p7m", encoded))
    refused(report, Sub.HASH_FAILURE, "mix.p7m")
    assert report.files[0].covered_by == []


def test_signers_of_different_documents_whose_documents_are_not_given(world: World) -> None:
    encoded = mixed(world, (b"a", b"b"), ("sha256", "sha256"))
    refused(world.verify(("mix.p7s", encoded)), Sub.HASH_FAILURE, "mix.p7s")


def test_signers_with_different_digests_of_one_document(world: World) -> None:
    encoded = mixed(world, (DOCUMENT, DOCUMENT), ("sha256", "sha512"))
    report = judge(world, encoded)
    assert report.indication is PASSED
    assert len(report.files[0].claimed) == 2


def test_digests_that_may_be_of_two_documents_show_no_seal_of_both(world: World) -> None:
    digests = [NamedDigest(name, hashlib.new(name, DOCUMENT).digest()) for name in ("sha256", "sha512")]
    encoded = mixed(world, (DOCUMENT, DOCUMENT), ("sha256", "sha512"))
    report = world.verify(("bond.p7s", encoded), digests=digests)
    refused(report, Sub.SIGNED_DATA_NOT_FOUND)
    assert report.indication is UNDECIDED


def test_the_same_document_given_twice(world: World) -> None:
    report = world.verify(("a", DOCUMENT), ("copy of a", DOCUMENT), ("a.p7s", seal(world.sealer, DOCUMENT)))
    assert report.indication is PASSED
    assert report.files[2].covers == ["a", "copy of a"]


def test_the_time_of_one_signer_is_not_the_seals(world: World) -> None:
    """The document is as old as its oldest signature, the seal as its youngest, if that is known at all."""
    second = certify("Second Bank", world.seal_ca)
    first = seal_signer(world.sealer, DOCUMENT, stamped_by=world.foreign_tsa)
    for later, expected in (({}, None), ({"stamped_by": world.foreign_tsa}, "2026-03-01 13:00:03 UTC")):
        other = seal_signer(second, DOCUMENT, T0 + timedelta(hours=1), **later)  # type: ignore[arg-type]
        report = judge(world, signed_data([first, other], [world.sealer.der, second.der]))
        assert report.indication is PASSED
        document, sealed = (file.existed_no_later_than for file in report.files)
        assert document is not None
        assert document.time == "2026-03-01 12:00:03 UTC"
        assert (sealed and sealed.time) == expected


def test_a_time_stamp_moved_to_another_signer(world: World) -> None:
    second = certify("Second Bank", world.seal_ca, not_after=T0 + 30 * DAY)
    first = seal_signer(world.sealer, DOCUMENT, stamped_by=world.foreign_tsa)
    other = seal_signer(second, DOCUMENT)
    other["unsigned_attrs"] = first["unsigned_attrs"].copy()
    report = judge(world, signed_data([first, other], [world.sealer.der, second.der]), now=T0 + 40 * DAY)
    found = {part.title.split("“")[1][:6]: part.indication for part in report.files[1].parts}
    assert found["Second"] is UNDECIDED
    assert report.files[1].existed_no_later_than is None
    assert report.files[0].existed_no_later_than is None
