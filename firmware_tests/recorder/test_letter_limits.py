"""Limits of letters at a writer in this process: tiers, warnings, shares, breakers, metering, bills; and a plain model
that random commands are held to, in one transaction and over many."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from fractions import Fraction

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from appliance.audit.usage import _newest_windows
from appliance.recorder.messages import Billed, Committed, Effect, Meter, Notice, Refused, Tally, ValueMove
from appliance.recorder.reader import Queries
from appliance.recorder.terms import SetIssuing, SetLetterTerms
from appliance.store import schema
from firmware_tests.recorder.letters import Bench, event, letter_id, step
from firmware_tests.recorder.test_partner_messages import answer_record, send, taken

UNIT = 10_000
LIMITS = """format = "cinnabar-limits/1"
version = 1

[[limits]]
counter = "bond/bidder"
currency = "CNY"
tiers = [{ up_to = "100" }, { up_to = "150", policy = "senior" }]
warn_at = ["70", "85", "95"]

[[limits]]
counter = "bond/day"
tiers = [{ up_to = "1000" }]

[[shares]]
counter = "bond/industry"
of = "bond/all"
currency = "CNY"
most = "60"
floor = "200"
then = "refuse"

[[shares]]
counter = "bond/region"
of = "bond/all"
currency = "CNY"
most = "50"
floor = "100"
then = "warn"

[[breakers]]
name = "paid-out"
stops = ["bond"]
indicator = "ratio"
of = "bond/paid"
over = "bond/issued"
currency = "CNY"
above = "10"
floor = "100"

[[breakers]]
name = "rush"
stops = ["note"]
indicator = "growth"
of = "note/day"
above = "300"
floor = "2"

[[breakers]]
name = "refused"
stops = ["draft"]
indicator = "refusals"
above = "3"
"""
TARIFF = """format = "cinnabar-tariff/1"
version = 1
title = "Fees"
currency = "CNY"
rounding = "half-up"

[[fees]]
title = "Issue"
kind = "bond"
event = "issue"
each = "2"
rates = [{ per_mille = "5" }]
least = "3"
most = "50"

