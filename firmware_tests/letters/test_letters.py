"""Letters over the API of a running box: issued, changed, raced for, used once, and read again."""

from __future__ import annotations

import base64
import hashlib
import re
import subprocess
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from appliance.client import Client
from appliance.client.errors import Refused
from appliance.letters.event import read_event
from appliance.letters.state import follow
from firmware_tests.letters.kinds import FIELDS
from firmware_tests.running import cinnabar


def bid(**changed: object) -> dict[str, object]:
    """Fields of a bid bond for a tender of its own."""
    return FIELDS | {"tender_code": f"T-{uuid.uuid4().hex[:12]}"} | changed


def refused(error: pytest.ExceptionInfo[Refused]) -> str:
    return f"{error.value.code}: {error.value.problem.detail}"


def test_a_letter_is_issued_claimed_paid_and_released(client: Client, letter_box, tmp_path: Path) -> None:
    issued = client.begin_letter("bid-bond", bid())
    letter = issued.happened.letter
    client.letter_event(letter, "claim", data={"claimed": FIELDS["amount"], "reason": "拒签中标合同"})
    client.letter_event(letter, "pay", data={"paid": {"amount": "1.50", "currency": "CNY"}}, head=None)
    released = client.letter_event(letter, "release")
    standing = client.letter(letter)
    assert (standing.state, standing.balance, standing.number) == ("released", "0.00", 4)
    assert standing.head == released.head

    events = client.letter_events(letter)
    assert not events.more
    state = None
    for number, one in enumerate(events.events, 1):
        event = read_event(one.event)
        state = follow(state, event)
        assert f"event-{number:04d}.json".encode() in one.manifest
        (tmp_path / "manifest").write_bytes(one.manifest)
        (tmp_path / "seal").write_bytes(one.seal)
        subprocess.run(
            [
                "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "seal"), "-content",
                str(tmp_path / "manifest"), "-CAfile", str(letter_box.home.trust / "seal-ca.pem"), "-purpose", "any",
                "-out", "/dev/null",
            ],
            check=True, capture_output=True,
        )  # fmt: skip
        record = client.record(one.record)
        assert msgspec.json.decode(record.content)["content_digest"] == hashlib.sha256(one.manifest).hexdigest()
    assert state is not None
    assert (state.state, state.head) == (standing.state, standing.head)


def test_what_is_used_once_is_taken_until_it_is_given_back(client: Client, other: Client) -> None:
    fields = bid()
    letter = client.begin_letter("bid-bond", fields).happened.letter
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", fields | {"project": "another"})
    assert refused(error).startswith("taken: ")
    assert fields["tender_code"] not in refused(error)  # CHANNEL
    other.begin_letter("bid-bond", fields)  # the scope is the tenant's
    client.letter_event(letter, "surrender")
    client.begin_letter("bid-bond", fields)


def test_of_two_events_one_happens_and_the_other_learns_the_head(client: Client) -> None:
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    before = client.letter(letter).head

    def postpone(day: int) -> str:
        try:
            changed = {"opening": f"2099-12-{day:02d}T09:00:00+08:00"}
            return client.letter_event(letter, "postpone", fields=changed, head=before).head
        except Refused as error:
            return f"{error.code}: {error.problem.detail}"

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(postpone, range(1, 9)))
    standing = client.letter(letter)
    assert standing.number == 2
    assert answers.count(standing.head) == 1
    told = [answer for answer in answers if answer != standing.head]
    assert set(told) == {f"head-moved: the letter's head is {standing.head}"}


def test_the_same_request_is_answered_again(client: Client) -> None:
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    key = str(uuid.UUID(bytes=new_key()))
    first = client.letter_event(letter, "release", idempotency_key=key)
    again = client.letter_event(letter, "release", idempotency_key=key)
    assert again == first
    with pytest.raises(Refused) as error:
        client.letter_event(letter, "expire", idempotency_key=key)
    assert refused(error).startswith("idempotency-conflict")


