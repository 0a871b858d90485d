"""Reading requests and judging them: properties, hostile input, and the examples of C2SP."""

from __future__ import annotations

import base64

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from appliance.log import LogKey, VerifierKey, parse_note, verified_by
from appliance.log.checkpoint import Checkpoint
from appliance.log.errors import LogForked, MalformedProof, ProofInvalid, SignatureInvalid
from appliance.log.forks import ForkEvidence, other_past, same_size, verify_fork
from appliance.log.note import COSIGNATURE_V1
from appliance.witness.errors import Forked, MalformedRequest, NotConsistent, NotSigned, OtherSize, WitnessRefusal
from appliance.witness.judging import Head, KnownLog, judge
from appliance.witness.request import encode_request, parse_request
from firmware_tests.witness.logs import TestLog

ORIGIN = "log.example/rehearsal/alfa"
LOG = TestLog(ORIGIN).grow(70)
KNOWN = KnownLog(ORIGIN, (LogKey(LOG.verifier),))

# The examples of C2SP tlog-witness and tlog-cosignature.
SOFA = b"""old 20852014
PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=
jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=
5+pKlUdi2LeF/BcMHBn+Ku6yhPGNCswZZD1X/6QgPd8=
/6WVhPs2CwSsb5rYBH5cjHV/wSmA79abXAwhXw3Kj/0=

example.com/behind-the-sofa
20852163
CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

""" + "".join(
    f"— example.com/behind-the-sofa {signature}\n"
    for signature in (
        "Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=",
        "opLqBQsREYCgu6xQkYQwJr9fo45a62DN9EdmHXnZdXNqlcVGlCum2Wks+49/V6267UEjw6QUXTS5Rovnzv++qbSzm9Q=",
    )
).encode()
COSIGNED = (
    "— witness.example.com/w1 "
    "jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n"
)


def head(size: int, log: TestLog = LOG) -> Head:
    return Head(size, log.root(size), 0, log.note(size))


def test_the_example_of_c2sp() -> None:
    request = parse_request(SOFA)
    assert (request.old, len(request.proof)) == (20852014, 4)
    assert (request.checkpoint.origin, request.checkpoint.size) == ("example.com/behind-the-sofa", 20852163)
    assert len(request.note.signatures) == 2
    assert encode_request(request.old, request.proof, request.note.encode()) == SOFA
    cosigned = parse_note(SOFA.partition(b"\n\n")[2] + COSIGNED.encode())
    line = cosigned.signatures[2]
    assert int.from_bytes(line.signature[:8], "big") == 1679315147
    # The specification gives no key with it; the signature of another one does not hold.
    assert line.key_id.hex() == "8d66cf3f"
    with pytest.raises(SignatureInvalid):
        verified_by(cosigned, [VerifierKey("witness.example.com/w1", bytes(32), COSIGNATURE_V1)])


@given(st.binary(max_size=2_000))
@example(b"old 0\n\n")
@example(SOFA[:-1])
def test_whatever_comes_is_read_or_refused(body: bytes) -> None:
    try:
        request = parse_request(body)
    except MalformedRequest:
        return
    assert encode_request(request.old, request.proof, request.note.encode()) == body


@given(st.integers(0, len(SOFA) - 1), st.integers(1, 255))
def test_a_changed_byte_is_read_as_it_stands_or_refused(at: int, change: int) -> None:
    changed = bytearray(SOFA)
    changed[at] ^= change
    test_whatever_comes_is_read_or_refused.hypothesis.inner_test(bytes(changed))  # type: ignore[attr-defined]


def test_sizes_of_requests() -> None:
    with pytest.raises(MalformedRequest, match="more than"):
        parse_request(SOFA + b"x" * 200_000)
    assert len(parse_request(encode_request(1, [bytes(32)] * 63, LOG.note())).proof) == 63
    with pytest.raises(MalformedRequest, match="at most 63"):
        parse_request(encode_request(1, [bytes(32)] * 64, LOG.note()))


@given(st.integers(0, 70), st.integers(0, 70))
def test_every_head_that_extends_is_taken(first: int, second: int) -> None:
    old, new = sorted((first, second))
    known = None if old == 0 else head(old)
    assert judge(KNOWN, known, parse_request(LOG.request(old, new)), []).encode() == LOG.note(new)


