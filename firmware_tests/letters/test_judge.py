"""What may happen to a letter: the rules of a kind, applied by the pure judge, and the chain that follows from it."""

from __future__ import annotations

import contextlib

import msgspec
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from appliance.errors import CinnabarError
from appliance.letters.errors import ConditionNotMet, EventRefused, FieldRefused, PartyMissing, RoleMissing
from appliance.letters.event import Actor, KindReference, Receipt, read_event
from appliance.letters.hidden import hide
from appliance.letters.judge import Asked, happened, judge
from appliance.letters.kind import LoadedKind
from appliance.letters.state import LetterState, follow
from firmware_tests.letters.kinds import BID_BOND, FIELDS, catalogue

NOON = 1_790_000_000_000_000
ACTOR = Actor(application="core", box="0b" * 16, tenant="acme")
LETTER = "ab" * 16


def step(before: LetterState | None, event: str, roles: str = "guarantor", now: int = NOON, **members: object):  # type: ignore[no-untyped-def]
    asked = Asked(event, LETTER, **members)  # type: ignore[arg-type]
    own = frozenset({str(FIELDS["beneficiary"]["id"])})  # type: ignore[index]
    decision = judge(BID_BOND, before, asked, ACTOR, frozenset({roles}), now, {}, own)
    made = msgspec.structs.replace(decision.draft, at=happened(now, before))
    assert rfc8785.dumps(msgspec.json.decode(made.canonical())) == made.canonical()
    assert read_event(made.canonical()) == made
    return follow(before, made)


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=40)
    | st.sampled_from(list(FIELDS.values())),
    lambda some: (
        st.lists(some, max_size=3) | st.dictionaries(st.sampled_from(["name", "id", "amount", "currency"]), some)
    ),
    max_leaves=6,
)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=60)
LIKELY = st.fixed_dictionaries(
    {},
    optional={
        "project": TEXTS,
        "tender_code": st.from_regex(r"\A[A-Z0-9-]{1,40}\Z"),
        "bidder": st.fixed_dictionaries({"name": TEXTS}, optional={"id": TEXTS}),
        "amount": st.fixed_dictionaries(
            {"amount": st.from_regex(r"\A[0-9]{1,20}\.[0-9]{2}\Z"), "currency": st.just("CNY")}
        ),
        "valid_until": st.dates().map(str),
        "opening": st.datetimes().map(lambda one: one.isoformat() + "Z"),
    },
)


@given(
    LIKELY | st.dictionaries(st.sampled_from([*FIELDS, "colour"]), ANYTHING, max_size=3),
    TEXTS.map(lambda one: {"claimed": FIELDS["amount"], "reason": one})
    | st.dictionaries(st.sampled_from(["claimed", "reason", "colour"]), ANYTHING),
)
def test_every_event_that_the_judge_lets_pass_is_read_by_every_reader(
    changed: dict[str, object], data: dict[str, object]
) -> None:
    """`step` reads what it made, and holds its text to the canonical form of another implementation."""
    with contextlib.suppress(CinnabarError):
        step(None, "issue", fields=FIELDS | changed)
    issued = step(None, "issue", fields=FIELDS)
    with contextlib.suppress(CinnabarError):
        step(issued, "claim", "beneficiary", data=data)


def test_a_bid_bond_from_issue_to_release() -> None:
    letter = step(None, "issue", fields=FIELDS)
    assert (letter.state, letter.balance, letter.number) == ("issued", 5_000_000_000, 1)
    letter = step(letter, "claim", "beneficiary", data={"claimed": FIELDS["amount"], "reason": "拒签合同"})
    letter = step(letter, "pay", data={"paid": {"amount": "200000.00", "currency": "CNY"}})
    assert (letter.state, letter.balance) == ("issued", 3_000_000_000)
    letter = step(letter, "release", "beneficiary")
    assert (letter.state, letter.balance, letter.number) == ("released", 0, 4)
    with pytest.raises(EventRefused, match="no event any more"):
        step(letter, "claim", data={})


