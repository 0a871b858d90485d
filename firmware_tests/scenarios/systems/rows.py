"""The systems that the box must carry, one row each: whose, what its operators promise, which capabilities it takes."""

from __future__ import annotations

from typing import NamedTuple

CAPABILITIES = {
    "K1": "seals on documents",
    "K2": "time-stamps",
    "K3": "anchors on outside ledgers",
    "K4": "message gateway between parties",
    "K5": "veiled until release",
    "K6": "life cycle as sealed events",
    "K7": "verification by anyone",
    "K8": "single use and remaining balance",
    "K9": "divisible, transferable value",
    "K10": "batch intake and outbound filing",
    "K11": "approvals by amount and order",
    "K12": "quotas, warnings, metering",
    "K13": "consents and query receipts",
    "K14": "privacy proofs",
    "K15": "identities and their certificates",
    "K16": "evidence package",
    "K17": "HSM custody and algorithms",
    "K18": "tenants, audit, supervision",
    "K19": "availability and latency",
    "K20": "instructions on conditions",
}


class Row(NamedTuple):
    system: str
    claim: str
    """What its operators say of it, shortened."""
    needs: tuple[str, ...]


def _row(system: str, claim: str, needs: str) -> Row:
    return Row(system, claim, tuple(needs.split()))


_GUARANTEE = "Electronic guarantee platform of a city"
_REGUARANTEE = "Re-guarantee business system"