def test_another_tenant_finds_no_such_letter(client: Client, other: Client) -> None:
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    asks = (
        lambda who, one: who.letter(one),
        lambda who, one: who.letter_events(one),
        lambda who, one: who.letter_event(one, "release"),
        lambda who, one: who.draft_event(one, "release"),
    )
    for ask in asks:
        said = []
        for one in (letter, "00" * 16):
            with pytest.raises(Refused) as error:
                ask(other, one)
            said.append(refused(error))
        assert said[0] == said[1]
        assert said[0].startswith("not-found")
    assert letter not in {one.letter for one in other.letters().letters}


def test_letters_are_paged_by_kind_and_state(client: Client) -> None:
    made = [client.begin_letter("bid-bond", bid()).happened.letter for _ in range(3)]
    client.letter_event(made[1], "release")
    issued = client.letters(kind="bid-bond", state="issued").letters
    assert [one.letter for one in issued if one.letter in made] == [made[2], made[0]]
    assert client.letters(kind="nothing").letters == []


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"amount": {"amount": "1e9", "currency": "CNY"}}, "field-refused: /fields/amount"),
        ({"project": "a\u202eb"}, "field-refused: /fields/project"),
        ({"valid_until": "2099-99-99"}, "field-refused: /fields/valid_until"),
        ({"extra": 1}, "field-refused: /fields/extra"),
        ({"amount": {"amount": "1000000.01", "currency": "CNY"}}, "approval-missing"),
    ],
)
def test_a_bad_request_names_what_is_wrong(client: Client, changed: dict[str, object], said: str) -> None:
    with pytest.raises(Refused) as error:
        client.begin_letter("bid-bond", bid(**changed))
    assert refused(error).startswith(said)


def test_an_unknown_kind_is_not_found(client: Client) -> None:
    with pytest.raises(Refused) as error:
        client.begin_letter("nothing", {})
    assert refused(error).startswith("kind-unknown")


def test_the_evidence_of_a_letter_verifies_offline_and_stays_the_same(
    client: Client, letter_box, tmp_path: Path
) -> None:
    letter = client.begin_letter("bid-bond", bid()).happened.letter
    client.letter_event(letter, "claim", data={"claimed": FIELDS["amount"], "reason": "拒签中标合同"})
    file = client.evidence(letter)
    (tmp_path / "letter.asice").write_bytes(file)
    client.begin_letter("bid-bond", bid())
    assert client.evidence(letter) == file
    report = cinnabar(
        "verify",
        str(tmp_path / "letter.asice"),
        "--trust",
        str(letter_box.home.trust),
        "--state",
        str(tmp_path / "state"),
    )
    assert report.returncode == 0, report.stdout + report.stderr
    subprocess.run(["unzip", "-tq", str(tmp_path / "letter.asice")], check=True, capture_output=True)


def test_a_letter_s_page_is_sealed_with_its_event(client: Client, letter_box, tmp_path: Path) -> None:
    issued = client.begin_letter("bid-bond", bid(), document=True)
    pdf = issued.happened.beside["letter.pdf"]
    assert hashlib.sha256(pdf).digest() in decoded_digests(issued.happened.manifest)
    (tmp_path / "letter.pdf").write_bytes(pdf)
    said = subprocess.run(
        ["pdfsig", "-nocert", str(tmp_path / "letter.pdf")], capture_output=True, text=True, check=False
    ).stdout
    assert "Signature is Valid." in said, said
    assert "ETSI.CAdES.detached" in said
    (tmp_path / "letter.asice").write_bytes(client.evidence(issued.happened.letter))
    report = cinnabar(
        "verify", str(tmp_path / "letter.asice"), "--trust", str(letter_box.home.trust), "--state", str(tmp_path / "s")
    )
    assert report.returncode == 0, report.stdout


def decoded_digests(manifest: bytes) -> set[bytes]:
    return {base64.b64decode(value) for value in re.findall(rb"<ds:DigestValue>([^<]+)<", manifest)}


def new_key() -> bytes:
    from appliance.api.texts import new_idempotency_key

    return new_idempotency_key()
