"""Letters filed with an authority that hangs, drops, forges and changes: each is answered once, whatever dies."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sqlite3
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest

from appliance.api.filing import filed
from appliance.api.letters.schemas import ReceiptGiven
from appliance.box.settings import read_settings
from appliance.ceremonies.actions import ApprovalTier, InstallAdapter, SetApprovalPolicy
from appliance.client import ApiError, Client
from appliance.errors import CinnabarError
from appliance.filing import AdapterRefused, ReceiptRefused, check_adapter, read_adapter, read_receipt
from firmware_tests.filing.authority import Authority, ticket_of
from firmware_tests.governed import Governed, governed
from firmware_tests.letters.approving import by_passkey, text_of
from firmware_tests.letters.conftest import client_of
from firmware_tests.letters.kinds import catalogue, install
from firmware_tests.running import RunningBox, wait_until


@dataclass
class Office:
    """A tenant of a box that files, and its authority."""

    governed: Governed
    authority: Authority
    client: Client
    other: Office | None = None
    """Another tenant's, with an authority of its own."""

    def submit(self, interface: str = "3.1") -> tuple[str, str]:
        """(letter, batch), in the outbox."""
        batch = f"GDRZ-{uuid.uuid4().hex[:12]}"
        fields = {
            "batch": batch, "authority": {"name": "国家融资担保基金"}, "interface": interface, "content": "ab" * 32,
            "rows_filed": 24, "total": {"amount": "120000.00", "currency": "CNY"},
        }  # fmt: skip
        letter = self.client.begin_letter("outbound-filing", fields).happened.letter
        draft = self.client.draft_event(letter, "submit")
        approval = by_passkey(self.governed.officers["ann"], text_of(draft))
        self.client.letter_event(letter, "submit", approvals=[approval])
        return letter, batch

    def wait(self, letter: str, state: str) -> None:
        wait_until(lambda: self.client.letter(letter).state == state, 60, f"{letter} {state}")


@pytest.fixture(scope="module")
def office(open_directory: Path) -> Iterator[Office]:
    tenants = {name: Authority(open_directory / f"authority-{name}") for name in ("demo", "other")}

    def prepare(box: RunningBox) -> None:
        for tenant in tenants:
            install(box.home, tenant)
        settings = json.loads(box.home.settings.read_text())
        settings["filing_hosts"] = [authority.host for authority in tenants.values()]
        box.home.settings.write_text(json.dumps(settings))

    made = governed(open_directory / "filing", *tenants, prepare=prepare)
    tier = ApprovalTier(up_to="", currency="CNY", approvers=["ann"], threshold=1)
    for tenant, authority in tenants.items():
        policy = SetApprovalPolicy(tenant=tenant, policy="issue", tiers=[tier])
        adapter = InstallAdapter(tenant=tenant, adapter=authority.adapter(key=f"{tenant}-seal"))
        made.decide([policy, adapter])
    with client_of(made.box) as client, client_of(made.box, "other") as second:
        yield Office(made, tenants["demo"], client, Office(made, tenants["other"], second))
    status = made.box.stop()
    for authority in tenants.values():
        authority.close()
    assert status == 0, made.box.said()


def test_a_letter_is_filed_and_its_receipt_makes_the_next_event(office: Office) -> None:
    letter, batch = office.submit()
    office.wait(letter, "accepted")
    (filed,) = office.authority.filed(batch)
    assert (filed["orgName"], filed["amount"], filed["rows"]) == ("国家融资担保基金", "120000.00", 24)
    events = office.client.letter_events(letter).events
    submitted, accepted = (json.loads(one.event) for one in events[-2:])
    assert accepted["actor"]["application"] == "@box"
    assert accepted["receipts"][0]["number"] == f"R-{filed['requestNo'][:12]}"
    assert accepted["previous"] == filed["requestNo"]
    assert submitted["event"] == "submit"
    kept = events[-1].beside["authority-0.receipt"]
    assert kept == office.authority.receipts[filed["requestNo"]]
    certificate = (office.governed.box.home.root / "certificates/demo-seal.pem").read_text()
    der = base64.b64decode("".join(certificate.split("-----")[2].split()))
    assert office.authority.verify(office.authority.message(batch), der) == filed


