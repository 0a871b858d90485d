"""K3 for many rows: what they deposit is on chains that others keep, and stays proven when every chain has stopped.

One box anchors on two chains while the rows' letters go their way. Then box and chains are stopped, and each row reads
its letters' files with the trust bundle alone."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

import pytest

from appliance.letters.bid_code import new_code
from firmware_tests.letters.kinds import catalogue
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.on_ledgers import LEDGERS, Deposits, House, Steps, Story, deposited
from firmware_tests.scenarios.systems.practice import (
    day,
    digest,
    digits,
    dollars,
    firm,
    fresh,
    moment,
    number,
    receipt,
    veiled,
    yuan,
)
from firmware_tests.scenarios.systems.public_funds import LEVELS, allocation, contract, instruction
from firmware_tests.scenarios.systems.vouchers import issued, parts

CONSORTIUM, SECOND = LEDGERS


def bond(house: House) -> Steps:
    """A8: issued, then postponed; and another bond."""
    fields = {
        "tender_code": number("GD"),
        "project": "黄埔大桥维修工程",
        "bidder": firm("岭南路桥有限公司"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("600000.00"),
        "opening": moment(86_400),
        "valid_until": day(90),
    }
    letter = house.guarantor.begin_letter("bid-bond", fields).happened.letter
    yield house.guarantor, letter, {}
    other = house.guarantor.begin_letter("bid-bond", fields | {"tender_code": number("GD")}).happened.letter
    yield house.guarantor, other, {}


def marked_application(house: House) -> Steps:
    """A2: applied for under encryption, then issued."""
    client = house.guarantor
    order, kind, code = number("DD"), catalogue("bid-bond-veiled").digest, new_code()
    fields = {
        "order_number": order,
        "tender_code": number("GD"),
        "beneficiary": {"name": "广州市公共资源交易中心"},
        "amount": yuan("500000.00"),
        "opening": moment(3_600),
        "valid_until": day(90),
    }
    bidder = firm("华南市政建设有限公司")
    envelopes = {
        "bidder": veiled(client, "guarantor", kind, "bidder", order, code, bidder),
        "project": veiled(client, "guarantor", kind, "project", order, code, "污水处理厂扩建工程"),
    }
    letter = client.begin_letter("bid-bond-veiled", fields, envelopes=envelopes).happened.letter
    yield client, letter, {"bidder": bidder["name"]}
    client.letter_event(letter, "issue")
    yield client, letter, {"bidder": bidder["name"]}


def deposited_contract(house: House) -> Steps:
    """C14: a text, a step before signing, and both signatures."""
    client = house.platform
    fields = {
        "number": number("JZQ"),
        "title_text": "个人综合消费借款合同",
        "first_party": firm("中国农业银行深圳分行"),
        "second_party": {"name": "林晓东", "id": "440301199203040011"},
        "amount": yuan("150000.00"),
        "document": fresh("合同文本"),
    }
    signature = {"consent": digest("我已阅读并同意"), "device": "App 9.1 · 183.14.30.6"}
    letter = client.begin_letter("contract", fields).happened.letter
    step = {"step": "实名认证", "actor": "林晓东", "content": fresh("实名认证")}
    client.letter_event(letter, "deposit", data=step)
    yield client, letter, {}
    client.letter_event(letter, "sign-first", data={"signer": "农行电子合同专用", **signature})
    client.letter_event(letter, "sign-second", data={"signer": "林晓东", **signature})
    yield client, letter, {}


def syndicate(house: House) -> Steps:
    """C18: invited, joined and formed."""
    client = house.bank
    fields = {
        "code": f"ZH{secrets.token_hex(4).upper()}",
        "issuer": firm("中国银行"),
        "lead_underwriter": firm("中银国际证券"),
        "trustee": firm("中国国际金融"),
        "size": yuan("2000000000.00"),
        "matures": day(720),
        "prospectus": fresh("募集说明书"),
    }
    letter = client.begin_letter("bond-issuance", fields).happened.letter
    yield client, letter, {}
    for name in ("中信证券", "国泰君安", "华泰证券"):
        joined = {"underwriter": firm(name), "share": yuan("500000000.00"), "agreement": fresh("承销协议")}
        client.letter_event(letter, "join", data=joined)
    client.letter_event(letter, "form")
    yield client, letter, {}
    house.office.event(client, letter, "price", by=["li-ming", "zhang-wei"], fields={"coupon": "0.0285"})
    yield client, letter, {}


def question(house: House) -> Steps:
    """P1 and C13: a consent; then a question on it, answered by a digest."""
    client = house.platform
    bureau, subject = firm("广州征信有限公司"), firm("佛山陶瓷机械有限公司")
    terms = {
        "number": number("SQ"),
        "subject": subject,
        "recipient": bureau,
        "scope": [{"item": "行政处罚"}],
        "purpose": "贷前征信查询",
        "uses": 2,
        "valid_until": moment(86_400),
        "text_shown": digest("征信查询授权书"),
    }
    consent = client.begin_letter("consent", terms, data={"device": "粤商通 App"}).happened.letter
    yield client, consent, {"data": "无处罚记录"}
    ask = {
        "asker": bureau,
        "source": firm("广东省市场监督管理局数据中心"),
        "consent": consent,
        "items": [{"item": "行政处罚"}],
        "purpose": "贷前征信查询",
        "question": fresh("行政处罚记录"),
        "subject": subject,
    }
    asked = client.begin_letter("query-receipt", ask).happened.letter
    client.letter_event(asked, "answer", data={"answer": digest("无处罚记录")})
    yield client, asked, {"subject": subject["name"], "answer": digest("无处罚记录"), "data": "无处罚记录"}


def shipment(house: House) -> Steps:
    """C7: presented, checked by the bank, verified with the customs' receipt."""
    client = house.bank
    fields = {
        "bill_of_lading": number("COSU").upper(),
        "declaration": digits(18),
        "invoice": fresh("商业发票"),
        "exporter": firm("汕头玩具实业有限公司"),
        "bank": firm("中国农业银行汕头分行"),
        "value_stated": dollars("128000.00"),
        "other_chain": "蚂蚁链 Trusple 20261122-001",
    }
    letter = client.begin_letter("trade-documents", fields).happened.letter
    house.office.event(client, letter, "check", by=["li-ming"])
    client.letter_event(letter, "verify", receipts=[receipt("customs", "放行信息")])
    yield client, letter, {}


