"""Why the keymaster refuses, beyond what the documents and rules of ceremonies refuse themselves."""

from __future__ import annotations

from appliance.errors import BadRequest, Conflict, NotAuthorised, NotFound, Unavailable


class NoConstitution(Conflict):
    """Nobody has power over the box yet: its first officers are to be founded on its console."""

    code = "no-constitution"
    title = "The box has no officers yet"
    control = "QUORUM"


class ConstitutionRefused(Unavailable):
    """The chain of constitutions is not the one that the box's token pins: nothing is executed until it is."""

    code = "constitution-refused"
    title = "The constitution is not the one that the token pins"
    control = "QUORUM"
    retriable = False


class HistoryDiffers(Conflict):
    """The log does not continue what the proposal's requester had seen of it."""

    code = "history-differs"
    title = "The log is not a continuation of the one that the proposal names"
    control = "FORK"


class JournalContradicted(Conflict):
    """The log already has another entry of this event: the keymaster's journal was put back to an older state."""

    code = "journal-contradicted"
    title = "The log remembers what the keymaster's journal does not"
    control = "QUORUM"


class NotServed(BadRequest):
    """No executor for this action stands on this box."""

    code = "action-not-served"
    status = 501
    title = "This box cannot execute that action"


class ProposalClosed(Conflict):
    """The proposal has ended, or is being executed: statements come too late."""

    code = "proposal-closed"
    title = "The proposal takes no statements any more"


class ExecutionBusy(Conflict):
    """One execution at a time."""

    code = "execution-busy"
    title = "Another ceremony is being executed"
    retriable = True


class Tampered(Unavailable):
    """The box has seen a tamper signal: nothing is executed but what brings it back, or takes more power away."""

    code = "tampered"
    title = "The box was tampered with"
    control = "TAMPER"
    retriable = False


class BoxLocked(Unavailable):
    """The box is locked: nothing is executed but what takes power away, repairs the box, or unlocks it."""

    code = "box-locked"
    title = "The box is locked"
    control = "QUORUM"
    retriable = False


class StoppedSince(Conflict):
    """What the proposal would give back was stopped again after it was proposed."""

    code = "stopped-since"
    title = "It was stopped again since"
    control = "QUORUM"


class StillWaiting(Conflict):
    """A recovery waits in public before it takes effect."""

    code = "still-waiting"
    title = "The waiting period is not over"
    control = "QUORUM"
    retriable = True


class TooManyProposals(Unavailable):
    """So many proposals are open that no further one is taken."""

    code = "too-many-proposals"
    title = "Too many proposals are open"


class CodeRefused(NotAuthorised):
    """A one-time code that is wrong, used, or too old."""

    code = "code-refused"
    title = "The code is not, or no longer, valid"
    control = "QUORUM"


class NotAwaited(NotFound):
    """Nobody waits for this answer on the console."""

    code = "not-awaited"
    title = "Nobody waits for this answer"


class ConsoleSilent(Unavailable):
    """Nobody answered on the console in time."""

    code = "console-silent"
    title = "Nobody answered on the console"
