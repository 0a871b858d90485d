"""The letter that an evidence file is of, where everything in the file passes: for whoever looks such a file up.

Nothing but a file that passes wholly under the bundle given is of any letter, so that a changed one, a foreign one and
one that proves nothing are told apart by nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from appliance.asic import read_container
from appliance.asic.errors import ContainerRefused
from appliance.asic.names import RENEWAL
from appliance.evidence.findings import Indication
from appliance.evidence.letters import LetterFacts
from appliance.evidence.subjects import NamedBytes
from appliance.evidence.trust import TrustBundle
from appliance.evidence.verify import verify
from appliance.letters.event import APPROVERS

MOST_SEALS: Final = 64
"""Of a file that anybody may have looked up: each costs a few signatures to check."""
MOST_HELPERS: Final = 64
"""Certificates, revocation lists, OCSP answers and kinds of such a file together: each costs as much where it names a
certificate that a seal is made by."""
MOST_TRIES: Final = 256
"""Approvals of such a file, each by as many cards as its events name of a person: each try costs a signature."""
MOST_RECORDS: Final = 8
"""Renewals of such a file: each is of all of it, and may have many time-stamps."""
_RECORDS_BEGIN: Final = f"META-INF/evidencerecord-{RENEWAL}"
_SEAL_ENDS: Final = ".p7s"
_HELPER_ENDS: Final = (".cer", ".crl", ".ors", ".toml")


class HeldLetter(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What a passing file is of."""

    tenant: str
    letter: str


class _Approved(msgspec.Struct):
    approvals: list[msgspec.Raw] = []


class _Person(msgspec.Struct):
    credentials: list[msgspec.Raw] = []


class _Keys(msgspec.Struct):
    persons: list[_Person] = []


def held_letter(content: bytes, trust: TrustBundle, now_us: int) -> HeldLetter | None:
    """`now_us`: microseconds since the epoch. None: the file is no evidence of a letter that passes, or of more than
    `MOST_SEALS` seals, `MOST_HELPERS` helpers, `MOST_RECORDS` renewals or `MOST_TRIES` tries of approvals."""
    try:
        names = read_container(content)
    except ContainerRefused:
        return None
    if sum(name.endswith(_SEAL_ENDS) for name in names) > MOST_SEALS:
        return None
    if sum(name.endswith(_HELPER_ENDS) for name in names) > MOST_HELPERS:
        return None
    if sum(name.startswith(_RECORDS_BEGIN) for name in names) > MOST_RECORDS or _tries(names) > MOST_TRIES:
        return None
    report = verify([NamedBytes("letter.asice", content)], trust, now_us=now_us)
    facts = report.files[0].letter
    if report.indication is not Indication.PASSED or not isinstance(facts, LetterFacts):
        return None
    return HeldLetter(tenant=facts.events[-1].tenant, letter=facts.letter)


def _tries(entries: Mapping[str, bytes]) -> int:
    """How many signatures of approvals would be checked, at most. What is not read here is refused by whoever reads it
    to judge it, before any signature."""
    approvals, cards = 0, 1
    for name, content in entries.items():
        try:
            if name.endswith(f"/{APPROVERS}"):
                cards = max(
                    [cards, *(len(one.credentials) for one in msgspec.json.decode(content, type=_Keys).persons)]
                )
            elif name.endswith(".json"):
                approvals += len(msgspec.json.decode(content, type=_Approved).approvals)
        except (msgspec.MsgspecError, RecursionError):
            continue
    return approvals * cards
