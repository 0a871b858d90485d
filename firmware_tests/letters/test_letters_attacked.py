"""What somebody who attacks letters tried: values spelled twice, parts that hold nothing, amounts in two currencies."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from appliance.api.letters.public import _is_second
from appliance.letters.check import check
from appliance.letters.counting import Count, counts
from appliance.letters.effects import uses
from appliance.letters.errors import FieldRefused
from appliance.letters.event import Actor, KindReference
from appliance.letters.judge import Asked, Decision, judge
from appliance.letters.kind import Kind, LoadedKind
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import encoded
from firmware_tests.letters import sound_kind
from firmware_tests.letters.kinds import catalogue

LETTER, PART = "ab" * 16, "cd" * 16
REFERENCE = KindReference(digest="0" * 64, id="sample", version=1)
WORDS = {"en": "X", "zh": "某"}


def state(**changed: Any) -> LetterState:
    members: dict[str, Any] = {
        "letter": LETTER, "kind": REFERENCE, "state": "held", "number": 1, "head": "1" * 64, "fields": {},
        "currency": "CNY", "begun": "2026-11-22T09:30:00.000000Z", "changed": "2026-11-22T09:30:00.000000Z",
    }  # fmt: skip
    return LetterState(**(members | changed))


def keys(kind: Kind, letter: LetterState) -> list[bytes]:
    return [encoded("tenant/acme", one.name, one.values) for one in uses(kind, None, letter)]


@pytest.mark.parametrize(
    ("type_", "one", "other"),
    [
        ("decimal", "0.5", "0.50"),
        ("decimal", "0", "-0.0"),
        ("time", "2026-11-22T01:30:00Z", "2026-11-22T09:30:00+08:00"),
        ("time", "2026-11-22T01:30:00Z", "2026-11-22T01:30:00.000Z"),
        ("party", {"name": "某公司", "id": "1"}, {"name": "某公司"}),
    ],
)
def test_a_unique_value_has_one_spelling(type_: str, one: Any, other: Any) -> None:
    document = sound_kind.document()
    document["fields"]["thing"] = {"label": WORDS, "type": type_}
    document["events"]["draft"]["fields"].append("thing")
    document["unique"] = {"thing": {"fields": ["thing"]}}
    kind = sound_kind.kind(document)
    if check(kind):
        return  # the check refuses such a kind
    assert keys(kind, state(fields={"thing": one})) == keys(kind, state(fields={"thing": other}))


def test_what_nobody_sees_makes_no_second_value() -> None:
    for unseen in ("\u2800", "\U00016fe4", "\U0001d159"):
        try:
            assert encoded("tenant/acme", "n", ["INV-1" + unseen]) == encoded("tenant/acme", "n", ["INV-1"])
        except FieldRefused:
            continue


@pytest.mark.parametrize("way", ["column", "later event"])
def test_parts_take_no_unique_value_that_they_do_not_hold(way: str) -> None:
    document = sound_kind.document()
    document["unique"] = {"number": {"fields": ["number"]}}
    if way == "column":
        number = {name: one for name, one in document["fields"]["number"].items()}
        document["events"]["transfer"]["data"]["parts"]["columns"]["number"] = number
    else:
        document["events"]["postpone"]["fields"] = ["number"]  # from `held`, where parts begin and origins stay
    kind = sound_kind.kind(document)
    if check(kind):
        return  # the check refuses such a kind
    part = state(letter=PART, origin=LETTER, fields={"number": "AB-1"}, balance=1)
    changed = msgspec.structs.replace(part, fields={"number": "AB-2"})
    assert uses(kind, part, changed), "a part takes AB-2, which other letters may have as well, and holds nothing"


def test_a_rule_of_uniqueness_does_not_fall_with_an_optional_field() -> None:
    document = sound_kind.document()
    document["unique"] = {"number": {"fields": ["number", "grade"]}}  # `grade` may be left out
    kind = sound_kind.kind(document)
    assert check(kind) or uses(kind, None, state(fields={"number": "AB-1"}))


def test_a_capacity_is_in_the_currency_of_what_is_taken_of_it() -> None:
    loaded = catalogue("customs-financing")
    document = msgspec.to_builtins(loaded.kind)
    document["fields"]["amount"]["currencies"] = ["CNY", "USD"]
    document["fields"]["declared"]["currencies"] = ["CNY", "USD", "JPY"]
    for event in document["events"].values():
        event.pop("approvals", None)
    assert [one for one in check(msgspec.convert(document, Kind)) if "capacity" in one.path]


def test_what_is_outstanding_follows_whom_it_is_of_and_the_parts() -> None:
    kind = catalogue("credit-voucher").kind
    debtor, funder = {"name": "D", "id": "d"}, {"name": "F", "id": "f"}
    held = state(fields={"debtor": debtor}, balance=100)
    financed = msgspec.structs.replace(held, state="financed", fields={"debtor": debtor, "funder": funder})
    assert [one for one in counts(kind, held, financed) if "/funder/" in one.counter and one.whom == ("f", "F f")]


def test_a_split_takes_from_one_and_adds_to_another_whom_it_is_of() -> None:
    """What went to another is that one's from now on; nothing is counted twice in a period."""
    document = sound_kind.document()
    document["quotas"]["year"] = document["quotas"]["open"] | {"period": "year"}
    kind = sound_kind.kind(document)
    one, other = ({"name": name, "id": name} for name in ("ONE", "other"))
    before = state(fields={"holder": one}, balance=100)
    after = msgspec.structs.replace(before, balance=30)
    parts = [
        state(letter=PART, origin=LETTER, fields={"holder": holder}, balance=balance)
        for holder, balance in ((other, 50), (one | {"id": "one"}, 20))  # compared as people read
    ]
    assert short(counts(kind, before, after, parts)) == [
        ("open", "", "one", -50), ("open", "", "other", 50), ("year", "2026", "other", 50),
    ]  # fmt: skip
    ended = msgspec.structs.replace(parts[0], state="redeemed", balance=0)
    assert short(counts(kind, parts[0], ended)) == [("open", "", "other", -50)]


