"""The ledger of time-stamps: fail-over among authorities with every bad habit, and receipts that hold offline."""

from __future__ import annotations

import asyncio
import base64
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.anchorer.ledger import Ledger, LedgerUnavailable, Work
from appliance.anchorer.ledgers import open_ledger
from appliance.anchorer.outbox import Outbox
from appliance.anchorer.rfc3161.authority import stamp_request
from appliance.anchorer.running import LedgerRunner
from appliance.anchors import AnchorRefused, State, judge, read_receipt
from appliance.anchors.rfc3161 import read_proof, write_proof
from appliance.anchors.rfc3161.judge import StampReason
from appliance.box.ledgers import Rfc3161Authority, Rfc3161LedgerSettings
from firmware_tests.anchorer.authority import OPENSSL_POLICY, OutsideAuthority
from firmware_tests.anchorer.made import Heads, head
from firmware_tests.anchorer.outside import stamp_profile

NOBODY: Any = None


@pytest.fixture
def authorities(tmp_path: Path) -> Iterator[list[OutsideAuthority]]:
    made = []
    for name in ("First", "Second"):
        (tmp_path / name).mkdir()
        made.append(OutsideAuthority(tmp_path / name, name))
    yield made
    for one in made:
        one.close()


def _opened(place: Path, known: list[OutsideAuthority], **changed: Any) -> tuple[Ledger, Any, Any]:
    (place / "ledger-outside.json").write_bytes(
        stamp_profile("outside", [one.ca.der for one in known], [OPENSSL_POLICY])
    )
    asked = [Rfc3161Authority(url=one.url) for one in known]
    settings = Rfc3161LedgerSettings(
        **{"name": "outside", "profile": "ledger-outside.json", "authorities": asked, "timeout_s": 2.0, **changed}
    )
    ledger, profile = open_ledger(settings, place, NOBODY)
    return ledger, profile, settings


def _work(state: State | None = State.SUBMITTED, size: int = 7) -> Work:
    return Work(size, head(size).checkpoint, head(size).commitment, state, b"")


def test_a_head_is_final_with_a_receipt_that_holds_offline(tmp_path: Path, authorities: list[OutsideAuthority]) -> None:
    ledger, profile, settings = _opened(tmp_path, authorities)
    outbox = Outbox(tmp_path / "outbox.sqlite")
    runner = LedgerRunner(ledger, settings, profile, outbox, Heads(head(7)))  # type: ignore[arg-type]

    async def go() -> None:
        for _ in range(2):
            await runner.once()
            await asyncio.sleep(0.06)

    asyncio.run(go())
    anchor = outbox.anchor("outside", 1)
    assert (anchor.state, anchor.strength) == (State.FINAL, "proven")
    assert [step.state for step in outbox.steps("outside", 1)] == [State.SUBMITTED, State.FINAL]
    for one in authorities:
        one.close()
    encoded = outbox.receipt("outside", 1)
    found = judge(read_receipt(encoded), head(7).commitment, profile, now_us=anchor.since_us)
    assert (found.time_us, found.place) == (anchor.time_us, anchor.place)
    _verified_by_openssl(tmp_path, encoded, authorities[0])


