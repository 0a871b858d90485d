"""Whether a signer's certificate counted at a moment: validity, path to the trust bundle, revocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from appliance.der import Reader
from appliance.evidence.certificates import Certificate, find_path, spoken
from appliance.evidence.findings import Journal, Refusal, SubIndication
from appliance.evidence.revocation import HOLD, KEY_COMPROMISE_FREE, RevocationWord, Revoked, revocation_of
from appliance.evidence.signatures import read_algorithm
from appliance.evidence.strength import Relied, uses_of
from appliance.evidence.trust import Authority


@dataclass(frozen=True)
class Moment:
    """The time that a certificate is judged at, and what is known of it. Microseconds since the epoch."""

    time_us: int
    source: str
    """In words: “the time that the stamp states”."""
    claimed_by_signer: bool
    """A stamp's own genTime: a certificate that was not valid then refutes the stamp by its own word."""
    proven_us: int | None = None
    """The earliest time at which the signature is shown to have existed by someone else, if any."""


def check_chain(
    journal: Journal,
    leaf: Certificate,
    others: Sequence[Certificate],
    authorities: Sequence[Authority],
    lists: Sequence[RevocationWord],
    moment: Moment,
    relied: Relied,
) -> Authority | None:
    """Enter the checks of one certificate; gives the authority that the path ends at, or None without a path. `relied`:
    when the certificates are shown to have existed, and the time of validation."""
    inside = _check_validity(journal, leaf, moment)
    # Where the certificate itself was out of its time the path is judged within it, so that the report says both.
    path_us = moment.time_us if inside else min(max(moment.time_us, leaf.not_before_us), leaf.not_after_us)
    try:
        path = find_path(leaf, others, [one.certificate for one in authorities], path_us)
    except Refusal as refusal:
        journal.add(refusal)
        return None
    authority = next(one for one in authorities if one.certificate == path[-1])
    journal.passed(
        "certificate path",
        f"“{leaf.name}” was certified, through {len(path) - 1} signature(s), by “{authority.certificate.name}”, "
        "which the trust bundle names.",
    )
    for lower, upper in pairwise(path):
        body = Reader(lower.encoded).enter()
        body.raw()
        relied.check(journal, f"The certificate of “{lower.name}”", uses_of(upper.public_key, read_algorithm(body)))
    if authority.compromised_us is not None:
        _judge_compromise(journal, authority.certificate.name, authority.compromised_us, moment)
    for index in range(len(path) - 1):
        try:
            revoked = revocation_of(path[index], path[index + 1], lists, path_us, relied.now_us, relied.algorithms)
        except Refusal as refusal:
            journal.add(refusal)
            continue
        if revoked is None:
            journal.passed(
                "revocation", f"“{path[index].name}” was not on its issuer's revocation list at {spoken(path_us)}."
            )
        else:
            _judge_revocation(journal, path[index], revoked, moment, is_leaf=index == 0)
    return authority


def _judge_compromise(journal: Journal, name: str, since_us: int, moment: Moment) -> None:
    """An authority whose key somebody else may have: whoever has it can certify anything under any date, so only what
    others show to have existed before counts, as with a revoked authority (EN 319 102-1, clause 5.6.2.2)."""
    declared = f"The trust bundle declares the key of “{name}” compromised since {spoken(since_us)}"
    shown_us = moment.proven_us if moment.claimed_by_signer else moment.time_us
    if shown_us is not None and shown_us < since_us:
        journal.passed("authority", f"{declared}; others show that the signature existed before.")
    else:
        journal.refuse(
            "authority",
            SubIndication.REVOKED_CA_NO_POE,
            f"{declared}, and nothing shows that the signature existed before.",
        )


def _check_validity(journal: Journal, leaf: Certificate, moment: Moment) -> bool:
    span = f"{spoken(leaf.not_before_us)} to {spoken(leaf.not_after_us)}"
    if moment.time_us < leaf.not_before_us:
        journal.refuse(
            "certificate validity",
            SubIndication.NOT_YET_VALID,
            f"The certificate is valid from {span}; {moment.source} ({spoken(moment.time_us)}) lies before that.",
        )
        return False
    if moment.time_us > leaf.not_after_us:
        journal.refuse(
            "certificate validity",
            SubIndication.EXPIRED if moment.claimed_by_signer else SubIndication.OUT_OF_BOUNDS_NO_POE,
            f"The certificate is valid from {span}; {moment.source} ({spoken(moment.time_us)}) lies after that"
            + ("." if moment.claimed_by_signer else ", and nothing shows that the signature existed earlier."),
        )
        return False
    journal.passed(
        "certificate validity", f"The certificate was valid ({span}) at {moment.source}: {spoken(moment.time_us)}."
    )
    return True


def _judge_revocation(journal: Journal, one: Certificate, revoked: Revoked, moment: Moment, *, is_leaf: bool) -> None:
    when = f"“{one.name}” was revoked at {spoken(revoked.time_us)}"
    before = moment.time_us < revoked.time_us
    proven_before = moment.proven_us is not None and moment.proven_us < revoked.time_us
    if revoked.reason == HOLD:
        journal.refuse(
            "revocation", SubIndication.TRY_LATER, f"“{one.name}” is on hold since {spoken(revoked.time_us)}."
        )
    elif not is_leaf:
        if before and (not moment.claimed_by_signer or revoked.reason in KEY_COMPROMISE_FREE or proven_before):
            journal.passed("revocation", f"{when}, after {moment.source}.")
        else:
            journal.refuse("revocation", SubIndication.REVOKED_CA_NO_POE, f"The certificate authority {when}.")
    elif moment.claimed_by_signer and not before:
        journal.refuse(
            "revocation",
            SubIndication.REVOKED,
            f"{when}, and {moment.source} ({spoken(moment.time_us)}) is not earlier.",
        )
    elif moment.claimed_by_signer and revoked.reason not in KEY_COMPROMISE_FREE and not proven_before:
        journal.refuse(
            "revocation",
            SubIndication.REVOKED_NO_POE,
            f"{when} without a reason that clears its key (RFC 3161, section 4), and nobody else shows that the "
            "stamp existed before.",
        )
    elif before or proven_before:
        journal.passed("revocation", f"{when}; {moment.source} ({spoken(moment.time_us)}) is earlier.")
    else:
        journal.refuse(
            "revocation",
            SubIndication.REVOKED_NO_POE,
            f"{when}, and nothing shows that the signature existed before.",
        )