def test_it_is_filed_until_it_is_answered_and_happens_once(office: Office) -> None:
    office.authority.habits[:] = ["busy", "drop", "garbage", "forged", "other", "hang"]
    letter, batch = office.submit()
    office.wait(letter, "accepted")
    assert office.authority.came(batch) >= 7
    assert len(office.authority.filed(batch)) == 1
    assert office.client.letter(letter).number == 3


def test_what_is_returned_is_corrected_and_filed_by_the_adapter_of_the_newer_interface(office: Office) -> None:
    newer = office.authority.adapter(id="fund-32", interface="3.2", path="v32")
    office.governed.decide([InstallAdapter(tenant="demo", adapter=newer)])
    batch_faults = [{"line": 17, "message": "统一社会信用代码校验不通过"}]
    office.authority.habits[:] = ["hang"]  # time to say what is wrong with it
    letter, batch = office.submit()
    office.authority.faults[batch] = batch_faults
    office.wait(letter, "returned")
    returned = json.loads(office.client.letter_events(letter).events[-1].event)
    assert returned["data"]["faults"] == [{"row": 17, "said": "统一社会信用代码校验不通过"}]
    office.client.letter_event(letter, "resubmit", fields={"content": "cd" * 32, "interface": "3.2"})
    office.wait(letter, "accepted")
    first, second = office.authority.filed(batch)
    assert (first["interfaceVersion"], second["interfaceVersion"]) == ("v31", "v32")
    assert first["requestNo"] != second["requestNo"]


def test_what_waits_is_filed_by_the_next_version_of_its_adapter(office: Office) -> None:
    told = {"id": "fund-6", "interface": "6.0"}
    office.governed.decide([InstallAdapter(tenant="demo", adapter=office.authority.adapter(path="v60", **told))])
    office.authority.habits[:] = ["busy"] * 1_000
    letter, batch = office.submit("6.0")
    wait_until(lambda: office.authority.came(batch) > 0, 30, "a first attempt")
    newer = office.authority.adapter(path="v61", version=2, **told)
    office.governed.decide([InstallAdapter(tenant="demo", adapter=newer)])
    office.authority.habits.clear()
    office.wait(letter, "accepted")
    assert office.authority.filed(batch)[-1]["interfaceVersion"] == "v61"


def test_a_killed_worker_leaves_the_outbox_and_nothing_happens_twice(office: Office) -> None:
    office.authority.habits[:] = ["hang"] * 3
    letter, batch = office.submit()
    wait_until(lambda: office.authority.came(batch) > 0, 30, "a first attempt")
    for name, pid in office.governed.box.processes().items():
        if name.startswith("api-") or name == "recorder":
            os.kill(pid, signal.SIGKILL)

    def accepted() -> bool:
        try:
            return office.client.letter(letter).state == "accepted"
        except (ApiError, httpx.HTTPError):
            return False

    wait_until(accepted, 90, "an answer after the kill")
    assert len(office.authority.filed(batch)) == 1
    assert office.client.letter(letter).number == 3


def test_a_killed_filer_leaves_the_outbox_and_another_files(office: Office) -> None:
    office.authority.hurry.clear()
    office.authority.habits[:] = ["drip"]
    letter, batch = office.submit()
    wait_until(lambda: office.authority.came(batch) > 0, 30, "a first attempt")
    os.kill(office.governed.box.processes()["filer"], signal.SIGKILL)
    office.wait(letter, "accepted")
    assert len(office.authority.filed(batch)) == 1
    assert office.client.letter(letter).number == 3


