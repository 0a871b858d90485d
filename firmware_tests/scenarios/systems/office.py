"""The people who approve, each with a card of her own, and the approval policies that name them.

They are persons of the town's constitution. Policies are put where the keymaster keeps them; how a quorum sets them is
shown by the scenarios of ceremonies.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from appliance.api.letters.draft_schemas import KeptDraft
from appliance.api.letters.schemas import Draft, LetterAnswer, StepNeeded
from appliance.box.home import Home
from appliance.ceremonies import encode
from appliance.ceremonies.actions import ApprovalTier
from appliance.client import Client
from appliance.keymaster.approvers import ApprovalPolicy
from appliance.keymaster.console.client import ConsoleClient
from appliance.letters.event import Approval
from firmware_tests.officers import card_certificate

POLICIES: Final[dict[str, tuple[str, ...]]] = {
    "issue": ("li-ming", "wang-fang"),  # 李明、王芳：业务审批岗，一人即可
    "senior": ("zhang-wei",),  # 张伟：分管副总
    "board": ("chen-jing", "he-jun", "xu-lan"),  # 陈静、何军、徐岚：审批委员会，三人中须两人
    "open": ("liu-yang",),  # 刘洋：开标监督员
    "pay": ("zhao-lei",),  # 赵磊：资金岗
    "risk": ("sun-li",),  # 孙丽：风险岗
    "auditor": ("feng-xue",),  # 冯雪：注册会计师
    "village": ("zhou-qiang",),  # 周强：村委会
    "township": ("wu-min",),  # 吴敏：乡镇
    "county": ("zheng-kai",),  # 郑凯：县级主管
}
THRESHOLDS: Final = {"board": 2}
PEOPLE: Final = tuple(dict.fromkeys(person for people in POLICIES.values() for person in people))
_DETACHED: Final = [
    pkcs7.PKCS7Options.DetachedSignature, pkcs7.PKCS7Options.Binary, pkcs7.PKCS7Options.NoCapabilities,
]  # fmt: skip


class Office:
    """Everybody's cards. They sign what a draft says, and nothing else."""

    def __init__(self) -> None:
        self._cards = {}
        for person in PEOPLE:
            key = ec.generate_private_key(ec.SECP256R1())
            self._cards[person] = key, card_certificate(person, key)

    def enrol(self, console: ConsoleClient) -> None:
        """Have the console confirm everybody's card, whose digest she reads out."""
        for person in PEOPLE:
            encoded = self._cards[person][1].public_bytes(Encoding.DER)
            console.card(person, person.title(), encoded, hashlib.sha256(encoded).hexdigest())

    def put_in_force(self, home: Home, tenant: str) -> None:
        """The same people approve for every institution of this town."""
        for policy, people in POLICIES.items():
            tiers = [
                ApprovalTier(
                    up_to="",
                    currency=currency,
                    approvers=list(people),
                    threshold=THRESHOLDS.get(policy, 1),
                    in_order=True,
                )
                for currency in ("CNY", "EUR", "USD")
            ]
            first = ApprovalPolicy(
                tenant=tenant, policy=policy, version=1, previous=None, tiers=tiers, proposal="00" * 32, step=0
            )
            directory = home.policies / tenant / policy
            directory.mkdir(parents=True)
            (directory / "1.json").write_bytes(encode(first))

    def signs(self, person: str, needed: StepNeeded, draft: bytes) -> Approval:
        """One person's approval of a step of this draft."""
        text = needed.heading.encode() + draft
        key, certificate = self._cards[person]
        builder = pkcs7.PKCS7SignatureBuilder().set_data(text).add_signer(certificate, key, hashes.SHA256())
        signature = builder.sign(Encoding.DER, _DETACHED)
        return Approval(
            approver=person, form="cms", limits=needed.limits, policy=needed.policy,
            signature=base64.b64encode(signature).decode(), step=needed.step,
        )  # fmt: skip

    def approve(self, draft: Draft, people: Sequence[str]) -> list[Approval]:
        """These people, in their order, each in the first step whose policy names her."""
        return [self.signs(person, _step_of(draft, person), draft.text) for person in people]

    def begin(
        self, client: Client, kind: str, fields: Mapping[str, Any], by: Sequence[str], **more: Any
    ) -> LetterAnswer:
        """Begin a letter that these people approve first."""
        draft = client.draft_letter(kind, fields, **more)
        return client.begin_letter(
            kind,
            fields,
            letter=draft.letter,
            ids_tag=draft.ids_tag,
            approvals=self.approve(draft, by),
            disclosures=draft.disclosures,
            **more,
        )

    def approve_kept(self, client: Client, draft: KeptDraft, person: str) -> KeptDraft:
        """One person signs a draft that waits, when she comes to it."""
        return client.approve_draft(draft.draft, self.signs(person, _step_of(draft, person), draft.text))

    def event(
        self,
        client: Client,
        letter: str,
        event: str,
        by: Sequence[str],
        *,
        codes: Mapping[str, str] | None = None,
        document: bool = False,
        **more: Any,
    ) -> LetterAnswer:
        """Have an event happen that these people approve first."""
        draft = client.draft_event(letter, event, **more)
        return client.letter_event(
            letter,
            event,
            approvals=self.approve(draft, by),
            disclosures=draft.disclosures,
            codes=codes,
            parts=draft.parts or None,
            ids_tag=draft.ids_tag if draft.parts else None,
            document=document,
            **more,
        )


def _step_of(draft: Draft | KeptDraft, person: str) -> StepNeeded:
    return next((one for one in draft.needed if person in POLICIES[one.policy]), draft.needed[0])