[[fees]]
title = "Query"
kind = "query"
event = "ask"
each = "0.10"
"""


def tally(counter: str, whom: str, amount: int, window: str = "", approved: Sequence[str] = ()) -> Tally:
    return Tally(f"{counter}/{window}/{whom}", amount, None, counter, b"label", list(approved))


def bidder(amount: int, whom: str = "a", approved: Sequence[str] = ()) -> Tally:
    return tally("bond/bidder/CNY", whom, amount * UNIT, approved=approved)


def issue(*effects: Effect, kind: str = "bond") -> list[Effect]:
    return [step(letter_id(), 1, kind=kind), *effects]


def notices(answer: object) -> list[Notice]:
    assert isinstance(answer, Committed), answer
    return answer.notices


def code(answer: object) -> str:
    assert isinstance(answer, Refused), answer
    return answer.code


@pytest.fixture
def limited(bench: Bench) -> Bench:
    for document in (LIMITS, TARIFF):
        assert isinstance(bench.writer.administer(SetLetterTerms(1, "acme", document.encode()), 0), Committed)
    return bench


def ask(bench: Bench, name: str, *arguments: object) -> object:
    connection = schema.open_reader(bench.directory)
    try:
        return getattr(Queries(connection, dict), f"query_{name}")(*arguments)
    finally:
        connection.close()


def test_tiers_refuse_and_want_approvals_and_warn_once_a_crossing(limited: Bench) -> None:
    assert notices(limited.one(*issue(bidder(100)))) == []  # 100 of 150: the automatic tier, below 70 per cent
    assert code(limited.one(*issue(bidder(1)))) == "limit-needs-approval"
    assert code(limited.one(*issue(bidder(1, approved=["issue"])))) == "limit-needs-approval"
    crossed = notices(limited.one(*issue(bidder(30, approved=["senior"]))))
    name = "bond/bidder/CNY//a"
    assert crossed == [Notice("limit-warning", name, threshold, 130 * UNIT, 150 * UNIT) for threshold in (7_000, 8_500)]
    assert notices(limited.one(*issue(bidder(1, approved=["senior"])))) == []
    refused = limited.one(*issue(bidder(20, approved=["senior"])))
    assert code(refused) == "letter-limit-exceeded"
    assert isinstance(refused, Refused)
    assert refused.detail == "bond/bidder/CNY: 151.00 CNY would be above the limit of 150.00 CNY"
    # What is released makes room, and its threshold is warned of again when it is crossed again.
    assert notices(limited.one(*issue(bidder(-60)))) == []
    assert [one.threshold for one in notices(limited.one(*issue(bidder(35, approved=["senior"]))))] == [7_000]
    # Another bidder, and another tenant, have limits of their own, or none.
    limited.must(*issue(bidder(100, "b")))
    limited.must(*issue(bidder(1_000)), tenant="globex")
    assert len(ask(limited, "notices", "acme")) == 3  # type: ignore[arg-type]
    assert ask(limited, "notices", "globex") == []


def test_warnings_are_leaves_of_the_tenants_log(limited: Bench) -> None:
    size = limited.writer.ground.sizes
    tenant = limited.writer.ground.callers.tenants["acme"].number
    before = size[tenant]
    answers = limited.transact(
        [("acme", issue(bidder(100, "x"))), ("acme", issue(bidder(44, "x", ["senior"]))), ("acme", issue())]
    )
    assert [len(notices(one)) for one in answers] == [0, 3, 0]
    # The events' leaves stand together, as their answers say; what is noticed comes after them.
    assert [one.first_index - before for one in answers if isinstance(one, Committed)] == [0, 1, 2]
    assert size[tenant] == before + 6
    kinds = limited.writer.connection.execute(
        "SELECT kind FROM records_1 WHERE tenant = ? AND leaf >= ? ORDER BY leaf", (tenant, before)
    ).fetchall()
    assert [kind for (kind,) in kinds] == ["letter"] * 3 + ["administration"] * 3


def test_those_of_one_transaction_share_one_limit(limited: Bench) -> None:
    answers = limited.transact([("acme", issue(bidder(60))), ("acme", issue(bidder(60))), ("acme", issue(bidder(40)))])
    assert [type(one) for one in answers] == [Committed, Refused, Committed]


def test_no_one_has_too_large_a_share(limited: Bench) -> None:
    def industry(name: str, amount: int) -> list[Effect]:
        return issue(tally("bond/all/CNY", "", amount * UNIT), tally("bond/industry/CNY", name, amount * UNIT))

    limited.must(*industry("c35", 150))  # the whole, but below the floor
    assert code(limited.one(*industry("c35", 50))) == "concentration-exceeded"
    limited.must(*industry("f51", 100))
    assert code(limited.one(*industry("c35", 1))) == "concentration-exceeded"  # 151 of 251
    limited.must(*industry("f51", 50))
    limited.must(*industry("c35", 30))  # 180 of 330
    assert ask(limited, "counter", "acme", "bond/industry/CNY") == [
        ["c35", 180 * UNIT, b"label"], ["f51", 150 * UNIT, b"label"],
    ]  # fmt: skip
    names = ["bond/industry/CNY//c35", "bond/industry/CNY//none", "bond/all/CNY//"]
    assert ask(limited, "tally_labels", "acme", names)[::2] == [b"label", b"label"]  # type: ignore[index]
    region = issue(tally("bond/all/CNY", "", 400 * UNIT), tally("bond/region/CNY", "gd", 400 * UNIT))
    assert [one.what for one in notices(limited.one(*region))] == ["share-warning"]
    again = issue(tally("bond/all/CNY", "", UNIT), tally("bond/region/CNY", "gd", UNIT))
    assert notices(limited.one(*again)) == []


def test_a_breaker_stops_issuing_until_it_is_let_go_on(limited: Bench) -> None:
    one = letter_id()
    limited.must(step(one, 1, kind="bond"), ValueMove(b"", one, 5), tally("bond/issued/CNY", "", 200 * UNIT, "2026"))
    paid = tally("bond/paid/CNY", "", 20 * UNIT, "2026")
    assert notices(limited.one(step(one, 2, kind="bond"), paid)) == []  # 10 per cent, not above
    more = tally("bond/paid/CNY", "", 1, "2026")
    (notice,) = notices(limited.one(step(one, 3, kind="bond"), more))
    assert (notice.what, notice.subject, notice.threshold) == ("issuing-stopped", "bond/paid-out", 1_000)
    assert code(limited.one(*issue())) == "issuing-stopped"
    assert code(limited.one(step(one, 4, kind="bond"), ValueMove(b"", one, 1))) == "issuing-stopped"
    # What stands goes on: events, payments, parts of a letter; so do other kinds and tenants.
    part = letter_id()
    limited.must(step(one, 4, kind="bond"), step(part, 1, kind="bond"), ValueMove(one, part, 2))
    limited.must(*issue(kind="other"))
    limited.must(*issue(), tenant="globex")
    limited.restart()
    assert code(limited.one(*issue())) == "issuing-stopped"
    assert [row[0] for row in ask(limited, "stopped_kinds", "acme")] == ["bond"]  # type: ignore[attr-defined]
    limited.writer.administer(SetIssuing(1, "acme", "bond", "resumed"), 0)
    limited.must(*issue())
    limited.writer.administer(SetIssuing(1, "acme", "bond", "stopped", "a rumour"), 0)
    refused = limited.one(*issue())
    assert isinstance(refused, Refused)
    assert refused.detail == "bond: a rumour"


def test_growth_and_refusals_break_too(limited: Bench) -> None:
    def notes(count: int, day: str) -> object:
        return limited.one(*issue(tally("note/day/", "", count, day), kind="note"))

    assert notices(notes(3, "2026-02-28")) == []
    assert notices(notes(9, "2026-03-01")) == []
    (broken,) = notices(notes(1, "2026-03-01"))
    assert (broken.subject, broken.used, broken.most) == ("note/rush", 10, 3)
    assert code(notes(1, "2026-03-02")) == "issuing-stopped"

    over = issue(tally("bond/day/", "", 1_001, "2026-03-01"), kind="draft")
    for _ in range(3):
        assert code(limited.one(*over)) == "letter-limit-exceeded"
    limited.must(*issue(kind="draft"))
    assert code(limited.one(*over)) == "letter-limit-exceeded"
    assert code(limited.one(*issue(kind="draft"))) == "issuing-stopped"
    limited.restart()
    assert code(limited.one(*issue(kind="draft"))) == "issuing-stopped"


def test_a_partners_refusals_stop_that_partner_and_nobody_else(limited: Bench) -> None:
    def ask_for(partner: str, amount: int) -> object:
        """What a message of a partner begins."""
        effects = issue(tally("bond/day/", "", amount, "2026-03-02"), kind="draft")
        message = taken(limited, partner=partner, nonce=letter_id() * 2, entry=1)
        return send(limited, *effects, message, entries=[event(), answer_record()])

    for _ in range(4):
        assert code(ask_for("srm", 1_001)) == "letter-limit-exceeded"
    limited.restart()
    assert code(ask_for("srm", 1)) == "issuing-stopped"
    assert isinstance(ask_for("rival", 1), Committed)
    limited.must(*issue(kind="draft"))
    for _ in range(3):  # nor do they come to the tenant's own
        assert code(limited.one(*issue(tally("bond/day/", "", 1_001, "2026-03-02"), kind="draft"))).endswith("exceeded")
    limited.must(*issue(kind="draft"))
    assert ask(limited, "stopped_kinds", "acme") == []


def test_an_event_is_metered_with_its_fee_and_billed_once(limited: Bench) -> None:
    def meter(event: str, amount: int, *, kind: str = "bond", at: int = 2**51, whom: str = "") -> Meter:
        return Meter(kind, event, "2026-11-22", at, "CNY" if amount else "", amount, whom)

    limited.must(*issue(meter("issue", 400 * UNIT), meter("issue", 100 * UNIT)))
    limited.transact([("acme", issue(meter("issue", 20_000 * UNIT))), ("acme", issue(meter("pay", 7)))])
    for whom in ("a" * 64, "b" * 64, "a" * 64):
        limited.must(*issue(meter("ask", 0, kind="query", whom=whom)))
    limited.must(*issue(meter("issue", 400 * UNIT, at=1)))  # before there was a tariff
    found = {(row[0], row[1], row[3][:1], row[5]): row[6:9] for row in ask(limited, "metered", "acme", "2026-11")}  # type: ignore[attr-defined]
    assert found == {
        ("bond", "issue", "", 0): [1, 400 * UNIT, 0],
        ("bond", "issue", "", 1): [3, 20_500 * UNIT, (4 + 3) * UNIT + 50 * UNIT],
        ("bond", "pay", "", 1): [1, 7, 0],
        ("query", "ask", "a", 1): [2, 0, 2_000],
        ("query", "ask", "b", 1): [1, 0, 1_000],
    }

    lines = ask(limited, "metered", "acme", "2026-11")
    paged: list[object] = []
    after = None
    while page := ask(limited, "metered", "acme", "2026-11", after, 2):
        assert len(page) <= 2  # type: ignore[arg-type]
        paged += page  # type: ignore[operator]
        after = page[-1][:6]  # type: ignore[index]
    assert paged == lines

    def bill(before: int, count: int, fee: int) -> object:
        line = Billed("2026-11", "query", "ask", "app", "a" * 64, "", 1, before, count, 0, fee)
        return limited.one(*issue(line, kind="fee-bill"))

    assert code(bill(0, 3, 2_000)) == "bill-moved"  # never more than was metered
    assert code(bill(0, 2, 2_001)) == "bill-moved"
    limited.must(*issue(Billed("2026-11", "query", "ask", "app", "a" * 64, "", 1, 0, 2, 0, 2_000), kind="fee-bill"))
    assert code(bill(0, 2, 2_000)) == "bill-moved"  # never twice
    limited.must(*issue(meter("ask", 0, kind="query", whom="a" * 64)))  # late: a further line
    assert isinstance(bill(2, 1, 1_000), Committed)
    assert code(bill(3, 1, 1_000)) == "bill-moved"
    whole, after = ask(limited, "usage_days", "acme", "2026-11", None)  # type: ignore[misc]
    assert after is None
    sums: dict[str, list[int]] = {}
    parts, after = 0, None
    while parts == 0 or after is not None:
        part, after = ask(limited, "usage_days", "acme", "2026-11", after, 1)  # type: ignore[misc]
        assert len(part) <= 1, "one row, whatever the month holds"
        parts += 1
        for day, count, fee in part:
            known = sums.setdefault(day, [0, 0])
            known[:] = known[0] + count, known[1] + fee
    assert parts > 2
    assert [[day, *sums[day]] for day in sorted(sums)] == whole
    assert any(one[1] >= 4 and one[2] >= 4_000 for one in whole)


def test_a_month_sums_what_the_database_adds_exactly_and_no_more(limited: Bench) -> None:
    """Nine of the largest amounts fit; the tenth is refused alone, on another day and after a restart too."""
    largest = 10**18 - 1

    def many(count: int, day: str) -> list[object]:
        meter = Meter("note", "issue", day, 2**51, "USD", largest, "")
        return limited.transact([("acme", issue(meter, kind="note")) for _ in range(count)])  # type: ignore[return-value]

    first = many(10, "2026-11-22")
    assert [code(one) if isinstance(one, Refused) else "" for one in first] == [""] * 9 + ["letter-quota-exceeded"]
    limited.restart()
    assert [code(one) for one in many(2, "2026-11-23")] == ["letter-quota-exceeded"] * 2
    assert isinstance(many(1, "2026-12-01")[0], Committed)
    (row,) = [row for row in ask(limited, "metered", "acme", "2026-11") if row[0] == "note"]  # type: ignore[attr-defined]
    assert row[6:8] == [9, 9 * largest]


def test_the_newest_window_of_a_counter_is_found_at_once_however_many_it_has(limited: Bench) -> None:
    for day in range(1, 29):
        limited.must(*issue(tally("draft/day/", "", 1, f"2026-02-{day:02}"), kind="draft"))
    limited.must(*issue(tally("draft/month/", "a", 1, "2026-02"), tally("draft/ever/CNY", "b", 1), kind="draft"))
    asked = []

    class Recorder:
        async def query(self, name: str, *arguments: object) -> object:
            asked.append(name)
            return ask(limited, name, *arguments)

    found = asyncio.run(_newest_windows(Recorder(), "acme"))
    assert found == {"draft/day/": "2026-02-28", "draft/month/": "2026-02", "draft/ever/CNY": ""}
    assert len(asked) == 2 * len(found) + 1


def test_files_that_do_not_hold_are_refused_and_versions_follow(limited: Bench) -> None:
    def put(document: str) -> object:
        return limited.writer.administer(SetLetterTerms(1, "acme", document.encode()), 0)

    assert isinstance(put(LIMITS), Committed)  # the same again changes nothing
    assert code(put(LIMITS.replace('"70"', '"71"'))) == "bad-request"
    assert code(put(LIMITS.replace('"70"', '"96"'))) == "limits-refused"
    assert code(put("format = 1")) == "limits-refused"
    looser = LIMITS.replace("version = 1", "version = 2").replace('up_to = "150"', 'up_to = "300"')
    assert isinstance(put(looser), Committed)
    limited.must(*issue(bidder(300, "z", ["senior"])))
    assert [row[:2] for row in ask(limited, "letter_terms", "acme")] == [["limits", 1], ["limits", 2], ["tariff", 1]]  # type: ignore[attr-defined]


class Limited(RuleBasedStateMachine):
    """Letters of a few bidders and industries, several in a transaction, against the rules said plainly."""

    bench: Bench
    marks = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.kind = f"k{next(Limited.marks)}"
        document = LIMITS.replace('"bond/', f'"{self.kind}/').replace('"bond"', f'"{self.kind}"')
        known = [row[1] for row in ask(self.bench, "letter_terms", "acme") if row[0] == "limits"]  # type: ignore[attr-defined]
        document = document.replace("version = 1", f"version = {len(known) + 1}")
        assert isinstance(self.bench.writer.administer(SetLetterTerms(1, "acme", document.encode()), 0), Committed)
        self.standing: list[tuple[str, str, int]] = []

    def sum_of(self, place: int, name: str) -> int:
        return sum(one[2] for one in self.standing if one[place] == name)

    def effects(self, who: str, trade: str, amount: int, approved: Sequence[str] = ()) -> tuple[str, list[Effect]]:
        tallies = [
            tally(f"{self.kind}/bidder/CNY", who, amount * UNIT, approved=approved),
            tally(f"{self.kind}/all/CNY", "", amount * UNIT),
            tally(f"{self.kind}/industry/CNY", trade, amount * UNIT),
        ]
        return "acme", issue(*tallies, kind=self.kind)

    @rule(
        asked=st.lists(
            st.tuples(st.sampled_from("abc"), st.sampled_from(("c35", "f51")), st.integers(1, 90), st.booleans()),
            min_size=1, max_size=4,
        )
    )  # fmt: skip
    def begin(self, asked: list[tuple[str, str, int, bool]]) -> None:
        answers = self.bench.transact(
            [self.effects(who, trade, amount, ["senior"] if approved else []) for who, trade, amount, approved in asked]
        )
        for answer, (who, trade, amount, approved) in zip(answers, asked, strict=True):
            before = self.sum_of(0, who)
            assert isinstance(answer, Committed) == self.allowed(who, trade, amount, approved)
            if isinstance(answer, Committed):
                self.standing.append((who, trade, amount))
                crossed = [at for at in (70, 85, 95) if before < Fraction(at, 100) * 150 <= before + amount]
                assert [one.threshold for one in answer.notices] == [at * 100 for at in crossed]

    def allowed(self, who: str, trade: str, amount: int, approved: bool) -> bool:
        after = self.sum_of(0, who) + amount
        whole, part = sum(one[2] for one in self.standing) + amount, self.sum_of(1, trade) + amount
        within = after <= 100 or (after <= 150 and approved)
        return within and (whole < 200 or Fraction(part, whole) <= Fraction(60, 100))

    @rule(place=st.integers(0, 99))
    def release(self, place: int) -> None:
        if self.standing:
            who, trade, amount = self.standing.pop(place % len(self.standing))
            self.bench.must(*self.effects(who, trade, -amount)[1])

    @rule()
    def restart(self) -> None:
        self.bench.restart()

    @invariant()
    def the_box_counts_what_stands(self) -> None:
        found = dict(row[:2] for row in ask(self.bench, "counter", "acme", f"{self.kind}/bidder/CNY"))  # type: ignore[attr-defined]
        sums = {who: self.sum_of(0, who) * UNIT for who in "abc"}
        assert found == {who: amount for who, amount in sums.items() if amount}
        assert all(amount <= 150 * UNIT for amount in sums.values())


def test_random_letters_never_come_to_more_than_is_allowed(bench: Bench) -> None:
    Limited.bench = bench
    run_state_machine_as_test(Limited, settings=settings(max_examples=20, stateful_step_count=10))
