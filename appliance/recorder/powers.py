"""What each kind of process may have the recorder do: its own commands and queries, and nothing else (control CHANNEL).

An attacker who has taken one process sends what he likes over its connection. So the recorder holds each command to who
sends it, as the kernel tells it (SO_PEERCRED): the kinds of process that run under that user and group. Where several
share both, the peer may do what any of them may.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from appliance.box.settings import BoxSettings
from appliance.box.users import TOKEN_KINDS, assign
from appliance.recorder.administration import AdminCommand, CeremonyEntry, Change
from appliance.recorder.messages import (
    Append,
    Command,
    DraftKeep,
    DraftSign,
    Goodbye,
    Housekeeping,
    IntakeClaim,
    IntakeCreate,
    IntakeMove,
    IntakePart,
    IntakeSlice,
    JobClaim,
    JobCreate,
    JobSlice,
    Query,
    Reading,
)


@dataclass(frozen=True)
class Powers:
    """What a peer may send over one of the two sockets."""

    commands: frozenset[type] = frozenset()
    """Whatever they say; Query among them: every query."""
    housekeeping: frozenset[str] = frozenset()
    """Kinds of the box's own signatures, and of leaves of its log."""
    queries: frozenset[str] = frozenset()
    unbounded: bool = False

    def permit(self, command: Command | AdminCommand) -> bool:
        """Whether the peer may send this. Of a housekeeping row and of a query it is the name that counts."""
        if type(command) in self.commands or self.unbounded:
            return True
        if isinstance(command, Query):
            return command.name in self.queries
        return isinstance(command, Housekeeping) and command.kind in self.housekeeping

    def __or__(self, other: Powers) -> Powers:
        return Powers(
            self.commands | other.commands,
            self.housekeeping | other.housekeeping,
            self.queries | other.queries,
            self.unbounded or other.unbounded,
        )


EVERYTHING: Final = Powers(unbounded=True)

POWERS: Final[Mapping[str, Powers]] = {
    "worker": Powers(
        frozenset(
            (
                Goodbye, Append, DraftKeep, DraftSign, IntakeClaim, IntakeCreate, IntakeMove, IntakePart, IntakeSlice,
                JobClaim, JobCreate, JobSlice,
            )
        ),
        queries=frozenset(
            (
                "answers_at", "archived_place", "archived_records", "letter_events",
                "checkpoint_covering", "claim_status", "counter", "counter_amount", "draft", "draft_of_any",
                "drafts", "get_record", "intake", "intake_known", "intake_pages", "intake_parts",
                "intakes", "job", "job_verdicts",
                "key_answer", "key_known", "key_states", "letter", "letter_of_any", "letter_page", "letter_records",
                "letter_terms", "letters", "letters_automatic", "letters_due", "letters_found", "list_at", "marks",
                "metered", "notices", "partner_message", "quota", "quotas", "read_records", "record_part", "status",
                "stopped_kinds", "tally_labels", "watch",
            )
        ),
    ),
    "log": Powers(
        frozenset((Goodbye,)),
        frozenset(("checkpoint", "receipt", "box-leaf", "chain-transaction")),
        frozenset(("head", "housekeeping_after", "read_leaves", "totals")),
    ),
    "keymaster": Powers(
        frozenset((Goodbye,)),
        frozenset(("certificate", "crl", "ocsp")),
        # What a compromised key signed is counted in database and archive: appliance.keymaster.keys.signed_records.
        frozenset(
            (
                "archive_part", "archived_segment", "certificate_states", "head", "packed_records", "record_heads",
                "tree_size",
            )
        ),
    ),
    "audit": Powers(
        frozenset((Goodbye, Reading)),
        queries=frozenset(
            (
                "answers_at", "archived_place", "archived_records", "letter_events",
                "archive_part", "archived_segment", "checkpoint_covering", "counter", "draft", "drafts", "get_record",
                "intake", "intake_pages", "intakes", "letter", "letter_counts", "letter_page", "letter_records",
                "letter_terms", "letters", "list_at", "metered", "notices", "packed_records", "picked_records",
                "read_leaves", "record_heads", "record_part", "stopped_kinds", "tallies", "tally_labels", "tree_size",
                "usage_days",
            )
        ),
    ),
}  # fmt: skip
"""Over submit.sock, by kind of process."""

_CHANGES: Final = frozenset(typing.get_args(Change))
KEYMASTER: Final = Powers(
    _CHANGES | {CeremonyEntry},
    queries=frozenset(
        (
            "certificate_states", "key_signatures", "key_states", "letter_terms", "quotas", "register",
            "register_states", "scope_used", "stopped_kinds", "tallies",
        )
    ),
)  # fmt: skip
"""Over admin.sock: no record's body is its business."""
ADMINISTRATOR: Final = Powers(_CHANGES | {Query})
"""Over admin.sock. What a governed box takes from an administrator, appliance.recorder.administration says; an event of
a ceremony never."""


def command_name(command: Command | AdminCommand) -> str:
    """What it is called where people read it: never longer than a line."""
    tag = str(type(command).__struct_config__.tag)
    name = getattr(command, "name", getattr(command, "kind", "")) if isinstance(command, Query | Housekeeping) else ""
    return f"{tag} {name[:64]!r}" if name else tag


@dataclass(frozen=True)
class Peers:
    """Who is who at the recorder's sockets. By default no process has a user of its own: owners may do everything."""

    owners: frozenset[int]
    """Users that can do everything anyhow: root, and the recorder's own, whose the database is."""
    kinds: Mapping[tuple[int, int], Powers] = field(default_factory=dict)
    """Powers over submit.sock by user and group, where processes have them."""
    keymaster_group: int | None = None
    """The group by which the keymaster is known, whatever user a token forces it under."""

    def submitting(self, user: int, group: int) -> Powers | None:
        """None: nothing is taken from this peer at all."""
        return EVERYTHING if user in self.owners else self.kinds.get((user, group))

    def administering(self, user: int, group: int) -> Powers | None:
        """None: nothing is taken from this peer at all."""
        if self.keymaster_group is None:
            return EVERYTHING if user in self.owners else None
        if group == self.keymaster_group:
            return KEYMASTER
        return ADMINISTRATOR if user in self.owners else None

    def is_keymaster(self, group: int) -> bool:
        """Where it cannot be told from others, everybody passes for it."""
        return self.keymaster_group in (None, group)


def peers_of(settings: BoxSettings, me: int) -> Peers:
    """The peers of a recorder that runs under the user `me`: of a box that separates its processes, if that is the
    recorder's user in the settings."""
    owners = frozenset((me, 0))
    if settings.users.recorder != me:
        return Peers(owners)
    users = assign(settings)
    kinds: dict[tuple[int, int], Powers] = {}
    for kind in TOKEN_KINDS:
        user = getattr(users.numbers, kind)
        if user is not None:
            peer = (user, users.own_groups.get(kind, user))
            kinds[peer] = kinds.get(peer, Powers()) | POWERS[kind]
    return Peers(owners, kinds, users.keymaster_group)