@pytest.fixture(scope="module")
def later(office: Office) -> Office:
    """The same, where the interface 5.0 is one that takes filings and has receipts later."""
    adapter = office.authority.adapter(id="fund-later", interface="5.0", path="v50", later=True)
    office.governed.decide([InstallAdapter(tenant="demo", adapter=adapter)])
    return office


def _row(office: Office, letter: str) -> dict[str, object]:
    with office.governed.box.http("demo") as http:
        lines = http.get("/v1/filings").text.splitlines()
    return next(dict(json.loads(line)) for line in lines if letter in line)


def _events(office: Office, letter: str) -> list[str]:
    return [json.loads(one.event)["event"] for one in office.client.letter_events(letter).events]


def test_a_receipt_that_comes_later_is_asked_for_and_happens_once_whatever_dies(later: Office) -> None:
    authority = later.authority
    authority.habits[:] = ["later"]
    authority.asked_habits[:] = ["not-yet", "forged", "other", *["not-yet"] * 100]
    letter, batch = later.submit("5.0")
    later.wait(letter, "pending")
    (filed,) = authority.filed(batch)
    told = _row(later, letter)
    assert (told["state"], told["waiting"], told["pending"], told["number"]) == (
        "pending", False, True, filed["requestNo"]
    )  # fmt: skip
    assert str(told["next"]) > str(told["changed"])
    wait_until(lambda: len(authority.asked) >= 4, 60, "looks for the receipt")
    assert later.client.letter(letter).state == "pending"
    for name, pid in later.governed.box.processes().items():
        if name.startswith(("api-", "filer")):
            os.kill(pid, signal.SIGKILL)
    authority.asked_habits.clear()

    def accepted() -> bool:
        try:
            return later.client.letter(letter).state == "accepted"
        except (ApiError, httpx.HTTPError):
            return False

    wait_until(accepted, 60, "the receipt")
    assert authority.came(batch) == 1, "what was taken is not filed again"
    assert _events(later, letter) == ["prepare", "submit", "take", "accept"]
    kept = later.client.letter_events(letter).events[-1].beside["authority-0.receipt"]
    assert kept == authority.receipts[filed["requestNo"]]
    told = _row(later, letter)
    assert (told["pending"], told["next"], told["number"]) == (False, "", filed["requestNo"])


def test_what_is_refused_without_a_receipt_waits_until_it_is_submitted_again(later: Office) -> None:
    authority = later.authority
    authority.habits[:] = ["refuse", "later"]
    authority.asked_habits[:] = ["unknown"]
    letter, batch = later.submit("5.0")
    for status in (422, 404):  # as it is filed; as its receipt is asked for
        later.wait(letter, "refused")
        assert json.loads(later.client.letter_events(letter).events[-1].event)["data"] == {"status": status}
        later.client.letter_event(letter, "resubmit", fields={"rows_filed": status})
    later.wait(letter, "accepted")
    assert len(authority.filed(batch)) == 3
    assert authority.came(batch) == 3, "each of them once"


def test_a_late_receipt_counts_and_one_that_is_handed_in_is_held_to_the_filing(later: Office) -> None:
    authority = later.authority
    authority.habits[:] = ["busy"] * 1_000
    letter, batch = later.submit("5.0")
    wait_until(lambda: authority.came(batch) > 0, 30, "a first attempt")
    (filed,) = authority.filed(batch)
    authority.asked_habits[:] = ["not-yet"] * 1_000
    past = {"answer_by": "2026-01-01T00:00:00Z"}
    later.client.letter_event(letter, "take", fields=past, data={"ticket": ticket_of(filed["requestNo"])})
    later.wait(letter, "late")
    assert _row(later, letter)["pending"] is True

    def hand_in(receipt: bytes, number: str) -> None:
        given = ReceiptGiven(registry="authority", number=f"R-{number[:12]}", receipt=receipt)
        later.client.letter_event(letter, "accept", receipts=[given])

    newest = later.client.letter(letter).head
    with pytest.raises(ApiError, match="another filing"):
        hand_in(authority.receipt({"batchNo": batch, "requestNo": newest}), newest)
    authority.receipts[filed["requestNo"]] = authority.receipt(filed)
    authority.asked_habits.clear()
    later.wait(letter, "accepted")
    authority.habits.clear()
    assert _events(later, letter)[-3:] == ["take", "grow-late", "accept"]