def test_paying_all_of_it_ends_the_letter() -> None:
    letter = step(step(None, "issue", fields=FIELDS), "claim", data={"claimed": FIELDS["amount"], "reason": "x"})
    with pytest.raises(FieldRefused, match=r"^/data/paid: only 500000.00 CNY is left"):
        step(letter, "pay", data={"paid": {"amount": "500000.01", "currency": "CNY"}})
    assert step(letter, "pay", data={"paid": FIELDS["amount"]}).state == "paid"


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"tender_code": "a b"}, "/fields/tender_code: it does not have the form"),
        ({"project": "\u202eevil"}, "/fields/project: it holds the character U\\+202E"),
        ({"amount": {"amount": "1.5", "currency": "CNY"}}, "/fields/amount: an amount in CNY"),
        ({"amount": {"amount": "9" * 30 + ".00", "currency": "CNY"}}, "/fields/amount: the amount is too large"),
        ({"amount": {"amount": "1.00", "currency": "EUR"}}, "/fields/amount: its currency is one of"),
        ({"opening": "2026-13-01T00:00:00Z"}, "/fields/opening"),
        ({"valid_until": "2026-02-30"}, "/fields/valid_until"),
        ({"bidder": {"id": "9"}}, "/fields/bidder: a party"),
        ({"colour": "red"}, "/fields/colour: this event does not set it"),
    ],
)
def test_a_wrong_field_is_named(changed: dict[str, object], said: str) -> None:
    with pytest.raises(FieldRefused, match=said):
        step(None, "issue", fields=FIELDS | changed)


@pytest.mark.parametrize("kind", ["bid-bond", "advance-payment-bond", "quality-bond", "wage-bond"])
def test_no_bond_is_issued_whose_time_is_over(kind: str) -> None:
    issue = catalogue(kind).kind.events["issue"]
    assert issue.not_after in issue.fields


def test_a_bond_that_has_ended_before_it_begins_is_refused() -> None:
    with pytest.raises(EventRefused, match=r"^/fields/valid_until: 1000-01-01 is past"):
        step(None, "issue", fields=FIELDS | {"valid_until": "1000-01-01"})


def test_a_missing_field_a_foreign_role_and_a_late_claim_are_refused() -> None:
    with pytest.raises(FieldRefused, match="/fields/bidder: it is required"):
        step(None, "issue", fields={name: value for name, value in FIELDS.items() if name != "bidder"})
    with pytest.raises(RoleMissing, match="guarantor"):
        step(None, "issue", "beneficiary", fields=FIELDS)
    letter = step(None, "issue", fields=FIELDS)
    with pytest.raises(EventRefused, match="2099-12-31 is past"):
        step(letter, "claim", now=NOON + 10**17, data={"claimed": FIELDS["amount"], "reason": "x"})
    with pytest.raises(EventRefused, match="not before 2099-12-31"):
        step(letter, "expire")


OWN, OTHER = {"name": "甲供应商", "id": "91440101MA5AAAAA1A"}, {"name": "乙供应商", "id": "91440101MA5BBBBB2B"}