def _verified_by_openssl(place: Path, receipt: bytes, authority: OutsideAuthority) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding

    proof = read_proof(bytes(read_receipt(receipt).proof))
    (place / "token.der").write_bytes(base64.b64decode(proof.token))
    (place / "checkpoint.txt").write_bytes(read_receipt(receipt).checkpoint.partition("\n\n")[0].encode() + b"\n")
    (place / "ca.pem").write_bytes(authority.ca.certificate.public_bytes(Encoding.PEM))
    (place / "unit.pem").write_bytes(authority.unit.certificate.public_bytes(Encoding.PEM))
    said = subprocess.run(
        ("openssl", "ts", "-verify", "-token_in", "-in", "token.der", "-data", "checkpoint.txt", "-CAfile", "ca.pem",
         "-untrusted", "unit.pem"),
        cwd=place, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Verification: OK" in said.stdout + said.stderr


@pytest.mark.parametrize(
    "habit",
    [
        "hang", "status 500", "redirect", "endless", "truncated", "another request", "rejection",
        "token of a stranger", "garbage", "no list", "gone",
    ],
)  # fmt: skip
def test_where_one_authority_fails_the_next_is_asked(
    tmp_path: Path, authorities: list[OutsideAuthority], habit: str
) -> None:
    first, second = authorities
    ledger, _, _ = _opened(tmp_path, authorities)
    first.habit = habit
    if habit == "gone":
        first.close()
    (progress,) = asyncio.run(ledger.advance([_work()]))
    assert progress.state is State.FINAL
    assert progress.cause == f"stamped by {second.url}"
    second.habit = "status 500"
    with pytest.raises(LedgerUnavailable) as away:
        asyncio.run(ledger.advance([_work()]))
    assert first.url in str(away.value)
    assert second.url in str(away.value)


def test_only_the_newest_of_several_heads_is_stamped(tmp_path: Path, authorities: list[OutsideAuthority]) -> None:
    ledger, _, _ = _opened(tmp_path, authorities)
    progress = asyncio.run(ledger.advance([_work(size=5), _work(size=6), _work(size=9)]))
    assert [one.state for one in progress] == [State.SUBMITTED, State.SUBMITTED, State.FINAL]
    assert authorities[0].asked == 1


def test_it_signs_in_with_basic_and_tells_nobody(
    tmp_path: Path, authorities: list[OutsideAuthority], caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "password").write_text("box:s3cret\n")
    asked = [Rfc3161Authority(url=authorities[0].url, password_file="password")]
    ledger, _, _ = _opened(tmp_path, authorities, authorities=asked)
    asyncio.run(ledger.advance([_work()]))
    assert authorities[0].authorization == "Basic " + base64.b64encode(b"box:s3cret").decode()
    authorities[0].habit = "status 500"
    with pytest.raises(LedgerUnavailable) as away:
        asyncio.run(ledger.advance([_work()]))
    assert "s3cret" not in str(away.value) + caplog.text


def test_a_list_that_no_certificate_names_may_be_given_by_hand(
    tmp_path: Path, authorities: list[OutsideAuthority]
) -> None:
    ledger, _, _ = _opened(tmp_path, authorities, revocation_lists=(authorities[1].list_url,))
    (progress,) = asyncio.run(ledger.advance([_work()]))
    assert progress.receipt is not None
    proof = read_proof(bytes(progress.receipt.proof))
    assert [base64.b64decode(one) for one in proof.revocation_lists] == [authorities[1].list, authorities[0].list]


@pytest.fixture
def responding(tmp_path: Path) -> Iterator[OutsideAuthority]:
    """An authority whose certificates name an OCSP responder, and no list."""
    (tmp_path / "Responding").mkdir()
    made = OutsideAuthority(tmp_path / "Responding", "Responding", responder=True)
    yield made
    made.close()


def test_an_answer_of_a_responder_stands_in_for_a_list(tmp_path: Path, responding: OutsideAuthority) -> None:
    """The receipt holds with the authority gone, and OpenSSL takes the answer in it."""
    ledger, profile, _ = _opened(tmp_path, [responding])
    (progress,) = asyncio.run(ledger.advance([_work()]))
    responding.close()
    assert progress.state is State.FINAL
    assert progress.receipt is not None
    proof = read_proof(bytes(progress.receipt.proof))
    assert proof.revocation_lists == []
    assert isinstance(proof.ocsp_answers, list)
    found = judge(progress.receipt, head(7).commitment, profile, now_us=time.time_ns() // 1_000)
    assert "Responding unit" in found.place
    place = tmp_path / "Responding"
    (place / "kept").write_bytes(base64.b64decode(proof.ocsp_answers[0]))
    said = subprocess.run(
        ("openssl", "ocsp", "-respin", "kept", "-issuer", "ca.pem", "-cert", "tsa.pem", "-CAfile", "ca.pem"),
        cwd=place, check=True, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert "Response verify OK" in said.stdout + said.stderr
    assert "tsa.pem: good" in said.stdout
    # Without the answer nothing tells that the certificate was not revoked.
    bare = msgspec.structs.replace(progress.receipt, proof=write_proof(base64.b64decode(proof.token), [], []))
    with pytest.raises(AnchorRefused) as refused:
        judge(bare, head(7).commitment, profile, now_us=time.time_ns() // 1_000)
    assert refused.value.reason is StampReason.REVOCATION_UNKNOWN


@pytest.mark.parametrize("habit", ["told of another", "told by a unit", "told nonsense", "nobody tells", "revoked"])
def test_where_a_responder_does_not_tell_well_the_next_authority_is_asked(
    tmp_path: Path, responding: OutsideAuthority, authorities: list[OutsideAuthority], habit: str
) -> None:
    responding.habit = habit
    if habit == "revoked":
        responding.revoked_since = datetime.now(UTC) - timedelta(days=1)
    ledger, _, _ = _opened(tmp_path, [responding, authorities[1]])
    (progress,) = asyncio.run(ledger.advance([_work()]))
    assert progress.cause == f"stamped by {authorities[1].url}"
    assert (responding.asked, responding.told, authorities[1].told) == (1, 1, 0)
    authorities[1].habit = "status 500"
    reason = StampReason.REVOKED if habit == "revoked" else StampReason.REVOCATION_UNKNOWN
    with pytest.raises(LedgerUnavailable, match=reason):
        asyncio.run(ledger.advance([_work()]))


def test_a_profile_of_something_else_starts_no_ledger(tmp_path: Path, authorities: list[OutsideAuthority]) -> None:
    with pytest.raises(AnchorRefused, match="not of inside"):
        _opened(tmp_path, authorities, name="inside")
    with pytest.raises(OSError, match="nowhere"):
        _opened(tmp_path, authorities, profile="nowhere")
    (tmp_path / "broken").write_bytes(b"{}")
    with pytest.raises(AnchorRefused):
        _opened(tmp_path, authorities, profile="broken")


def test_openssl_reads_our_request(tmp_path: Path) -> None:
    (tmp_path / "query").write_bytes(stamp_request(bytes(range(32)), "1.2.3.4.1", 0x1234))
    said = subprocess.run(
        ("openssl", "ts", "-query", "-in", str(tmp_path / "query"), "-text"),
        check=True, capture_output=True, text=True, timeout=60,
    ).stdout  # fmt: skip
    assert "Hash Algorithm: sha256" in said
    assert "Policy OID: 1.2.3.4.1" in said or "Policy OID: tsa_policy" in said
    assert "Nonce: 0x1234" in said
    assert "Certificate required: yes" in said


def test_settings_tell_ledgers_apart_by_their_type() -> None:
    settings = Rfc3161LedgerSettings(
        name="outside", profile="p", authorities=[Rfc3161Authority(url="https://tsa.example/")]
    )
    assert b'"type":"rfc3161"' in msgspec.json.encode(settings)
    for wrong in ("ftp://tsa.example/", "http://user:password@tsa.example/", "tsa.example"):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert({"url": wrong}, Rfc3161Authority)
