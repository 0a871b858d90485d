"""The parts of a box: which processes run, by which commands, under which users, in which order, on what files."""

from __future__ import annotations

import os
import shutil
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from appliance.box import process
from appliance.box.front import pid_file
from appliance.box.home import Home
from appliance.box.settings import BoxSettings
from appliance.box.users import ProcessUsers, has_anchorer, has_witnesses, one_user_only
from appliance.files import read_file


@dataclass(frozen=True)
class Part:
    """One process of the box."""

    name: str
    command: tuple[str, ...]
    user: int | None
    """None: the supervisor's own."""
    groups: tuple[int, ...]
    """Supplementary groups; with the user's own they say what the part can reach."""
    stage: int
    """Parts are started by rising stage and stopped by falling stage."""
    stop_signal: signal.Signals = signal.SIGTERM
    environment: dict[str, str] = field(default_factory=dict)
    inherited: tuple[int, ...] = ()
    group: int | None = None
    """Its group; None: the one with its user's number."""
    needed: bool = True
    """Whether the box cannot do without it: no start waits for one that it can do without, and none such makes it fail
    by ending again and again."""
    says: Callable[[int], bool] | None = None
    """Whether the process of this number is ready, for a program that knows nothing of appliance.box.readiness."""
    settled: Callable[[], bool] | None = None
    """What the parts started after it wait for, where that is not that it is ready."""
    vitals: Path | None = None
    """Metrics socket of a part that is to be asked whether it still works."""
    pulse: Path | None = None
    """Socket of a part that has none and is to be asked all the same: it answers an empty frame with another."""


def parts_of(
    home: Home,
    settings: BoxSettings,
    users: ProcessUsers,
    sockets: Mapping[str, Sequence[socket.socket]],
    history_settled: Callable[[], bool],
) -> list[Part]:
    """The parts of a box. `sockets`: the listening sockets of each front; `history_settled`: whether the log follower
    has said if the box may sign (control FORK)."""
    python = process.interpreter()
    where = ("--home", str(home.root))

    def module(name: str, *more: str) -> tuple[str, ...]:
        return (*python, "-m", name, *where, *more)

    who, groups, group_of = users.numbers, users.groups, users.own_groups.get
    parts = [
        Part("clock", module("appliance.clock"), who.clock, groups("clock"), 0),
        Part("recorder", module("appliance.recorder"), who.recorder, groups("recorder"), 0),
        Part("log", module("appliance.log"), who.log, groups("log"), 1, group=group_of("log"), settled=history_settled),
        Part(
            "keymaster",
            module("appliance.keymaster"),
            who.keymaster,
            groups("keymaster"),
            1,
            group=group_of("keymaster"),
        ),
    ]
    parts.append(
        # Whoever signs waits for no audit page; with forced audit, its word is what is waited for.
        Part("audit", module("appliance.audit"), who.audit, groups("audit"), 1, group=group_of("audit"), needed=False)
    )
    # Started as root where there is one: it leaves the network, which root alone can, and then becomes its user.
    peers = [peer for number in (who.worker, who.keymaster) for peer in ("--peer", str(number))]
    readers = ("--reader", str(who.management))
    own = () if who.documents is None else ("--user", str(who.documents), *peers, *readers)
    parts.append(Part("documents", module("appliance.documents", *own), None, (), 1))
    if settings.filing_hosts:
        callers = ("--peer", str(who.worker)) if who.worker is not None else ()
        parts.append(
            Part(
                "filer",
                module("appliance.filer", *callers),
                who.filer,
                groups("filer"),
                1,
                # Whoever signs waits for no authority: letters stay in the outbox.
                needed=False,
                pulse=home.filer_socket,
            )
        )
    if has_anchorer(home, settings):
        askers = [peer for number in (who.worker, who.audit, who.management) for peer in ("--peer", str(number))]
        parts.append(
            Part(
                "anchorer",
                module("appliance.anchorer", *(askers if who.worker is not None else ())),
                who.anchorer,
                groups("anchorer"),
                1,
                # Whoever signs waits for no ledger: heads stay in the outbox.
                needed=False,
                pulse=home.anchorer_socket,
            )
        )
    if has_witnesses(settings):
        parts.append(
            Part(
                "cosigner",
                module("appliance.cosigner"),
                who.cosigner,
                groups("cosigner"),
                1,
                # Whoever signs waits for no witness: what is not cosigned yet is so a moment later.
                needed=False,
                pulse=home.cosigner_socket,
            )
        )
    parts += [
        Part(
            f"api-{number}",
            module("appliance.api", "--worker", str(number)),
            who.worker,
            groups("worker"),
            2,
            vitals=home.worker_socket(number, "metrics"),
        )
        for number in range(settings.workers)
    ]
    if settings.front.management is not None:
        parts.append(
            Part(
                "management",
                module("mgmt_service"),
                who.management,
                groups("management"),
                2,
                # Whoever signs waits for no page: the front says that they are not up.
                needed=False,
            )
        )
    # A master of nginx that is root gives its workers another user, who could not reach the sockets of ours.
    as_we_are = ("-g", "user root;") if who.front is None and os.geteuid() == 0 else ()
    for front, listeners in sockets.items():
        descriptors = tuple(listener.fileno() for listener in listeners)
        parts.append(
            Part(
                front,
                (process.nginx(), "-c", str(home.front / f"{front}.conf"), "-p", str(home.front), *as_we_are),
                who.front,
                groups("front"),
                3,
                stop_signal=signal.SIGQUIT,
                # nginx takes over listening sockets that are already open when it is told their numbers.
                environment={"NGINX": "".join(f"{descriptor};" for descriptor in descriptors)},
                inherited=descriptors,
                says=_written_in(pid_file(home, front)),
            )
        )
    return parts


