"""Why a witness does not cosign."""

from __future__ import annotations

from typing import Final

from appliance.errors import BadRequest, CinnabarError, Conflict, Unavailable
from appliance.log.forks import ForkEvidence


class WitnessRefusal(CinnabarError):
    """Of a request (C2SP tlog-witness). `reason` names it in counts and in the journal."""

    reason = "refused"


class MalformedRequest(WitnessRefusal, BadRequest):
    """The body is no add-checkpoint request, or its old size is larger than the checkpoint's."""

    code = "witness-malformed-request"
    title = "The body is no add-checkpoint request"
    reason = "malformed"


class LogUnknown(WitnessRefusal):
    """The origin was not configured here."""

    code = "witness-log-unknown"
    status = 404
    title = "This witness does not know the log"
    reason = "unknown-log"


class NotSigned(WitnessRefusal):
    """No configured key of the log that signs at this size did."""

    code = "witness-not-signed"
    status = 403
    title = "No trusted key of the log signed the checkpoint"
    reason = "not-signed"


class OtherSize(WitnessRefusal, Conflict):
    """The proof begins at another size than that of the head that was cosigned last."""

    code = "witness-other-size"
    title = "The proof begins at another size"
    reason = "other-size"

    def __init__(self, size: int) -> None:
        super().__init__(f"the head that was cosigned last has {size} entries")
        self.size = size


class NotConsistent(WitnessRefusal, BadRequest):
    """The proof does not show that the checkpoint extends the head that was cosigned last."""

    code = "witness-not-consistent"
    status = 422
    title = "The consistency proof does not hold"
    reason = "not-consistent"


class Forked(WitnessRefusal, Conflict):
    """The log has signed two histories; a person decides what becomes of it."""

    code = "witness-log-forked"
    control = "FORK"
    title = "The log has two histories"
    reason = "fork"

    def __init__(self, detail: str, evidence: ForkEvidence) -> None:
        super().__init__(detail)
        self.evidence = evidence


class StateLost(WitnessRefusal):
    """This witness has cosigned a larger head of the log than it remembers: its state was lost or rolled back."""

    code = "witness-state-lost"
    control = "FORK"
    status = 503
    title = "The witness has lost what it knew of the log"
    reason = "state-lost"


class Refusing(WitnessRefusal):
    """Nothing of the log is cosigned until a person enters a checkpoint."""

    code = "witness-refusing"
    control = "FORK"
    status = 503
    title = "The witness refuses this log until a person decides"
    reason = "refusing"


class ClockBehind(WitnessRefusal):
    """The clock is far behind the last time that was told of this log: times of one log never run backwards."""

    code = "witness-clock-behind"
    control = "TIME"
    status = 503
    title = "The witness's clock runs behind what it has said"
    reason = "clock-behind"
    retriable = True


class StateUnwritable(WitnessRefusal, Unavailable):
    """What would be cosigned cannot be made durable."""

    code = "witness-state-unwritable"
    control = "FORK"
    title = "The witness cannot store what it would cosign"
    reason = "unwritable"

    def __init__(self, detail: str, *, state_has_it: bool = False, refusals_kept: bool = False) -> None:
        """`state_has_it`: the state took it, and its copy did not; `refusals_kept`: the reserve took what refuses a
        log."""
        super().__init__(detail)
        self.state_has_it = state_has_it
        self.refusals_kept = refusals_kept

    def again(self) -> StateUnwritable:
        """The same, for another one who waits."""
        return StateUnwritable(str(self), state_has_it=self.state_has_it, refusals_kept=self.refusals_kept)


class KeyUnavailable(WitnessRefusal, Unavailable):
    """A key of the witness does not sign now."""

    code = "witness-key-unavailable"
    title = "The witness's key does not sign now"
    reason = "key"


class SettingsFaults(CinnabarError):
    """The settings cannot be used; each fault in a line of its own."""

    code = "witness-settings"
    title = "The witness's settings cannot be used"

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


LOST: Final = (
    "Put it back from its copy, or begin again by `cinnabar witness init --after-loss` and the newest heads of its"
    " logs: docs/witness.md"
)
"""What to do about a state that is not there; a copy of it that is not there is made by `--copy`, as that page says."""


class StateUnusable(CinnabarError):
    """The state is not there, is damaged, is not this witness's, or is used by another process."""

    code = "witness-state"
    control = "FORK"
    title = "The witness's state cannot be used"
