"""What the rules of ceremonies refuse."""

from __future__ import annotations

from appliance.errors import CinnabarError

OTHER_CHALLENGE = "another challenge was signed: another proposal, another verb, or no statement at all"
"""What is said where a signature holds for something else than the statement."""


class DocumentRefused(CinnabarError):
    """A proposal, statement or constitution that is not well formed, or breaks a rule of its form."""

    code = "document-refused"
    status = 422
    title = "The document cannot be taken"
    control = "QUORUM"


class StatementRefused(CinnabarError):
    """An officer's statement whose signature, origin or officer does not hold."""

    code = "statement-refused"
    status = 403
    title = "The officer's statement does not hold"
    control = "QUORUM"


class QuorumMissing(CinnabarError):
    """Not enough distinct officers have approved exactly this proposal, or it is no longer open."""

    code = "quorum-missing"
    status = 409
    title = "The quorum has not approved this"
    control = "QUORUM"


class SuccessionRefused(CinnabarError):
    """A constitution that does not lawfully follow the one in force."""

    code = "succession-refused"
    status = 409
    title = "The constitution does not follow the one in force"
    control = "QUORUM"


class BundleRefused(CinnabarError):
    """A file that is no record bundle, or a damaged one."""

    code = "bundle-refused"
    status = 422
    title = "The record bundle cannot be read"
