"""What the rows of the re-guarantee system begin with: product terms in force, and a project filed under them."""

from __future__ import annotations

from typing import Any

from appliance.client import Client
from firmware_tests.scenarios.systems.office import Office
from firmware_tests.scenarios.systems.practice import day, firm, number, yuan

SHARING = [
    {"loss_up_to": "0.03", "institution": "0.4", "reguarantor": "0.4", "bank": "0.2"},
    {"loss_up_to": "0.05", "institution": "0.6", "reguarantor": "0.2", "bank": "0.2"},
]


def terms_in_force(client: Client, office: Office) -> str:
    """The letter of a product's terms, adopted by two approvers."""
    fields = {
        "code": number("CP"),
        "product": "小微批量担保贷",
        "fee_rate": "0.008",
        "largest": yuan("10000000.00"),
        "sharing": SHARING,
    }
    letter = client.begin_letter("product-terms", fields).happened.letter
    office.event(client, letter, "adopt", by=["li-ming", "zhang-wei"])
    return letter


def project(product: str, liability: str = "3000000.00", **other: Any) -> dict[str, Any]:
    """A guarantee that an institution files for re-guarantee."""
    return {
        "project_number": number("ZDB"),
        "institution": firm("佛山市融资担保有限公司"),
        "debtor": firm("顺德精密模具有限公司"),
        "creditor": {"name": "顺德农村商业银行"},
        "industry": "C35",
        "liability": yuan(liability),
        "share": "0.4",
        "fee_rate": "0.008",
        "begins": day(),
        "ends": day(365),
        "product": product,
    } | other