@given(st.data())
def test_no_other_proof_is_taken(data: st.DataObject) -> None:
    old = data.draw(st.integers(1, 69))
    new = data.draw(st.integers(old, 70))
    proof = LOG.proof(old, new)
    hostile = data.draw(
        st.one_of(
            st.lists(st.sampled_from([*proof, bytes(32), LOG.root(old), LOG.root(new)]), max_size=9),
            st.permutations(proof),
        )
    )
    request = parse_request(encode_request(old, hostile, LOG.note(new)))
    if hostile == proof:
        judge(KNOWN, head(old), request, [])
    else:
        with pytest.raises((NotConsistent, Forked)) as refused:
            judge(KNOWN, head(old), request, [])
        # The log is honest: nothing that is sent in its name is evidence against it.
        assert refused.type is NotConsistent


@settings(max_examples=200)
@given(st.integers(1, 69), st.integers(0, 68), st.data())
def test_a_fork_is_never_taken_and_its_evidence_holds(known: int, split: int, data: st.DataObject) -> None:
    if split >= known:
        split = known - 1
    size = data.draw(st.integers(known, 70))
    other = LOG.fork(split, 70 - split)
    request = parse_request(other.request(known, size))
    with pytest.raises((Forked, NotConsistent)) as refused:
        judge(KNOWN, head(known), request, [])
    complete = known & (known - 1) == 0
    if isinstance(refused.value, Forked):
        first, second = verify_fork(refused.value.evidence, KNOWN.keys)
        assert (first.size, second.size) == (known, size)
        assert ForkEvidence.parse(refused.value.evidence.encode()) == refused.value.evidence
    else:
        # A complete old tree stands in no proof, so none shows another one.
        assert complete
        assert size > known


def test_the_order_of_refusals() -> None:
    stranger = TestLog(ORIGIN).grow(7)
    with pytest.raises(NotSigned):
        judge(KNOWN, head(3), parse_request(stranger.request(5)), [])
    with pytest.raises(OtherSize) as conflict:
        judge(KNOWN, head(3), parse_request(LOG.request(5, 6)), [])
    assert conflict.value.size == 3
    for error in (NotSigned, OtherSize, NotConsistent, Forked):
        assert issubclass(error, WitnessRefusal)
    assert not issubclass(Forked, LogForked)


def test_evidence_that_shows_nothing() -> None:
    other = LOG.fork(20, 50)
    proof = other.proof(30, 60)
    good = other_past(ORIGIN, LOG.note(30), other.note(60), other.root(30), proof)
    verify_fork(good, KNOWN.keys)
    same = other_past(ORIGIN, LOG.note(30), LOG.note(60), LOG.root(30), LOG.proof(30, 60))
    junk = other_past(ORIGIN, LOG.note(30), other.note(60), other.root(29), proof)
    cut = other_past(ORIGIN, LOG.note(30), other.note(60), other.root(30), proof[:-1])
    long = other_past(ORIGIN, LOG.note(30), other.note(60), other.root(30), [bytes(32)] * 64)
    back = other_past(ORIGIN, LOG.note(60), other.note(30), other.root(30), proof)
    for bad in (same, junk, cut, long, back, same_size(ORIGIN, LOG.note(30), LOG.note(30))):
        with pytest.raises(ProofInvalid):
            verify_fork(bad, KNOWN.keys)
    with pytest.raises(SignatureInvalid):
        verify_fork(same_size("log.example/other", LOG.note(30), other.note(30)), KNOWN.keys)
    stranger = TestLog(ORIGIN).grow(30)
    with pytest.raises(SignatureInvalid):
        verify_fork(same_size(ORIGIN, LOG.note(30), stranger.note(30)), KNOWN.keys)
    encoded = good.encode()
    for bytes_ in (b"", b"{}", encoded + b" ", encoded.replace(b'"origin"', b'"Origin"'), bytes(5 << 20)):
        with pytest.raises(MalformedProof):
            ForkEvidence.parse(bytes_)


def test_a_text_that_is_cosigned_is_the_log_s_own(log: TestLog) -> None:
    """Extension lines are the log's matter: they are cosigned as they stand."""
    checkpoint = Checkpoint(ORIGIN, log.size, log.root(), ("more", "than this"))
    note = checkpoint.text() + b"\n" + parse_note(log.note()).signatures[0].line()
    with pytest.raises(NotSigned):
        judge(KnownLog(ORIGIN, (LogKey(log.verifier),)), None, parse_request(encode_request(0, [], note)), [])
    line = base64.b64encode(log.verifier.key_id + log.key.sign(checkpoint.text())).decode()
    signed = checkpoint.text() + f"\n— {ORIGIN} {line}\n".encode()
    request = parse_request(encode_request(0, [], signed))
    assert judge(KnownLog(ORIGIN, (LogKey(log.verifier),)), None, request, []).text == checkpoint.text()