def test_an_applications_receipt_is_the_authoritys_or_none(office: Office) -> None:
    authority = office.authority
    authority.habits[:] = ["busy"] * 100
    letter, batch = office.submit()
    faults = [{"line": 3, "message": "重复"}]
    told = {"batchNo": batch, "requestNo": office.client.letter(letter).head}
    number = f"R-{told['requestNo'][:12]}"

    def hand_in(receipt: bytes, event: str, number: str, data: dict[str, object] | None = None) -> None:
        given = ReceiptGiven(registry="authority", number=number, receipt=receipt)
        office.client.letter_event(letter, event, data=data or {}, receipts=[given])

    good = authority.receipt(told)
    authority.faults[batch] = faults
    returned = authority.receipt(told)
    rows: dict[str, object] = {"faults": [{"row": 3, "said": "别的"}]}
    for receipt, event, own, data in (
        (b"accepted", "accept", number, None),
        (authority.receipt(told, "forger"), "accept", number, None),
        (authority.receipt(told | {"requestNo": "00" * 32}), "accept", number, None),
        (good, "accept", "R-another", None),
        (returned, "accept", number, None),
        (good, "return", number, rows),
        (returned, "return", number, rows),
    ):
        with pytest.raises(ApiError) as refused:
            hand_in(receipt, event, own, data)
        assert refused.value.code == "field-refused", event
    assert office.client.letter(letter).state == "submitted"
    hand_in(good, "accept", number)
    assert office.client.letter(letter).state == "accepted"
    authority.habits.clear()


def test_a_letter_that_is_brought_out_of_the_adapters_states_takes_the_authoritys_receipt_or_none(
    office: Office,
) -> None:
    office.authority.habits[:] = ["busy"] * 100
    letter, batch = office.submit()
    told = {"batchNo": batch, "requestNo": office.client.letter(letter).head}
    number = f"R-{told['requestNo'][:12]}"
    awaited = {"answer_by": "2099-01-01T00:00:00Z"}
    taken = office.client.letter_event(letter, "take", fields=awaited, data={"ticket": "made-up"})
    assert taken.state == "pending"
    given = ReceiptGiven(registry="authority", number=number, receipt=b"made up")
    with pytest.raises(ApiError) as refused:
        office.client.letter_event(letter, "accept", receipts=[given])
    assert refused.value.code == "field-refused"
    assert office.client.letter(letter).state == "pending"
    given = ReceiptGiven(registry="authority", number=number, receipt=office.authority.receipt(told))
    assert office.client.letter_event(letter, "accept", receipts=[given]).state == "accepted"
    office.authority.habits.clear()


