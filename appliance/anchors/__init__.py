"""Anchors: what is written to outside ledgers, the receipts that prove it, and who judges them. Pure: no I/O, no HSM.

    commitment = commitment_of(checkpoint_note)
    judgement = judge(read_receipt(encoded), commitment, read_profile(trusted), now_us=...)

docs/anchors.md explains. A ledger's own formats stand in a room of its own, named by its type.
"""

from appliance.anchors.commitment import commitment_of
from appliance.anchors.judgement import AnchorRefused, Judgement, Known, Reason, Rule, Strength
from appliance.anchors.judging import judge
from appliance.anchors.profile import LedgerProfile, read_profile, write_profile
from appliance.anchors.receipt import Receipt, read_receipt, write_receipt
from appliance.anchors.states import State, check_transition

__all__ = [
    "AnchorRefused",
    "Judgement",
    "Known",
    "LedgerProfile",
    "Reason",
    "Receipt",
    "Rule",
    "State",
    "Strength",
    "check_transition",
    "commitment_of",
    "judge",
    "read_profile",
    "read_receipt",
    "write_profile",
    "write_receipt",
]
