"""V5: before a transfer a machine reads the contract, a person signs off; both are bound to exactly that document."""

from __future__ import annotations

import subprocess
from pathlib import Path

from appliance.api.pdf_schemas import SealSeen
from appliance.client import Client
from firmware_tests.pdf.sealed import letter as rendered
from firmware_tests.scenarios.systems.claims import shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import Offline, digest, firm, happened, refuses
from firmware_tests.scenarios.systems.vouchers import issued, parts
from provisioning.rehearsal_seal import NAME


def test_v5_review_is_bound_to_the_document(
    platform: Client, supplier: Client, core_firm: Client, office: Office, offline: Offline, tmp_path: Path
) -> None:
    document = rendered(seed=20_260)
    contract = digest(document)
    elements = [
        {"name": "合同金额", "value": "900,000.00 元", "confidence": "0.97"},
        {"name": "付款期限", "value": "验收后180日", "confidence": "0.71"},
    ]
    review = {"document": contract, "reviewer_tool": "合同要素识别 3.4", "elements": elements}
    letter = platform.begin_letter("document-review", review).happened.letter

    with shows(
        "V5", "K1", "What the machine read, with its certainty and version, is sealed with the contract's digest"
    ):
        event = happened(platform, letter)[0][1]
        assert (event.fields["document"], event.fields["elements"][1]["confidence"]) == (contract, "0.71")
        with refuses("field-refused", "/fields/document"):
            platform.begin_letter("document-review", review | {"document": "采购合同.pdf"})

    with shows("V5", "K1 K11", "A person corrects it by hand, and only a reviewer's own signature signs it off"):
        corrected = [elements[0], elements[1] | {"value": "验收后90日", "confidence": "1"}]
        platform.letter_event(letter, "correct", fields={"elements": corrected})
        with refuses("approval-missing"):
            platform.letter_event(letter, "sign-off")
        assert office.event(platform, letter, "sign-off", by=["wang-fang"]).state == "signed-off"

    with shows("V5", "K1", "The reviewed PDF itself is sealed, seen on its page; what was reviewed stays as it was"):
        sealed = platform.seal_pdf(document, seen=SealSeen(seal=NAME, page=-1, left=130, bottom=90))
        assert digest(sealed.document[: len(document)]) == contract
        (tmp_path / "contract.pdf").write_bytes(sealed.document)
        said = subprocess.run(
            ["pdfsig", "-nocert", tmp_path / "contract.pdf"], check=True, capture_output=True, text=True
        ).stdout
        assert "Signature is Valid" in said
        assert "Total document signed" in said

    with shows("V5", "K8", "One contract has one review at a time"):
        with refuses("taken"):
            platform.begin_letter("document-review", review)

    with shows("V5", "K9 K16", "The transfer names the review, and the voucher's evidence shows both offline"):
        voucher = issued(supplier, core_firm)
        holder = firm("成都勘测设计有限公司")
        supplier.letter_event(voucher, "transfer", data=parts(("100000.00", holder)) | {"review": letter})
        assert happened(platform, voucher)[-1][1].data["review"] == letter
        assert offline.passes(platform.evidence(letter))