def telemetry(house: House) -> Steps:
    """C9: a batch of readings stamped together, its digest deposited."""
    client = house.bank
    pledge = {
        "asset": number("ZYW"),
        "pledgor": firm("天津钢管仓储有限公司"),
        "pledgee": firm("中国工商银行天津分行"),
        "place": "天津港保税区 12 号库",
        "devices": [{"device": "地磅-07", "certificate": fresh("设备证书")}],
    }
    letter = client.begin_letter("pledged-asset", pledge).happened.letter
    readings = [f"地磅-07 {place} {secrets.randbelow(9000)}kg".encode() for place in range(500)]
    client.stamp_many([hashlib.sha256(one).digest() for one in readings])
    batch = {
        "batch": digest(b"".join(readings)),
        "readings": len(readings),
        "from_time": moment(-3_600),
        "to_time": moment(0),
    }
    client.letter_event(letter, "deposit", data=batch)
    yield client, letter, {"readings": b"".join(readings)}


def tape(house: House) -> Steps:
    """C17: a pool's tape, by its digest and the root over its assets."""
    root = fresh("逐笔资产哈希根")
    pool = {
        "pool": number("CMB-ABS"),
        "originator": firm("招商银行"),
        "trustee": firm("华润深国投信托"),
        "servicer": firm("招商银行信用卡中心"),
        "assets": 1_240,
        "total": yuan("500000000.00"),
        "tape": fresh("资产明细"),
        "root": root,
        "model": "早偿率 8%，违约率 1.2%",
    }
    yield house.bank, house.bank.begin_letter("asset-tape", pool).happened.letter, {"root": root}


