"""The certificates that a ceremony made: issued by authorities that the trust bundle names. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence

from asn1crypto import pem

from appliance.ceremonies.actions import Action, CreateAuthority, GenerateKey, ImportCertificate, IssueCertificate
from appliance.ceremonies.bundle import Step
from appliance.der import DerError
from appliance.evidence.certificates import Certificate, find_path, read_certificate
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.trust import TrustBundle
from appliance.quoting import quote


def judge_certificates(
    journal: Journal, steps: Iterable[Step], actions: Sequence[Action], members: Mapping[str, bytes], trust: TrustBundle
) -> None:
    """Enter what is found of each certificate among the outputs of the steps."""
    anchors = tuple(dict.fromkeys(one.certificate for one in trust.authorities if one.party == "box"))
    made: dict[str, str] = {}
    for step in steps:
        action = actions[step.step]
        if isinstance(action, GenerateKey):
            made[action.key] = str(step.facts.get("public_key"))
        own = made.get(action.key) if isinstance(action, IssueCertificate) else None
        for output in step.outputs:
            found = _certificates(members[output.file])
            if found:
                _judge_one(journal, found, output.file, step, action, anchors, own)


def _judge_one(
    journal: Journal,
    found: list[Certificate],
    file: str,
    step: Step,
    action: Action,
    anchors: Sequence[Certificate],
    made: str | None,
) -> None:
    """`made`: SHA-256 of the public key that an earlier step made under the name that the action certifies."""
    leaf, *others = found
    if isinstance(action, CreateAuthority) or leaf in anchors:
        named = "the trust bundle names it" if leaf in anchors else "the trust bundle given does not name it (yet)"
        journal.note("certificate", f"{file}: the root {quote(leaf.name)}; {named}. SHA-256 {leaf.fingerprint}")
        return
    try:
        path = find_path(leaf, others, anchors, step.ended)
    except Refusal as refusal:
        if isinstance(action, ImportCertificate) and refusal.sub_indication is SubIndication.NO_CERTIFICATE_CHAIN_FOUND:
            journal.note("certificate", f"{file}: {quote(leaf.name)}, issued outside the box.")
        else:
            journal.refuse("certificate", refusal.sub_indication, f"{file}: {refusal.text}")
        return
    if made not in (None, hashlib.sha256(leaf.public_key).hexdigest()):
        text = f"{file} is not of the key that the ceremony made."
        journal.refuse("certificate", SubIndication.HASH_FAILURE, text)
        return
    journal.passed("certificate", f"{file}: {quote(leaf.name)}, issued by {quote(path[-1].name)}.")


def _certificates(content: bytes) -> list[Certificate]:
    """DER, or PEM with the leaf first; empty where it is something else."""
    try:
        if content.startswith(b"-----BEGIN CERTIFICATE"):
            return [read_certificate(encoded) for _, _, encoded in pem.unarmor(content, multiple=True)]
        return [read_certificate(content)] if content.startswith(b"0") else []
    except (DerError, ValueError, TypeError):
        return []
