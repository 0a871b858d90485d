"""B9: a product's shares of risk follow its losses; a project is filed under the terms then in force."""

from __future__ import annotations

from decimal import Decimal

from appliance.client import Client
from firmware_tests.scenarios.systems.claims import not_yet, shows
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import firm, fresh, happened, number, refuses, yuan
from firmware_tests.scenarios.systems.reguarantee import SHARING, project, terms_in_force

not_yet(
    "B9", "K6", "that a compensation is the share of the loss by these terms is reckoned by the system, not by the box"
)
not_yet(
    "B9",
    "K9",
    "a liability is filed as a share of one project; transferable parts are not its practice",
)


def test_b9_shares_of_risk_follow_the_losses(guarantor: Client, office: Office) -> None:
    product = terms_in_force(guarantor, office)

    with shows("B9", "K6", "The terms say who bears how much up to which loss, and each tier sums to one"):
        tiers = guarantor.letter(product).fields["sharing"]
        assert [sum(Decimal(one[who]) for who in ("institution", "reguarantor", "bank")) for one in tiers] == [1, 1]

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
