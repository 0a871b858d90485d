"""A1: six product families on one box; each product is one data file, and lives through its own events."""

from __future__ import annotations

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.desks import OWNER
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, digest, firm, fresh, moment, number, refuses, story, yuan


def test_a1_products_are_data(guarantor: Client, beneficiary: Client, office: Office) -> None:
    contractor, owner = firm("华南市政建设有限公司"), OWNER

    with shows("A1", "K1 K6", "A bid bond is issued, claimed, paid in part and released, each step a sealed event"):
        fields = {
            "tender_code": number("GD"),
            "project": "污水处理厂扩建工程",
            "bidder": contractor,
            "beneficiary": owner,
            "amount": yuan("500000.00"),
            "opening": moment(86_400),
            "valid_until": day(90),
        }
        bid = guarantor.begin_letter("bid-bond", fields).happened.letter
        beneficiary.letter_event(bid, "claim", data={"claimed": yuan("200000.00"), "reason": "中标后拒签合同"})
        guarantor.letter_event(bid, "pay", data={"paid": yuan("200000.00")})
        assert guarantor.letter(bid).balance == "300000.00"
        beneficiary.letter_event(bid, "release")
        assert story(guarantor, bid) == ["issue", "claim", "pay", "release"]

    with shows("A1", "K6", "A beneficiary's program claims and releases in that beneficiary's name, and in no other's"):
        others = fields | {"tender_code": number("GD"), "beneficiary": firm("佛山市住房和城乡建设局")}
        foreign = guarantor.begin_letter("bid-bond", others).happened.letter
        for event, data in (("claim", {"claimed": yuan("1.00"), "reason": "拒签合同"}), ("release", {})):
            with refuses("party-missing", "beneficiary"):
                beneficiary.letter_event(foreign, event, data=data)
        assert story(guarantor, foreign) == ["issue"]

    with shows("A1", "K6", "A performance bond after URDG 758: the beneficiary asks to extend or pay; it is extended"):
        performance = guarantor.begin_letter(
            "performance-bond",
            {
                "number": number("LY"),
                "contract_number": number("HT"),
                "contractor": contractor,
                "beneficiary": owner,
                "industry": "市政工程",
                "amount": yuan("900000.00"),
                "documents": "违约声明正本一份",
                "valid_until": day(30),
            },
        ).happened.letter
        guarantor.letter_event(performance, "issue")
        asked = {"claimed": yuan("900000.00"), "until": day(180)}
        beneficiary.letter_event(performance, "demand-extension", data=asked)
        office.event(guarantor, performance, "extend", by=["li-ming"], fields={"valid_until": day(180)})
        assert guarantor.letter(performance).state == "issued"
        assert guarantor.letter(performance).fields["valid_until"] == day(180)

    with shows("A1", "K6", "An advance-payment bond shrinks with each certified delivery and ends by itself"):
        advance = guarantor.begin_letter(
            "advance-payment-bond",
            {
                "number": number("YF"),
                "contract_number": number("HT"),
                "contractor": contractor,
                "beneficiary": owner,
                "amount": yuan("300000.00"),
                "valid_until": day(90),
            },
        ).happened.letter
        for part in ("100000.00", "200000.00"):
            data = {"delivered": yuan(part), "certificate": fresh("进度证书")}
            guarantor.letter_event(advance, "certify", data=data)
        assert guarantor.letter(advance).state == "repaid"

    with shows(
        "A1", "K6", "A migrant-wage bond pays the workers on the labour authority's list and is topped up again"
    ):
        wages = guarantor.begin_letter(
            "wage-bond",
            {
                "number": number("GZ"),
                "project": number("XM"),
                "builder": contractor,
                "authority": firm("广州市人力资源和社会保障局"),
                "amount": yuan("400000.00"),
                "valid_until": day(365),
            },
        ).happened.letter
        workers = [
            {"entry": digest("张三 6222…01"), "wages": yuan("8600.00")},
            {"entry": digest("李四 6222…02"), "wages": yuan("9100.00")},
        ]
        guarantor.letter_event(wages, "claim", data={"notice": fresh("支付通知书"), "workers": workers})
        guarantor.letter_event(wages, "pay", data={"paid": yuan("17700.00")})
        guarantor.letter_event(wages, "top-up", data={"added": yuan("17700.00")})
        assert (guarantor.letter(wages).state, guarantor.letter(wages).balance) == ("issued", "400000.00")

    with shows("A1", "K6", "A quality bond begins only once the contract was performed"):
        contract_number = number("HT")
        contract = guarantor.begin_letter(
            "contract",
            {
                "number": contract_number,
                "title_text": "施工总承包合同",
                "first_party": owner,
                "second_party": contractor,
                "document": fresh("合同文本"),
            },
        ).happened.letter
        bond = {
            "number": contract_number,
            "contract": contract,
            "contractor": {"name": contractor["name"]},
            "beneficiary": owner,
            "amount": yuan("150000.00"),
            "warranty_until": day(730),
        }
        with refuses("condition-not-met", "drafted"):
            guarantor.begin_letter("quality-bond", bond)
        signature = {"consent": fresh("签署意愿"), "device": "10.8.3.21"}
        guarantor.letter_event(contract, "sign-first", data={"signer": "陈建国", **signature})
        guarantor.letter_event(contract, "sign-second", data={"signer": "黄志强", **signature})
        guarantor.letter_event(contract, "perform", data={"acceptance": fresh("竣工验收单")})
        assert guarantor.begin_letter("quality-bond", bond).state == "issued"

    with shows("A1", "K1", "A sixth product, a tariff bond, is one file of data: no line of code knows it"):
        fields = {"number": number("GS"), "importer": firm("深圳口岸进出口有限公司"), "amount": yuan("80000.00")}
        tariff = guarantor.begin_letter("tariff-bond", fields).happened.letter
        guarantor.letter_event(tariff, "pay", data={"paid": yuan("80000.00")})
        assert guarantor.letter(tariff).state == "paid"
        with refuses("kind-unknown"):
            guarantor.begin_letter("no-such-product", fields)