@pytest.mark.parametrize(
    ("roles", "parties", "may"),
    [
        ({"holder"}, {OWN["id"]}, True),
        ({"holder"}, {"*"}, True),
        ({"platform"}, set(), True),
        ({"holder", "platform"}, {OTHER["id"]}, True),  # one role that the kind ties to no party is enough
        ({"*"}, set(), True),
        ({"holder"}, set(), False),
        ({"holder"}, {OTHER["id"]}, False),
        ({"holder"}, {OWN["id"].lower(), OWN["name"], ""}, False),
        ({"holder", "supplier"}, {OTHER["id"]}, False),
    ],
)
def test_a_firms_program_passes_on_what_that_firm_holds(roles: set[str], parties: set[str], may: bool) -> None:
    voucher = catalogue("credit-voucher")
    held = LetterState(
        letter=LETTER,
        kind=KindReference(digest=voucher.digest, id="credit-voucher", version=voucher.kind.version),
        state="held",
        number=2,
        head="00" * 32,
        fields={"debtor": OTHER, "holder": OWN, "due": "2027-06-30"},
        begun="2026-09-01T00:00:00.000000Z",
        balance=5_000_000,
        currency="CNY",
    )
    # To the other firm: who is going to hold a part does not say whose it was.
    row = {"amount": {"amount": "1.00", "currency": "CNY"}, "holder": OTHER}
    asked = Asked("transfer", LETTER, data={"parts": [row]}, parts=("cd" * 16,))
    refused = pytest.raises(PartyMissing, match="transfer needs the permission party-ID with the id of holder")
    with contextlib.nullcontext() if may else refused:
        judge(voucher, held, asked, ACTOR, frozenset(roles), NOON, {}, frozenset(parties))


@pytest.mark.parametrize(
    ("event", "state", "role"),
    [
        ("cancel", "drafted", "supplier"),
        ("repay", "financed", "funder"),
        ("redeem", "held", "debtor"),
        ("redeem", "financed", "debtor"),
    ],
)
@pytest.mark.parametrize("own", [True, False])
def test_no_firm_ends_what_is_another_firms(event: str, state: str, role: str, own: bool) -> None:
    voucher = catalogue("credit-voucher")
    field = {"supplier": "holder", "funder": "funder", "debtor": "debtor"}[role]
    held = LetterState(
        letter=LETTER,
        kind=KindReference(digest=voucher.digest, id="credit-voucher", version=voucher.kind.version),
        state=state,
        number=3,
        head="00" * 32,
        fields={"debtor": OTHER, "holder": OTHER, "funder": OTHER, "due": "2026-09-10"} | {field: OWN},
        begun="2026-09-01T00:00:00.000000Z",
        balance=5_000_000,
        currency="CNY",
    )
    data: dict[str, object] = {"payment": "LSH-1"} if event == "redeem" else {}
    ended = Receipt(digest="ab" * 32, number="1", registry="zhongdeng")
    asked = Asked(event, LETTER, data=data, receipts=(ended,) if event == "repay" else ())
    party = (OWN if own else OTHER)["id"]
    refused = pytest.raises(PartyMissing, match=f"with the id of {field}")
    with contextlib.nullcontext() if own else refused:
        judge(voucher, held, asked, ACTOR, frozenset({role}), NOON, {}, frozenset({party}))


def test_who_begins_a_letter_acts_for_the_party_that_it_names() -> None:
    issue = msgspec.structs.replace(BID_BOND.kind.events["issue"], acts_for={"guarantor": "bidder"})
    events = BID_BOND.kind.events | {"issue": issue}
    bond = LoadedKind(
        kind=msgspec.structs.replace(BID_BOND.kind, events=events), digest=BID_BOND.digest, source=BID_BOND.source
    )

    def begin(bidder: dict[str, str]) -> None:
        asked = Asked("issue", LETTER, fields=FIELDS | {"bidder": bidder})
        judge(bond, None, asked, ACTOR, frozenset({"guarantor"}), NOON, {}, frozenset({OWN["id"]}))

    begin(OWN)
    with pytest.raises(PartyMissing, match="bidder"):
        begin(OTHER)


