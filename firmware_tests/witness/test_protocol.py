"""C2SP tlog-witness over HTTP, as a log meets it: every answer, in the order that the specification has."""

from __future__ import annotations

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from appliance.log import LogKey, open_checkpoint, parse_note, verified_by
from appliance.log.note import COSIGNATURE_V1, NoteSignature
from appliance.witness.request import encode_request
from firmware_tests.witness.logs import TestLog
from firmware_tests.witness.running import RunningWitness, log_table


def lines_of(note: bytes, answer: bytes) -> list[NoteSignature]:
    return list(parse_note(note + answer).signatures[1:])


def test_a_log_is_cosigned_from_its_first_head_on(running: RunningWitness, log: TestLog) -> None:
    assert running.verifier.type == COSIGNATURE_V1
    before = int(time.time())
    sizes = [0, *range(1, 8), 7, 8, 64, 65, 200]
    log.grow(200)
    known = 0
    for size in sizes:
        answer = running.add(log.request(known, size))
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8"), answer.text
        note = log.note(size) + answer.content
        assert verified_by(parse_note(note), [running.verifier]) == [running.verifier]
        (line,) = lines_of(log.note(size), answer.content)
        assert before <= int.from_bytes(line.signature[:8], "big") <= time.time()
        known = size


def test_an_unknown_log_and_a_foreign_signature_are_refused(running: RunningWitness, log: TestLog) -> None:
    other = TestLog("log.example/other").grow(3)
    assert running.add(other.request(0)).status_code == 404
    stranger = Ed25519PrivateKey.generate()
    forged = encode_request(0, [], log.note(key=stranger))
    assert running.add(forged).status_code == 403
    # Another's valid signature beside it does not help.
    text, _, _ = log.note().rpartition(b"\n\n")
    theirs = other.key.sign(text + b"\n")
    line = NoteSignature(other.origin, other.verifier.key_id, theirs).line()
    assert running.add(encode_request(0, [], text + b"\n\n" + line)).status_code == 403
    assert running.add(log.request(0)).status_code == 200


def test_an_unknown_signature_is_ignored_and_not_kept(running: RunningWitness, log: TestLog) -> None:
    line = NoteSignature("somebody.example", b"abcd", bytes(64)).line()
    answer = running.add(encode_request(0, [], log.note() + line))
    assert answer.status_code == 200
    (shown,) = running.look("/logs.json").json()["logs"]
    assert b"somebody.example" not in running.look(f"/log/{shown['id']}/checkpoint").content


def test_another_size_is_answered_with_the_one_that_counts(running: RunningWitness, log: TestLog) -> None:
    answer = running.add(log.request(3))
    assert (answer.status_code, answer.text, answer.headers["content-type"]) == (409, "0\n", "text/x.tlog.size")
    assert running.add(log.request(0, 5)).status_code == 200
    for old, size in ((0, 7), (4, 7), (0, 4), (6, 7)):
        answer = running.add(log.request(old, size))
        assert (answer.status_code, answer.text, answer.headers["content-type"]) == (409, "5\n", "text/x.tlog.size")
    assert running.add(log.request(5, 7)).status_code == 200


def test_a_proof_that_does_not_hold_is_refused(running: RunningWitness, log: TestLog) -> None:
    log.grow(13)
    assert running.add(log.request(0, 6)).status_code == 200
    good = log.proof(6)
    for proof in ([], good[:-1], [*good, bytes(32)], [bytes(32)] * len(good), good[::-1]):
        assert running.add(encode_request(6, proof, log.note())).status_code == 422, proof
    # At the same size a proof is empty.
    assert running.add(encode_request(6, [bytes(32)], log.note(6))).status_code == 422
    assert running.add(encode_request(6, good, log.note())).status_code == 200


def test_a_first_head_has_no_proof_and_no_wrong_empty_root(running: RunningWitness, log: TestLog) -> None:
    assert running.add(encode_request(0, [bytes(32)], log.note())).status_code == 422
    empty = TestLog(log.origin, [], log.key)
    wrong = empty.note().replace(b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", b"A" * 43 + b"=")
    assert running.add(encode_request(0, [], wrong)).status_code == 403
    assert running.add(empty.request(0)).status_code == 200
    assert running.add(log.request(0)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [b"", b"old 0", b"old 0\n\n", b"old 0\n\nnote", b"\n\n", b"old 00\n\n{note}", b"old -1\n\n{note}",
     b"old 1 \n\n{note}", b"new 0\n\n{note}", b"old 0\r\n\r\n{note}", b"old 0\nAAAA\n\n{note}",
     b"old 0\n\x00\n\n{note}", b"old 8\n\n{note}", b"old 9223372036854775808\n\n{note}",
     b"old 0\n" + b"A" * 43 + b"=\n" * 64 + b"\n{note}"],
)  # fmt: skip
def test_what_is_no_request_is_refused(running: RunningWitness, log: TestLog, body: bytes) -> None:
    answer = running.add(body.replace(b"{note}", log.note()))
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"].startswith("text/plain")


def test_other_methods_paths_and_sizes(running: RunningWitness, log: TestLog) -> None:
    import httpx

    url = running.url()
    assert httpx.get(f"{url}/add-checkpoint", trust_env=False).status_code == 405
    assert httpx.get(f"{url}/", trust_env=False).status_code == 404
    assert httpx.get(f"{url}/logs.json", trust_env=False).status_code == 404
    assert running.add(bytes(200_000)).status_code == 413
    look = running.url("monitoring")
    assert httpx.post(f"{look}/add-checkpoint", content=log.request(0), trust_env=False).status_code == 404
    assert httpx.post(f"{look}/logs.json", trust_env=False).status_code == 405
    assert running.add(log.request(0)).status_code == 200


def test_keys_of_a_log_rotate(witness: RunningWitness, log: TestLog) -> None:
    log.grow(100)
    later = TestLog(log.origin, log.entries)
    assert later.verifier != log.verifier
    witness.configure(
        [
            f'[[logs]]\norigin = "{log.origin}"\nkeys = [\n'
            f'  {{ key = "{log.verifier}", last_size = 60 }},\n  {{ key = "{later.verifier}", first_size = 50 }},\n]\n'
        ]
    )
    witness.start()
    assert witness.add(encode_request(0, [], later.note(10))).status_code == 403
    assert witness.add(log.request(0, 10)).status_code == 200
    assert witness.add(log.request(10, 55)).status_code == 200
    assert witness.add(log.request(55, 61)).status_code == 403
    assert witness.add(encode_request(55, later.proof(55, 61), later.note(61))).status_code == 200
    head = witness.look(f"/log/{witness.look('/logs.json').json()['logs'][0]['id']}/checkpoint").content
    assert open_checkpoint(head, log.origin, [LogKey(later.verifier)]).size == 61


def test_several_logs_are_kept_apart(witness: RunningWitness, log: TestLog) -> None:
    others = [TestLog(f"log.example/{number}").grow(number + 1) for number in range(5)]
    witness.configure([log_table(one) for one in (log, *others)])
    witness.start()
    for one in (log, *others):
        assert witness.add(one.request(0)).status_code == 200
    for one in (log, *others):
        one.grow(3)
        assert witness.add(one.request(one.size - 3)).status_code == 200