def order(house: House) -> Steps:
    """C5: the contract of an order, signed by both; then the voucher that promises to pay."""
    client = house.platform
    core, seller = firm("太平岭核电有限公司"), firm("惠州管件制造有限公司")
    fields = {
        "number": number("HT"),
        "title_text": "采购合同",
        "first_party": core,
        "second_party": seller,
        "document": fresh("合同文本"),
    }
    letter = client.begin_letter("contract", fields).happened.letter
    signature = {"consent": fresh("签署意愿"), "device": "10.1.1.9"}
    client.letter_event(letter, "sign-first", data={"signer": "林伟", **signature})
    yield client, letter, {}
    client.letter_event(letter, "sign-second", data={"signer": "曾敏", **signature})
    yield client, letter, {"document": fields["document"]}


def split_voucher(house: House) -> Steps:
    """C1: a voucher, and the part of it that a second tier holds."""
    client = house.platform
    letter = issued(client, client, "800000.00")
    second = firm("二级供应商锻造厂")
    yield client, letter, {}
    part = client.letter_event(letter, "transfer", data=parts(("500000.00", second))).parts[0]
    yield client, part, {"holder": second["name"]}


def relief(house: House) -> Steps:
    """C21: the administration's approval; then the bank's payment on it."""
    client = house.platform
    village = firm("贵州省台江县红阳村合作社")
    agreed = contract(client, village)
    asked = allocation(village, agreed, "10000.00", fund="中央财政衔接推进乡村振兴补助资金")
    funds = client.begin_letter("fund-allocation", asked).happened.letter
    payment = instruction(client, funds, village, "10000.00", "食用菌大棚补助")
    house.office.event(client, funds, "approve", by=LEVELS)
    yield client, funds, {}
    client.letter_event(payment, "release")
    client.letter_event(payment, "execute", data={"reference": number("LSH")})
    yield client, payment, {}


STORIES: dict[str, Story] = {
    "A2": marked_application,
    "A8": bond,
    "P1": question,
    "C1": split_voucher,
    "C5": order,
    "C7": shipment,
    "C9": telemetry,
    "C14": deposited_contract,
    "C17": tape,
    "C18": syndicate,
    "C21": relief,
}


@pytest.fixture(scope="module")
def deposits(open_directory: Path, tmp_path_factory: pytest.TempPathFactory, office: Office) -> Deposits:
    """Every story told; the box and both chains have stopped."""
    return deposited(open_directory, tmp_path_factory.mktemp("chains"), office, STORIES)


def test_a8_a_ledger_s_certificate(deposits: Deposits, tmp_path: Path) -> None:
    (kept, other), reader = deposits.steps["A8"], deposits.reader(tmp_path)

    with shows(
        "A8", "K3", "An outside chain is proven to hold it, by transaction, block and its time, offline, without a node"
    ):
        told = reader.shown(kept, CONSORTIUM)
        assert (told.height > 0, len(told.transaction), len(told.block)) == (True, 66, 66)

    with shows("A8", "K3", "An altered inclusion proof, an altered transaction or another letter's anchor is refused"):
        for member, cause in (
            ("transaction_proof", "transaction_not_in_block"),
            ("receipt_proof", "receipt_not_in_block"),
        ):
            assert reader.cause(kept.with_receipt_changed(CONSORTIUM, member), CONSORTIUM) == cause
        assert reader.judged(kept.with_receipt_changed(CONSORTIUM, "transaction")) != "TOTAL-PASSED"
        assert reader.judged(kept.with_anchor_of(other, CONSORTIUM)) == "TOTAL-FAILED"

    with shows("A8", "K3", "A chain with another beginning, or sealed by others than those trusted, proves nothing"):
        assert reader.refused(kept, CONSORTIUM, genesis="00" * 32) == "wrong_genesis"
        others = {**reader.rules(CONSORTIUM)["consensus"], "sets": [{"addresses": ["ab" * 20], "from_block": 0}]}
        assert reader.refused(kept, CONSORTIUM, consensus=others) == "foreign_seal"


