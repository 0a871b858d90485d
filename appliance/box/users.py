"""Which user each process of the box runs under, and who owns which file.

Started as root, the box gives each kind of process a numeric user of its own, which needs no entry in the passwd file;
its group has the same number. Where one process must reach what another owns, it is a member of that one's group
(MEMBERSHIPS), and of no other. SoftHSM's files can be read by one user only, so where a token is SoftHSM's, those that
open tokens share one; a group of its own each has all the same. That, and a box without users of their own at all, is a
weakness which the status shows.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePath
from typing import Final

import msgspec

from appliance.box import process
from appliance.box.home import Home
from appliance.box.known_weaknesses import KnownWeakness
from appliance.box.settings import BoxSettings, UserSettings
from appliance.box.softhsm import VARIABLE as SOFTHSM_VARIABLE
from appliance.files import Owner, closing_descriptor, give, open_directory
from hsm import Pkcs11Uri

TOKEN_KINDS: Final = ("worker", "log", "keymaster", "audit")
"""Those that open tokens."""
LATER_KINDS: Final = ("audit", "filer", "cosigner", "anchorer")
"""Those that box.json of a box made earlier may name no user for: they run under the workers' then."""
MEMBERSHIPS: Final[Mapping[str, tuple[str, ...]]] = {
    # submits to the recorder; serves tiles, proofs and cosigned heads; has documents read, and authorities asked; shows
    # anchors
    "worker": ("recorder", "log", "documents", "filer", "cosigner", "anchorer"),
    "log": ("recorder",),
    # reads heads of the box's log, and has the follower sign
    "anchorer": ("log",),
    # records what it does; holds proposals to the log that they name; has transcripts set
    "keymaster": ("recorder", "log", "documents"),
    # reads records, and puts on record who read them; reads tiles, proofs and anchors, and what workers may read of
    # officers
    "audit": ("recorder", "log", "worker", "cosigner", "anchorer"),
    # reads heads and tiles, for proofs that a log has only grown
    "cosigner": ("log",),
    # asks the workers for their metrics, which know it from the front by its user; has files that people bring
    # verified; shows anchors
    "management": ("front", "documents", "anchorer"),
}
"""Whose groups each kind of process belongs to besides its own."""

SHARED: Final = KnownWeakness.USERS_SHARED.label
NOT_SEPARATE: Final = KnownWeakness.USERS_NOT_SEPARATE.label
_ONE_USER: Final = "all processes of the box run under one user"


@dataclass(frozen=True)
class ProcessUsers:
    """Numeric users of this start of the box; all None: the supervisor's own."""

    numbers: UserSettings = field(default_factory=UserSettings)
    weaknesses: Mapping[str, str] = field(default_factory=dict)
    """Label to the reason, where processes share a user that should not."""
    own_groups: Mapping[str, int] = field(default_factory=dict)
    """Groups of the kinds that have one of their own even where a token forces them under the workers' user: by it the
    recorder and the supervisor know who asks, and a process of another group cannot trace theirs (ptrace(2))."""

    @property
    def keymaster_group(self) -> int | None:
        """The keymaster's: what only it may reach belongs to root and this group."""
        return self.own_groups.get("keymaster")

    @property
    def separate(self) -> bool:
        """Whether the kinds of processes have users of their own, but for those that a token forces together."""
        return None not in msgspec.structs.astuple(self.numbers)

    def groups(self, kind: str) -> tuple[int, ...]:
        """Supplementary groups of a kind of process. Of one whose user it does not share, it enters the own group."""
        mine = getattr(self.numbers, kind)
        found = []
        for other in MEMBERSHIPS.get(kind, ()):
            number: int | None = getattr(self.numbers, other)
            if number is not None:
                found.append(number if number == mine else self.own_groups.get(other, number))
        return tuple(found)

    def directory(self, path: Path, user: int | None, mode: int, *, group: int | None = None) -> None:
        """Make a directory (its parents must exist), or set owner and mode of one that stands."""
        with closing_descriptor(open_directory(path, make=True)) as directory:
            if self.separate:
                owner = os.getuid() if user is None else user
                os.fchown(directory, owner, owner if group is None else group)
            os.fchmod(directory, mode)

    def give(self, path: Path, user: int | None, *, group: int | None = None, create: bool = False) -> None:
        """Hand a file or a whole tree to a user, and to a group if it is not the user's own; nothing happens where
        processes are not separate. Links of whoever had it before lead nowhere (appliance.files.open_directory)."""
        if create:
            os.close(open_directory(path, make=True))
        if not self.separate or user is None:
            return
        give(path, Owner(user, user if group is None else group))


