"""C1: a splittable voucher whose holders stay hidden from those whom they do not concern."""

from __future__ import annotations

from collections.abc import Callable

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.overseers import Overseer
from firmware_tests.scenarios.systems.practice import Offline, firm, happened, refuses
from firmware_tests.scenarios.systems.vouchers import issued, parts, total, voucher

not_yet("C1", "K14", "zero-knowledge proofs that amounts balance without being shown come with the privacy proofs")


def test_c1_split_over_tiers(
    platform: Client,
    supplier: Client,
    core_firm: Client,
    supervisor: Client,
    bank: Client,
    offline: Offline,
    overseers: Callable[..., Overseer],
) -> None:
    letter = issued(supplier, core_firm, "800000.00")
    second, third = firm("二级供应商锻造厂"), firm("三级供应商模具厂")

    with shows("C1", "K9", "Split over two tiers the sum is conserved, and each part knows where it comes from"):
        part = supplier.letter_event(letter, "transfer", data=parts(("500000.00", second))).parts[0]
        small = supplier.letter_event(part, "transfer", data=parts(("120000.00", third))).parts[0]
        assert str(total(platform, [letter, part, small])) == "800000.00"
        assert (platform.letter(small).origin, platform.letter(part).origin) == (part, letter)

    with shows("C1", "K9 K16", "The chain of title of the smallest part goes back to the issue, in one file, offline"):
        assert offline.passes(platform.evidence(small))
        assert [event.event for _, event in happened(platform, small)] == ["transfer"]

    with shows(
        "C1", "K18", "Institutions are apart: the other tenant cannot tell this voucher from one that never was"
    ):
        with refuses("not-found") as foreign:
            supervisor.letter(letter)
        with refuses("not-found") as unknown:
            supervisor.letter("00" * 16)
        assert foreign.detail == unknown.detail

    with shows("C1", "K18", "A supervisor looks through from the smallest part to its issue, from letter to letter"):
        authority = overseers("yinbaojian", "platform", "bank")
        up = [small]
        while origins := [one for one in authority.letter("platform", up[-1])["links"] if one["what"] == "origin"]:
            up.append(origins[0]["letter"])
        assert up == [small, part, letter]
        assert authority.letters("platform", letter=small)[0]["balance"] == "120,000.00 CNY"
        assert authority.evidence("platform", small) == platform.evidence(small)

    with shows("C1", "K18", "It sees every institution that let it, with one passkey, and no other"):
        other = bank.begin_letter("credit-voucher", voucher()).happened.letter
        assert authority.letters("bank", letter=other)[0]["state"] == "drafted"
        assert authority.status("letters/second-bank") == 404
        assert authority.sees_nothing_else("platform")
