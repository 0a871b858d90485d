"""V4: a platform of a hundred billion: the largest amounts to the fen, many parts at once, many hands at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from appliance.client import Client
from appliance.client.errors import Refused
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, refuses
from firmware_tests.scenarios.systems.vouchers import issued, parts, total, voucher

not_yet("V4", "K9", "a family of a million parts is measured by the bench, not here")


def test_v4_conserved_at_scale(platform: Client, supplier: Client, core_firm: Client, office: Office) -> None:
    with shows("V4", "K9 K11", "A voucher of a hundred billion yuan is issued by two approvals and divided to the fen"):
        letter = supplier.begin_letter("credit-voucher", voucher("100000000000.00")).happened.letter
        with refuses("approval-missing"):
            core_firm.letter_event(letter, "confirm")
        office.event(core_firm, letter, "confirm", by=["li-ming", "zhang-wei"])
        holder = firm("融和供应商有限公司")
        supplier.letter_event(letter, "transfer", data=parts(("99999999999.99", holder)))
        assert platform.letter(letter).balance == "0.01"

    with shows("V4", "K9", "A hundred parts in one transfer: all or none, and their sum is what was given"):
        letter = issued(supplier, core_firm, "1000000.00")
        shares = [("7000.01", firm(f"供应商{place:03}有限公司")) for place in range(100)]
        moved = supplier.letter_event(letter, "transfer", data=parts(*shares)).parts
        some = [*moved[:5], *moved[-5:]]
        assert len(set(moved)) == 100
        assert platform.letter(letter).balance == "299999.00"
        assert str(total(platform, some)) == "70000.10"

    with shows("V4", "K9", "Eight hands on one voucher at once: nothing is given twice, and nothing is lost"):
        letter = issued(supplier, core_firm, "1000.00")

        def take(place: int) -> str | None:
            try:
                share = parts(("300.00", firm(f"抢单{place}号商行")))
                return supplier.letter_event(letter, "transfer", data=share).parts[0]
            except Refused:
                return None

        with ThreadPoolExecutor(8) as hands:
            got = [part for part in hands.map(take, range(8)) if part is not None]
        assert 1 <= len(got) <= 3
        assert str(total(platform, [letter, *got])) == "1000.00"
