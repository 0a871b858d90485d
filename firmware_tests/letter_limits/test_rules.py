"""Files of limits and tariffs: what is refused and where, what integers come of them, held to plain fractions."""

from __future__ import annotations

import datetime
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.letter_limits import (
    LimitFile,
    LimitsRefused,
    TariffFile,
    compile_rules,
    compile_tariff,
    read_tariff_file,
    read_terms,
)
from appliance.letter_limits.against import against_kinds
from appliance.letter_limits.bills import Charged, Key, Sums, differences, reckon
from appliance.letter_limits.numbers import percent, print_percent
from appliance.letter_limits.rules import Breaker, Limit, Share, Tier
from appliance.letter_limits.tariffs import Tariff
from appliance.letter_limits.windows import before, window
from appliance.letter_limits.words import describe
from appliance.letters.kind import read_kind
from appliance.letters.shipped import shipped

KINDS = {one.id: one for one in (read_kind(text).kind for text in shipped().values())}
LIMIT = """format = "cinnabar-limits/1"
version = 1
[[limits]]
counter = "guarantee-project/debtor"
currency = "CNY"
tiers = [{ up_to = "100" }, { up_to = "200.5", policy = "senior" }]
warn_at = ["70", "85.5"]
[[shares]]
counter = "guarantee-project/industry"
of = "guarantee-project/outstanding"
currency = "CNY"
most = "20"
floor = "1000"
then = "warn"
[[breakers]]
name = "paid"
stops = ["guarantee-project"]
indicator = "ratio"
of = "guarantee-project/compensated"
over = "guarantee-project/accepted"
currency = "CNY"
above = "5"
[[breakers]]
name = "rush"
stops = ["guarantee-project"]
indicator = "growth"
of = "guarantee-project/accepted"
currency = "CNY"
above = "300"
[[breakers]]
name = "refused"
stops = ["guarantee-project"]
indicator = "refusals"
above = "50"
"""
TARIFF = """format = "cinnabar-tariff/1"
version = 1
title = "Fees"
currency = "CNY"
rounding = "half-up"
[[fees]]
title = "Accept"
kind = "guarantee-project"
event = "accept"
each = "2"
rates = [{ up_to = "1000", per_mille = "2.5" }, { per_mille = "1" }]
least = "3"
most = "50"
"""
BROKEN = [
    (LIMIT, 'version = 1', 'version = 0', "version"),
    (LIMIT, 'version = 1', 'version = 1\ncolour = "red"', "colour"),
    (LIMIT, '"cinnabar-limits/1"', '"cinnabar-limits/2"', "format"),
    (LIMIT, 'up_to = "200.5"', 'up_to = "100"', "limits[0].tiers[1].up_to: not above"),
    (LIMIT, '{ up_to = "200.5", policy = "senior" }', '{ up_to = "200.5" }', "limits[0].tiers[1]: only the first"),
    (LIMIT, 'tiers = [{ up_to = "100" }, { up_to = "200.5", policy = "senior" }]', "tiers = []", "tiers"),
    (LIMIT, '["70", "85.5"]', '["85.5", "70"]', "limits[0].warn_at"),
    (LIMIT, '["70", "85.5"]', '["70", "101"]', "limits[0].warn_at"),
    (LIMIT, '["70", "85.5"]', '["7e1"]', "warn_at"),
    (LIMIT, 'most = "20"', 'most = "100"', "shares[0].most"),
    (LIMIT, 'currency = "CNY"\ntiers', 'currency = "XYZ"\ntiers', "limits[0].currency"),
    (LIMIT, 'over = "guarantee-project/accepted"\n', "", "breakers[0]: ratio has of and over"),
    (LIMIT, 'over = "guarantee-project/accepted"', 'over = "guarantee-project/compensated"', "breakers[0].over"),
    (LIMIT, 'name = "rush"', 'name = "paid"', "breakers: each has a name"),
    (LIMIT, 'above = "50"', 'above = "5.5"', "breakers[2]: refusals"),
    (LIMIT, "guarantee-project/debtor", "guarantee-project/nobody", "limits[0].counter: none of the tenant's kinds"),
    (LIMIT, 'currency = "CNY"\ntiers', "tiers", "limits[0]"),
    (LIMIT, "guarantee-project/industry", "guarantee-project/year", "shares[0]: a share is of a counter by somebody"),
    (LIMIT, 'of = "guarantee-project/outstanding"', 'of = "guarantee-project/accepted"', "shares[0]: .* other windows"),
    (LIMIT, 'of = "guarantee-project/accepted"\ncur', 'of = "guarantee-project/outstanding"\ncur', "windows of time"),
    (LIMIT, 'of = "guarantee-project/compensated"', 'of = "guarantee-project/debtor"', "breakers[0]: an indicator"),
    (LIMIT, 'of = "guarantee-project/compensated"', 'of = "guarantee-project/year"', "breakers[0]: .* other windows"),
    (LIMIT, 'stops = ["guarantee-project"]', 'stops = ["nothing"]', "breakers[0].stops[0]"),
    (TARIFF, 'per_mille = "1" }', 'up_to = "9", per_mille = "1" }', "fees[0].rates[1].up_to"),
    (TARIFF, ', { per_mille = "1" }]', "]", "fees[0].rates: the last tier"),
    (TARIFF, 'most = "50"', 'most = "2"', "fees[0]: least is above most"),
    (TARIFF, 'each = "2"', 'each = "2.001"', "fees[0]: CNY has 2 digits"),
    (TARIFF, "half-up", "down", "rounding"),
    (TARIFF, 'event = "accept"', 'event = "pray"', "fees[0].event"),
    (TARIFF, 'event = "accept"', 'event = "file"', "fees[0].rates: file moves no value"),
    (TARIFF, 'kind = "guarantee-project"', 'kind = "nothing"', "fees[0].kind"),
]  # fmt: skip