_PID_BYTES: Final = 64


def _written_in(path: Path) -> Callable[[int], bool]:
    """Whether a process's number stands in its file, in a directory of the front's user. An earlier life of nginx may
    have left its own there."""

    def says(process: int) -> bool:
        try:
            return read_file(path, _PID_BYTES).strip() == str(process).encode()
        except OSError:
            return False

    return says


def prepare_home(home: Home, settings: BoxSettings, users: ProcessUsers) -> None:
    """Make the run directory anew, and give each directory to the user of the parts that write it."""
    users.directory(home.run, None, 0o755)
    for path in home.run.iterdir():
        if path == home.counters:
            continue  # the recorder settles what processes that died have counted (control RECORD)
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    who = users.numbers
    # Members of the recorder's group submit to it; that group opens nothing else of the recorder's.
    users.directory(home.recorder_socket.parent, who.recorder, 0o750)
    users.directory(home.supervisor_socket.parent, None, 0o755)
    users.directory(home.counters, None, 0o1770, group=who.recorder)
    users.directory(home.records, who.recorder, 0o700)
    users.give(home.records, who.recorder)
    users.directory(home.clock_page.parent, who.clock, 0o755)
    # Written by the keymaster's group alone: a worker that a token forces under the same user cannot stand in for it.
    own_group = users.keymaster_group is not None
    users.directory(home.desk_socket.parent, None, 0o775 if own_group else 0o755, group=users.keymaster_group)
    users.directory(home.keymaster, None, 0o770 if own_group else 0o700, group=users.keymaster_group)
    users.directory(home.root / "certificates", None, 0o775 if own_group else 0o755, group=users.keymaster_group)
    users.directory(home.issued, None, 0o775 if own_group else 0o755, group=users.keymaster_group)
    users.directory(home.marks, who.worker, 0o700)
    users.directory(home.audit_socket.parent, who.audit, 0o2750, group=who.management)
    users.give(home.audit, who.audit, create=True)
    users.directory(home.audit, who.audit, 0o700)
    users.directory(home.management_socket.parent, who.management, 0o2750, group=who.front)
    users.give(home.management, who.management, create=True)
    users.directory(home.management, who.management, 0o700)
    users.directory(home.documents_socket.parent, who.documents, 0o750)
    users.directory(home.run / "api", None, 0o755)
    for number in range(settings.workers):
        directory = home.worker_socket(number, "applications").parent
        users.directory(directory, who.worker, 0o2750, group=who.front)
    users.directory(home.logs_compared.parent, who.log, 0o755)
    users.directory(home.filer_socket.parent, who.filer, 0o750)
    users.directory(home.anchorer_socket.parent, who.anchorer, 0o750)
    if has_anchorer(home, settings):
        users.give(home.anchors, who.anchorer, create=True)
        users.directory(home.anchors, who.anchorer, 0o700)
        for name in [name for ledger in settings.ledgers for name in ledger.secret_files]:
            # One that is not there, or a node's own outside of the home, is the anchorer's to tell of.
            if not Path(name).is_absolute() and (home.root / name).exists():
                users.give(home.root / name, who.anchorer)
    users.directory(home.cosigner_socket.parent, who.cosigner, 0o750)
    users.give(home.cosigned, who.cosigner, create=True)
    users.directory(home.cosigned, who.cosigner, 0o750)  # its group reads: workers hand out proofs under these heads
    # The follower's own group reads, whomever a token makes share its user: workers and cosigner read tiles.
    users.give(home.logs, who.log, group=users.own_groups.get("log"), create=True)
    users.directory(home.logs, who.log, 0o750, group=users.own_groups.get("log"))
    for path, user, mode in (
        (home.exports, who.log, 0o711),  # others find only what they can name
        (home.trust, who.keymaster, 0o755),  # public
        (home.ocsp, who.keymaster, 0o755),  # public
        (home.documents, who.worker, 0o700),
    ):
        users.give(path, user, create=True)
        users.directory(path, user, mode)
    users.give(home.key_backups, who.keymaster, create=True)
    users.directory(home.key_backups, None, 0o770 if own_group else 0o700, group=users.keymaster_group)
    users.give(home.audit_exports, who.audit, create=True)
    users.directory(home.audit_exports, who.audit, 0o750)
    # What the keymaster makes in it belongs to the workers' group, and others see none of it.
    users.give(home.policies, who.keymaster, group=who.worker, create=True)
    users.directory(home.policies, who.keymaster, 0o2750, group=who.worker)
    users.give(home.kinds, who.keymaster, group=who.worker, create=True)
    users.directory(home.kinds, who.keymaster, 0o2750, group=who.worker)
    users.give(home.seal_objects, who.keymaster, group=who.worker, create=True)
    users.directory(home.seal_objects, who.keymaster, 0o2750, group=who.worker)
    users.give(home.adapters, who.keymaster, group=who.worker, create=True)
    users.directory(home.adapters, who.keymaster, 0o2750, group=who.worker)
    users.give(home.partners, who.keymaster, group=who.worker, create=True)
    users.directory(home.partners, who.keymaster, 0o2750, group=who.worker)
    if one_user_only(settings):
        users.give(home.tokens, who.worker, create=True)
    prepare_secrets(home, settings, users)
    if settings.front.tsa_passwords is not None:
        users.give(home.root / settings.front.tsa_passwords, who.front)
    if settings.audit.syslog_key is not None:
        users.give(home.root / settings.audit.syslog_key, who.audit)


def prepare_secrets(home: Home, settings: BoxSettings, users: ProcessUsers) -> None:
    """Give tenants' content keys and tokens' PINs to whom they belong; again whenever other settings are adopted."""
    for tenant in settings.tenants:
        # Workers write and read content, the audit process reads it: the keys are wrapped, by tokens that both open.
        users.give(home.root / tenant.data_key, users.numbers.worker, group=users.numbers.audit)
        if users.separate:
            (home.root / tenant.data_key).chmod(0o640)
    users.directory(home.secrets, None, 0o711)
    for token in settings.tokens:
        if token.pin_source != "file":
            continue  # in memory, and root's from the beginning
        for original in (token.pin_file, token.standby_pin_file or token.pin_file):
            users.give(home.root / original, 0)  # the processes' users have copies (appliance.box.pins)