def short(found: list[Count]) -> list[tuple[str, str, str, int]]:
    assert {one.counter.split("/")[0] for one in found} == {"sample"}
    return [(one.counter.split("/")[1], one.window, one.whom.value if one.whom else "", one.amount) for one in found]


def test_a_time_whose_utc_has_no_year_is_refused() -> None:
    document = sound_kind.document()
    document["fields"]["thing"] = {"label": WORDS, "type": "time"}
    document["unique"] = {"thing": {"fields": ["thing"]}}
    kind = sound_kind.kind(document)
    assert uses(kind, None, state(fields={"thing": "0001-01-01T08:00:00+08:00"}))[0].values == ("0001-01-01T00:00:00Z",)
    with pytest.raises(FieldRefused):
        uses(kind, None, state(fields={"thing": "0001-01-01T00:00:00+08:00"}))


SALT = "c2FsdHNhbHRzYWx0c2FsdA"


def disclosure(value: str, salt: str = SALT) -> str:
    return base64.urlsafe_b64encode(f'["{salt}","serial",{value}]'.encode()).rstrip(b"=").decode()


def with_serial() -> LoadedKind:
    """A kind whose letters have a hidden number that is used once."""
    document = sound_kind.document()
    serial = {"label": WORDS, "type": "integer", "confidentiality": "hidden"}
    document["fields"] = {"serial": serial, "face": document["fields"]["face"]}
    document["unique"] = {"serial": {"fields": ["serial"]}}
    document["events"] = {"draft": document["events"]["draft"] | {"fields": ["serial", "face"]}}
    return LoadedKind(kind=sound_kind.kind(document), digest="0" * 64, source=b"")


def drafted(loaded: LoadedKind, given: str) -> Decision:
    fields = {"serial": 1, "face": {"amount": "1.00", "currency": "CNY"}}
    asked = Asked("draft", LETTER, fields=fields, disclosures={"serial": given})
    actor = Actor(application="core", box="0" * 32, tenant="acme")
    return judge(loaded, None, asked, actor, frozenset({"*"}), 1_790_000_000_000_000, {})


@pytest.mark.parametrize("spelled", ["1.0", "true", "1e0", " 1"])
def test_a_disclosure_says_the_very_value_in_its_one_spelling(spelled: str) -> None:
    loaded = with_serial()
    assert drafted(loaded, disclosure("1")).disclosures == {"serial": disclosure("1")}
    with pytest.raises(FieldRefused, match="/disclosures/serial: it does not disclose"):
        drafted(loaded, disclosure(spelled))


def test_a_disclosure_has_a_salt_of_128_bits() -> None:
    """With a short one whoever has the event tries out the values of a hidden field (RFC 9901, section 9.3)."""
    loaded = with_serial()
    for salt in ("", "a", SALT[:-1]):
        with pytest.raises(FieldRefused, match="/disclosures/serial: its salt"):
            drafted(loaded, disclosure("1", salt))


@pytest.mark.parametrize("given", ["\u200b", " ", "T-1\u0000", ""])
def test_a_second_field_that_cannot_be_typed_is_a_wrong_one(given: str) -> None:
    assert not _is_second(catalogue("bid-bond").kind, state(fields={"tender_code": "T-1"}), given)


@pytest.mark.parametrize("name", ["attestation", "institution"])
def test_a_party_as_second_field_is_given_by_its_name_or_its_number(name: str) -> None:
    kind = catalogue(name).kind
    assert kind.second is not None
    value = {"name": "某公司", "id": "91440101MA5CXXXX1K"}
    letter = state(fields={kind.second: value})
    assert _is_second(kind, letter, value["name"])
    assert _is_second(kind, letter, value["id"])


@pytest.mark.parametrize(
    ("given", "right"),
    [("500000.00", True), ("500000.00 CNY", True), ("cny  500000.00", True), ("CNY", False), ("500000", False)],
)
def test_an_amount_as_second_field_is_not_given_by_its_currency(given: str, right: bool) -> None:
    kind = msgspec.structs.replace(catalogue("bid-bond").kind, second="amount")
    assert check(kind) == []
    letter = state(fields={"amount": {"amount": "500000.00", "currency": "CNY"}})
    assert _is_second(kind, letter, given) is right