ROWS: dict[str, Row] = {
    "A1": _row(_GUARANTEE, "Six product families: kinds of letters are data, not code", "K1 K6"),
    "A2": _row(_GUARANTEE, "Source data encrypted, every step of the process marked", "K2 K3 K4 K5"),
    "A3": _row(_GUARANTEE, "A letter leaves within three minutes", "K11 K19"),
    "A4": _row(_GUARANTEE, "Data docking with message encryption and electronic signature", "K4"),
    "A5": _row(_GUARANTEE, "After bid opening the whole letter is recovered by its bid code", "K5"),
    "A6": _row(_GUARANTEE, "Stamped with the institution's electronic signature, with legal effect", "K1 K15 K17"),
    "A7": _row(_GUARANTEE, "Risks are identified and checked by themselves", "K12"),
    "A8": _row(_GUARANTEE, "Certificate that cannot be altered, forged or lost, and can be traced", "K3 K7 K16 K19"),
    "B1": _row(_REGUARANTEE, "Institutions from onboarding to de-registration, changes approved", "K15 K11"),
    "B2": _row(
        _REGUARANTEE, "Projects from filing to recovery; batch import with validation and de-duplication", "K10 K6"
    ),
    "B3": _row(_REGUARANTEE, "Contracts signed online; invalidations leave records; preset parameters", "K1 K6 K11"),
    "B4": _row(_REGUARANTEE, "Data collected once and used by several systems; institutions are unique", "K8 K4"),
    "B5": _row(_REGUARANTEE, "Compensation approved by amount, every approval traceable", "K11"),
    "B6": _row(_REGUARANTEE, "Risk indicators change fee rates; disposal approved at several levels", "K12 K11"),
    "B7": _row(_REGUARANTEE, "Filing with the national fund: validated, submitted, submitted again", "K10 K18"),
    "B8": _row(_REGUARANTEE, "Fee bills, special fees with approval, clear balances, invoices", "K12 K11 K20"),
    "B9": _row(_REGUARANTEE, "Products whose sharing of risk changes with the losses", "K6 K9"),
    "B10": _row(_REGUARANTEE, "Tiered limits, circuit breakers, early warnings, concentration", "K12"),
    "V1": _row(
        "SINOMACH e-Chain with SUMEC SRM",
        "Vouchers issued, circulated and financed out of a supplier system",
        "K9 K4 K15",
    ),
    "V2": _row(
        "China Railway e-Credit", "Registered, looked up and taken off in real time; never pledged twice", "K8 K10"
    ),
    "V3": _row("Rong e Xin", "Clearing at maturity by itself", "K9 K20"),
    "V4": _row("Ronghe Cloud Chain", "A platform of a hundred billion", "K9"),
    "V5": _row("Power Construction Rongxin", "Contracts reviewed with a machine's help at each transfer", "K1 K16"),
    "V6": _row("CCCC e-letter", "Fourteen banks connected", "K9 K8"),
    "V7": _row("Shougang Beijing Ticket", "Face value, a choice of banks, direct financing", "K9"),
    "V8": _row(
        "Merchants' award loan", "A loan on a real award of a tender, the same day, without paper", "K1 K13 K2 K20"
    ),
    "V9": _row("Kunlun Yirong", "No confirmation by the core firm; a data authorisation instead", "K13 K9 K20"),
    "P1": _row(
        "Pearl River Delta Credit Chain",
        "Information shared without changing who owns and manages the data",
        "K13 K3 K18 K16 K15 K12 K14",
    ),
    "C1": _row(
        "Industrial finance (Bank of China)", "Splittable voucher, privacy, look-through supervision", "K9 K14 K18 K3"
    ),
    "C2": _row(
        "Forfaiting chain (Everbright)", "Quotes, listing, matching, assignment; never financed twice", "K4 K9 K8 K6"
    ),
    "C3": _row(
        "All-Link (Ping An, Foton)",
        "A voucher over many tiers that at maturity is the payment instruction",
        "K9 K1 K20 K19",
    ),
    "C4": _row("Alliance chain (Z-Bank)", "Admission, many channels, a simple gateway for records", "K3 K15 K18 K4"),
    "C5": _row(
        "Chain loan (Agricultural Bank)", "Confirmed orders, promise to pay, guarantor, contracts", "K1 K3 K9 K11"
    ),
    "C6": _row(
        "Single-window freight payment (Bank of Communications)", "An invoice is used once; reviewed; paid", "K8 K20 K4"
    ),
    "C7": _row(
        "Cross-border chain (Agricultural Bank)",
        "Trade documents verified jointly, over several chains",
        "K3 K7 K11 K8",
    ),
    "C8": _row(
        "Cross-border platform (SAFE)",
        "Is the declaration genuine, what is left of it, was it used; loan to repayment",
        "K8 K10 K13 K6",
    ),
    "C9": _row("Pledges under watch (ICBC)", "Telemetry of pledged assets at a high rate", "K15 K2 K3"),
    "C10": _row("Builders' wages at Xiong'an (Everbright)", "Project funds looked through to wages", "K20 K11 K18"),
    "C11": _row(
        "Online small-firm loan (SPD)", "Authorise, apply, sign, approve, lend, repay on a phone", "K1 K13 K2 K16"
    ),
    "C12": _row(
        "Cross-border merchants (Chouzhou Bank)",
        "A deposit the operator cannot read; anonymous in a group",
        "K14 K5 K13",
    ),
    "C13": _row(
        "Finance and government data (UnionPay)",
        "Portable identity; authorisation kept, data elsewhere",
        "K13 K15 K14 K3",
    ),
    "C14": _row(
        "E-contracts (Agricultural Bank)",
        "Every step deposited; certified and arbitrated from the deposit",
        "K1 K2 K3 K16",
    ),
    "C15": _row(
        "Bank confirmation letters (Xiamen Bank)", "Five steps co-signed in minutes, not days", "K11 K4 K15 K19 K13"
    ),
    "C16": _row("Corporate eKYC (Zhongguancun Bank)", "Attestations reused across banks", "K15 K13 K14 K2"),
    "C17": _row(
        "Asset-backed securities (China Merchants Bank)", "Asset tape on record, investors' view", "K3 K10 K17 K14 K18"
    ),
    "C18": _row(
        "Bond issuance (Bank of China)",
        "Syndicate formed signature by signature, key facts at each step",
        "K15 K11 K3 K18",
    ),
    "C19": _row(
        "Flexible-employment payments (Minsheng)", "Payment, tax and query records, encrypted; witnessed", "K20 K14 K13"
    ),
    "C20": _row(
        "Resettlement funds at Xiong'an (ICBC)",
        "Village, township, county approve in turn; failures explained",
        "K11 K20 K18",
    ),
    "C21": _row("Poverty-relief funds (ICBC)", "Administrative approval joined to the payment", "K3 K11 K20"),
}
