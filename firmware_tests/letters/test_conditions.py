"""What conditions compare between letters: held to plain oracles, and refused where anything is missing."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance.instants import rfc3339
from appliance.letters.conditions import Values, look, settle
from appliance.letters.errors import ConditionNotMet
from appliance.letters.event import KindReference
from appliance.letters.kind import Bilingual, Comparison, Condition, Event, Field, Kind, Serves, State, Value
from appliance.letters.state import LetterState
from appliance.letters.uniqueness import Use

WORDS = Bilingual(en="x", zh="x")
OTHER, OWN = "cd" * 16, "ab" * 16
TABLE = Field(label=WORDS, type="table", columns={"item": Field(label=WORDS, type="text")})
FIELDS = {
    name: Field(label=WORDS, type=type_)
    for name, type_ in {
        "money": "money", "integer": "integer", "decimal": "decimal", "date": "date", "time": "time", "text": "text",
        "party": "party", "basis": "letter",
    }.items()
} | {"table": TABLE}  # type: ignore[arg-type]  # fmt: skip


def yuan(cents: int, currency: str = "CNY") -> dict[str, str]:
    return {"amount": f"{Decimal(cents) / 100:.2f}", "currency": currency}


def other(fields: dict[str, Any], *, balance: int = 0, state: str = "held", kind: str = "voucher") -> LetterState:
    return LetterState(
        letter=OTHER, kind=KindReference(digest="00" * 32, id=kind, version=1), state=state, number=3, head="ef" * 32,
        fields=fields, balance=balance, currency="CNY" if balance else "",
    )  # fmt: skip


def check(
    condition: Condition, own: dict[str, Any], there: LetterState | None, data: dict[str, Field] | None = None
) -> tuple[Use, ...]:
    rule = Event(title=WORDS, by=["x"], conditions=[condition], data=data or {})
    kind = Kind(
        format="cinnabar-kind/1", id="order", version=1, title=WORDS, about=WORDS, retention_years=1, fields=FIELDS,
        states={"open": State(title=WORDS)}, events={"go": rule}, value=Value(rule="balance", amount="money"),
    )  # fmt: skip
    given = {name: value for name, value in own.items() if name in (data or {})}
    values = Values(OWN, given, own | {"basis": OTHER}, None)
    references, uses = settle(rule, values, look(kind, rule, values, {OTHER: there} if there is not None else {}, 0))
    assert [(one.letter, one.head) for one in references] == [(OTHER, "ef" * 32)]
    return uses


def condition(*compare: Comparison, **members: Any) -> Condition:
    return Condition(letter="basis", kinds=["voucher", "invoice"], states=["held"], compare=list(compare), **members)


def holds(own: Any, how: str, theirs: Any, name: str = "money", **kept: Any) -> bool:
    compared = condition(Comparison(own=name, is_=how, theirs=name))  # type: ignore[arg-type]
    try:
        check(compared, {} if own is None else {name: own}, other({} if theirs is None else {name: theirs}), **kept)
    except ConditionNotMet:
        return False
    return True


_AMOUNTS = st.integers(0, 10**12)


@given(_AMOUNTS, _AMOUNTS)
def test_amounts_are_compared_as_numbers(left: int, right: int) -> None:
    assert holds(yuan(left), "at-most", yuan(right)) == (left <= right)
    assert holds(yuan(left), "at-least", yuan(right)) == (left >= right)
    assert holds(yuan(left), "equal", yuan(right)) == (left == right)
    for how in ("at-most", "at-least", "equal"):
        assert not holds(yuan(left), how, yuan(right, "USD"))  # never across currencies


@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6))
def test_numbers_and_decimals_are_compared_by_value(left: int, right: int) -> None:
    assert holds(left, "at-most", right, "integer") == (left <= right)
    texts = [f"{Decimal(one) / 100:.2f}" for one in (left, right)]
    assert holds(texts[0], "at-least", texts[1].rstrip("0").rstrip(".") or "0", "decimal") == (left >= right)


@given(st.datetimes(), st.datetimes())
def test_dates_and_times_are_compared_as_moments(left: Any, right: Any) -> None:
    a, b = (f"{one.replace(microsecond=0).isoformat()}Z" for one in (left, right))
    assert holds(a, "at-most", b, "time") == (a <= b)
    assert holds(a[:10], "at-least", b[:10], "date") == (a[:10] >= b[:10])


def test_one_moment_in_two_zones_is_the_same() -> None:
    assert holds("2026-11-22T08:00:00+08:00", "equal", "2026-11-22T00:00:00Z", "time")


_ITEMS = st.lists(st.sampled_from("abcdef"), min_size=1, max_size=6)


@given(_ITEMS, _ITEMS)
def test_within_is_a_subset(asked: list[str], allowed: list[str]) -> None:
    compared = condition(Comparison(own="table.item", is_="within", theirs="table.item"))
    own, there = ({"table": [{"item": one} for one in items]} for items in (asked, allowed))
    try:
        check(compared, own, other(there))
        held = True
    except ConditionNotMet:
        held = False
    assert held == (set(asked) <= set(allowed))


@pytest.mark.parametrize("how", ["equal", "at-most", "at-least", "within"])
@pytest.mark.parametrize("name", sorted(FIELDS))
def test_what_is_missing_or_of_another_shape_holds_nothing(how: str, name: str) -> None:
    value = {
        "money": yuan(5), "integer": 5, "decimal": "5", "date": "2026-01-01", "time": "2026-01-01T00:00:00Z",
        "text": "x", "party": {"name": "x", "id": "1"}, "basis": OTHER, "table": [{"item": "x"}],
    }[name]  # fmt: skip
    if name != "basis":
        assert not holds(None, how, value, name)
        assert not holds(value, how, None, name)
    for odd in ("", "nonsense", [], {}, True, None, [value, value]):
        assert not holds(value, how, odd, name)


@pytest.mark.parametrize(
    ("own", "how", "theirs", "there", "held"),
    [
        ("party.id", "equal", "party.id", other({"party": {"name": "another spelling", "id": "1"}}), True),
        ("party.name", "equal", "party.name", other({"party": {"name": "another spelling", "id": "1"}}), False),
        ("party.id", "within", "table.item", other({"table": [{"item": "2"}, {"item": "1"}]}), True),
        ("@letter", "equal", "basis", other({"basis": OWN}), True),
        ("@letter", "equal", "basis", other({"basis": OTHER}), False),
        ("basis", "equal", "@letter", other({}), True),
        ("money", "at-most", "@balance", other({}, balance=50_000), True),
        ("money", "at-most", "@balance", other({}, balance=49_999), False),
        ("money", "at-most", "@balance", other({}), False),
        ("@balance", "at-most", "@balance", other({}, balance=5), False),  # this letter has none yet
    ],
)
def test_parties_ids_and_balances(own: str, how: Any, theirs: str, there: LetterState, held: bool) -> None:
    compared = condition(Comparison(own=own, is_=how, theirs=theirs))
    values = {"party": {"name": "x", "id": "1"}, "money": yuan(500)}
    if held:
        check(compared, values, there)
    else:
        with pytest.raises(ConditionNotMet):
            check(compared, values, there)


def test_a_comparison_of_one_kind_asks_no_other() -> None:
    compared = condition(Comparison(own="text", is_="equal", theirs="text", of=["voucher"]))
    check(compared, {"text": "x"}, other({}, kind="invoice"))
    with pytest.raises(ConditionNotMet):
        check(compared, {"text": "x"}, other({}))


def test_an_events_own_data_comes_before_the_letters_field() -> None:
    compared = condition(Comparison(own="text", is_="equal", theirs="text"))
    with pytest.raises(ConditionNotMet, match=r"^/data/text: it is not the same as text"):
        check(compared, {"text": "x"}, other({"text": "y"}), {"text": FIELDS["text"]})


@pytest.mark.parametrize(("most", "uses"), [(3, 3), ("integer", 7), ("missing", None)])
def test_how_often_a_letter_serves_is_for_the_recorder_to_count(most: Any, uses: int | None) -> None:
    named = condition(serves=Serves(name="query", at_most=most))
    found = check(named, {}, other({"integer": 7}))
    assert found == (() if uses is None else (Use("", "serves_query", (OTHER,), 1, uses),))


def test_amounts_that_a_letter_serves_are_counted_together() -> None:
    named = condition(serves=Serves(name="paid", at_most="money", each="money"))
    assert check(named, {"money": yuan(250)}, other({"money": yuan(1_000)})) == (
        Use("", "serves_paid", (OTHER,), 25_000, 100_000),
    )
    for there in ({"money": yuan(1_000, "USD")}, {}):
        with pytest.raises(ConditionNotMet, match=r"^/fields/money: basis serves in another currency, or not at all$"):
            check(named, {"money": yuan(250)}, other(there))


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (other({"text": "a"}), None),
        (other({"text": "a"}, kind="invoice"), None),
        (None, "^/fields/basis: there is no such letter$"),
        (other({"text": "a"}, kind="loan"), "^/fields/basis: it is a loan; wanted voucher or invoice$"),
        (other({"text": "a"}, state="gone"), "^/fields/basis: it is gone; wanted held$"),
        (other({"text": "b"}), "^/fields/text: it is not the same as text of the letter in /fields/basis$"),
        (other({}), "^/fields/text: it is not the same as text of the letter in /fields/basis$"),
    ],
)
def test_the_other_letter_is_of_its_kind_in_its_state_and_the_same(there: LetterState | None, said: str | None) -> None:
    wanted = condition(same={"text": "text"})
    if said is None:
        assert check(wanted, {"text": "a"}, there) == ()
        return
    with pytest.raises(ConditionNotMet, match=said):
        check(wanted, {"text": "a"}, there)


def test_what_stands_on_neither_side_is_not_the_same() -> None:
    with pytest.raises(ConditionNotMet, match=r"^/fields/text: it is not the same as text"):
        check(condition(same={"text": "text"}), {}, other({}))


def test_a_refusal_tells_all_conditions_the_first_that_fails_in_words() -> None:
    rule = Event(title=WORDS, by=["x"], conditions=[condition(), condition(not_after="date")])
    kind = Kind(
        format="cinnabar-kind/1", id="order", version=1, title=WORDS, about=WORDS, retention_years=1, fields=FIELDS,
        states={"open": State(title=WORDS)}, events={"go": rule},
    )  # fmt: skip
    late = look(kind, rule, Values(OWN, {}, {"basis": OTHER}, None), {OTHER: other({"date": "1969-01-01"})}, 0)
    with pytest.raises(ConditionNotMet, match=r"^/fields/basis: its date, 1969-01-01, is past$") as refused:
        settle(rule, Values(OWN, {}, {}, None), late)
    assert [one.failed is None for one in refused.value.looked] == [True, False]
    assert [one.failed for one in look(kind, rule, Values(OWN, {}, {"basis": OWN}, None), {}, 0)] == [
        "/fields/basis: a letter is no condition of its own"
    ] * 2


PLACES = ("first", "second", "third")
NOW_US = 1_800_000_000_000_000
_TEXT = st.sampled_from(("a", "b", None))
_conditions = st.builds(
    Condition,
    letter=st.sampled_from(PLACES),
    kinds=st.lists(st.sampled_from(("voucher", "invoice")), min_size=1, unique=True),
    states=st.lists(st.sampled_from(("held", "paid")), min_size=1, unique=True),
    same=st.sampled_from(({}, {"text": "text"})),
    not_after=st.sampled_from((None, "time")),
    compare=st.sampled_from(([], [Comparison(own="money", is_="at-most", theirs="money")])),
)
_others = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(("voucher", "invoice", "loan")),
        "state": st.sampled_from(("held", "paid", "gone")),
        "text": _TEXT,
        "late_us": st.sampled_from((-1, 0, 1, None)),
        "cents": st.sampled_from((99, 100, 101)),
    }
)


def holds_plainly(one: Condition, text: str | None, there: dict[str, Any] | None) -> bool:
    """Of an event of 1.00 yuan."""
    return (
        there is not None
        and there["kind"] in one.kinds
        and there["state"] in one.states
        and (not one.same or (text is not None and text == there["text"]))
        and (one.not_after is None or there["late_us"] is None or there["late_us"] <= 0)
        and (not one.compare or there["cents"] >= 100)
    )


@settings(max_examples=600)
@given(
    st.lists(_conditions, min_size=1, max_size=4),
    st.fixed_dictionaries({name: st.none() | _others for name in PLACES}),
    _TEXT,
)
def test_an_event_is_released_when_every_condition_holds_and_never_else(
    conditions: list[Condition], letters: dict[str, dict[str, Any] | None], text: str | None
) -> None:
    fields = FIELDS | {name: FIELDS["basis"] for name in PLACES}
    rule = Event(title=WORDS, by=["x"], conditions=conditions)
    kind = Kind(
        format="cinnabar-kind/1", id="order", version=1, title=WORDS, about=WORDS, retention_years=1, fields=fields,
        states={"open": State(title=WORDS)}, events={"go": rule},
    )  # fmt: skip
    ids = {name: f"{number:032x}" for number, name in enumerate(PLACES, 1)}
    there = {
        ids[name]: msgspec.structs.replace(
            other(
                {"money": yuan(one["cents"])}
                | ({} if one["text"] is None else {"text": one["text"]})
                | ({} if one["late_us"] is None else {"time": rfc3339(NOW_US - one["late_us"])}),
                state=one["state"],
                kind=one["kind"],
            ),
            letter=ids[name],
        )
        for name, one in letters.items()
        if one is not None
    }
    own: dict[str, Any] = ids | {"money": yuan(100)} | ({} if text is None else {"text": text})
    values = Values(OWN, {}, own, None)
    looked = look(kind, rule, values, there, NOW_US)
    wanted = [holds_plainly(one, text, letters[one.letter]) for one in conditions]
    assert [one.failed is None for one in looked] == wanted
    if all(wanted):
        references, _ = settle(rule, values, looked)
        assert [one.letter for one in references] == [ids[one.letter] for one in conditions]
    else:
        with pytest.raises(ConditionNotMet):
            settle(rule, values, looked)
