"""B9: a product's shares of risk follow its losses; a project is filed under the terms then in force."""

from __future__ import annotations

import subprocess
from decimal import Decimal
from pathlib import Path
from typing import Any

from appliance.client import Client
from firmware_tests.pdf.sealed import letter as rendered
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import Offline, digest, firm, fresh, happened, number, refuses, yuan
from firmware_tests.scenarios.systems.reguarantee import SHARING, project, terms_in_force
from firmware_tests.scenarios.systems.vouchers import total

not_yet(
    "B9",
    "K6",
    "which part of a loss falls on whom is reckoned by the system; the box holds each to what its share has left",
)

not_yet("B9", "K6", "that the shares of a tier sum to one is for its approvers to see; the box takes those that do not")


def test_b9_shares_of_risk_follow_the_losses(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)

    with shows("B9", "K6", "The terms say who bears how much up to which loss, and read as they were adopted"):
        assert guarantor.letter(product).fields["sharing"] == SHARING

    with shows("B9", "K6 K20", "Projects are filed under terms in force alone, and name them"):
        proposed = guarantor.begin_letter(
            "product-terms",
            {
                "code": number("CP"),
                "product": "科创担保贷",
                "fee_rate": "0.006",
                "largest": yuan("20000000.00"),
                "sharing": SHARING,
            },
        ).happened.letter
        with refuses("condition-not-met", "proposed"):
            guarantor.begin_letter("guarantee-project", project(proposed))
        filed = guarantor.begin_letter("guarantee-project", project(product)).happened
        assert happened(guarantor, filed.letter)[0][1].references[0].head == guarantor.letter(product).head

    with shows(
        "B9", "K6 K11", "When losses rise the shares change by approval; what was filed before keeps its terms' digest"
    ):
        before = guarantor.letter(product).head
        alert = guarantor.begin_letter(
            "risk-alert",
            {
                "subject": firm("佛山市融资担保有限公司"),
                "indicator": "产品赔付率",
                "measured": "0.034",
                "limit": "0.03",
                "level": "yellow",
                "source": fresh("赔付统计"),
            },
        ).happened.letter
        guarantor.letter_event(alert, "confirm")
        harder = [SHARING[0] | {"institution": "0.5", "reguarantor": "0.3"}, SHARING[1]]
        office.event(
            guarantor, product, "adjust", by=["sun-li", "zhang-wei"], fields={"sharing": harder}, data={"alert": alert}
        )
        assert guarantor.letter(product).fields["sharing"] == harder
        assert happened(guarantor, filed.letter)[0][1].references[0].head == before


