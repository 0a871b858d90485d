"""Over the API of a running box: consents that bound what is asked, sealed refusals, what the box does by itself."""

from __future__ import annotations

import datetime
import secrets
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.api.texts import new_idempotency_key
from appliance.calls.problems import SealedRefusal
from appliance.client import Client
from appliance.client.errors import Refused
from appliance.letters.event import read_event
from appliance.letters.refusal import Refusal
from firmware_tests.letters.conftest import client_of
from firmware_tests.running import RunningBox

ASKER = {"name": "广州征信有限公司", "id": "91440101MA5CASKER1"}
SUBJECT = {"name": "佛山陶瓷机械有限公司", "id": "91440101MA5CSUBJ01"}


def soon(seconds: float) -> str:
    return (datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)).isoformat(
        timespec="milliseconds"
    )


def consent(client: Client, **changed: Any) -> str:
    fields = {
        "number": f"SQ-{secrets.token_hex(6)}", "subject": SUBJECT, "recipient": ASKER, "purpose": "贷前查询",
        "scope": [{"item": "社保缴纳"}, {"item": "行政处罚"}], "valid_until": soon(3_600), "text_shown": "ab" * 32,
    }  # fmt: skip
    begun = client.begin_letter("consent", fields | changed, data={"device": "App"})
    return begun.happened.letter


def question(consent: str, **changed: Any) -> dict[str, Any]:
    return {
        "asker": ASKER, "source": {"name": "数据中心", "id": "SOURCE01"}, "consent": consent, "subject": SUBJECT,
        "purpose": "贷前查询", "items": [{"item": "行政处罚"}], "question": secrets.token_hex(32),
    } | changed  # fmt: skip


def wait_until(true: Any) -> None:
    ends = time.monotonic() + 20
    while not true():
        assert time.monotonic() < ends
        time.sleep(0.05)


def refusal_of(error: pytest.ExceptionInfo[Refused]) -> tuple[SealedRefusal, bytes]:
    sealed = error.value.problem.sealed
    assert isinstance(sealed, SealedRefusal)
    return sealed, sealed.seal


def test_a_refusal_is_sealed_recorded_and_read_with_openssl(
    client: Client, letter_box: RunningBox, tmp_path: Path
) -> None:
    given = consent(client)
    beyond = question(given, items=[{"item": "纳税数据"}])
    with pytest.raises(Refused) as error:
        client.begin_letter("query-receipt", beyond)
    assert error.value.code == "condition-not-met"
    sealed, seal = refusal_of(error)
    (tmp_path / "seal").write_bytes(seal)
    authority = str(letter_box.home.trust / "seal-ca.pem")
    content = subprocess.run(
        [
            "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "seal"), "-CAfile",
            authority, "-purpose", "any",
        ],
        check=True, capture_output=True,
    ).stdout  # fmt: skip
    said = msgspec.json.decode(content, type=Refusal)
    assert said.canonical() == content
    assert (said.event, said.code, said.detail) == ("ask", "condition-not-met", error.value.problem.detail)
    assert said.fields["items"] == beyond["items"]
    assert "subject" not in said.fields  # hidden
    (found,) = said.conditions
    assert (found.letter, found.head, found.state) == (given, client.letter(given).head, "granted")
    assert client.record(sealed.record).artifact == seal


def test_a_consent_serves_as_often_as_it_says_whatever_races(letter_box: RunningBox) -> None:
    with client_of(letter_box) as client:
        given = consent(client, uses=3)

    def ask(_: int) -> str:
        with client_of(letter_box) as mine:
            try:
                return mine.begin_letter("query-receipt", question(given)).state
            except Refused as error:
                return error.code if isinstance(error.problem.sealed, SealedRefusal) else "not sealed"

    with ThreadPoolExecutor(6) as pool:
        assert sorted(pool.map(ask, range(6))) == ["asked"] * 3 + ["taken"] * 3