def test_who_joins_a_letter_names_itself_and_only_who_stands_there_names_another() -> None:
    order = catalogue("purchase-order")
    again = msgspec.structs.replace(order.kind.events["guarantee"], from_=["confirmed", "guaranteed"])
    kind = msgspec.structs.replace(order.kind, events=order.kind.events | {"guarantee": again})
    loaded = LoadedKind(kind=kind, digest=order.digest, source=order.source)

    def guarantee(state: str, standing: dict[str, object], named: dict[str, str]) -> None:
        held = LetterState(
            letter=LETTER,
            kind=KindReference(digest=order.digest, id="purchase-order", version=order.kind.version),
            state=state,
            number=2,
            head="00" * 32,
            fields={"buyer": OTHER, **standing},
            begun="2026-09-01T00:00:00.000000Z",
        )
        asked = Asked("guarantee", LETTER, fields={"guarantor": named}, data={"undertaking": "ab" * 32})
        judge(loaded, held, asked, ACTOR, frozenset({"guarantor"}), NOON, {}, frozenset({OWN["id"]}))

    guarantee("confirmed", {}, OWN)
    with pytest.raises(PartyMissing, match="with the id of guarantor"):
        guarantee("confirmed", {}, OTHER)
    guarantee("guaranteed", {"guarantor": OWN}, OTHER)  # a kind that lets it happen again lets it be passed on
    with pytest.raises(PartyMissing, match="with the id of guarantor"):
        guarantee("guaranteed", {"guarantor": OTHER}, OWN)


def test_a_bank_finances_in_its_own_name_whichever_bank_stood_there_before() -> None:
    voucher = catalogue("credit-voucher")
    held = LetterState(
        letter=LETTER,
        kind=KindReference(digest=voucher.digest, id="credit-voucher", version=voucher.kind.version),
        state="held",
        number=4,
        head="00" * 32,
        fields={"debtor": OTHER, "holder": OTHER, "funder": OTHER, "due": "2027-06-30"},
        begun="2026-09-01T00:00:00.000000Z",
        balance=5_000_000,
        currency="CNY",
    )

    def finance(funder: dict[str, str], program_of: dict[str, str], fields: bool = True) -> None:
        receipt = Receipt(digest="ab" * 32, number="1", registry="zhongdeng")
        named = {"funder": funder} if fields else {}
        asked = Asked("finance", LETTER, fields=named, data={"rate": "0.03"}, receipts=(receipt,))
        judge(voucher, held, asked, ACTOR, frozenset({"funder"}), NOON, {}, frozenset({program_of["id"]}))

    finance(OWN, OWN)
    finance(OTHER, OTHER)
    for funder, program_of in ((OWN, OTHER), (OTHER, OWN)):
        with pytest.raises(PartyMissing, match=r"with the id of funder$"):
            finance(funder, program_of)
    with pytest.raises(FieldRefused, match="changes at least one"):
        finance(OTHER, OTHER, fields=False)


def test_a_beneficiary_without_an_id_has_no_program_of_its_own_and_the_guarantor_acts() -> None:
    letter = step(None, "issue", fields=FIELDS | {"beneficiary": {"name": "Harbour Authority"}})
    data = {"claimed": FIELDS["amount"], "reason": "拒签合同"}
    with pytest.raises(PartyMissing, match=r"with the id of beneficiary$"):
        step(letter, "claim", "beneficiary", data=data)
    assert step(letter, "claim", data=data).state == "claimed"


def test_a_party_that_the_letter_hides_from_others_is_asked_for_all_the_same() -> None:
    """And a letter of which the box does not know it any more is nobody's."""
    deposit = catalogue("sealed-deposit")
    (hidden,) = hide({"depositor": OWN}).disclosures

    def supplement(program_of: dict[str, str], known: dict[str, str]) -> None:
        held = LetterState(
            letter=LETTER,
            kind=KindReference(digest=deposit.digest, id="sealed-deposit", version=deposit.kind.version),
            state="deposited",
            number=1,
            head="00" * 32,
            fields={},
            hidden=known,
            begun="2026-09-01T00:00:00.000000Z",
        )
        asked = Asked("supplement", LETTER, data={"addition": "ab" * 32})
        judge(deposit, held, asked, ACTOR, frozenset({"depositor"}), NOON, {}, frozenset({program_of["id"]}))

    supplement(OWN, {"depositor": hidden})
    for program_of, known in ((OTHER, {"depositor": hidden}), (OWN, {})):
        with pytest.raises(PartyMissing, match=r"with the id of depositor$"):
            supplement(program_of, known)


