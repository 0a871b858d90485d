"""B3: re-guarantee contracts are signed online on preset terms; an invalidation is a record like any other."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appliance.api.pdf_schemas import SealSeen
from appliance.client import Client
from appliance.letters.event import read_event
from firmware_tests.pdf.sealed import letter as rendered
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import Offline, digest, firm, fresh, number, refuses, story, yuan
from firmware_tests.scenarios.systems.reguarantee import terms_in_force
from provisioning.rehearsal_seal import NAME


def test_b3_contracts_signed_and_invalidated(guarantor: Client, office: Office, offline: Offline) -> None:
    with shows("B3", "K6 K11", "Preset product terms come into force by two approvals, and stand in the contract"):
        product = terms_in_force(guarantor, office)
        assert guarantor.letter(product).state == "in-force"
        reguarantor = firm("广东省融资再担保有限公司")
        contract = {
            "number": number("ZDBHT"),
            "title_text": "再担保业务合作合同",
            "first_party": reguarantor,
            "second_party": firm("佛山市融资担保有限公司"),
            "amount": yuan("50000000.00"),
            "document": fresh("合同文本"),
            "product": product,
        }
        letter = guarantor.begin_letter("contract", contract).happened.letter
        assert guarantor.letter(letter).fields["product"] == product

    with shows("B3", "K1", "The parties sign in their order, each with signer, consent and device in the sealed step"):
        signature = {"consent": fresh("签署意愿确认"), "device": "113.66.20.7"}
        with refuses("event-refused", "drafted"):
            guarantor.letter_event(letter, "sign-second", data={"signer": "黄志强", **signature})
        guarantor.letter_event(letter, "sign-first", data={"signer": "陈建国", **signature})
        signed = guarantor.letter_event(letter, "sign-second", data={"signer": "黄志强", **signature})
        assert signed.state == "signed"
        assert read_event(signed.happened.event).data["signer"] == "黄志强"

    with shows("B3", "K11", "An invalidation gives its reason and needs an approver"):
        reason = {"reason": "双方协商解除，另签补充协议"}
        with refuses("approval-missing"):
            guarantor.letter_event(letter, "invalidate", data=reason)
        invalid = office.event(guarantor, letter, "invalidate", by=["li-ming"], data=reason)
        assert read_event(invalid.happened.event).approvals[0].approver == "li-ming"

    with shows("B3", "K6", "The invalidated contract stays with all its events, and its number is not used again"):
        assert story(guarantor, letter) == ["draft", "sign-first", "sign-second", "invalidate"]
        with refuses("taken"):
            guarantor.begin_letter("contract", contract)

    with shows(
        "B3", "K7", "Whoever is shown the file sees offline that the contract was signed, and that it is invalid"
    ):
        assert offline.passes(guarantor.evidence(letter))


def test_b3_two_institutions_seal_one_pdf_in_their_order(
    guarantor: Client, bank: Client, offline: Offline, tmp_path: Path
) -> None:
    pdf = rendered(seed=31)
    fields = {
        "number": number("LHHT"),
        "contract": digest(pdf),
        "guarantor": {"name": "REHEARSAL seal of guarantor"},
        "bank": {"name": "REHEARSAL seal of bank"},
    }
    ours, theirs = (one.begin_letter("joint-contract", fields).happened.letter for one in (guarantor, bank))

    with shows("B3", "K1 K6", "The bank does not seal before the guarantor has, nor another text than the one drafted"):
        with refuses("document-not-in-order", "bears 0 seals"):
            bank.letter_event(theirs, "seal-as-bank", pdf=pdf)
        with refuses("document-not-in-order", "not the one whose digest"):
            guarantor.letter_event(ours, "seal-as-guarantor", pdf=rendered(seed=32))

    with shows("B3", "K1", "Both seals stand on one PDF in their order, each seen on its page; both are valid"):
        once = guarantor.letter_event(
            ours, "seal-as-guarantor", pdf=pdf, pdf_seen=SealSeen(seal=NAME, page=-1, left=30, bottom=70)
        ).happened.beside["document.pdf"]
        both = bank.letter_event(
            theirs, "seal-as-bank", pdf=once, pdf_seen=SealSeen(seal=NAME, page=-1, left=80, bottom=70)
        ).happened.beside["document.pdf"]
        (tmp_path / "both.pdf").write_bytes(both)
        said = subprocess.run(
            ["pdfsig", "-nocert", tmp_path / "both.pdf"], check=True, capture_output=True, text=True
        ).stdout
        assert said.count("Signature is Valid") == 2
        assert both.startswith(once)

    with shows("B3", "K7 K16", "Each institution's own evidence holds the PDF as it sealed it, and verifies offline"):
        assert offline.passes(guarantor.evidence(ours))
        assert offline.passes(bank.evidence(theirs))