def test_a_revocation_and_a_question_that_race_come_one_after_the_other(letter_box: RunningBox) -> None:
    for _ in range(4):
        with client_of(letter_box) as client, client_of(letter_box) as other, ThreadPoolExecutor(2) as pool:
            given = consent(client)
            revoked = pool.submit(client.letter_event, given, "revoke")
            try:
                asked = other.begin_letter("query-receipt", question(given)).happened
            except Refused as error:
                assert (error.code, "revoked" in error.problem.detail) == ("condition-not-met", True)  # noqa: PT017
                assert isinstance(error.problem.sealed, SealedRefusal)  # noqa: PT017
            else:
                event = read_event(asked.event)
                granted = client.letter_events(given).events[0]
                assert event.references[0].head == read_event(granted.event).digest()
                # Each was drafted before its turn came: which was first is what the log says.
                last = revoked.result().happened.record
                assert client.record(asked.record).index < client.record(last).index
            assert revoked.result().state == "revoked"


def test_what_was_answered_before_is_no_refusal(client: Client) -> None:
    given = consent(client, uses=1)
    key, asked = str(uuid.UUID(bytes=new_idempotency_key())), question(given)
    first = client.begin_letter("query-receipt", asked, idempotency_key=key)
    assert client.begin_letter("query-receipt", asked, idempotency_key=key) == first
    with pytest.raises(Refused) as error:
        client.begin_letter("query-receipt", asked)
    assert error.value.code == "taken"
    refusal_of(error)


def test_kinds_that_do_not_want_it_have_no_sealed_refusal(client: Client) -> None:
    given = consent(client)
    client.letter_event(given, "revoke")
    with pytest.raises(Refused) as error:
        client.letter_event(given, "use", data={"question": "ab" * 32, "answer": "cd" * 32})
    assert error.value.code == "event-refused"
    assert error.value.problem.sealed is msgspec.UNSET


def test_the_box_itself_notes_once_that_a_consents_time_is_over(client: Client, other: Client) -> None:
    ends = [soon(1.5), soon(1.5), soon(3_600)]
    mine = [consent(client, valid_until=one) for one in ends]
    theirs = consent(other, valid_until=ends[0])
    listed = [one.letter for one in client.letters(due_before=soon(60)[:19] + "Z").letters]
    assert listed[-2:] == mine[:2] or set(mine[:2]) <= set(listed)
    assert mine[2] not in listed
    assert theirs not in listed
    for letter, asking in ((mine[0], client), (mine[1], client), (theirs, other)):
        wait_until(lambda asking=asking, letter=letter: asking.letter(letter).state == "expired")
        events = [read_event(one.event) for one in asking.letter_events(letter).events]
        assert [one.event for one in events] == ["grant", "expire"]
        assert events[1].actor.application == "@box"
        assert events[1].at >= ends[0][:23].replace("+00:00", "")
    assert client.letter(mine[2]).state == "granted"
    assert not set(mine[:2]) & {one.letter for one in client.letters(due_before=soon(60)[:19] + "Z").letters}


def test_officers_can_stop_what_the_box_does_by_itself(letter_box: RunningBox, other: Client) -> None:
    with letter_box.admin() as admin:
        admin.set_state("suspended", "other", "@box")
        given = consent(other, valid_until=soon(0.8))
        time.sleep(3)
        assert other.letter(given).state == "granted"
        admin.set_state("active", "other", "@box")
    wait_until(lambda: other.letter(given).state == "expired")


@pytest.mark.parametrize("after", ["0" * 32, "0" * 32 + "-5"])
def test_a_page_of_what_is_due_goes_on_behind_letters_of_ones_own(client: Client, after: str) -> None:
    with pytest.raises(Refused) as error:
        client.letters(due_before="2030-01-01T00:00:00Z", after=after)
    assert error.value.code == "not-found"


def test_what_is_due_is_listed_of_all_kinds(client: Client) -> None:
    with pytest.raises(Refused, match="of all kinds and states"):
        client.letters(kind="consent", due_before="2030-01-01T00:00:00Z")
    with pytest.raises(Refused, match="RFC 3339"):
        client.letters(due_before="2030-02-30T00:00:00Z")