def checked(text: str) -> LimitFile | TariffFile:
    file = read_terms(text.encode())
    if isinstance(file, LimitFile):
        compile_rules(file)
    else:
        compile_tariff(file)
    against_kinds(file, KINDS)
    return file


def test_the_sound_ones_are_sound_and_told_in_both_languages() -> None:
    for text in (LIMIT, TARIFF):
        file = checked(text)
        english, chinese = describe(file, "en"), describe(file, "zh")
        assert len(english) == len(chinese) >= 1
        assert all(one != other for one, other in zip(english, chinese, strict=True))


@pytest.mark.parametrize(("text", "old", "new", "said"), BROKEN, ids=[case[3][:40] for case in BROKEN])
def test_what_does_not_hold_is_refused_and_named(text: str, old: str, new: str, said: str) -> None:
    assert old in text
    with pytest.raises(LimitsRefused, match=said.replace("[", r"\[")):
        checked(text.replace(old, new, 1))


@given(st.binary(max_size=400) | st.text(max_size=200).map(lambda one: (LIMIT + one).encode("utf-8", "replace")))
def test_no_bytes_break_the_reader(text: bytes) -> None:
    try:
        read_terms(text)
    except LimitsRefused:
        return


@given(st.integers(0, 10**12), st.integers(0, 10**12), st.lists(st.integers(1, 10_000), unique=True).map(sorted))
def test_thresholds_are_crossed_as_fractions_say(low: int, high: int, thresholds: list[int]) -> None:
    limit = Limit((Tier(10**11, None),), tuple(thresholds))
    crossed = [at for at in thresholds if low < Fraction(at, 10_000) * limit.most <= high]
    assert limit.crossed(low, high) == crossed


@given(st.integers(0, 10**15), st.integers(1, 10**15), st.integers(1, 9_999), st.integers(0, 10**6))
def test_shares_and_ratios_are_compared_as_fractions(part: int, whole: int, most: int, floor: int) -> None:
    above = whole >= floor and Fraction(part, whole) > Fraction(most, 10_000)
    assert Share("of", most, floor, refuses=True).exceeded(part, whole) == above
    assert Breaker("b", (), "of", "over", most, floor).broken(part, whole) == above


@given(st.integers(0, 10**12))
def test_a_fee_is_what_decimals_say(cents: int) -> None:
    tariff = compile_tariff(read_tariff_file(TARIFF.encode()))
    amount = Decimal(cents) / 100
    plain = Decimal(2) + amount * (Decimal("0.0025") if amount <= 1000 else Decimal("0.001"))
    plain = min(Decimal(50), max(Decimal(3), plain)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    assert tariff.fee("guarantee-project", "accept", cents * 100, "CNY") == plain * 10_000
    assert tariff.fee("guarantee-project", "accept", cents * 100, "USD") == 0
    assert tariff.fee("guarantee-project", "file", cents * 100, "CNY") == 0


@given(st.integers(86_400, 32_000_000_000))
def test_windows_begin_and_end_in_their_zone(seconds: int) -> None:
    when = datetime.datetime.fromtimestamp(seconds, datetime.UTC)
    at = when.strftime("%Y-%m-%dT%H:%M:%S.000000Z")
    there = when + datetime.timedelta(hours=8)
    assert window("day", at, "+08:00") == there.strftime("%Y-%m-%d")
    assert window("outstanding", at, "+08:00") == ""
    for period, back in (("hour", datetime.timedelta(hours=1)), ("day", datetime.timedelta(days=1))):
        earlier = (when - back).strftime("%Y-%m-%dT%H:%M:%S.000000Z")
        assert before(window(period, at, "-03:30")) == window(period, earlier, "-03:30")
    assert before("2026-01") == "2025-12"
    assert before("2024-03-01") == "2024-02-29"
    assert before("2026") == "2025"


@given(st.integers(0, 99_999_999))
def test_per_cent_is_read_as_it_is_written(value: int) -> None:
    assert percent(print_percent(value)) == value


def test_bills_are_reckoned_again_from_events() -> None:
    tariffs = [(10, compile_tariff(read_tariff_file(TARIFF.encode())))]
    events = [Charged("guarantee-project", "accept", "app", "firm", "CNY", 4_000_000, at) for at in (5, 10, 11)]
    found = reckon(events, tariffs)
    line = Key("guarantee-project", "accept", "app", "firm", "CNY", 1)
    assert found == {line._replace(tariff=0): Sums(1, 4_000_000, 0), line: Sums(2, 8_000_000, 60_000)}
    assert differences(found, {line: Sums(1, 4_000_000, 30_000)}) == []  # the other one is not billed yet
    assert differences(found, {line: Sums(2, 8_000_000, 60_000)}) == []
    for wrong in (Sums(3, 12_000_000, 90_000), Sums(2, 8_000_000, 60_100), Sums(2, 8_000_001, 60_000)):
        assert differences(found, {line: wrong}) == [(line, found[line], wrong)]
    assert reckon(events, []) == {line._replace(tariff=0): Sums(3, 12_000_000, 0)}
    assert Tariff().fee("a", "b", 1, "") == 0