def test_c14_on_two_chains(deposits: Deposits, tmp_path: Path) -> None:
    (step, signed), reader = deposits.steps["C14"], deposits.reader(tmp_path)

    with shows(
        "C14", "K3", "Each deposit is on an outside chain with its receipt, which the arbitrator checks offline"
    ):
        first, last = reader.shown(step, CONSORTIUM), reader.shown(signed, CONSORTIUM)
        assert (first.height < last.height, first.time < last.time) == (True, True)

    with shows("C14", "K3", "The receipt of the deposit before the signatures does not pass for the signed contract's"):
        assert reader.judged(signed.with_anchor_of(step, CONSORTIUM)) == "TOTAL-FAILED"


def test_c18_each_step_s_block(deposits: Deposits, tmp_path: Path) -> None:
    steps, reader = deposits.steps["C18"], deposits.reader(tmp_path)

    with shows("C18", "K3", "Each step has its transaction id, block hash and height, as the chain's own node tells"):
        told = [reader.shown(one, CONSORTIUM) for one in steps]
        assert [one.height for one in told] == sorted({one.height for one in told})
        assert len({one.transaction for one in told}) == len({one.block for one in told}) == 3

    with shows("C18", "K3", "The block of an earlier step does not pass for that of a later one"):
        assert reader.judged(steps[2].with_anchor_of(steps[1], CONSORTIUM)) == "TOTAL-FAILED"


def test_p1_logged_on_a_consortium_s_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (consent, asked), reader = deposits.steps["P1"], deposits.reader(tmp_path)

    with shows("P1", "K3", "Consent, question and answer are logged on a consortium's ledger by hashes alone"):
        assert reader.proven(consent, CONSORTIUM)
        assert reader.proven(asked, CONSORTIUM)
        assert asked.facts["answer"].encode() in asked.file
        on_ledger = asked.receipt(CONSORTIUM)["proof"]["transaction"]
        assert asked.facts["subject"].encode().hex() not in on_ledger
        assert asked.facts["answer"] not in on_ledger

    with shows("P1", "K3", "What the ledger holds of the consent does not pass for the question's"):
        assert reader.judged(asked.with_anchor_of(consent, CONSORTIUM)) == "TOTAL-FAILED"


def test_c7_over_several_chains(deposits: Deposits, tmp_path: Path) -> None:
    (kept,), reader = deposits.steps["C7"], deposits.reader(tmp_path)

    with shows("C7", "K3", "The joint check is on two chains at once, each proven by its own blocks in the same file"):
        told = [reader.shown(kept, ledger) for ledger in LEDGERS]
        assert told[0].block != told[1].block
        assert told[0].transaction != told[1].transaction

    with shows("C7", "K3", "One chain's receipt is refused under the other chain's rules; the other stands as before"):
        other = reader.rules(SECOND)
        assert reader.refused(kept, CONSORTIUM, genesis=other["genesis"]) == "wrong_genesis"
        assert reader.refused(kept, CONSORTIUM, chain_id=other["chain_id"]) == "wrong_chain_id"
        assert reader.shown(kept, SECOND) == told[1]


