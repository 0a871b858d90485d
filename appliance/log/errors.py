"""What can be wrong with a log, and what others hand us about one."""

from __future__ import annotations

from appliance.errors import BadRequest, CinnabarError, Unavailable


class MalformedNote(BadRequest):
    """A signed note, checkpoint or verifier key is not of its format (C2SP signed-note, tlog-checkpoint)."""

    code = "malformed-note"
    title = "The signed note is not well formed"


class MalformedProof(BadRequest):
    """A .tlog-proof, a COSE receipt or a tile path is not of its format."""

    code = "malformed-proof"
    title = "The proof is not well formed"


class ProofInvalid(BadRequest):
    """The proof is well formed and does not prove what it is offered for."""

    code = "proof-invalid"
    title = "The proof does not hold"


class SignatureInvalid(BadRequest):
    """No known key of the log signed this, or a known key's signature fails."""

    code = "log-signature-invalid"
    title = "The log's signature does not hold"


class NotYetIncluded(Unavailable):
    """The entry has an index, but no signed checkpoint covers it yet; the same request succeeds a moment later."""

    code = "not-yet-included"
    title = "No signed checkpoint covers this entry yet"


class LogDamaged(CinnabarError):
    """A file of a log is missing or differs from what the other files say. The message names the file, except to a
    caller of the box: there the journal does."""

    code = "log-damaged"
    title = "A log's files do not agree"
    control = "APPEND"


class LogForked(CinnabarError):
    """Signing would make, or has been offered, a second history of a log. The box stays locked."""

    code = "log-forked"
    status = 503
    title = "The log has a head that this box cannot extend"
    control = "FORK"


class LogLocked(CinnabarError):
    """The home was restored and has not been given the last exported checkpoint of each log."""

    code = "log-locked"
    status = 503
    title = "The box is locked until its logs are resumed"
    control = "FORK"
