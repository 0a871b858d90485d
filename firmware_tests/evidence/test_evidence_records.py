"""Evidence records (RFC 4998) under the verifier: batches, renewals, and what goes wrong with them."""

from __future__ import annotations

import hashlib
import time
from datetime import datetime

from cryptography import x509

from appliance import der
from appliance.evidence import Indication, Report, SubIndication
from appliance.evidence_records import CompactBatch, HashTree
from firmware_tests.evidence.material import DAY, POLICY, T0, Holder, World, crl, token

DOCUMENTS = [b"letter %d" % number for number in range(7)]
PASSED = Indication.PASSED
Sub = SubIndication


def batch(holder: Holder, when: datetime = T0) -> CompactBatch:
    tree = HashTree.build(b"".join(hashlib.sha256(one).digest() for one in DOCUMENTS))
    return CompactBatch(tree, stamp_of_digest(holder, tree.root, when))


def stamp_of_digest(holder: Holder, digest: bytes, when: datetime) -> bytes:
    imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
    return token(holder, b"", when, info={"message_imprint": imprint, "policy": POLICY})


def judge(world: World, record: bytes, document: bytes = DOCUMENTS[3], now: datetime = T0 + DAY) -> Report:
    return world.verify(("letter", document), ("letter.ers", record), now=now)


def refused(report: Report, sub: SubIndication) -> None:
    file = report.files[1]
    assert (file.indication, file.sub_indications) == (sub.indication, [sub]), report


def test_each_item_of_a_batch(world: World) -> None:
    made = batch(world.tsa)
    for number, document in enumerate(DOCUMENTS):
        report = judge(world, made.evidence_record(number), document)
        assert report.indication is PASSED
        assert report.files[0].claimed[0].time == "2026-03-01 12:00:00 UTC"
        assert report.files[0].existed_no_later_than is None


def test_by_another_party(world: World) -> None:
    shown = judge(world, batch(world.foreign_tsa).evidence_record(3)).files[0].existed_no_later_than
    assert shown is not None
    assert shown.time == "2026-03-01 12:00:01 UTC"


def test_another_document(world: World) -> None:
    refused(judge(world, batch(world.tsa).evidence_record(3), b"another"), Sub.HASH_FAILURE)


def test_no_document(world: World) -> None:
    report = world.verify(("letter.ers", batch(world.tsa).evidence_record(3)))
    assert report.files[0].sub_indications == [Sub.SIGNED_DATA_NOT_FOUND]


def test_token_of_an_unknown_authority(world: World) -> None:
    from firmware_tests.evidence.material import certify, time_stamper

    unit = time_stamper("Unit", certify("CA", ca=True))
    refused(judge(world, batch(unit).evidence_record(3)), Sub.NO_CERTIFICATE_CHAIN_FOUND)


def renewed(record: bytes, holder: Holder, when: datetime) -> bytes:
    """A time-stamp renewal (RFC 4998, section 5.2): a token over the token before, in the same chain."""
    reader = der.Reader(record).enter()
    parts = []
    while reader:
        parts.append(reader.raw())
    sequences = der.Reader(parts[-1]).enter()
    chain = der.Reader(sequences.raw()).enter()
    first = chain.raw()
    inner = der.Reader(first).enter()
    old = b""
    while inner:
        old = inner.raw()
    renewal = der.sequence(stamp_of_digest(holder, hashlib.sha256(old).digest(), when))
    return der.sequence(*parts[:-1], der.sequence(der.sequence(first, renewal)))


def test_a_renewal_saves_a_tainted_token_if_it_is_another_partys(world: World) -> None:
    tainted = world.with_crl(
        "tsa-ca.crl",
        crl(world.tsa_ca, [(world.tsa, T0 + 3 * DAY, x509.ReasonFlags.key_compromise)], issued=T0 + 4 * DAY),
    )
    record = batch(world.tsa).evidence_record(3)
    now = T0 + 10 * DAY
    assert judge(world, record, now=now).indication is PASSED
    refused(judge(tainted, record, now=now), Sub.REVOKED_NO_POE)
    saved = judge(tainted, renewed(record, world.foreign_tsa, T0 + DAY), now=now)
    assert saved.indication is PASSED
    refused(judge(tainted, renewed(record, world.foreign_tsa, T0 + 5 * DAY), now=now), Sub.REVOKED_NO_POE)


def test_a_renewal_of_something_else(world: World) -> None:
    record = batch(world.tsa).evidence_record(3)
    other = renewed(batch(world.tsa, T0 + DAY).evidence_record(3), world.foreign_tsa, T0 + DAY)
    mixed = renewed(record, world.foreign_tsa, T0 + DAY)
    wrong = mixed.replace(stamp_tail(mixed), stamp_tail(other))
    assert judge(world, wrong).indication is not PASSED


def stamp_tail(record: bytes) -> bytes:
    return record[-40:]


def group(world: World, objects: list[bytes]) -> bytes:
    """An evidence record of a group of data objects: the first list holds a hash of each (RFC 4998, section 4.2)."""
    digests = sorted(hashlib.sha256(one).digest() for one in objects)
    stamp = stamp_of_digest(world.foreign_tsa, hashlib.sha256(b"".join(digests)).digest(), T0)
    tree = der.tlv(0xA2, der.sequence(*(der.tlv(der.OCTET_STRING, one) for one in digests)))
    sha256 = der.sequence(der.tlv(0x06, bytes.fromhex("608648016503040201")))
    archive = der.sequence(tree, stamp)
    return der.sequence(der.tlv(0x02, b"\x01"), der.sequence(sha256), der.sequence(der.sequence(archive)))


def test_a_record_of_several_documents_speaks_about_those_alone(world: World) -> None:
    record = group(world, DOCUMENTS[:3])
    files = [(f"letter {number}", document) for number, document in enumerate(DOCUMENTS[:3])]
    report = world.verify(*files, ("group.ers", record), now=T0 + DAY)
    assert report.indication is PASSED, report
    report = world.verify(*files, ("another", b"another"), ("group.ers", record), now=T0 + DAY)
    assert report.indication is Indication.INDETERMINATE
    assert report.files[4].covers == ["letter 0", "letter 1", "letter 2"]
    another = report.files[3]
    assert (another.claimed, another.existed_no_later_than, another.covered_by) == ([], None, [])
    assert another.indication is not PASSED


def test_a_large_tree_is_climbed_once_whatever_it_is_given_with(world: World) -> None:
    """Every file that a record is given with may be a leaf of it: each climbed all of 4 MiB by itself."""
    documents = [b"%d" % number for number in range(56)]
    lists = [[hashlib.sha256(one).digest() for one in documents]]
    lists += [[b"%032d" % (level * 4_000 + at) for at in range(4_000)] for level in range(26)]
    node: list[bytes] = []
    for one in lists:
        node = [hashlib.sha256(b"".join(sorted([*node, *one]))).digest()]
    stamp = stamp_of_digest(world.foreign_tsa, node[0], T0)
    tree = der.tlv(0xA2, b"".join(der.sequence(*(der.tlv(der.OCTET_STRING, at) for at in one)) for one in lists))
    sha256 = der.sequence(der.tlv(0x06, bytes.fromhex("608648016503040201")))
    archive = der.sequence(der.sequence(der.sequence(tree, stamp)))
    record = der.sequence(der.tlv(0x02, b"\x01"), der.sequence(sha256), archive)
    begun = time.process_time()
    report = world.verify(
        *((f"letter {n}", one) for n, one in enumerate(documents)), *((f"{n}.ers", record) for n in range(6))
    )
    assert report.indication is PASSED
    assert time.process_time() - begun < 9