def test_a2_each_step_on_a_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (applied, granted), reader = deposits.steps["A2"], deposits.reader(tmp_path)

    with shows("A2", "K3", "Application and issue each have an outside chain's receipt; nothing veiled is in either"):
        first, last = reader.shown(applied, CONSORTIUM), reader.shown(granted, CONSORTIUM)
        assert first.height < last.height
        assert all(one.facts["bidder"].encode() not in one.file for one in (applied, granted))

    with shows("A2", "K3", "The application's receipt does not pass for the issue's"):
        assert reader.judged(granted.with_anchor_of(applied, CONSORTIUM)) == "TOTAL-FAILED"


def test_c9_batches_on_a_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (kept,), reader = deposits.steps["C9"], deposits.reader(tmp_path)

    with shows("C9", "K3", "The batch's digest is on an outside chain; readings changed by one are another batch"):
        assert reader.proven(kept, CONSORTIUM)
        readings = kept.facts["readings"]
        assert digest(readings).encode() in kept.file
        assert digest(readings[:-2] + b"0kg").encode() not in kept.file  # ten times the last weight
        assert reader.judged(kept.with_receipt_changed(CONSORTIUM, "transaction")) != "TOTAL-PASSED"


def test_c17_the_tape_s_root_on_a_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (kept,), reader = deposits.steps["C17"], deposits.reader(tmp_path)

    with shows("C17", "K3", "The tape's root is on two outside chains, at the times of their blocks; altered, on none"):
        assert reader.proven(kept, *LEDGERS)
        assert kept.facts["root"].encode() in kept.file
        for ledger in LEDGERS:
            assert reader.cause(kept.with_receipt_changed(ledger, "receipt_proof"), ledger) == "receipt_not_in_block"


def test_c21_the_administration_s_and_the_bank_s_chain(deposits: Deposits, tmp_path: Path) -> None:
    (approval, payment), reader = deposits.steps["C21"], deposits.reader(tmp_path)

    with shows(
        "C21", "K3", "The approval and the payment on it are both on the administration's and on the bank's chain"
    ):
        assert reader.proven(approval, *LEDGERS)
        assert reader.proven(payment, *LEDGERS)
        assert all(reader.shown(approval, one).height < reader.shown(payment, one).height for one in LEDGERS)

    with shows("C21", "K3", "On neither chain does the approval's receipt pass for the payment's"):
        for ledger in LEDGERS:
            assert reader.judged(payment.with_anchor_of(approval, ledger)) == "TOTAL-FAILED"


def test_c5_contracts_on_a_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (half, signed), reader = deposits.steps["C5"], deposits.reader(tmp_path)

    with shows(
        "C5", "K3", "The contract with both signatures is on an outside chain; half signed, it is another block"
    ):
        assert reader.shown(half, CONSORTIUM).height < reader.shown(signed, CONSORTIUM).height
        assert signed.facts["document"].encode() in signed.file
        assert reader.judged(signed.with_anchor_of(half, CONSORTIUM)) == "TOTAL-FAILED"


def test_c1_vouchers_on_a_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (whole, part), reader = deposits.steps["C1"], deposits.reader(tmp_path)

    with shows("C1", "K3", "Voucher and part are each proven on an outside chain, which tells nothing of its holder"):
        assert reader.proven(whole, CONSORTIUM)
        assert reader.proven(part, CONSORTIUM)
        holder = part.facts["holder"].encode()
        assert holder.hex() not in part.receipt(CONSORTIUM)["proof"]["transaction"]
        assert reader.judged(part.with_anchor_of(whole, CONSORTIUM)) == "TOTAL-FAILED"


def test_c13_authorisation_on_a_consortium_s_ledger(deposits: Deposits, tmp_path: Path) -> None:
    (consent, _), reader = deposits.steps["P1"], deposits.reader(tmp_path)

    with shows(
        "C13", "K3", "The authorisation is proven on a consortium's ledger, and the data it is about is not in it"
    ):
        assert reader.proven(consent, CONSORTIUM)
        assert consent.facts["data"].encode() not in consent.file
        assert reader.refused(consent, CONSORTIUM, genesis="11" * 32) == "wrong_genesis"
