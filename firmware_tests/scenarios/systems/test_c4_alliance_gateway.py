"""C4: a consortium: members are admitted, each has a channel of its own, and a simple gateway puts records down."""

from __future__ import annotations

from cryptography.hazmat.primitives.asymmetric import ec

from appliance.client import Client
from appliance.letters.recipients import encrypt
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import again, certified, digest, firm, fresh, number, refuses

not_yet(
    "C4", "K3", "Fabric's protocol is spoken to a server of the tests alone; no real consortium's ledger was written to"
)


def test_c4_admission_channels_gateway(bank: Client, second_bank: Client, office: Office) -> None:
    member = firm("众邦银行")
    node = {"institution": member, "category": "node", "scope": "存证与供应链通道", "licence": fresh("金融许可证")}

    with shows("C4", "K15 K11", "A member is admitted by two approvals, once; suspending it needs one word"):
        letter = bank.begin_letter("institution", node).happened.letter
        office.event(bank, letter, "admit", by=["li-ming", "zhang-wei"])
        with refuses("taken"):
            bank.begin_letter("institution", node)
        assert bank.letter_event(letter, "suspend", data={"reason": "证书到期未更新"}).state == "suspended"

    with shows(
        "C4", "K18 K15", "Channels are apart: the same member may stand in another, which sees nothing of this one"
    ):
        assert second_bank.begin_letter("institution", node).state == "applied"
        with refuses("not-found"):
            second_bank.letter(letter)
        assert letter not in {one.letter for one in second_bank.letters(kind="institution").letters}

    with shows(
        "C4", "K4", "The gateway takes a record in one call and gives its receipt; sent again, the same receipt"
    ):
        content = "出库单 2026-1122-07"
        reader = certified("众邦银行", ec.generate_private_key(ec.SECP256R1()))
        envelopes = {"content": encrypt(content.encode(), [reader])}
        fields = {"reference": number("CZ"), "group": "供应链通道", "content_digest": digest(content)}
        key = again()
        first = bank.begin_letter("sealed-deposit", fields, envelopes=envelopes, idempotency_key=key)
        assert bank.begin_letter("sealed-deposit", fields, envelopes=envelopes, idempotency_key=key) == first
        assert bank.record(first.happened.record, wait_for_proof_s=5).proof is not None