def test_who_quotes_names_itself_in_the_quote() -> None:
    asset = catalogue("forfaiting-asset")
    listed = LetterState(
        letter=LETTER,
        kind=KindReference(digest=asset.digest, id="forfaiting-asset", version=asset.kind.version),
        state="listed",
        number=1,
        head="00" * 32,
        fields={"seller": OTHER, "due": "2027-06-30"},
        begun="2026-09-01T00:00:00.000000Z",
    )

    def quote(funder: object) -> None:
        asked = Asked("quote", LETTER, data={"funder": funder, "rate": "0.02"})
        judge(asset, listed, asked, ACTOR, frozenset({"funder"}), NOON, {}, frozenset({OWN["id"]}))

    quote(OWN)
    with pytest.raises(PartyMissing, match=r"with the id of funder$"):
        quote(OTHER)
    for hostile in (OWN["id"], [OWN], {"id": OWN["id"]}, None):
        with pytest.raises(FieldRefused):
            quote(hostile)


def test_a_consent_serves_while_its_time_lasts() -> None:
    party = {"name": "某企业", "id": "91440101MA5CXXXX1K"}
    consent = LetterState(
        letter="cd" * 16,
        kind=KindReference(digest="00" * 32, id="consent", version=1),
        state="granted",
        number=1,
        head="00" * 32,
        fields={
            "recipient": party, "subject": party, "valid_until": "2026-09-21T22:13:20+08:00", "purpose": "贷前查询",
            "scope": [{"item": "社保缴纳"}, {"item": "行政处罚"}],
        },
    )  # fmt: skip
    fields = {
        "asker": party, "source": party, "consent": consent.letter, "question": "ab" * 32, "subject": party,
        "purpose": "贷前查询", "items": [{"item": "行政处罚"}],
    }  # fmt: skip

    def ask(now: int, **changed: object) -> None:
        asked = Asked("ask", LETTER, fields=fields | changed)
        judge(catalogue("query-receipt"), None, asked, ACTOR, frozenset("*"), now, {consent.letter: consent})

    ask(NOON)
    for changed, said in (
        (
            {"items": [{"item": "行政处罚"}, {"item": "纳税数据"}]},
            r"^/fields/items/item: it is not within scope\.item of",
        ),
        ({"purpose": "营销"}, "^/fields/purpose: it is not the same as purpose of"),
        ({"subject": party | {"id": "9"}}, r"^/fields/subject/id: it is not the same as subject\.id of"),
    ):
        with pytest.raises(ConditionNotMet, match=said):
            ask(NOON, **changed)
    with pytest.raises(
        ConditionNotMet, match=r"^/fields/consent: its valid_until, 2026-09-21T22:13:20\+08:00, is past"
    ):
        ask(NOON + 1)


@pytest.mark.parametrize("number", ["", "9" * 201])
def test_a_receipts_number_is_one_that_every_reader_takes(number: str) -> None:
    receipt = Receipt(digest="00" * 32, number=number, registry="authority")
    with pytest.raises(FieldRefused, match=r"^/receipts/0: a receipt's number has 1 to 200 characters"):
        step(None, "issue", fields=FIELDS, receipts=(receipt,))


def test_an_event_wants_the_receipt_of_its_registry_and_of_no_other() -> None:
    loaded = catalogue("receivable")
    party = {"name": "某企业", "id": "91440101MA5CXXXX1K"}
    name, rule = next((name, one) for name, one in loaded.kind.events.items() if one.receipts and one.from_)
    standing = LetterState(
        letter=LETTER, kind=KindReference(digest=loaded.digest, id="receivable", version=loaded.kind.version),
        state=rule.from_[0], number=1, head="00" * 32, begun="2026-09-01T00:00:00.000000Z",
        fields={one: party for one, field in loaded.kind.fields.items() if field.type == "party"},
    )  # fmt: skip
    assert rule.receipts == ["zhongdeng"]

    def ask(*registries: str) -> None:
        receipts = tuple(Receipt(digest="00" * 32, number="1", registry=one) for one in registries)
        judge(loaded, standing, Asked(name, LETTER, receipts=receipts), ACTOR, frozenset("*"), NOON, {})

    with pytest.raises(FieldRefused, match=r"^/receipts: that of zhongdeng is missing$"):
        ask()
    with pytest.raises(FieldRefused, match=r"^/receipts: the event takes none of customs$"):
        ask("zhongdeng", "customs")