def test_a_letter_is_looked_through_by_its_own_events(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that was split off begins with its parent's event, which has its parent's number."""
    part = "ab" * 16
    origin = SimpleNamespace(
        number=7, event="split", state="open", data={}, parts=[SimpleNamespace(letter=part, state="submitted")],
        digest=lambda: "d1" * 32,
    )  # fmt: skip
    taken = [
        SimpleNamespace(number=number, event="take", state="pending", data={"ticket": f"t{number}"}, parts=[])
        for number in (8, 9)
    ]
    later = SimpleNamespace(number=10, event="accept", state="accepted", data={}, parts=[])  # since the letter was read
    asked: list[int] = []

    async def query(_name: str, _tenant: str, _letter: bytes, after: int, _at_once: int) -> list[object]:
        asked.append(after)
        return list(enumerate([origin, *taken, later], start=1))[after:]

    worker = SimpleNamespace(recorder=SimpleNamespace(query=query))
    monkeypatch.setattr(filed, "_event", lambda _worker, _tenant, row: row)
    adapter = SimpleNamespace(state="submitted", later=SimpleNamespace(event="take"))
    letter = SimpleNamespace(letter=part, number=3)
    for look in (filed.filed_as, filed.filed_at_hand):
        found = asyncio.run(look(worker, "demo", adapter, letter))  # type: ignore[arg-type]
        assert (found.number, found.ticket, found.newest) == ("d1" * 32, "t9", taken[1])
    elsewhere = SimpleNamespace(state="elsewhere", later=None)
    assert asyncio.run(filed.filed_as(worker, "demo", elsewhere, letter)).number == ""  # type: ignore[arg-type]
    nobodys = asyncio.run(filed.filed_at_hand(worker, "demo", None, letter))  # type: ignore[arg-type]
    assert (nobodys.number, nobodys.newest) == ("", taken[1])
    assert asked[-1] == 2, "of what no adapter files the newest event alone is read"


def test_a_letter_that_no_adapter_files_takes_the_authoritys_receipt_or_none(office: Office) -> None:
    """The application chose the field that keeps every adapter away; it does not speak for the authority by that."""
    letter, batch = office.submit("none")
    told = {"batchNo": batch, "requestNo": office.client.letter(letter).head}
    number = f"R-{told['requestNo'][:12]}"
    for receipt in (b"accepted", office.authority.receipt(told, "forger")):
        given = ReceiptGiven(registry="authority", number=number, receipt=receipt)
        with pytest.raises(ApiError) as refused:
            office.client.letter_event(letter, "accept", receipts=[given])
        assert refused.value.code == "field-refused"
    assert office.client.letter(letter).state == "submitted"
    assert office.authority.came(batch) == 0
    given = ReceiptGiven(registry="authority", number=number, receipt=office.authority.receipt(told))
    assert office.client.letter_event(letter, "accept", receipts=[given]).state == "accepted"


def test_results_are_exported(office: Office) -> None:
    letter, batch = office.submit()
    office.wait(letter, "accepted")
    (filed,) = office.authority.filed(batch)
    with office.governed.box.http("demo") as http:
        lines = http.get("/v1/filings", params={"state": "accepted"}).text.splitlines()
        one = next(json.loads(line) for line in lines if letter in line)
        assert (one["adapter"], one["event"], one["waiting"]) == ("fund", "accept", False)
        assert (one["number"], one["receipt"]) == (filed["requestNo"], f"R-{filed['requestNo'][:12]}")
        table = http.get("/v1/filings", headers={"Accept": "text/csv"})
        assert table.headers["content-type"].startswith("text/csv")
        assert any(line.startswith(f"{letter},") for line in table.text.splitlines())
        assert http.get("/v1/filings", params={"kind": "bid-bond"}).text == ""


def test_an_adapter_that_is_not_sound_is_refused(office: Office) -> None:
    kind, text = catalogue("outbound-filing").kind, office.authority.adapter()
    hosts = read_settings(office.governed.box.home.settings).filing_hosts
    check_adapter(read_adapter(text.encode()), kind, hosts)
    wrong = {
        "https://localhost": "http://localhost",
        f"https://{office.authority.host}": "https://elsewhere:443",
        'state = "submitted"': 'state = "accepted"',
        'batchNo = "batch"': 'batchNo = "nothing"',
        'batchNo = "batch"\n': 'requestNo = "batch"\n',
        'event = "accept"': 'event = "submit"',
        "data.faults": "data.other",
        'registry = "authority"': 'registry = "another"',
        'sign = "ES256"': 'sign = "RS256"',
        "BEGIN CERTIFICATE": "BEGIN NOTHING",
        "version = 1": "version = 1\nmore = 1",
    }
    later = office.authority.adapter(later=True)
    check_adapter(read_adapter(later.encode()), kind, hosts)
    wrong_later = {
        f'url = "https://{office.authority.host}/v31/receipts/"': 'url = "https://elsewhere/receipts/"',
        "/v31/receipts/": "",
        'event = "take"': 'event = "accept"',
        'states = ["pending", "late"]': 'states = ["late"]',
        '"pending", "late"]': '"pending", "late", "submitted"]',
        '"late"]': '"returned"]',
        'until = "answer_by"': 'until = "batch"',
        "404, 422": "404, 429",
        "statuses = [404, 422]": "statuses = [503]",
        'event = "refuse"': 'event = "accept"',
    }
    for whole, changes in ((text, wrong), (later, wrong_later)):
        for old, new in changes.items():
            assert old in whole, old
            with pytest.raises(AdapterRefused):
                check_adapter(read_adapter(whole.replace(old, new).encode()), kind, hosts)
    with pytest.raises(CinnabarError, match="version 1 of fund does not follow 1"):
        office.governed.submit([InstallAdapter(tenant="demo", adapter=text + "# other\n")])


def test_no_byte_of_a_receipt_is_free(office: Office) -> None:
    loaded = read_adapter(office.authority.adapter().encode())
    raw = office.authority.receipt({"batchNo": "b", "requestNo": "n"})
    assert read_receipt(loaded, raw, "n").event == "accept"
    for place in range(0, len(raw), 3):
        with pytest.raises(ReceiptRefused):
            read_receipt(loaded, raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :], "n")
    with pytest.raises(ReceiptRefused):
        read_receipt(loaded, raw, "m")


def test_a_letter_that_cannot_be_read_holds_up_no_other_letter(office: Office) -> None:
    """One damaged view a worker: each is put off and logged, and the round goes on."""
    home, authority = office.governed.box.home, office.authority
    workers = json.loads(home.settings.read_text())["workers"]
    authority.habits[:] = ["busy"] * 10_000
    damaged: dict[int, str] = {}
    while len(damaged) < workers:
        letter, _ = office.submit()
        damaged.setdefault(bytes.fromhex(letter)[0] % workers, letter)
    records = sqlite3.connect(home.records / "records.sqlite", timeout=30, isolation_level=None)
    with contextlib.closing(records) as database:
        views = {}
        for letter in damaged.values():
            (views[letter],) = database.execute("SELECT view FROM letters WHERE letter = ?", (bytes.fromhex(letter),))
            database.execute("UPDATE letters SET view = x'00' WHERE letter = ?", (bytes.fromhex(letter),))
        authority.habits.clear()
        try:
            letter, _ = office.submit()
            office.wait(letter, "accepted")
            output = office.governed.box.output
            wait_until(lambda: all(one in output.read_text() for one in damaged.values()), 30, "the log of both")
        finally:
            for one, (view,) in views.items():
                database.execute("UPDATE letters SET view = ? WHERE letter = ?", (view, bytes.fromhex(one)))


def test_one_tenants_authority_holds_up_no_other_tenant(office: Office) -> None:
    slow = office.authority.adapter(id="fund-slow", interface="9", path="slow", timeout_s=600)
    office.governed.decide([InstallAdapter(tenant="demo", adapter=slow)])
    office.authority.habits[:] = ["drip"] * 100
    try:
        waiting = [office.submit("9") for _ in range(24)]
        wait_until(lambda: sum(office.authority.came(batch) for _, batch in waiting) >= 6, 30, "filings that hang")
        assert office.other is not None
        letter, _ = office.other.submit()
        office.other.wait(letter, "accepted")
        assert {office.client.letter(letter).state for letter, _ in waiting} == {"submitted"}
    finally:
        office.authority.habits.clear()
        office.authority.hurry.set()
    for letter, _ in waiting:
        office.wait(letter, "accepted")
