"""Whether what peers endorsed is the call that was proposed, and enough organisations did. Asked of a receipt, and by
the anchorer before it lets an anchor be signed."""

from __future__ import annotations

from datetime import datetime

from appliance.anchors.fabric.identities import Member, Members, NotAMember, Part
from appliance.anchors.fabric.reasons import FabricReason
from appliance.anchors.fabric.rules import Endorsement
from appliance.anchors.fabric.transactions import Endorsed
from appliance.anchors.judgement import AnchorRefused


def check_answer(endorsed: Endorsed, hash_of_proposal: bytes, chaincode: str) -> None:
    """Raises AnchorRefused unless the peers' answer is a good one to that proposal, by that chaincode."""
    if endorsed.proposal_hash != hash_of_proposal:
        raise AnchorRefused(FabricReason.MIXED_UP, "what was endorsed is another proposal")
    answering = endorsed.action.chaincode_id
    if answering is None or answering.name != chaincode:
        raise AnchorRefused(FabricReason.OTHER_CHAINCODE, "another chaincode answered than was called")
    status = 0 if endorsed.action.response is None else endorsed.action.response.status
    if not 200 <= status < 400:  # protos.Response, as peers count it
        raise AnchorRefused(FabricReason.REFUSED_BY_CHAINCODE, f"the chaincode answered with status {status}")


def endorsers(endorsed: Endorsed, wanted: Endorsement, members: Members, moment: datetime) -> list[Member]:
    """One endorser of each organisation that counts. Raises AnchorRefused where they are fewer than wanted."""
    found: dict[str, Member] = {}
    others: list[str] = []
    for one in endorsed.endorsements:
        try:
            member = members.identity(one.endorser, moment, Part.PEER)
        except NotAMember as error:
            others.append(str(error))
            continue
        if member.msp not in wanted.msps:
            others.append(f"{member.msp} is not one of those whose endorsement counts")
        elif not member.signed(endorsed.payload + one.endorser, one.signature):
            others.append(f"the signature of {member.msp} does not hold")
        else:
            found.setdefault(member.msp, member)
    if len(found) < wanted.count:
        aside = f"; {others[0]}" if others else ""
        raise AnchorRefused(
            FabricReason.TOO_FEW_ENDORSEMENTS,
            f"{len(found)} of the organisations endorsed it, {wanted.count} are wanted{aside}",
        )
    return list(found.values())