def has_witnesses(settings: BoxSettings) -> bool:
    """Whether any log of the box has witnesses, so that there is a cosigner."""
    return any(log.witnesses for log in settings.logs)


def has_anchorer(home: Home, settings: BoxSettings) -> bool:
    """Whether there is an anchorer: box.json lists ledgers, or did once, so that anchors of then stay to be seen."""
    return bool(settings.ledgers) or home.anchors.is_dir()


def one_user_only(settings: BoxSettings) -> list[str]:
    """Names of the tokens whose files one user alone can open: SoftHSM's (2.6 makes them 0600, whatever one sets).

    A module is known by its file's name; one that stands before SoftHSM, by the configuration that it needs.
    """
    if SOFTHSM_VARIABLE in settings.environment:
        return [token.name for token in settings.tokens]
    return [
        token.name
        for token in settings.tokens
        if any("softhsm" in _module(uri) for uri in (token.uri, token.standby_uri) if uri is not None)
    ]


def _module(uri: str) -> str:
    return PurePath(Pkcs11Uri.parse(uri).module_path or "").name.lower()


def assign(settings: BoxSettings, *, anchorer: bool = False) -> ProcessUsers:
    """The users that the settings ask for, and what the tokens make of it. `anchorer`: there is one without ledgers."""
    numbers, lent = settings.users, {}
    named = msgspec.structs.asdict(settings.users)
    own = {kind: named[kind] for kind in TOKEN_KINDS if kind != "worker" and named[kind] is not None}
    unnamed = [name for name in LATER_KINDS if named[name] is None]
    if unnamed:
        numbers = msgspec.structs.replace(numbers, **dict.fromkeys(unnamed, numbers.worker))
    there = {
        "filer": settings.filing_hosts,
        "cosigner": has_witnesses(settings),
        "anchorer": anchorer or settings.ledgers,
    }
    running = [name for name in unnamed if there.get(name, True)]
    if running:
        lent = {SHARED: f"{' and '.join(running)} under the workers' user: box.json names none for it"}
    missing = [name for name, number in named.items() if number is None and name not in LATER_KINDS]
    if missing:
        return ProcessUsers(weaknesses={NOT_SEPARATE: f"{_ONE_USER}: box.json names none for {', '.join(missing)}"})
    forced = one_user_only(settings)
    if not forced:
        return ProcessUsers(numbers, lent, own)
    shared = dict.fromkeys(TOKEN_KINDS, numbers.worker)
    reason = "workers, log follower, keymaster and audit share one user: SoftHSM's files can be read by one only"
    return ProcessUsers(msgspec.structs.replace(numbers, **shared), {SHARED: reason}, own)


def resolve_users(root: Path, settings: BoxSettings) -> ProcessUsers:
    """The users that this start of the box can really separate its processes by."""
    users = assign(settings, anchorer=has_anchorer(Home(root), settings))
    if not users.separate:
        return users
    if os.geteuid() != 0:
        return ProcessUsers(weaknesses={NOT_SEPARATE: f"{_ONE_USER}: it was not started as root"})
    hindered = _hindered(sorted(set(msgspec.structs.astuple(users.numbers))), root)
    if hindered:
        who = ", ".join(map(str, hindered))
        reason = f"{_ONE_USER}: user {who} cannot reach the interpreter or the home"
        return ProcessUsers(weaknesses={NOT_SEPARATE: reason})
    return users


def _hindered(users: list[int], root: Path) -> list[int]:
    """Users that cannot run a process of the box in this home. All are tried at once."""
    command = (*process.interpreter(), "-c", "import appliance.box.home, os, sys; os.stat(sys.argv[1])", str(root))
    probes: dict[int, subprocess.Popen[bytes] | None] = {}
    for user in users:
        try:
            probes[user] = subprocess.Popen(
                command,
                user=user,
                group=user,
                extra_groups=[],
                cwd="/",
                env={},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except PermissionError:
            probes[user] = None
    return [user for user, probe in probes.items() if probe is None or probe.wait() != 0]