def test_b9_shares_of_several_guarantors_are_shifted(
    guarantor: Client, bank: Client, platform: Client, office: Office, offline: Offline, tmp_path: Path
) -> None:
    institution, lender, ours = (firm(f"REHEARSAL seal of {name}") for name in ("platform", "bank", "guarantor"))
    filed = project(terms_in_force(guarantor, office), "4000000.00", institution=institution)
    letter = guarantor.begin_letter("guarantee-project", filed).happened.letter
    number_of = {"project_number": filed["project_number"]}
    taken = number_of | {"project": letter, "liability": yuan("4000000.00"), "bearer": ours}

    with shows("B9", "K9 K20", "A project in force is shared once, for exactly its liability"):
        with refuses("condition-not-met", "filed"):
            guarantor.begin_letter("risk-share", taken)
        guarantor.letter_event(letter, "accept")
        with refuses("condition-not-met", "liability"):
            guarantor.begin_letter("risk-share", taken | {"liability": yuan("4000000.01")})
        whole = guarantor.begin_letter("risk-share", taken).happened.letter
        with refuses("taken"):
            guarantor.begin_letter("risk-share", taken)

    with shows(
        "B9", "K9 K11", "It is allotted among three guarantors under an approval, and no cent more than there is"
    ):
        tier = (("1600000.00", institution), ("1600000.00", ours), ("800000.00", lender))
        with refuses("field-refused", "/data/shares"):
            office.event(guarantor, whole, "allot", by=["li-ming"], data=shares(*tier, ("0.01", lender)))
        allotted = office.event(guarantor, whole, "allot", by=["li-ming"], data=shares(*tier))
        assert guarantor.letter(whole).state == "allotted"
        theirs, own, banks = allotted.parts
        assert [guarantor.letter(one).balance for one in allotted.parts] == [amount for amount, _ in tier]

    alert = guarantor.begin_letter(
        "risk-alert",
        {
            "subject": institution,
            "indicator": "产品赔付率",
            "measured": "0.041",
            "limit": "0.03",
            "level": "orange",
            "source": fresh("赔付统计"),
        },
    ).happened.letter
    text = rendered(seed=9)
    agreement = number_of | {"document": digest(text), "institution": institution, "bank": lender, "reguarantor": ours}
    copies = [one.begin_letter("sharing-agreement", agreement).happened.letter for one in (platform, bank, guarantor)]
    move = shares(("400000.00", institution)) | {"alert": alert, "agreement": copies[2]}
    both = ["sun-li", "zhang-wei"]

    with shows("B9", "K9 K20", "Nothing is shifted before an alert is confirmed and all have sealed the agreement"):
        with refuses("condition-not-met", "raised"):
            office.event(guarantor, own, "shift", by=both, data=move)
        guarantor.letter_event(alert, "confirm")
        with refuses("condition-not-met", "drafted"):
            office.event(guarantor, own, "shift", by=both, data=move)

    with shows("B9", "K6", "Institution, bank and re-guarantor seal the one agreement in this order, and in no other"):
        with refuses("document-not-in-order", "bears 0 seals"):
            guarantor.letter_event(copies[2], "seal-as-reguarantor", pdf=text)
        sealed = text
        for place, (client, by) in enumerate(((platform, "institution"), (bank, "bank"), (guarantor, "reguarantor"))):
            sealed = client.letter_event(copies[place], f"seal-as-{by}", pdf=sealed).happened.beside["document.pdf"]
        (tmp_path / "sealed.pdf").write_bytes(sealed)
        said = subprocess.run(
            ["pdfsig", "-nocert", tmp_path / "sealed.pdf"], check=True, capture_output=True, text=True
        )
        assert said.stdout.count("Signature is Valid") == 3

    with shows("B9", "K9 K11", "Then risk and management sign in turn, and the shares change; their sum does not"):
        with refuses("approval-missing"):
            office.event(guarantor, own, "shift", by=both[:1], data=move)
        with refuses("field-refused", "/data/shares"):
            office.event(guarantor, own, "shift", by=both, data=move | shares(("1600000.01", institution)))
        (more,) = office.event(guarantor, own, "shift", by=both, data=move).parts
        standing = [theirs, own, banks, more]
        assert [guarantor.letter(one).balance for one in standing] == [
            "1600000.00",
            "1200000.00",
            "800000.00",
            "400000.00",
        ]
        assert total(guarantor, standing) == Decimal("4000000.00")
        with refuses("taken"):  # one agreement, one shift
            office.event(guarantor, own, "shift", by=both, data=move)

    with shows("B9", "K9 K20", "A loss is borne share by share: none beyond its own, nor all beyond what was paid"):
        claim = {"overdue": yuan("2000000.00"), "documents": fresh("代偿资料")}
        guarantor.letter_event(letter, "claim", data=claim)
        fields = number_of | {"payee": institution, "amount": yuan("2000000.00"), "reason": "逾期"}
        paid = guarantor.begin_letter("compensation", fields).happened.letter
        office.event(guarantor, paid, "pay", by=["zhao-lei", "zhang-wei"], data={"payment": number("LSH")})
        loss = {"compensation": paid}
        with refuses("field-refused", "only 400000.00 CNY is left"):
            guarantor.letter_event(more, "bear", data=loss | {"paid": yuan("400000.01")})
        for share, amount in ((theirs, "800000.00"), (more, "200000.00"), (own, "600000.00"), (banks, "400000.00")):
            guarantor.letter_event(share, "bear", data=loss | {"paid": yuan(amount)})
        with refuses("taken"):
            guarantor.letter_event(own, "bear", data=loss | {"paid": yuan("0.01")})
        assert total(guarantor, standing) == Decimal("2000000.00")

    with shows("B9", "K9", "The course of a share, from taking on through allotment and shift, verifies offline"):
        assert offline.passes(guarantor.evidence(more))
        assert guarantor.letter(more).origin == own


def shares(*given: tuple[str, dict[str, str]]) -> dict[str, Any]:
    """Who bears how much."""
    return {"shares": [{"amount": yuan(amount), "bearer": bearer} for amount, bearer in given]}
