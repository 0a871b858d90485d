"""A PDF that several institutions seal in a fixed order: is it the turn of this one, and is it that PDF. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from appliance.letters.errors import DocumentNotInOrder
from appliance.letters.kind import SealedDocument


@dataclass(frozen=True)
class Signer:
    """Who sealed a PDF, by a certificate that the trust bundle leads to."""

    names: frozenset[str]
    """That the certificate gives it: appliance.api.letters.signers says which."""


def check_document(
    rule: SealedDocument,
    fields: Mapping[str, Any],
    pdf: bytes,
    signers: Sequence[Signer],
    first_ends: Sequence[int],
    own: Signer,
) -> None:
    """`fields`: of the letter; `signers`: of the seals that the PDF bears, in their order; `first_ends`: where it may
    have ended before the first of them, with only seals added since. Raises DocumentNotInOrder."""
    wanted = fields[rule.digest]
    unsealed = [pdf[:end] for end in first_ends] if signers else [pdf]
    if wanted not in {hashlib.sha256(one).hexdigest() for one in unsealed}:
        changed = "" if first_ends or not signers else ", or it was changed with its first seal or filled in after it"
        raise DocumentNotInOrder(
            f"the PDF before its first seal is not the one whose digest stands in {rule.digest}{changed}"
        )
    before = rule.order[: rule.order.index(rule.own)]
    if len(signers) != len(before):
        raise DocumentNotInOrder(
            f"{rule.own} seals after {' and '.join(before) or 'nobody'}; the PDF bears {len(signers)} seals"
        )
    for name, signer in [*zip(before, signers, strict=True), (rule.own, own)]:
        if fields[name]["name"] not in signer.names:
            raise DocumentNotInOrder(f"the seal in the place of {name} is not one of that party's")
