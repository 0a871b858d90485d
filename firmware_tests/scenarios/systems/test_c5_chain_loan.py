"""C5: the core firm confirms an order and promises to pay, a guarantor joins, a supplier borrows on it."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.desks import SECOND_TIER
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, digest, firm, fresh, moment, number, refuses, yuan
from firmware_tests.scenarios.systems.vouchers import parts, voucher


def test_c5_order_promise_guarantor_loan(
    platform: Client,
    supplier: Client,
    second_tier: Client,
    core_firm: Client,
    funder: Client,
    other_bank: Client,
    office: Office,
) -> None:
    core, seller = firm("太平岭核电有限公司"), firm("惠州管件制造有限公司")
    fields = {
        "number": number("DD"),
        "buyer": core,
        "supplier": seller,
        "amount": yuan("1500000.00"),
        "pay_by": day(120),
        "items": [{"item": "不锈钢管件", "quantity": "500", "price": yuan("3000.00")}],
    }
    order = supplier.begin_letter("purchase-order", fields).happened.letter

    with shows("C5", "K15", "A supplier's own program places that supplier's orders, and none in another's name"):
        with refuses("party-missing", "party-ID with the id of supplier"):
            second_tier.begin_letter("purchase-order", fields | {"number": number("DD")})
        own = fields | {"number": number("DD"), "supplier": SECOND_TIER}
        assert second_tier.begin_letter("purchase-order", own).state == "placed"

    with shows(
        "C5", "K11", "An order above a million is confirmed by the core firm's approver; below, by its system alone"
    ):
        with refuses("approval-missing"):
            core_firm.letter_event(order, "confirm")
        office.event(core_firm, order, "confirm", by=["li-ming"])
        with refuses("taken"):
            supplier.begin_letter("purchase-order", fields)

    with shows(
        "C5", "K1", "A guarantor's undertaking is joined to the order by its digest; the contract is signed by both"
    ):
        undertaking = {"undertaking": fresh("担保函")}
        joining = {"guarantor": firm("广东省农业融资担保有限公司")}
        with refuses("party-missing", "party-ID with the id of guarantor"):
            second_tier.letter_event(order, "guarantee", fields=joining, data=undertaking)
        assert platform.letter_event(order, "guarantee", fields=joining, data=undertaking).state == "guaranteed"
        with refuses("event-refused", "guaranteed"):
            second_tier.letter_event(order, "guarantee", fields={"guarantor": SECOND_TIER}, data=undertaking)
        contract = platform.begin_letter(
            "contract",
            {
                "number": number("HT"),
                "title_text": "采购合同",
                "first_party": core,
                "second_party": seller,
                "document": fresh("合同文本"),
            },
        ).happened.letter
        signature = {"consent": fresh("签署意愿"), "device": "10.1.1.9"}
        platform.letter_event(contract, "sign-first", data={"signer": "林伟", **signature})
        assert platform.letter_event(contract, "sign-second", data={"signer": "曾敏", **signature}).state == "signed"

    with shows("C5", "K9", "The promise to pay is a voucher that the supplier passes on in parts"):
        promise = supplier.begin_letter(
            "credit-voucher", voucher("900000.00", debtor=core, holder=seller)
        ).happened.letter
        core_firm.letter_event(promise, "confirm")
        supplier.letter_event(promise, "transfer", data=parts(("300000.00", firm("肇庆铸造厂"))))
        assert platform.letter(promise).balance == "600000.00"

    with shows(
        "C5", "K20 K13", "The loan waits for the confirmed order and the consent, and one order carries one loan"
    ):
        bank = firm("中国农业银行惠州分行")
        terms = {
            "number": number("SQ"),
            "subject": seller,
            "recipient": bank,
            "scope": [{"item": "订单"}],
            "purpose": "链捷贷",
            "valid_until": moment(86_400),
            "text_shown": digest("授权书"),
        }
        consent = supplier.begin_letter("consent", terms, data={"device": "网银"}).happened.letter
        loan = {
            "number": number("JJ"),
            "borrower": seller,
            "lender": bank,
            "amount": yuan("280000.00"),
            "rate": "0.039",
            "due": day(120),
            "consent": consent,
            "source": order,
        }
        letter = supplier.begin_letter("loan", loan).happened.letter
        with refuses("taken"):
            supplier.begin_letter("loan", loan | {"number": number("JJ")})
        with refuses("event-refused", "applied"):
            funder.letter_event(letter, "lend-on-order")
        supplier.letter_event(letter, "sign", data={"contract": fresh("借款合同"), "device": "网银"})
        with refuses("party-missing", "lender"):
            other_bank.letter_event(letter, "lend-on-order")
        assert funder.letter_event(letter, "lend-on-order").state == "lent"

    with shows("C5", "K15 K13", "No other firm's program consents, revokes, applies or signs in the borrower's name"):
        with refuses("party-missing", "subject"):
            second_tier.begin_letter("consent", terms | {"number": number("SQ")}, data={"device": "网银"})
        with refuses("party-missing", "subject"):
            second_tier.letter_event(consent, "revoke")
        with refuses("party-missing", "borrower"):
            second_tier.begin_letter("loan", loan | {"number": number("JJ")})
        second = supplier.begin_letter("loan", loan | {"number": number("JJ"), "source": promise}).happened.letter
        for event, data in (("sign", {"contract": fresh("借款合同"), "device": "网银"}), ("withdraw", {})):
            with refuses("party-missing", "borrower"):
                second_tier.letter_event(second, event, data=data)
        assert supplier.letter_event(second, "withdraw").state == "withdrawn"