@pytest.mark.parametrize(("amount", "policies"), [("1000000.00", []), ("1000000.01", ["issue"])])
def test_a_tier_ends_with_its_amount(amount: str, policies: list[str]) -> None:
    fields = FIELDS | {"amount": {"amount": amount, "currency": "CNY"}}
    decision = judge(BID_BOND, None, Asked("issue", LETTER, fields=fields), ACTOR, frozenset("*"), NOON, {})
    assert [one.policy for one in decision.steps] == policies


FIRM, STRANGER = {"name": "甲公司", "id": "91440101MA5CXXXX1K"}, {"name": "冒名公司", "id": "91110000MA01XXXX2B"}
BASES: dict[str, tuple[str, str | None, str | None]] = {
    "credit-voucher": ("held", "holder", None),
    "invoice": ("in-use", "seller", "buyer"),
    "loan": ("lent", "borrower", None),
    "fee-bill": ("due", "payee", "payer"),
    "contract": ("signed", "second_party", "first_party"),
    "compensation": ("approved", "payee", None),
    "customs-financing": ("lent", "exporter", None),
    "consent": ("granted", "subject", "recipient"),
}
"""Kinds that may stand behind a payment, with a state in which they do, their payee and their payer."""


@pytest.mark.parametrize("kind", sorted(BASES))
def test_a_payment_goes_to_whom_its_basis_names_and_is_no_more_than_that(kind: str) -> None:
    state, payee, payer = BASES[kind]
    fields: dict[str, object] = {
        name: FIRM if declared.type == "party" else {"amount": "8.00", "currency": "CNY"}
        for name, declared in catalogue(kind).kind.fields.items()
        if declared.type == "party" or name == "amount"
    }
    basis = LetterState(
        letter="cd" * 16, kind=KindReference(digest="00" * 32, id=kind, version=1), state=state, number=1,
        head="00" * 32, fields=fields | {"valid_until": "2099-09-21T22:13:20+08:00"}, balance=80_000, currency="CNY",
    )  # fmt: skip

    def release(**changed: object) -> None:
        asked = {
            "number": "FK-1", "payer": FIRM, "payee": FIRM, "amount": {"amount": "8.00", "currency": "CNY"},
            "account": "1", "pay_on": "2026-01-01", "basis": basis.letter, "purpose": "付款",
        } | changed  # fmt: skip
        loaded = catalogue("payment-instruction")
        drafted = judge(loaded, None, Asked("prepare", LETTER, fields=asked), ACTOR, frozenset("*"), NOON, {}).draft
        prepared = follow(None, msgspec.structs.replace(drafted, at=happened(NOON, None)))
        judge(loaded, prepared, Asked("release", LETTER), ACTOR, frozenset("*"), NOON, {basis.letter: basis})

    release()
    if payee is not None:
        with pytest.raises(ConditionNotMet, match=f"^/fields/payee/id: it is not the same as {payee}.id"):
            release(payee=STRANGER)
    if payer is not None:
        with pytest.raises(ConditionNotMet, match=f"^/fields/payer/id: it is not the same as {payer}.id"):
            release(payer=STRANGER)
    if kind != "consent":
        with pytest.raises(ConditionNotMet, match=r"^/fields/amount"):
            release(amount={"amount": "8.01", "currency": "CNY"})


def test_every_kind_behind_a_payment_says_whom_or_how_much() -> None:
    (condition,) = catalogue("payment-instruction").kind.events["release"].conditions
    compared = {kind for one in condition.compare for kind in one.of}
    assert compared == set(condition.kinds) == {*BASES, "fund-allocation"}
